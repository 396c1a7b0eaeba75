// SPDX-License-Identifier: MIT
// The gallery in one SQLite file (docs/gallery.md has its tables).
#pragma once

#include "core/gallery/store.h"

namespace sphere {

/// Errors: as open_store. `path` is not empty.
Result<std::unique_ptr<Store>> open_sqlite_store(const std::string &path, OpenMode mode);

} // namespace sphere
