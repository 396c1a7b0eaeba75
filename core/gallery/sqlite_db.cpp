// SPDX-License-Identifier: MIT
// SQLite behind a narrow door.
#include "core/gallery/sqlite_db.h"

#include "core/gallery/gallery_key.h"
#include "core/gallery/sqlite_key.h"

#include <sqlite3.h>

#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <sys/stat.h>

namespace sphere {
namespace {

constexpr int kBusyTimeoutMs = 5000;
/// Longest text or blob that SQLite may make up in memory, above all that a gallery holds.
constexpr int kMaxValueBytes = 16 << 20;

bool is_code(int code, int primary) {
    return (code & 0xff) == primary;
}

/// "file:" form of a path, the only one that takes immutable=1.
std::string immutable_uri(const std::string &path) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    std::string uri = "file:";
    for (const char c : path) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) || std::strchr("/-_.~", c)) {
            uri += c;
        } else {
            uri += '%';
            uri += kHex[byte >> 4];
            uri += kHex[byte & 15];
        }
    }
    return uri + "?immutable=1";
}

Errc errc_of_errno(int number) {
    switch (number) {
    case EACCES:
    case EPERM:
    case EROFS:
        return Errc::Permission;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return Errc::NoSpace;
    case ENOENT:
        return Errc::NotFound;
    default:
        return Errc::Io;
    }
}

} // namespace

void SqliteStatement::Finalize::operator()(sqlite3_stmt *statement) const {
    sqlite3_finalize(statement);
}

