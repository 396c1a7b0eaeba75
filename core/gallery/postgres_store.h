// SPDX-License-Identifier: MIT
// Galleries on a PostgreSQL server (13 or newer).
#pragma once

#include "core/gallery/people_admin.h"
#include "core/gallery/store.h"

namespace sphere {

/// `location` is a URI of libpq's: postgresql://[USER@]HOST[:PORT]/DATABASE[?…]. Passwords
/// belong into ~/.pgpass, a service file or PGPASSWORD; one in the URI is taken, and never
/// shown. Where the server cannot be reached, calls fail with Io, and the next attempts wait
/// longer and longer, up to half a minute: a caller that keeps its snapshot goes on.
Result<std::unique_ptr<Store>> open_postgres_store(const std::string &location, OpenMode mode);
Result<std::unique_ptr<PeopleAdmin>> open_postgres_admin(const std::string &location);

/// `location` without a password, for messages.
std::string shown_location(const std::string &location);

} // namespace sphere
