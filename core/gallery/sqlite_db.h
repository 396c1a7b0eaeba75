// SPDX-License-Identifier: MIT
// A connection to an SQLite file, opened with care: what a gallery needs of it, without SQL's
// header. Internal to the SQLite store.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace sphere {

/// A prepared statement. Columns count from 0, parameters from 1. Not thread-safe.
class SqliteStatement {
  public:
    SqliteStatement() = default;

    void bind(int parameter, std::int64_t value);
    void bind(int parameter, double value); ///< not a number is stored as NULL
    void bind(int parameter, std::string_view text);
    void bind(int parameter, std::span<const std::uint8_t> bytes);
    void bind_null(int parameter);

    /// True: there is a row. False: done; the statement is reset and its parameters are
    /// cleared.
    Result<bool> step();
    /// For statements without rows.
    Result<void> run();
    /// Ends a read early (a statement under way keeps its snapshot) and clears parameters.
    void reset();

    bool is_null(int column) const;
    bool is_integer(int column) const;
    bool is_blob(int column) const;
    std::int64_t integer(int column) const;
    double real(int column) const; ///< of an integer too; 0 where there is no number
    /// Empty where the column is not text. Valid until the next step.
    std::string_view text(int column) const;
    std::span<const std::uint8_t> blob(int column) const;

  private:
    friend class SqliteDb;
    struct Finalize {
        void operator()(sqlite3_stmt *statement) const;
    };
    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
    class SqliteDb *db_ = nullptr;
};

/// One connection. Errors name the path. Not thread-safe.
class SqliteDb {
  public:
    /// How the file could be opened.
    enum class Access : std::uint8_t {
        ReadWrite,
        ReadOnly,  ///< the file or its directory cannot be written
        Immutable, ///< likewise, and without a shared-memory file: changes by others are not
                   ///< seen
    };

    /// Opens a file that exists (it is never made here) with the safe settings: no extensions,
    /// an untrusted schema, no triggers or views, foreign keys, deleted bytes overwritten,
    /// commits that are on disk when they return, five seconds of waiting for others.
    static Result<std::unique_ptr<SqliteDb>> open(const std::string &path);

    SqliteDb(const SqliteDb &) = delete;
    SqliteDb &operator=(const SqliteDb &) = delete;
    ~SqliteDb();

    const std::string &path() const { return path_; }
    Access access() const { return access_; }

    Result<SqliteStatement> prepare(const char *sql);
    /// Several statements without parameters or rows.
    Result<void> exec(const char *sql);
    /// The first column of the first row of `sql`, an integer.
    Result<std::int64_t> query_integer(const char *sql);
    Result<std::int64_t> page_bytes();

    std::int64_t last_insert_id() const;
    /// The number of rows that the last statement changed.
    std::int64_t changes() const;

    /// Whether closing may move the write-ahead log into the file. Off until it is known that
    /// the file is a gallery of ours.
    void allow_checkpoint_on_close(bool allow);
    /// Moves the whole write-ahead log into the file and truncates it. False: a reader was in
    /// the way for longer than the time-out.
    Result<bool> checkpoint_truncate();

    /// The Error of a result code of SQLite's on this connection.
    Error error(int code) const;

  private:
    SqliteDb() = default;
    static Result<std::unique_ptr<SqliteDb>> connect(const std::string &path, bool immutable);
    Result<void> configure();

    std::string path_;
    Access access_ = Access::ReadWrite;
    bool encrypted_ = false;
    sqlite3 *db_ = nullptr;
};

/// BEGIN … COMMIT; rolls back unless committed.
class SqliteTransaction {
  public:
    enum class Kind : std::uint8_t { Read, Write };
    static Result<SqliteTransaction> begin(SqliteDb &db, Kind kind);
    SqliteTransaction(SqliteTransaction &&other) noexcept : db_(other.db_) {
        other.db_ = nullptr;
    }
    SqliteTransaction &operator=(SqliteTransaction &&) = delete;
    ~SqliteTransaction();
    Result<void> commit();

  private:
    explicit SqliteTransaction(SqliteDb &db) : db_(&db) {}
    SqliteDb *db_;
};

} // namespace sphere