// A bind fails only for want of memory or for a wrong number; step() then finds NULL, which the
// schema forbids where it matters.
void SqliteStatement::bind(int parameter, std::int64_t value) {
    sqlite3_bind_int64(statement_.get(), parameter, value);
}
void SqliteStatement::bind(int parameter, double value) {
    sqlite3_bind_double(statement_.get(), parameter, value);
}
void SqliteStatement::bind(int parameter, std::string_view text) {
    sqlite3_bind_text64(statement_.get(), parameter, text.empty() ? "" : text.data(),
                        text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}
void SqliteStatement::bind(int parameter, std::span<const std::uint8_t> bytes) {
    sqlite3_bind_blob64(statement_.get(), parameter, bytes.data(), bytes.size(),
                        SQLITE_TRANSIENT);
}
void SqliteStatement::bind_null(int parameter) {
    sqlite3_bind_null(statement_.get(), parameter);
}

Result<bool> SqliteStatement::step() {
    errno = 0;
    const int code = sqlite3_step(statement_.get());
    if (code == SQLITE_ROW)
        return true;
    if (code == SQLITE_DONE) {
        reset();
        return false;
    }
    Error error = db_->error(code);
    reset();
    return error;
}

Result<void> SqliteStatement::run() {
    const auto row = step();
    if (!row)
        return row.error();
    reset();
    return {};
}

void SqliteStatement::reset() {
    sqlite3_reset(statement_.get());
    sqlite3_clear_bindings(statement_.get());
}

bool SqliteStatement::is_null(int column) const {
    return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}
bool SqliteStatement::is_integer(int column) const {
    return sqlite3_column_type(statement_.get(), column) == SQLITE_INTEGER;
}
bool SqliteStatement::is_blob(int column) const {
    return sqlite3_column_type(statement_.get(), column) == SQLITE_BLOB;
}
std::int64_t SqliteStatement::integer(int column) const {
    return sqlite3_column_int64(statement_.get(), column);
}
double SqliteStatement::real(int column) const {
    return sqlite3_column_double(statement_.get(), column);
}
std::string_view SqliteStatement::text(int column) const {
    if (sqlite3_column_type(statement_.get(), column) != SQLITE_TEXT)
        return {};
    const unsigned char *text = sqlite3_column_text(statement_.get(), column);
    const int bytes = sqlite3_column_bytes(statement_.get(), column);
    return text ? std::string_view(reinterpret_cast<const char *>(text),
                                   static_cast<std::size_t>(bytes))
                : std::string_view();
}
std::span<const std::uint8_t> SqliteStatement::blob(int column) const {
    if (!is_blob(column))
        return {};
    const void *bytes = sqlite3_column_blob(statement_.get(), column);
    const int size = sqlite3_column_bytes(statement_.get(), column);
    return bytes ? std::span(static_cast<const std::uint8_t *>(bytes),
                             static_cast<std::size_t>(size))
                 : std::span<const std::uint8_t>();
}

SqliteDb::~SqliteDb() {
    sqlite3_close_v2(db_);
}

Error SqliteDb::error(int code) const {
    // SQLite does not keep the system's reason for a commit that failed.
    const int call_errno = errno;
    const int known_errno = db_ ? sqlite3_system_errno(db_) : 0;
    const int system_errno = known_errno ? known_errno : call_errno;
    const std::string detail = db_ ? sqlite3_errmsg(db_) : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fail(Errc::Busy, "gallery ", path_,
                    " is locked by another process for longer than ", kBusyTimeoutMs / 1000,
                    " s: try again, or end what holds it");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return fail(Errc::Permission, "gallery ", path_,
                    " cannot be written: give yourself write permission on the file and on its "
                    "directory");
    case SQLITE_FULL:
        return fail(Errc::NoSpace, "gallery ", path_,
                    ": the disk is full; nothing was changed. Make room and try again");
    case SQLITE_NOTADB:
        if (encrypted_)
            return fail(Errc::Mismatch, "gallery ", path_, " cannot be read with the key of ",
                        kGalleryKeyFileVariable, " or ", kGalleryKeyVariable,
                        ": it has another key, is not encrypted, or is not a gallery");
        return fail(
            Errc::Corrupt, path_,
            " is not a gallery (not an SQLite database): name a file that spherectl enrol "
            "made; of one that is encrypted name the key in ",
            kGalleryKeyFileVariable);
    case SQLITE_CORRUPT:
    case SQLITE_ERROR: // our own SQL does not fit the tables: not the schema that it says it is
    case SQLITE_FORMAT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_SCHEMA:
        return fail(Errc::Corrupt, "gallery ", path_, " is damaged (", detail,
                    "): restore it from a copy, or enrol into a new file");
    case SQLITE_NOMEM:
        return fail(Errc::Internal, "gallery ", path_, ": out of memory");
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR: {
        const Errc errc = errc_of_errno(system_errno);
        const char *remedy =
            errc == Errc::NoSpace      ? "; nothing was changed. Make room and try again"
            : errc == Errc::Permission ? ": check the permissions of the file and its directory"
                                       : "";
        return fail(errc, "gallery ", path_, ": ", detail,
                    system_errno ? std::string(" (") + std::strerror(system_errno) + ")" : "",
                    remedy);
    }
    case SQLITE_CONSTRAINT:
        return fail(Errc::Corrupt, "gallery ", path_, " refuses a row (", detail,
                    "): it was changed by something else than gst-sphere");
    default:
        return fail(Errc::Internal, "gallery ", path_, ": ", detail, " (SQLite code ", code,
                    ")");
    }
}

Result<std::unique_ptr<SqliteDb>> SqliteDb::connect(const std::string &path, bool immutable) {
    std::unique_ptr<SqliteDb> db(new SqliteDb);
    db->path_ = path;
    const int flags = SQLITE_OPEN_NOMUTEX | (immutable ? SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
                                                       : SQLITE_OPEN_READWRITE);
    const std::string name = immutable ? immutable_uri(path) : path;
    const int code = sqlite3_open_v2(name.c_str(), &db->db_, flags, nullptr);
    if (code != SQLITE_OK)
        return db->error(code);
    sqlite3_extended_result_codes(db->db_, 1);
    if (immutable)
        db->access_ = Access::Immutable;
    else if (sqlite3_db_readonly(db->db_, "main") == 1)
        db->access_ = Access::ReadOnly;
    const auto encrypted = use_sqlite_key(db->db_);
    if (!encrypted)
        return encrypted.error();
    db->encrypted_ = *encrypted;
    SPHERE_TRY(db->configure());
    // The first page is read here: not a database, and a lock or shared memory that cannot be
    // had.
    const auto pages = db->query_integer("PRAGMA page_count");
    if (!pages)
        return pages.error();
    const auto id = db->query_integer("PRAGMA application_id");
    if (!id)
        return id.error();
    return db;
}

