// SPDX-License-Identifier: MIT
// The SQL of the SQLite store. Internal to it.
#pragma once

#include "core/gallery/sqlite_db.h"

namespace sphere {

/// Every statement of the store, prepared at opening: a file whose tables are not ours fails
/// there.
struct SqliteStatements {
    SqliteStatement version, bump, active_stamp, insert_stamp, find_stamp, use_stamp;
    SqliteStatement insert_person, find_person, insert_face, insert_embedding, count_faces;
    SqliteStatement delete_person, drop_unused_stamp, delete_unused_stamps, list_people, load;
    SqliteStatement load_thresholds, load_negatives, list_faces, take_person_number,
        insert_audit;
};

Result<SqliteStatements> prepare_gallery_statements(SqliteDb &db);

} // namespace sphere
