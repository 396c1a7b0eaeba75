// SPDX-License-Identifier: MIT
// A gallery on a PostgreSQL server, for its Store and its PeopleAdmin. Internal to them.
#pragma once

#include "core/gallery/people_admin.h"
#include "core/gallery/postgres_db.h"
#include "core/gallery/store.h"

#include <map>
#include <mutex>
#include <string>

namespace sphere {

class PgGallery {
  public:
    explicit PgGallery(const std::string &location) : db_(location) {}

    /// Connects and looks at the tables; makes them where `mode` says so. Errors: NotFound (no
    /// gallery in the database), Unsupported (a newer format), and those of PgDb.
    Result<void> attach(OpenMode mode);
    const std::string &name() const { return db_.name(); }

    /// read(db) under the lock, in a transaction that sees one moment.
    template <typename Read>
    auto read(const Read &read) -> decltype(read(std::declval<PgDb &>())) {
        const std::lock_guard lock(mutex_);
        SPHERE_TRY(db_.connect());
        auto transaction =
            PgTransaction::begin(db_, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        if (!transaction)
            return transaction.error();
        return read(db_);
    }
    /// One statement that reads.
    Result<std::int64_t> version();

    /// write(db) in a transaction that raises the version and tells who listens on the channel
    /// "sphere_gallery". Writers wait for one another.
    template <typename Write>
    auto write(const Write &write) -> decltype(write(std::declval<PgDb &>())) {
        const std::lock_guard lock(mutex_);
        SPHERE_TRY(db_.connect());
        auto transaction = PgTransaction::begin(db_, "BEGIN");
        if (!transaction)
            return transaction.error();
        if (auto raised = raise_version(); !raised)
            return raised.error();
        auto result = write(db_);
        if (!result)
            return result;
        SPHERE_TRY(transaction->commit());
        return result;
    }

    /// change(db) in a transaction that leaves what the gallery says as it is.
    template <typename Change>
    auto change(const Change &change) -> decltype(change(std::declval<PgDb &>())) {
        const std::lock_guard lock(mutex_);
        SPHERE_TRY(db_.connect());
        auto transaction = PgTransaction::begin(db_, "BEGIN");
        if (!transaction)
            return transaction.error();
        auto result = change(db_);
        if (!result)
            return result;
        SPHERE_TRY(transaction->commit());
        return result;
    }

  private:
    Result<void> raise_version();
    std::mutex mutex_; ///< guards all below
    PgDb db_;
};

struct PgStamp {
    std::int64_t key = 0;
    EmbeddingStamp stamp;
};
Result<std::optional<PgStamp>> pg_active_stamp(PgDb &db);
/// As use_gallery_stamp() of the SQLite store.
Result<std::int64_t> pg_use_stamp(PgDb &db, const EmbeddingStamp &stamp);
Result<void> pg_drop_unused_stamps(PgDb &db);
Result<GallerySnapshot> pg_snapshot(PgDb &db, FaceKind kind);
/// The same without its faces.
Result<GallerySnapshot> pg_outline(PgDb &db);
Result<std::int64_t> pg_find_person(PgDb &db, const std::string &id);
/// A new person (stranger 0) or stranger.
Result<std::int64_t> pg_add_person(PgDb &db, const std::string &id, std::int64_t stranger);
Result<std::int64_t> pg_add_face(PgDb &db, const Enrolment &face, std::int64_t person,
                                 std::int64_t stamp);
/// An embedding of a face that is there; how many were added, 0 or 1.
Result<std::int64_t> pg_add_embedding(PgDb &db, std::int64_t face, std::int64_t stamp,
                                      const std::vector<float> &embedding);
Result<void> pg_audit(PgDb &db, const std::string &action, std::int64_t person,
                      const std::string &detail);
Result<void> pg_remove_person(PgDb &db, const std::string &id);
std::string pg_vector(const std::vector<float> &values); ///< bytes for a bytea
Result<std::int64_t> pg_apply(PgDb &db, const GalleryChange &change);

} // namespace sphere
