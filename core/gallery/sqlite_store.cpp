// SPDX-License-Identifier: MIT
// Store on an SQLite file.
#include "core/gallery/sqlite_store.h"

#include "core/base/log.h"
#include "core/gallery/enrolment_check.h"
#include "core/gallery/gallery_file.h"
#include "core/gallery/limits.h"
#include "core/gallery/sqlite_db.h"
#include "core/gallery/sqlite_schema.h"
#include "core/gallery/sqlite_statements.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <mutex>

namespace sphere {
namespace {

/// Floats as a gallery keeps them: 32 bits, little-endian.
std::vector<std::uint8_t> to_little_endian(const std::vector<float> &values) {
    std::vector<std::uint8_t> bytes;
    bytes.reserve(values.size() * 4);
    for (const float value : values) {
        const auto bits = std::bit_cast<std::uint32_t>(value);
        for (int shift = 0; shift < 32; shift += 8)
            bytes.push_back(static_cast<std::uint8_t>(bits >> shift));
    }
    return bytes;
}

std::vector<float> from_little_endian(std::span<const std::uint8_t> bytes) {
    std::vector<float> values(bytes.size() / 4);
    for (std::size_t i = 0; i < values.size(); ++i) {
        std::uint32_t bits = 0;
        for (std::size_t b = 0; b < 4; ++b)
            bits |= static_cast<std::uint32_t>(bytes[4 * i + b]) << (8 * b);
        values[i] = std::bit_cast<float>(bits);
    }
    return values;
}

std::int64_t unix_time_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

struct StoredStamp {
    std::int64_t key = 0;
    EmbeddingStamp stamp;
};

class SqliteStore final : public Store {
  public:
    explicit SqliteStore(std::string path) : path_(std::move(path)) {}

    Result<void> attach(OpenMode mode);

    Result<std::vector<std::int64_t>> enrol(const EmbeddingStamp &stamp,
                                            const std::vector<Enrolment> &faces) override;
    Result<void> remove_person(const std::string &person_id) override;
    Result<std::vector<Person>> list_people() override;
    Result<GallerySnapshot> load() override;
    Result<std::int64_t> version() override;

  private:
    Result<void> follow_file();
    Result<SqliteTransaction> begin_write();
    Result<void> commit(SqliteTransaction &transaction);
    Error damaged(const std::string &what) const;
    Result<std::int64_t> read_version();
    Result<std::optional<StoredStamp>> read_active_stamp();
    Result<std::int64_t> stamp_for(const EmbeddingStamp &stamp);
    Result<std::int64_t> insert(const Enrolment &enrolment, std::int64_t stamp_key);
    Result<EnrolledFace> read_face(int dims) const;

