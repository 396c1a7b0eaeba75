// SPDX-License-Identifier: MIT
// PeopleAdmin on an SQLite file.
#pragma once

#include "core/gallery/people_admin.h"

namespace sphere {

/// `path` is a file that is there; see open_people_admin.
Result<std::unique_ptr<PeopleAdmin>> open_sqlite_admin(const std::string &path);

} // namespace sphere
