// SPDX-License-Identifier: MIT
// The tables of a gallery file, and how older ones become newer ones. Internal to the SQLite
// store.
#pragma once

#include "core/gallery/sqlite_db.h"

namespace sphere {

inline constexpr std::int64_t kGalleryApplicationId = 0x53504852; ///< "SPHR"
inline constexpr std::int64_t kGallerySchemaVersion = 2;

/// Looks at what `db` is and brings it to kGallerySchemaVersion: tables into an empty file
/// (only if `may_create`), migrations into an older one. Errors: NotFound (empty and not to be
/// made), Corrupt (something else's database), Unsupported (made by a newer version; the file
/// stays as it is), Permission (older, and cannot be written).
Result<void> prepare_gallery_schema(SqliteDb &db, bool may_create);

} // namespace sphere
