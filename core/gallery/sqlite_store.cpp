// SPDX-License-Identifier: MIT
// Store on an SQLite file.
#include "core/gallery/sqlite_store.h"

#include "core/base/log.h"
#include "core/gallery/enrolment_check.h"
#include "core/gallery/gallery_file.h"
#include "core/gallery/limits.h"
#include "core/gallery/sqlite_db.h"
#include "core/gallery/sqlite_reads.h"
#include "core/gallery/sqlite_schema.h"
#include "core/gallery/sqlite_statements.h"

#include <bit>
#include <chrono>
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

std::int64_t unix_time_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

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
    template <typename Read> auto reading(const Read &read) -> decltype(read());
    Result<SqliteTransaction> begin_write();
    Result<void> commit(SqliteTransaction &transaction);
    Result<std::int64_t> stamp_for(const EmbeddingStamp &stamp);
    Result<std::int64_t> insert(const Enrolment &enrolment, std::int64_t stamp_key);

    const std::string path_;
    std::mutex mutex_; ///< guards all below
    GalleryFileIdentity identity_;
    std::unique_ptr<SqliteDb>
        db_; ///< null after a failure to open a file that took our file's place
    SqliteStatements statements_; ///< of db_: declared after it, so destroyed before
};

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
    // Taken before anything is read: what changes from now on is seen as a change.
    const GalleryFileIdentity identity = identify_gallery_file(path_, false);
    const GalleryFileIdentity contents = identify_gallery_file(path_, true);
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
    identity_ = db_->access() == SqliteDb::Access::Immutable ? contents : identity;
    const auto version = read_gallery_version(*db_, statements_);
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

/// An immutable file is read without locks: what somebody else wrote meanwhile may have come in
/// half, as wrong rows or as an error. Then once more.
template <typename Read> auto SqliteStore::reading(const Read &read) -> decltype(read()) {
    constexpr int kAttempts = 3;
    const std::lock_guard lock(mutex_);
    for (int attempt = 1;; ++attempt) {
        SPHERE_TRY(follow_file());
        auto result = read();
        if (db_->access() != SqliteDb::Access::Immutable ||
            identify_gallery_file(path_, true) == identity_)
            return result;
        if (attempt == kAttempts)
            return fail(
                Errc::Busy, "gallery ", path_,
                " changes faster than it can be read without write permission: try again");
    }
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
        return damaged_gallery(*db_, "its version counter is gone");
    return transaction.commit();
}

Result<std::int64_t> SqliteStore::version() {
    return reading([this] { return read_gallery_version(*db_, statements_); });
}

Result<std::int64_t> SqliteStore::stamp_for(const EmbeddingStamp &stamp) {
    const auto active = read_active_stamp(*db_, statements_);
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
        return damaged_gallery(*db_, "person " + enrolment.person_id + " cannot be added");
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
    return reading([this] { return read_gallery_people(*db_, statements_); });
}

Result<GallerySnapshot> SqliteStore::load() {
    return reading([this] { return read_gallery_snapshot(*db_, statements_); });
}

} // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const std::string &path, OpenMode mode) {
    auto store = std::make_unique<SqliteStore>(absolute_gallery_path(path));
    SPHERE_TRY(store->attach(mode));
    return std::unique_ptr<Store>(std::move(store));
}

} // namespace sphere
