// SPDX-License-Identifier: MIT
// What comes out of a gallery's tables for those who look after it; checked like the rest.
#include "core/gallery/limits.h"
#include "core/gallery/sqlite_reads.h"

#include <cmath>

namespace sphere {
namespace {

/// Each row to `take`, which may refuse it. At most kMaxFaces rows: damaged pages can show one
/// row many times.
template <typename Take>
Result<void> each_row(SqliteDb &db, SqliteStatement &query, const Take &take) {
    for (std::int64_t count = 0;; ++count) {
        const auto row = query.step();
        if (!row)
            return row.error();
        if (!*row)
            return {};
        auto taken = count < kMaxFaces
                         ? take(query)
                         : Result<void>(damaged_gallery(db, "it shows more rows than it can "
                                                            "hold"));
        if (!taken) {
            query.reset();
            return taken;
        }
    }
}

std::optional<Quality> read_quality(const SqliteStatement &query, int column) {
    if (query.is_null(column))
        return std::nullopt;
    Quality q;
    for (float *value : {&q.score, &q.sharpness, &q.brightness, &q.yaw_deg, &q.pitch_deg,
                         &q.roll_deg, &q.eye_distance_px})
        *value = query.is_null(column) ? (++column, std::nanf(""))
                                       : static_cast<float>(query.real(column++));
    return q;
}

} // namespace

Result<std::vector<FaceRecord>> read_gallery_faces(SqliteDb &db, SqliteStatements &statements,
                                                   const std::string &person_id) {
    std::vector<FaceRecord> faces;
    SqliteStatement &query = statements.list_faces;
    query.bind(1, std::string_view(person_id));
    SPHERE_TRY(each_row(db, query, [&](const SqliteStatement &row) -> Result<void> {
        FaceRecord face;
        face.face_id = row.integer(0);
        face.person_id = row.text(1);
        face.source = row.text(2);
        face.added_at_ms = row.integer(3);
        face.quality = read_quality(row, 4);
        face.quarantined = row.integer(11) != 0;
        face.has_thumbnail = row.integer(12) != 0;
        face.embedded = row.integer(13) != 0;
        face.thumbnail_template = row.text(14);
        if (face.person_id.empty() || face.person_id.size() > kMaxPersonIdBytes ||
            face.source.size() > kMaxTextBytes ||
            face.thumbnail_template.size() > kMaxTextBytes)
            return damaged_gallery(db, "face " + std::to_string(face.face_id) +
                                           " has a person or source that is not possible");
        faces.push_back(std::move(face));
        return {};
    }));
    return faces;
}

namespace {

Result<void> read_negatives(SqliteDb &db, GalleryNotes &notes) {
    auto query = db.prepare("SELECT n.negative, coalesce(p.id, ''), n.source, n.added_at FROM "
                            "negatives n LEFT JOIN people p ON p.person = n.person ORDER BY 1");
    if (!query)
        return query.error();
    return each_row(db, *query, [&](const SqliteStatement &row) -> Result<void> {
        notes.negatives.push_back({row.integer(0), std::string(row.text(1)),
                                   std::string(row.text(2)), row.integer(3)});
        return {};
    });
}

Result<void> read_strangers(SqliteDb &db, GalleryNotes &notes) {
    auto query = db.prepare(
        "SELECT p.id, (SELECT count(*) FROM faces f WHERE f.person = p.person), count(v.visit),"
        " min(v.first_seen), max(v.last_seen) FROM people p LEFT JOIN visits v ON "
        "v.person = p.person WHERE p.stranger > 0 GROUP BY p.person ORDER BY p.stranger");
    if (!query)
        return query.error();
    return each_row(db, *query, [&](const SqliteStatement &row) -> Result<void> {
        notes.strangers.push_back({std::string(row.text(0)), static_cast<int>(row.integer(1)),
                                   static_cast<int>(row.integer(2)), row.integer(3),
                                   row.integer(4)});
        return {};
    });
}

Result<void> read_audit(SqliteDb &db, int newest, GalleryNotes &notes) {
    auto query = db.prepare(
        "SELECT a.at, a.user, a.action, coalesce(p.id, 'person ' || a.person, ''), a.detail "
        "FROM audit a LEFT JOIN people p ON p.person = a.person ORDER BY a.entry DESC LIMIT "
        "?1");
    if (!query)
        return query.error();
    query->bind(1, std::int64_t{newest});
    return each_row(db, *query, [&](const SqliteStatement &row) -> Result<void> {
        notes.audit.push_back({row.integer(0), std::string(row.text(1)),
                               std::string(row.text(2)), std::string(row.text(3)),
                               std::string(row.text(4))});
        return {};
    });
}

} // namespace

Result<GalleryNotes> read_gallery_notes(SqliteDb &db, int newest_audit_entries) {
    auto transaction = SqliteTransaction::begin(db, SqliteTransaction::Kind::Read);
    if (!transaction)
        return transaction.error();
    GalleryNotes notes;
    SPHERE_TRY(read_negatives(db, notes));
    SPHERE_TRY(read_strangers(db, notes));
    SPHERE_TRY(read_audit(db, newest_audit_entries, notes));
    return notes;
}

} // namespace sphere