    const std::string path_;
    std::mutex mutex_; ///< guards all below
    GalleryFileIdentity identity_;
    std::unique_ptr<SqliteDb>
        db_; ///< null after a failure to open a file that took our file's place
    SqliteStatements statements_; ///< of db_: declared after it, so destroyed before
};

Error SqliteStore::damaged(const std::string &what) const {
    return fail(Errc::Corrupt, "gallery ", path_, " is damaged: ", what,
                ". Restore it from a copy, or enrol into a new file");
}

Result<void> SqliteStore::attach(OpenMode mode) {
    // One at a time: see make_gallery_file().
    static std::mutex opening;
    const std::lock_guard lock(opening);
    statements_ = {};
    db_.reset();
    const auto found = find_gallery_file(path_);
    if (!found)
        return found.error();
    const bool may_create = mode == OpenMode::CreateIfMissing;
    if (!*found) {
        if (!may_create)
            return missing_gallery(path_);
        SPHERE_TRY(make_gallery_file(path_));
    }
    const GalleryFileIdentity identity = identify_gallery_file(path_, false);
    auto db = SqliteDb::open(path_);
    if (!db)
        return db.error();
    SPHERE_TRY(prepare_gallery_schema(**db, may_create));
    auto statements = prepare_gallery_statements(**db);
    if (!statements)
        return statements.error();
    if ((*db)->access() == SqliteDb::Access::ReadWrite) {
        // Readers and a writer at once. Where it cannot be had (some network file systems) the
        // gallery works with a rollback journal.
        (void)(*db)->query_integer("PRAGMA journal_mode=WAL");
        (*db)->allow_checkpoint_on_close(true);
    }
    db_ = std::move(*db);
    statements_ = std::move(*statements);
    identity_ = db_->access() == SqliteDb::Access::Immutable
                    ? identify_gallery_file(path_, true)
                    : identity;
    const auto version = read_version();
    if (!version) {
        statements_ = {};
        db_.reset();
        return version.error();
    }
    return {};
}

/// A file that was moved over ours (a gallery restored from a copy) is opened in its place. So
/// is one that we can read as immutable only, whenever it changed.
Result<void> SqliteStore::follow_file() {
    if (db_ &&
        identify_gallery_file(path_, db_->access() == SqliteDb::Access::Immutable) == identity_)
        return {};
    return attach(OpenMode::Existing);
}

Result<SqliteTransaction> SqliteStore::begin_write() {
    if (db_->access() != SqliteDb::Access::ReadWrite)
        return fail(Errc::Permission, "gallery ", path_,
                    " can be read only: give yourself write permission on the file and on its "
                    "directory");
    return SqliteTransaction::begin(*db_, SqliteTransaction::Kind::Write);
}

Result<void> SqliteStore::commit(SqliteTransaction &transaction) {
    SPHERE_TRY(statements_.bump.run());
    if (db_->changes() != 1)
        return damaged("its version counter is gone");
    return transaction.commit();
}

Result<std::int64_t> SqliteStore::read_version() {
    const auto row = statements_.version.step();
    if (!row)
        return row.error();
    if (!*row || !statements_.version.is_integer(0))
        return damaged("its version counter is gone");
    const std::int64_t version = statements_.version.integer(0);
    statements_.version.reset();
    return version;
}

Result<std::int64_t> SqliteStore::version() {
    const std::lock_guard lock(mutex_);
    SPHERE_TRY(follow_file());
    return read_version();
}

Result<std::optional<StoredStamp>> SqliteStore::read_active_stamp() {
    SqliteStatement &query = statements_.active_stamp;
    const auto row = query.step();
    if (!row)
        return row.error();
    if (!*row)
        return std::optional<StoredStamp>();
    const std::int64_t dims = query.integer(1);
    StoredStamp stored;
    stored.key = query.integer(0);
    stored.stamp.model = query.text(2);
    stored.stamp.sha256 = query.text(3);
    stored.stamp.preprocessing = query.text(4);
    stored.stamp.template_name = query.text(5);
    stored.stamp.flip = query.text(6);
    query.reset();
    if (dims < 1 || dims > kMaxDims)
        return damaged("its stamp has " + std::to_string(dims) + " dimensions");
    stored.stamp.dims = static_cast<int>(dims);
    return std::optional(std::move(stored));
}

Result<std::int64_t> SqliteStore::stamp_for(const EmbeddingStamp &stamp) {
    const auto active = read_active_stamp();
    if (!active)
        return active.error();
    if (*active) {
        if ((*active)->stamp != stamp)
            return stamp_mismatch(path_, (*active)->stamp, stamp);
        return (*active)->key;
    }
    std::int64_t key = 0;
    for (SqliteStatement *statement : {&statements_.insert_stamp, &statements_.find_stamp}) {
        statement->bind(1, std::string_view(stamp.model));
        statement->bind(2, std::string_view(stamp.sha256));
        statement->bind(3, std::string_view(stamp.preprocessing));
        statement->bind(4, std::string_view(stamp.template_name));
        statement->bind(5, std::string_view(stamp.flip));
        statement->bind(6, std::int64_t{stamp.dims});
        const auto row = statement->step();
        if (!row)
            return row.error();
        if (*row)
            key = statement->integer(0);
        statement->reset();
    }
    statements_.use_stamp.bind(1, key);
    SPHERE_TRY(statements_.use_stamp.run());
    return key;
}

Result<std::int64_t> SqliteStore::insert(const Enrolment &enrolment, std::int64_t stamp_key) {
    statements_.insert_person.bind(1, std::string_view(enrolment.person_id));
    SPHERE_TRY(statements_.insert_person.run());
    SqliteStatement &find = statements_.find_person;
    find.bind(1, std::string_view(enrolment.person_id));
    const auto row = find.step();
    if (!row)
        return row.error();
    if (!*row)
        return damaged("person " + enrolment.person_id + " cannot be added");
    const std::int64_t person = find.integer(0);
    find.reset();

    SqliteStatement &face = statements_.insert_face;
    face.bind(1, person);
    face.bind(2, unix_time_ms());
    face.bind(3, std::string_view(enrolment.source));
    if (enrolment.quality) {
        const Quality &q = *enrolment.quality;
        int parameter = 4;
        for (const float value : {q.score, q.sharpness, q.brightness, q.yaw_deg, q.pitch_deg,
                                  q.roll_deg, q.eye_distance_px})
            face.bind(parameter++, static_cast<double>(value));
    }
    if (!enrolment.thumbnail_jpeg.empty())
        face.bind(11, std::span<const std::uint8_t>(enrolment.thumbnail_jpeg));
    SPHERE_TRY(face.run());
    const std::int64_t face_id = db_->last_insert_id();

    const std::vector<std::uint8_t> bytes = to_little_endian(enrolment.embedding);
    statements_.insert_embedding.bind(1, face_id);
    statements_.insert_embedding.bind(2, stamp_key);
    statements_.insert_embedding.bind(3, std::span<const std::uint8_t>(bytes));
    SPHERE_TRY(statements_.insert_embedding.run());
    return face_id;
}

Result<std::vector<std::int64_t>> SqliteStore::enrol(const EmbeddingStamp &stamp,
                                                     const std::vector<Enrolment> &faces) {
    SPHERE_TRY(check_enrolments(stamp, faces));
    std::vector<std::int64_t> face_ids;
    if (faces.empty())
        return face_ids;
    const std::lock_guard lock(mutex_);
    SPHERE_TRY(follow_file());
    auto transaction = begin_write();
    if (!transaction)
        return transaction.error();
    const auto stamp_key = stamp_for(stamp);
    if (!stamp_key)
        return stamp_key.error();
    for (const Enrolment &enrolment : faces) {
        const auto face_id = insert(enrolment, *stamp_key);
        if (!face_id)
            return face_id.error();
        face_ids.push_back(*face_id);
    }
    const auto row = statements_.count_faces.step();
    if (!row)
        return row.error();
    const std::int64_t count = statements_.count_faces.integer(0);
    statements_.count_faces.reset();
    if (count > kMaxFaces)
        return fail(Errc::InvalidArgument, "gallery ", path_, ": more than ", kMaxFaces,
                    " faces are not possible in one gallery");
    SPHERE_TRY(commit(*transaction));
    return face_ids;
}

Result<void> SqliteStore::remove_person(const std::string &person_id) {
    const std::lock_guard lock(mutex_);
    SPHERE_TRY(follow_file());
    auto transaction = begin_write();
    if (!transaction)
        return transaction.error();
    statements_.delete_person.bind(1, std::string_view(person_id));
    SPHERE_TRY(statements_.delete_person.run());
    if (db_->changes() == 0)
        return fail(Errc::NotFound, "gallery ", path_, " has no person \"", person_id,
                    "\": spherectl gallery list --gallery ", path_, " shows who is there");
    // With the last embedding the stamp goes too: an empty gallery takes any model.
    SPHERE_TRY(statements_.drop_unused_stamp.run());
    SPHERE_TRY(statements_.delete_unused_stamps.run());
    SPHERE_TRY(commit(*transaction));
    // The person is gone from the tables, and the write-ahead log still has the old pages.
    const auto erased = db_->checkpoint_truncate();
    if (!erased || !*erased)
        log(LogLevel::Warning, "gallery " + path_ +
                                   ": the person was removed, but old bytes stay in " + path_ +
                                   "-wal until what reads the gallery has closed it");
    return {};
}

Result<std::vector<Person>> SqliteStore::list_people() {
    const std::lock_guard lock(mutex_);
    SPHERE_TRY(follow_file());
    std::vector<Person> people;
    SqliteStatement &query = statements_.list_people;
    for (;;) {
        const auto row = query.step();
        if (!row)
            return row.error();
        if (!*row)
            return people;
        people.push_back({std::string(query.text(0)), std::string(query.text(1)),
                          static_cast<int>(query.integer(2))});
        const Person &person = people.back();
        if (person.id.empty() || person.id.size() > kMaxPersonIdBytes ||
            person.label.size() > kMaxTextBytes || person.faces < 0 ||
            people.size() > static_cast<std::size_t>(kMaxFaces)) {
            query.reset();
            return damaged("a person's id or label is empty or too long");
        }
    }
}

/// The face in the row that the load statement stands at.
Result<EnrolledFace> SqliteStore::read_face(int dims) const {
    const SqliteStatement &query = statements_.load;
    EnrolledFace face;
    face.face_id = query.integer(0);
    const std::string name = "face " + std::to_string(face.face_id);
    face.person_id = query.text(1);
    face.label = query.text(2);
    if (query.is_null(1) || face.person_id.empty())
        return damaged(name + " belongs to nobody");
    if (face.person_id.size() > kMaxPersonIdBytes || face.label.size() > kMaxTextBytes)
        return damaged(name + " has a person whose id or label is too long");
    const std::span<const std::uint8_t> bytes = query.blob(3);
    if (bytes.size() != static_cast<std::size_t>(dims) * 4)
        return damaged(name + " has an embedding of " + std::to_string(bytes.size()) +
                       " bytes instead of " + std::to_string(dims * 4));
    face.embedding = from_little_endian(bytes);
    for (const float value : face.embedding)
        if (!std::isfinite(value))
            return damaged(name + " has an embedding with a value that is not finite");
    return face;
}

Result<GallerySnapshot> SqliteStore::load() {
    const std::lock_guard lock(mutex_);
    SPHERE_TRY(follow_file());
    // One transaction: the version and the rows are of the same moment.
    auto transaction = SqliteTransaction::begin(*db_, SqliteTransaction::Kind::Read);
    if (!transaction)
        return transaction.error();
    GallerySnapshot snapshot;
    const auto version = read_version();
    if (!version)
        return version.error();
    snapshot.version = *version;
    const auto active = read_active_stamp();
    if (!active)
        return active.error();
    if (!*active)
        return snapshot;
    snapshot.stamp = (*active)->stamp;

    // Damaged or hostile pages can show one row many times: no more can be there than the file
    // holds.
    const auto pages = db_->query_integer("PRAGMA page_count");
    const auto page_bytes = db_->query_integer("PRAGMA page_size");
    if (!pages || !page_bytes)
        return damaged("its size cannot be read");
    const std::int64_t row_bytes = std::int64_t{snapshot.stamp->dims} * 4;
    const std::int64_t most =
        std::min({*pages * *page_bytes / row_bytes, kMaxSnapshotBytes / row_bytes, kMaxFaces});
    SqliteStatement &query = statements_.load;
    query.bind(1, (*active)->key);
    for (;;) {
        const auto row = query.step();
        if (!row)
            return row.error();
        if (!*row)
            return snapshot;
        auto face = static_cast<std::int64_t>(snapshot.faces.size()) < most
                        ? read_face(snapshot.stamp->dims)
                        : damaged("it shows more embeddings than it can hold");
        if (!face) {
            query.reset();
            return face.error();
        }
        snapshot.faces.push_back(std::move(*face));
    }
}

} // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const std::string &path, OpenMode mode) {
    auto store = std::make_unique<SqliteStore>(absolute_gallery_path(path));
    SPHERE_TRY(store->attach(mode));
    return std::unique_ptr<Store>(std::move(store));
}

} // namespace sphere
