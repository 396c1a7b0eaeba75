// SPDX-License-Identifier: MIT
// Reading a gallery's tables, with nothing in them taken on trust. Internal to the SQLite
// store.
#pragma once

#include "core/gallery/people_admin.h"
#include "core/gallery/sqlite_statements.h"
#include "core/gallery/store.h"

namespace sphere {

struct StoredStamp {
    std::int64_t key = 0;
    EmbeddingStamp stamp;
};

/// Corrupt, with `what` and the remedy.
Error damaged_gallery(const SqliteDb &db, const std::string &what);

Result<std::int64_t> read_gallery_version(SqliteDb &db, SqliteStatements &statements);
/// The stamp in use; empty where nobody is enrolled.
Result<std::optional<StoredStamp>> read_active_stamp(SqliteDb &db,
                                                     SqliteStatements &statements);
Result<std::vector<Person>> read_gallery_people(SqliteDb &db, SqliteStatements &statements);
/// In a transaction of its own: version and rows are of one moment.
Result<GallerySnapshot> read_gallery_snapshot(SqliteDb &db, SqliteStatements &statements,
                                              FaceKind kind);

std::vector<float> from_little_endian(std::span<const std::uint8_t> bytes);

// For PeopleAdmin.
Result<std::vector<FaceRecord>> read_gallery_faces(SqliteDb &db, SqliteStatements &statements,
                                                   const std::string &person_id);
Result<GalleryNotes> read_gallery_notes(SqliteDb &db, int newest_audit_entries);

} // namespace sphere
