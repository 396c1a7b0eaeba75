// SPDX-License-Identifier: MIT
// Statements on gallery tables (sqlite_schema.cpp).
#include "core/gallery/sqlite_statements.h"

namespace sphere {

Result<SqliteStatements> prepare_gallery_statements(SqliteDb &db) {
    struct Row {
        SqliteStatement SqliteStatements::*target;
        const char *sql;
    };
    static constexpr Row kRows[] = {
        {&SqliteStatements::version, "SELECT version FROM gallery WHERE id = 1"},
        {&SqliteStatements::bump, "UPDATE gallery SET version = version + 1 WHERE id = 1"},
        {&SqliteStatements::active_stamp,
         "SELECT s.stamp, s.dims, s.model, s.sha256, s.preprocessing, s.template, s.flip "
         "FROM gallery g JOIN stamps s ON s.stamp = g.stamp WHERE g.id = 1"},
        {&SqliteStatements::insert_stamp,
         "INSERT INTO stamps (model, sha256, preprocessing, template, flip, dims) "
         "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING"},
        {&SqliteStatements::find_stamp,
         "SELECT stamp FROM stamps WHERE model = ?1 AND sha256 = ?2 AND preprocessing = ?3 "
         "AND template = ?4 AND flip = ?5 AND dims = ?6"},
        {&SqliteStatements::use_stamp, "UPDATE gallery SET stamp = ?1 WHERE id = 1"},
        {&SqliteStatements::insert_person,
         "INSERT INTO people (id, label) VALUES (?1, ?1) ON CONFLICT (id) DO NOTHING"},
        {&SqliteStatements::find_person, "SELECT person FROM people WHERE id = ?1"},
        {&SqliteStatements::insert_face,
         "INSERT INTO faces (person, added_at, source, quality_score, sharpness, brightness, "
         "yaw_deg, pitch_deg, roll_deg, eye_distance_px, thumbnail_jpeg) "
         "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"},
        {&SqliteStatements::insert_embedding,
         "INSERT INTO embeddings (face, stamp, vector) VALUES (?1, ?2, ?3)"},
        {&SqliteStatements::count_faces, "SELECT count(*) FROM faces"},
        {&SqliteStatements::delete_person, "DELETE FROM people WHERE id = ?1"},
        {&SqliteStatements::drop_unused_stamp,
         "UPDATE gallery SET stamp = NULL WHERE NOT EXISTS "
         "(SELECT 1 FROM embeddings WHERE embeddings.stamp = gallery.stamp)"},
        {&SqliteStatements::delete_unused_stamps,
         "DELETE FROM stamps WHERE stamp NOT IN (SELECT stamp FROM embeddings)"},
        {&SqliteStatements::list_people,
         "SELECT id, label, (SELECT count(*) FROM faces WHERE faces.person = people.person) "
         "FROM people ORDER BY id"},
        // Outer joins: an embedding without its face or person is damage, not to be passed
        // over.
        {&SqliteStatements::load, "SELECT e.face, p.id, p.label, e.vector FROM embeddings e "
                                  "LEFT JOIN faces f ON f.face = e.face "
                                  "LEFT JOIN people p ON p.person = f.person "
                                  "WHERE e.stamp = ?1 ORDER BY e.face"},
    };
    SqliteStatements statements;
    for (const Row &row : kRows) {
        auto statement = db.prepare(row.sql);
        if (!statement)
            return statement.error();
        statements.*row.target = std::move(*statement);
    }
    return statements;
}

} // namespace sphere
