// SPDX-License-Identifier: MIT
// The tables of a gallery on PostgreSQL, and the statements that all use.
#include "core/gallery/postgres_gallery.h"

#include "core/gallery/change_check.h"
#include "core/gallery/enrolment_check.h"
#include "core/gallery/limits.h"
#include "core/gallery/pgvector.h"
#include "core/gallery/sqlite_gallery.h"

#include <algorithm>
#include <cmath>

namespace sphere {
namespace {

/// 2 has columns for pgvector: whoever writes fills them.
constexpr std::int64_t kFormat = 2;

/// As the SQLite format 2 (docs/gallery.md), in the first schema of the search path.
constexpr const char *kTables = R"sql(
CREATE TABLE IF NOT EXISTS sphere_stamps (
    stamp bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model text NOT NULL, sha256 text NOT NULL, preprocessing text NOT NULL,
    template text NOT NULL, flip text NOT NULL,
    dims integer NOT NULL CHECK (dims BETWEEN 1 AND 16384),
    UNIQUE (model, sha256, preprocessing, template, flip, dims));
CREATE TABLE IF NOT EXISTS sphere_gallery (
    id integer PRIMARY KEY CHECK (id = 1),
    format integer NOT NULL,
    version bigint NOT NULL,
    stamp bigint REFERENCES sphere_stamps,
    next_stranger bigint NOT NULL DEFAULT 1);
CREATE TABLE IF NOT EXISTS sphere_people (
    person bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    label text NOT NULL,
    attributes text NOT NULL DEFAULT '{}',
    threshold real,
    stranger bigint NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS sphere_faces (
    face bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person bigint NOT NULL REFERENCES sphere_people ON DELETE CASCADE,
    added_at bigint NOT NULL,
    source text NOT NULL,
    quality_score real, sharpness real, brightness real, yaw_deg real, pitch_deg real,
    roll_deg real, eye_distance_px real,
    thumbnail_jpeg bytea, thumbnail_template text,
    quarantined boolean NOT NULL DEFAULT false);
CREATE INDEX IF NOT EXISTS sphere_faces_by_person ON sphere_faces (person);
CREATE TABLE IF NOT EXISTS sphere_embeddings (
    face bigint NOT NULL REFERENCES sphere_faces ON DELETE CASCADE,
    stamp bigint NOT NULL REFERENCES sphere_stamps,
    vector bytea NOT NULL,
    PRIMARY KEY (face, stamp));
CREATE TABLE IF NOT EXISTS sphere_negatives (
    negative bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person bigint REFERENCES sphere_people ON DELETE CASCADE,
    stamp bigint NOT NULL REFERENCES sphere_stamps,
    added_at bigint NOT NULL,
    source text NOT NULL,
    vector bytea NOT NULL);
CREATE TABLE IF NOT EXISTS sphere_visits (
    visit bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person bigint NOT NULL REFERENCES sphere_people ON DELETE CASCADE,
    camera text NOT NULL,
    first_seen bigint NOT NULL,
    last_seen bigint NOT NULL);
CREATE INDEX IF NOT EXISTS sphere_visits_by_person ON sphere_visits (person);
CREATE TABLE IF NOT EXISTS sphere_audit (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint NOT NULL,
    "user" text NOT NULL,
    action text NOT NULL,
    person bigint,
    detail text NOT NULL);
INSERT INTO sphere_gallery (id, format, version)
    VALUES (1, 1, (random() * 1e9)::bigint << 20) ON CONFLICT DO NOTHING;
)sql";

Error damaged(const PgDb &db, const std::string &what) {
    return fail(Errc::Corrupt, "gallery ", db.name(), " is damaged: ", what,
                ". Restore it from a backup");
}

Result<std::vector<float>> read_vector(const PgDb &db, const PgRow &row, int column, int dims,
                                       const std::string &name) {
    const auto bytes = row.bytes(column);
    if (bytes.size() != static_cast<std::size_t>(dims) * 4)
        return damaged(db, name + " has an embedding of another size");
    std::vector<float> values = from_little_endian(bytes);
    for (const float value : values)
        if (!std::isfinite(value))
            return damaged(db, name + " has a value that is not finite");
    return values;
}

} // namespace

Result<void> PgGallery::attach(OpenMode mode) {
    const std::lock_guard lock(mutex_);
    SPHERE_TRY(db_.connect());
    const auto there = db_.integer("SELECT (to_regclass('sphere_gallery') IS NOT NULL)::int");
    if (!there)
        return there.error();
    if (*there == 0) {
        if (mode == OpenMode::Existing)
            return fail(Errc::NotFound, "there is no gallery in the database ", db_.name(),
                        ": make it with: spherectl enrol --gallery ", db_.name(),
                        " --id NAME IMAGE...");
        auto transaction = PgTransaction::begin(db_, "BEGIN");
        if (!transaction)
            return transaction.error();
        // One maker at a time.
        SPHERE_TRY(db_.script("SELECT pg_advisory_xact_lock(1397770322)"));
        SPHERE_TRY(db_.script(kTables));
        SPHERE_TRY(transaction->commit());
    }
    const auto format = db_.integer("SELECT format FROM sphere_gallery WHERE id = 1");
    if (!format)
        return format.error();
    if (*format > kFormat)
        return fail(Errc::Unsupported, "gallery ", db_.name(), " has format version ", *format,
                    ", this gst-sphere reads up to ", kFormat,
                    ": use the newer gst-sphere that made it");
    if (*format < 1)
        return damaged(db_, "it has no format");
    return {};
}

Result<std::int64_t> PgGallery::version() {
    const std::lock_guard lock(mutex_);
    SPHERE_TRY(db_.connect());
    return db_.integer("SELECT version FROM sphere_gallery WHERE id = 1");
}

Result<void> PgGallery::raise_version() {
    const auto version = db_.integer(
        "UPDATE sphere_gallery SET version = version + 1 WHERE id = 1 RETURNING version");
    if (!version)
        return version.error();
    if (*version == 0)
        return damaged(db_, "its version counter is gone");
    std::set<std::string, std::less<>> columns;
    const auto looked =
        db_.query("SELECT attname FROM pg_attribute WHERE attrelid = "
                  "to_regclass('sphere_embeddings') AND attname IN ('near_cosine', "
                  "'near_euclidean') AND NOT attisdropped",
                  {}, [&columns](const PgRow &row) -> Result<void> {
                      columns.insert(row.text(0));
                      return {};
                  });
    if (!looked)
        return looked.error();
    db_.set_near_columns(std::move(columns));
    const auto told =
        db_.query("SELECT pg_notify('sphere_gallery', $1)", {std::to_string(*version)});
    return told ? Result<void>() : Result<void>(told.error());
}

std::string pg_vector(const std::vector<float> &values) {
    const std::vector<std::uint8_t> bytes = to_little_endian(values);
    return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

Result<std::optional<PgStamp>> pg_active_stamp(PgDb &db) {
    std::optional<PgStamp> found;
    const auto done = db.query(
        "SELECT s.stamp, s.dims, s.model, s.sha256, s.preprocessing, s.template, s.flip FROM "
        "sphere_gallery g JOIN sphere_stamps s ON s.stamp = g.stamp WHERE g.id = 1",
        {}, [&](const PgRow &row) -> Result<void> {
            found = PgStamp{row.integer(0),
                            {row.text(2), row.text(3), row.text(4), row.text(5), row.text(6),
                             static_cast<int>(row.integer(1))}};
            return {};
        });
    if (!done)
        return done.error();
    if (found && (found->stamp.dims < 1 || found->stamp.dims > kMaxDims))
        return damaged(db, "its stamp has a number of dimensions that is not possible");
    return found;
}

Result<std::int64_t> pg_use_stamp(PgDb &db, const EmbeddingStamp &stamp) {
    const auto active = pg_active_stamp(db);
    if (!active)
        return active.error();
    if (*active) {
        if ((*active)->stamp != stamp)
            return stamp_mismatch(db.name(), (*active)->stamp, stamp);
        return (*active)->key;
    }
    const PgValues values{stamp.model,         stamp.sha256, stamp.preprocessing,
                          stamp.template_name, stamp.flip,   std::int64_t{stamp.dims}};
    auto inserted = db.query(
        "INSERT INTO sphere_stamps (model, sha256, preprocessing, template, flip, dims) "
        "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        values);
    if (!inserted)
        return inserted;
    auto key = db.integer(
        "SELECT stamp FROM sphere_stamps WHERE model = $1 AND sha256 = $2 AND preprocessing = "
        "$3 AND template = $4 AND flip = $5 AND dims = $6",
        values);
    if (!key)
        return key;
    auto used = db.query("UPDATE sphere_gallery SET stamp = $1 WHERE id = 1", {*key});
    return used ? key : used;
}

Result<void> pg_drop_unused_stamps(PgDb &db) {
    for (const char *sql :
         {"UPDATE sphere_gallery g SET stamp = NULL WHERE NOT EXISTS (SELECT 1 FROM "
          "sphere_embeddings e WHERE e.stamp = g.stamp) AND NOT EXISTS (SELECT 1 FROM "
          "sphere_negatives n WHERE n.stamp = g.stamp)",
          "DELETE FROM sphere_stamps s WHERE NOT EXISTS (SELECT 1 FROM sphere_embeddings e "
          "WHERE e.stamp = s.stamp) AND NOT EXISTS (SELECT 1 FROM sphere_negatives n WHERE "
          "n.stamp = s.stamp)"})
        if (auto done = db.query(sql); !done)
            return done.error();
    return {};
}

namespace {

Result<void> read_aids(PgDb &db, const PgStamp &stamp, GallerySnapshot &snapshot) {
    const auto thresholds = db.query(
        "SELECT id, threshold FROM sphere_people WHERE threshold IS NOT NULL AND stranger = 0",
        {}, [&](const PgRow &row) -> Result<void> {
            if (!std::isfinite(row.real(1)) || row.real(1) < 0)
                return damaged(db, "a person's threshold is not a distance");
            snapshot.thresholds.emplace(row.text(0), row.real(1));
            return {};
        });
    if (!thresholds)
        return thresholds.error();
    const auto negatives = db.query(
        "SELECT n.negative, p.id, n.vector FROM sphere_negatives n LEFT JOIN sphere_people p "
        "ON "
        "p.person = n.person WHERE n.stamp = $1 ORDER BY n.negative",
        {stamp.key}, [&](const PgRow &row) -> Result<void> {
            if (snapshot.negatives.size() >= kMaxNegatives)
                return damaged(db, "it has more negatives than it can");
            auto values = read_vector(db, row, 2, stamp.stamp.dims,
                                      "negative " + std::to_string(row.integer(0)));
            if (!values)
                return std::move(values).error();
            snapshot.negatives.push_back(
                {row.integer(0), row.is_null(1) ? "" : row.text(1), std::move(*values)});
            return {};
        });
    return negatives ? Result<void>() : Result<void>(negatives.error());
}

/// All but the faces, and the stamp with its key.
Result<std::optional<PgStamp>> read_outline(PgDb &db, FaceKind kind,
                                            GallerySnapshot &snapshot) {
    const auto version = db.integer("SELECT version FROM sphere_gallery WHERE id = 1");
    if (!version)
        return version.error();
    snapshot.version = *version;
    auto active = pg_active_stamp(db);
    if (!active || !*active)
        return active;
    snapshot.stamp = (*active)->stamp;
    if (kind == FaceKind::Known)
        SPHERE_TRY(read_aids(db, **active, snapshot));
    return active;
}

} // namespace

Result<GallerySnapshot> pg_outline(PgDb &db) {
    GallerySnapshot snapshot;
    if (const auto stamp = read_outline(db, FaceKind::Known, snapshot); !stamp)
        return stamp.error();
    return snapshot;
}

Result<GallerySnapshot> pg_snapshot(PgDb &db, FaceKind kind) {
    GallerySnapshot snapshot;
    const auto active = read_outline(db, kind, snapshot);
    if (!active)
        return active.error();
    if (!*active)
        return snapshot;
    const PgStamp &stamp = **active;
    const std::int64_t most =
        std::min(kMaxFaces, kMaxSnapshotBytes / (std::int64_t{stamp.stamp.dims} * 4));
    const auto faces = db.query(
        "SELECT e.face, p.id, p.label, e.vector FROM sphere_embeddings e JOIN sphere_faces f "
        "ON "
        "f.face = e.face JOIN sphere_people p ON p.person = f.person WHERE e.stamp = $1 AND "
        "CASE WHEN p.stranger > 0 THEN 2 WHEN f.quarantined THEN 1 ELSE 0 END = $2::int "
        "ORDER BY e.face",
        {stamp.key, static_cast<std::int64_t>(kind)}, [&](const PgRow &row) -> Result<void> {
            const std::string name = "face " + std::to_string(row.integer(0));
            if (static_cast<std::int64_t>(snapshot.faces.size()) >= most)
                return damaged(db, "it has more embeddings than it can");
            auto values = read_vector(db, row, 3, stamp.stamp.dims, name);
            if (!values)
                return std::move(values).error();
            EnrolledFace face{row.integer(0), row.text(1), row.text(2), std::move(*values)};
            if (face.person_id.empty() || face.person_id.size() > kMaxPersonIdBytes ||
                face.label.size() > kMaxTextBytes)
                return damaged(db, name + " has a person whose id or label is not possible");
            snapshot.faces.push_back(std::move(face));
            return {};
        });
    if (!faces)
        return faces.error();
    return snapshot;
}

Result<std::int64_t> pg_find_person(PgDb &db, const std::string &id) {
    auto person = db.integer("SELECT person FROM sphere_people WHERE id = $1", {id});
    if (person && *person == 0)
        return fail(Errc::NotFound, "gallery ", db.name(), " has no person \"", id,
                    "\": spherectl gallery list --gallery ", db.name(), " shows who is there");
    return person;
}

Result<std::int64_t> pg_add_person(PgDb &db, const std::string &id, std::int64_t stranger) {
    return db.integer("INSERT INTO sphere_people (id, label, stranger) VALUES ($1, $1, $2) "
                      "RETURNING person",
                      {id, stranger});
}

Result<std::int64_t> pg_add_face(PgDb &db, const Enrolment &face, std::int64_t person,
                                 std::int64_t stamp) {
    PgValues values{person,
                    face.added_at_ms != 0 ? face.added_at_ms : unix_time_ms(),
                    face.source,
                    face.thumbnail_jpeg.empty() ? PgValue(std::optional<std::string>())
                                                : PgValue::bytes({face.thumbnail_jpeg.begin(),
                                                                  face.thumbnail_jpeg.end()}),
                    face.thumbnail_template.empty() ? PgValue(std::optional<std::string>())
                                                    : PgValue(face.thumbnail_template),
                    stamp,
                    PgValue::bytes(pg_vector(face.embedding))};
    for (const float Quality::*member :
         {&Quality::score, &Quality::sharpness, &Quality::brightness, &Quality::yaw_deg,
          &Quality::pitch_deg, &Quality::roll_deg, &Quality::eye_distance_px})
        values.emplace_back(face.quality ? std::optional<float>((*face.quality).*member)
                                         : std::optional<float>());
    const PgNearColumns near = pgvector_columns(db, face.embedding, values);
    const std::string sql =
        "WITH f AS (INSERT INTO sphere_faces (person, added_at, source, thumbnail_jpeg, "
        "thumbnail_template, quality_score, sharpness, brightness, yaw_deg, pitch_deg, "
        "roll_deg, eye_distance_px) VALUES ($1, $2, $3, $4, $5, $8, $9, $10, $11, $12, $13, "
        "$14) RETURNING face) INSERT INTO sphere_embeddings (face, stamp, vector" +
        near.names + ") SELECT f.face, $6::bigint, $7::bytea" + near.expressions +
        " FROM f RETURNING face";
    return db.integer(sql.c_str(), values);
}

Result<std::int64_t> pg_add_embedding(PgDb &db, std::int64_t face, std::int64_t stamp,
                                      const std::vector<float> &embedding) {
    PgValues values{face, stamp, PgValue::bytes(pg_vector(embedding))};
    const PgNearColumns near = pgvector_columns(db, embedding, values);
    const std::string sql = "INSERT INTO sphere_embeddings (face, stamp, vector" + near.names +
                            ") SELECT face, $2::bigint, $3::bytea" + near.expressions +
                            " FROM sphere_faces WHERE face = $1::bigint";
    return db.query(sql.c_str(), values);
}

Result<void> pg_audit(PgDb &db, const std::string &action, std::int64_t person,
                      const std::string &detail) {
    const auto done =
        db.query("INSERT INTO sphere_audit (at, \"user\", action, person, detail) "
                 "VALUES ($1, $2, $3, nullif($4::bigint, 0), $5)",
                 {unix_time_ms(), audit_user(), action, person, detail});
    return done ? Result<void>() : Result<void>(done.error());
}

Result<void> pg_remove_person(PgDb &db, const std::string &id) {
    const auto person = pg_find_person(db, id);
    if (!person)
        return person.error();
    if (auto gone = db.query("DELETE FROM sphere_people WHERE person = $1", {*person}); !gone)
        return gone.error();
    SPHERE_TRY(pg_drop_unused_stamps(db));
    return pg_audit(db, "remove", *person, "");
}

} // namespace sphere
