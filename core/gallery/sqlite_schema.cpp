// SPDX-License-Identifier: MIT
// Schema versions of gallery files.
#include "core/gallery/sqlite_schema.h"

namespace sphere {
namespace {

/// `gallery` has one row; its version goes up in every write transaction, its stamp is that of
/// the embeddings in use. `faces` is AUTOINCREMENT so that a removed face's number never comes
/// back.
constexpr const char *kVersion1 = R"sql(
CREATE TABLE stamps (
    stamp INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    preprocessing TEXT NOT NULL,
    template TEXT NOT NULL,
    flip TEXT NOT NULL,
    dims INTEGER NOT NULL CHECK (dims BETWEEN 1 AND 16384),
    UNIQUE (model, sha256, preprocessing, template, flip, dims)
) STRICT;
CREATE TABLE gallery (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    stamp INTEGER REFERENCES stamps
) STRICT;
CREATE TABLE people (
    person INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    attributes TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE TABLE faces (
    face INTEGER PRIMARY KEY AUTOINCREMENT,
    person INTEGER NOT NULL REFERENCES people ON DELETE CASCADE,
    added_at INTEGER NOT NULL,
    source TEXT NOT NULL,
    quality_score REAL,
    sharpness REAL,
    brightness REAL,
    yaw_deg REAL,
    pitch_deg REAL,
    roll_deg REAL,
    eye_distance_px REAL,
    thumbnail_jpeg BLOB
) STRICT;
CREATE INDEX faces_by_person ON faces (person);
CREATE TABLE embeddings (
    face INTEGER NOT NULL REFERENCES faces ON DELETE CASCADE,
    stamp INTEGER NOT NULL REFERENCES stamps,
    vector BLOB NOT NULL,
    UNIQUE (face, stamp)
) STRICT;
-- The counter starts where no other file's does: one that takes this one's place is seen as changed.
INSERT INTO gallery (id, version) VALUES (1, (abs(random()) >> 24) << 20);
)sql";

/// `stranger` is N of an "unknown-N", 0 for a person. `next_person` makes people's numbers as
/// lasting as AUTOINCREMENT does those of faces: the audit table goes by them. It has no names:
/// nothing of a removed person may stay.
constexpr const char *kVersion2 = R"sql(
ALTER TABLE gallery ADD COLUMN next_person INTEGER NOT NULL DEFAULT 1;
ALTER TABLE gallery ADD COLUMN next_stranger INTEGER NOT NULL DEFAULT 1;
UPDATE gallery SET next_person = (SELECT coalesce(max(person), 0) + 1 FROM people);
ALTER TABLE people ADD COLUMN threshold REAL;
ALTER TABLE people ADD COLUMN stranger INTEGER NOT NULL DEFAULT 0;
ALTER TABLE faces ADD COLUMN quarantined INTEGER NOT NULL DEFAULT 0;
ALTER TABLE faces ADD COLUMN thumbnail_template TEXT;
CREATE TABLE negatives (
    negative INTEGER PRIMARY KEY AUTOINCREMENT,
    person INTEGER REFERENCES people ON DELETE CASCADE,
    stamp INTEGER NOT NULL REFERENCES stamps,
    added_at INTEGER NOT NULL,
    source TEXT NOT NULL,
    vector BLOB NOT NULL
) STRICT;
CREATE INDEX negatives_by_person ON negatives (person);
CREATE TABLE visits (
    visit INTEGER PRIMARY KEY AUTOINCREMENT,
    person INTEGER NOT NULL REFERENCES people ON DELETE CASCADE,
    camera TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL
) STRICT;
CREATE INDEX visits_by_person ON visits (person);
CREATE TABLE audit (
    entry INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    user TEXT NOT NULL,
    action TEXT NOT NULL,
    person INTEGER,
    detail TEXT NOT NULL
) STRICT;
)sql";

struct Migration {
    std::int64_t to_version;
    const char *sql;
    const char *set_version; ///< a PRAGMA takes no parameter
};
/// In order; each takes the version before it to its own. The first makes the tables.
constexpr Migration kMigrations[] = {
    {1, kVersion1, "PRAGMA user_version = 1"},
    {2, kVersion2, "PRAGMA user_version = 2"},
};
static_assert(kMigrations[std::size(kMigrations) - 1].to_version == kGallerySchemaVersion);

struct FileState {
    std::int64_t application_id = 0;
    std::int64_t schema_version = 0;
};

Result<FileState> read_state(SqliteDb &db) {
    const auto id = db.query_integer("PRAGMA application_id");
    if (!id)
        return id.error();
    const auto version = db.query_integer("PRAGMA user_version");
    if (!version)
        return version.error();
    return FileState{*id, *version};
}

Result<void> check_state(const SqliteDb &db, const FileState &state) {
    if (state.application_id != kGalleryApplicationId)
        return fail(
            Errc::Corrupt, db.path(),
            " is not a gallery (an SQLite database of something else): name a file that "
            "spherectl enrol made");
    if (state.schema_version > kGallerySchemaVersion)
        return fail(Errc::Unsupported, "gallery ", db.path(), " has format version ",
                    state.schema_version, ", this gst-sphere reads up to ",
                    kGallerySchemaVersion, ": use the newer gst-sphere that made it");
    if (state.schema_version < 1)
        return fail(Errc::Corrupt, "gallery ", db.path(), " is damaged (format version ",
                    state.schema_version,
                    "): restore it from a copy, or enrol into a new file");
    return {};
}

Result<void> migrate(SqliteDb &db, std::int64_t from_version) {
    for (const Migration &migration : kMigrations) {
        if (migration.to_version <= from_version)
            continue;
        SPHERE_TRY(db.exec(migration.sql));
        SPHERE_TRY(db.exec(migration.set_version));
    }
    return {};
}

Result<void> create_or_migrate(SqliteDb &db) {
    // Rows of 512 floats take 2 KB: at the default of 4096 a page would hold one of them.
    SPHERE_TRY(db.exec("PRAGMA page_size=16384"));
    auto transaction = SqliteTransaction::begin(db, SqliteTransaction::Kind::Write);
    if (!transaction)
        return transaction.error();
    // Once more, now that nobody else can write: another process may have been first.
    auto state = read_state(db);
    if (!state)
        return state.error();
    const auto objects = db.query_integer("SELECT count(*) FROM sqlite_schema");
    if (!objects)
        return objects.error();
    if (state->application_id == 0 && state->schema_version == 0 && *objects == 0)
        SPHERE_TRY(db.exec("PRAGMA application_id = 1397770322")); // kGalleryApplicationId
    else
        SPHERE_TRY(check_state(db, *state));
    SPHERE_TRY(migrate(db, state->schema_version));
    return transaction->commit();
}
static_assert(kGalleryApplicationId == 1397770322);

} // namespace

Result<void> prepare_gallery_schema(SqliteDb &db, bool may_create) {
    const auto pages = db.query_integer("PRAGMA page_count");
    if (!pages)
        return pages.error();
    const bool writable = db.access() == SqliteDb::Access::ReadWrite;
    if (*pages == 0) {
        if (!may_create)
            return fail(
                Errc::NotFound, "gallery ", db.path(),
                " is an empty file: enrol people into it with: spherectl enrol --gallery ",
                db.path(), " --id NAME IMAGE...");
        if (!writable)
            return fail(Errc::Permission, "gallery ", db.path(), " cannot be written");
        return create_or_migrate(db);
    }
    const auto state = read_state(db);
    if (!state)
        return state.error();
    SPHERE_TRY(check_state(db, *state));
    if (state->schema_version == kGallerySchemaVersion)
        return {};
    if (!writable)
        return fail(
            Errc::Permission, "gallery ", db.path(), " has format version ",
            state->schema_version, " and must be brought to ", kGallerySchemaVersion,
            ": open it once with write permission, for example by spherectl gallery list");
    return create_or_migrate(db);
}

} // namespace sphere
