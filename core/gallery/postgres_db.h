// SPDX-License-Identifier: MIT
// A connection to a PostgreSQL server that comes back when it was lost. Internal to the
// PostgreSQL store.
#pragma once

#include "core/base/result.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

struct pg_conn;
struct pg_result;

namespace sphere {

/// A parameter of a statement.
class PgValue {
  public:
    PgValue(std::int64_t value) : text_(std::to_string(value)) {}
    PgValue(std::string text) : text_(std::move(text)) {}
    PgValue(const char *text) : text_(text) {}
    PgValue(const std::optional<float> &value);
    PgValue(const std::optional<std::string> &text)
        : text_(text.value_or("")), null_(!text.has_value()) {}
    /// Bytes as they are (bytea).
    static PgValue bytes(std::string bytes) {
        PgValue value(std::move(bytes));
        value.binary_ = true;
        return value;
    }
    const char *data() const { return null_ ? nullptr : text_.data(); }
    int size() const { return static_cast<int>(text_.size()); }
    bool is_binary() const { return binary_; }

  private:
    std::string text_;
    bool null_ = false;
    bool binary_ = false;
};
using PgValues = std::vector<PgValue>;

/// A row of a result, valid within the callback that gets it.
class PgRow {
  public:
    explicit PgRow(const pg_result *result) : result_(result) {}
    bool is_null(int column) const;
    std::int64_t integer(int column) const; ///< of smallint, integer, bigint, boolean
    float real(int column) const;           ///< of real
    std::string text(int column) const;
    std::span<const std::uint8_t> bytes(int column) const;

  private:
    const pg_result *result_;
};

/// Not thread-safe.
class PgDb {
  public:
    explicit PgDb(const std::string &location);
    PgDb(const PgDb &) = delete;
    PgDb &operator=(const PgDb &) = delete;
    ~PgDb();

    const std::string &name() const { return name_; } ///< the location, without a password

    /// A connection that works, as far as is known. After a failure, attempts wait for 1 s, 2
    /// s, … 30 s; meanwhile the Error of the last is returned at once.
    Result<void> connect();
    /// True once after a connection was made: what was prepared before is gone.
    bool take_fresh() { return std::exchange(fresh_, false); }

    /// Each row to `take`, whose Error ends it. The number of rows that were changed.
    using TakeRow = std::function<Result<void>(const PgRow &)>;
    Result<std::int64_t> query(const char *sql, const PgValues &values = {},
                               const TakeRow &take = {});
    /// The first column of the first row, 0 where there is none.
    Result<std::int64_t> integer(const char *sql, const PgValues &values = {});
    /// Several statements without parameters or rows.
    Result<void> script(const std::string &sql);

    /// Readable when a message of LISTEN may have come, or the connection has ended.
    int socket() const;
    /// Whether messages have come since the last call. Never waits.
    Result<bool> take_messages();
    /// Whether the backend at the other end is the one that the server named at the start: not
    /// so behind a pooler, which may give each transaction another.
    Result<bool> is_direct();

    /// Columns of embeddings that pgvector searches, where there are any; as of the transaction
    /// that writes.
    const std::set<std::string, std::less<>> &near_columns() const { return near_columns_; }
    void set_near_columns(std::set<std::string, std::less<>> columns) {
        near_columns_ = std::move(columns);
    }

  private:
    Error result_error(const pg_result *result);
    void drop();

    std::string location_;
    std::string name_;
    pg_conn *connection_ = nullptr;
    bool fresh_ = false;
    std::set<std::string, std::less<>> near_columns_;
    std::chrono::steady_clock::time_point next_attempt_{};
    int failures_ = 0;
    std::optional<Error> last_failure_;
};

/// BEGIN … COMMIT; rolls back unless committed.
class PgTransaction {
  public:
    static Result<PgTransaction> begin(PgDb &db, const char *how);
    PgTransaction(PgTransaction &&other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
    PgTransaction &operator=(PgTransaction &&) = delete;
    ~PgTransaction();
    Result<void> commit();

  private:
    explicit PgTransaction(PgDb &db) : db_(&db) {}
    PgDb *db_;
};

} // namespace sphere
