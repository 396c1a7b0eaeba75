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
         "INSERT INTO people (person, id, label, stranger) VALUES (?1, ?2, ?2, ?3)"},
        {&SqliteStatements::take_person_number,
         "UPDATE gallery SET next_person = next_person + 1 WHERE id = 1 "
         "RETURNING next_person - 1"},
        {&SqliteStatements::insert_audit,
         "INSERT INTO audit (at, user, action, person, detail) VALUES (?1, ?2, ?3, ?4, ?5)"},
        {&SqliteStatements::find_person, "SELECT person FROM people WHERE id = ?1"},
        {&SqliteStatements::insert_face,
         "INSERT INTO faces (person, added_at, source, quality_score, sharpness, brightness, "
         "yaw_deg, pitch_deg, roll_deg, eye_distance_px, thumbnail_jpeg, "
         "thumbnail_template) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"},
        {&SqliteStatements::insert_embedding,
         "INSERT INTO embeddings (face, stamp, vector) VALUES (?1, ?2, ?3)"},
        {&SqliteStatements::count_faces, "SELECT count(*) FROM faces"},
        {&SqliteStatements::delete_person, "DELETE FROM people WHERE person = ?1"},
        {&SqliteStatements::drop_unused_stamp,
         "UPDATE gallery SET stamp = NULL WHERE NOT EXISTS "
         "(SELECT 1 FROM embeddings WHERE embeddings.stamp = gallery.stamp) AND NOT EXISTS "
         "(SELECT 1 FROM negatives WHERE negatives.stamp = gallery.stamp)"},
        {&SqliteStatements::delete_unused_stamps,
         "DELETE FROM stamps WHERE stamp NOT IN (SELECT stamp FROM embeddings) "
         "AND stamp NOT IN (SELECT stamp FROM negatives)"},
        {&SqliteStatements::list_people,
         "SELECT id, label, (SELECT count(*) FROM faces WHERE faces.person = people.person), "
         "threshold, attributes FROM people WHERE stranger = 0 ORDER BY id"},
        {&SqliteStatements::load_thresholds,
         "SELECT id, threshold FROM people WHERE threshold IS NOT NULL AND stranger = 0"},
        {&SqliteStatements::load_negatives,
         "SELECT n.negative, n.person, p.id, n.vector FROM negatives n "
         "LEFT JOIN people p ON p.person = n.person WHERE n.stamp = ?1 ORDER BY n.negative"},
        {&SqliteStatements::list_faces,
         "SELECT f.face, p.id, f.source, f.added_at, f.quality_score, f.sharpness, "
         "f.brightness, f.yaw_deg, f.pitch_deg, f.roll_deg, f.eye_distance_px, f.quarantined, "
         "f.thumbnail_jpeg IS NOT NULL, EXISTS (SELECT 1 FROM embeddings e JOIN gallery g ON "
         "g.stamp = e.stamp WHERE e.face = f.face), f.thumbnail_template FROM faces f JOIN "
         "people p ON "
         "p.person = f.person WHERE (?1 = '' AND p.stranger = 0) OR p.id = ?1 "
         "ORDER BY p.id, f.face"},
        // Outer joins: an embedding without its face or person is damage, not to be passed
        // over.
        {&SqliteStatements::load,
         "SELECT e.face, p.id, p.label, e.vector FROM embeddings e "
         "LEFT JOIN faces f ON f.face = e.face "
         "LEFT JOIN people p ON p.person = f.person "
         "WHERE e.stamp = ?1 AND (p.person IS NULL OR ?2 = CASE WHEN p.stranger > 0 "
         "THEN 2 WHEN f.quarantined THEN 1 ELSE 0 END) "
         "ORDER BY e.face"},
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
