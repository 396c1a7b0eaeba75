// SPDX-License-Identifier: MIT
// The key of a connection to an SQLite file. Internal to the SQLite store.
#pragma once

#include "core/base/result.h"

#include <string>

struct sqlite3;

namespace sphere {

/// As of files in the clear (sqlite_schema.cpp).
inline constexpr int kEncryptedPageBytes = 16384;

/// Before anything is read. False: no key is named, the file is in the clear. Errors: those of
/// gallery_key(), Unsupported (a key is named, and this build does not encrypt), Internal.
Result<bool> use_sqlite_key(sqlite3 *connection);

} // namespace sphere
