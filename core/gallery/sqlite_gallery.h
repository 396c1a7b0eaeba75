// SPDX-License-Identifier: MIT
// A gallery file under its path: opened, followed when another file takes its place, read and
// written under a lock. What the SQLite store and its people admin are made on; internal to
// them.
#pragma once

#include "core/base/log.h"
#include "core/gallery/gallery_file.h"
#include "core/gallery/sqlite_db.h"
#include "core/gallery/sqlite_reads.h"
#include "core/gallery/sqlite_statements.h"
#include "core/gallery/store.h"

#include <memory>
#include <mutex>
#include <string>

namespace sphere {

/// Floats as a gallery keeps them: 32 bits, little-endian.
std::vector<std::uint8_t> to_little_endian(const std::vector<float> &values);

/// The key of `stamp`, which becomes the gallery's where it has none. Mismatch where it has
/// another. Within a write.
Result<std::int64_t> use_gallery_stamp(SqliteDb &db, SqliteStatements &statements,
                                       const EmbeddingStamp &stamp);

class SqliteGallery {
  public:
    explicit SqliteGallery(std::string path) : path_(std::move(path)) {}

    Result<void> attach(OpenMode mode);
    const std::string &path() const { return path_; }

    /// read(db, statements) under the lock. An immutable file is read without SQLite's locks:
    /// what somebody else wrote meanwhile may have come in half, as wrong rows or as an error.
    /// Then once more.
    template <typename Read>
    auto read(const Read &read)
        -> decltype(read(std::declval<SqliteDb &>(), std::declval<SqliteStatements &>())) {
        constexpr int kAttempts = 3;
        const std::lock_guard lock(mutex_);
        for (int attempt = 1;; ++attempt) {
            SPHERE_TRY(follow_file());
            auto result = read(*db_, statements_);
            if (!changed_while_read())
                return result;
            if (attempt == kAttempts)
                return fail(Errc::Busy, "gallery ", path_,
                            " changes faster than it can be read without write permission: "
                            "try again");
        }
    }

    /// write(db, statements) in one transaction that raises the version, unless nothing changes
    /// for who looks people up.
    template <typename Write>
    auto write(const Write &write, bool raise = true)
        -> decltype(write(std::declval<SqliteDb &>(), std::declval<SqliteStatements &>())) {
        const std::lock_guard lock(mutex_);
        SPHERE_TRY(follow_file());
        SPHERE_TRY(require_writable());
        auto transaction = SqliteTransaction::begin(*db_, SqliteTransaction::Kind::Write);
        if (!transaction)
            return transaction.error();
        auto result = write(*db_, statements_);
        if (!result)
            return result;
        if (raise)
            SPHERE_TRY(raise_version());
        SPHERE_TRY(transaction->commit());
        return result;
    }

    /// After something was removed: the write-ahead log still has the old pages. Warns where a
    /// reader is in the way.
    void erase_old_pages();

  private:
    Result<void> follow_file();
    bool changed_while_read() const;
    Result<void> require_writable() const;
    Result<void> raise_version();

    const std::string path_;
    std::mutex mutex_; ///< guards all below
    GalleryFileIdentity identity_;
    std::unique_ptr<SqliteDb>
        db_; ///< null after a failure to open a file that took our file's place
    SqliteStatements statements_; ///< of db_: declared after it, so destroyed before
};

} // namespace sphere
