// SPDX-License-Identifier: MIT
// The connection to a gallery file.
#include "core/gallery/sqlite_gallery.h"

#include "core/gallery/index_file.h"

#include "core/gallery/enrolment_check.h"
#include "core/gallery/sqlite_schema.h"

#include <bit>
#include <cstring>
#include <sys/stat.h>

namespace sphere {

std::vector<std::uint8_t> to_little_endian(const std::vector<float> &values) {
    std::vector<std::uint8_t> bytes(values.size() * 4);
    if constexpr (std::endian::native == std::endian::little) {
        if (!bytes.empty())
            std::memcpy(bytes.data(), values.data(), bytes.size());
        return bytes;
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto bits = std::bit_cast<std::uint32_t>(values[i]);
        for (std::size_t b = 0; b < 4; ++b)
            bytes[4 * i + b] = static_cast<std::uint8_t>(bits >> (8 * b));
    }
    return bytes;
}

Result<std::int64_t> use_gallery_stamp(SqliteDb &db, SqliteStatements &statements,
                                       const EmbeddingStamp &stamp) {
    const auto active = read_active_stamp(db, statements);
    if (!active)
        return active.error();
    if (*active) {
        if ((*active)->stamp != stamp)
            return stamp_mismatch(db.path(), (*active)->stamp, stamp);
        return (*active)->key;
    }
    std::int64_t key = 0;
    for (SqliteStatement *statement : {&statements.insert_stamp, &statements.find_stamp}) {
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
    statements.use_stamp.bind(1, key);
    SPHERE_TRY(statements.use_stamp.run());
    return key;
}

namespace {

/// A file that was cut may still open: SQLite reads what is not there as zeros. Not seen while
/// there is a write-ahead log, which may hold the rest.
Result<void> check_file_size(SqliteDb &db) {
    const auto pages = db.query_integer("PRAGMA page_count");
    const auto page_bytes = db.page_bytes();
    if (!pages || !page_bytes)
        return damaged_gallery(db, "its size cannot be read");
    // In this order: what a checkpoint of another process moves meanwhile is in the file.
    struct stat wal {};
    if (stat((db.path() + "-wal").c_str(), &wal) == 0 && wal.st_size > 0)
        return {};
    struct stat file {};
    if (stat(db.path().c_str(), &file) == 0 && file.st_size < *pages * *page_bytes)
        return damaged_gallery(db, "it was cut short");
    return {};
}

} // namespace

Result<void> SqliteGallery::attach(OpenMode mode) {
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
    SPHERE_TRY(check_file_size(**db));
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
Result<void> SqliteGallery::follow_file() {
    if (db_ &&
        identify_gallery_file(path_, db_->access() == SqliteDb::Access::Immutable) == identity_)
        return {};
    return attach(OpenMode::Existing);
}

bool SqliteGallery::changed_while_read() const {
    return db_->access() == SqliteDb::Access::Immutable &&
           !(identify_gallery_file(path_, true) == identity_);
}

Result<void> SqliteGallery::require_writable() const {
    if (db_->access() == SqliteDb::Access::ReadWrite)
        return {};
    return fail(Errc::Permission, "gallery ", path_,
                " can be read only: give yourself write permission on the file and on its "
                "directory");
}

Result<void> SqliteGallery::raise_version() {
    SPHERE_TRY(statements_.bump.run());
    if (db_->changes() != 1)
        return damaged_gallery(*db_, "its version counter is gone");
    return {};
}

void SqliteGallery::erase_old_pages() {
    remove_index_files(path_); // they hold the same embeddings
    const std::lock_guard lock(mutex_);
    if (!db_)
        return;
    const auto erased = db_->checkpoint_truncate();
    if (!erased || !*erased)
        log(LogLevel::Warning, "gallery " + path_ +
                                   ": what was removed is gone, but old bytes stay in " +
                                   path_ + "-wal until what reads the gallery has closed it");
}

} // namespace sphere