Result<std::unique_ptr<SqliteDb>> SqliteDb::open(const std::string &path) {
    if (const auto key = gallery_key(); !key)
        return key.error();
    auto db = connect(path, false);
    // A reader of a file in a directory that it cannot write has no place for the shared-memory
    // file. Without one SQLite reads a file only if told that nobody changes it.
    if (!db && db.error().code == Errc::Permission) {
        struct stat wal {};
        if (stat((path + "-wal").c_str(), &wal) == 0 && wal.st_size > 0)
            return fail(Errc::Permission, "gallery ", path, " has recent changes in ", path,
                        "-wal, which cannot be read without write permission on its directory: "
                        "give it, or let somebody who has it run spherectl gallery list");
        auto immutable = connect(path, true);
        if (immutable)
            return immutable;
    }
    return db;
}

Result<void> SqliteDb::configure() {
    sqlite3_busy_timeout(db_, kBusyTimeoutMs);
    sqlite3_limit(db_, SQLITE_LIMIT_LENGTH, kMaxValueBytes);
    sqlite3_limit(db_, SQLITE_LIMIT_ATTACHED, 0);
    for (const auto &[option, value] :
         {std::pair{SQLITE_DBCONFIG_DEFENSIVE, 1}, std::pair{SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
          std::pair{SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
          std::pair{SQLITE_DBCONFIG_ENABLE_VIEW, 0},
          std::pair{SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
          std::pair{SQLITE_DBCONFIG_ENABLE_FKEY, 1}}) {
        const int code = sqlite3_db_config(db_, option, value, nullptr);
        if (code != SQLITE_OK)
            return error(code);
    }
    allow_checkpoint_on_close(false);
    // mmap_size: a file that shrinks under a mapping is a SIGBUS. temp_store: no embeddings in
    // temporary files.
    return exec("PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON;"
                "PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;");
}

void SqliteDb::allow_checkpoint_on_close(bool allow) {
    sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, allow ? 0 : 1, nullptr);
}

Result<SqliteStatement> SqliteDb::prepare(const char *sql) {
    sqlite3_stmt *raw = nullptr;
    const int code = sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
    if (code != SQLITE_OK)
        return error(code);
    SqliteStatement statement;
    statement.statement_.reset(raw);
    statement.db_ = this;
    return statement;
}

Result<void> SqliteDb::exec(const char *sql) {
    errno = 0;
    const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK)
        return error(code);
    return {};
}

Result<std::int64_t> SqliteDb::query_integer(const char *sql) {
    auto statement = prepare(sql);
    if (!statement)
        return statement.error();
    const auto row = statement->step();
    if (!row)
        return row.error();
    if (!*row || !statement->is_integer(0))
        return fail(Errc::Corrupt, "gallery ", path_,
                    " is damaged (no number where one must be)");
    return statement->integer(0);
}

/// SQLCipher answers by a text.
Result<std::int64_t> SqliteDb::page_bytes() {
    return encrypted_ ? Result<std::int64_t>(kEncryptedPageBytes)
                      : query_integer("PRAGMA page_size");
}

std::int64_t SqliteDb::last_insert_id() const {
    return sqlite3_last_insert_rowid(db_);
}
std::int64_t SqliteDb::changes() const {
    return sqlite3_changes(db_);
}

Result<bool> SqliteDb::checkpoint_truncate() {
    const int code =
        sqlite3_wal_checkpoint_v2(db_, "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    if (code == SQLITE_OK)
        return true;
    if (is_code(code, SQLITE_BUSY) || is_code(code, SQLITE_LOCKED))
        return false;
    return error(code);
}

Result<SqliteTransaction> SqliteTransaction::begin(SqliteDb &db, Kind kind) {
    SPHERE_TRY(db.exec(kind == Kind::Write ? "BEGIN IMMEDIATE" : "BEGIN"));
    return SqliteTransaction(db);
}

SqliteTransaction::~SqliteTransaction() {
    if (!db_)
        return;
    // Fails where SQLite has rolled back by itself (a full disk); there is nothing to add then.
    (void)db_->exec("ROLLBACK");
}

Result<void> SqliteTransaction::commit() {
    SPHERE_TRY(db_->exec("COMMIT"));
    db_ = nullptr;
    return {};
}

} // namespace sphere
