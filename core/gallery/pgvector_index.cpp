// SPDX-License-Identifier: MIT
// Rows in a temporary table of a PostgreSQL server with pgvector.
#include "core/gallery/pgvector_index.h"

#include "core/gallery/index_rows.h"
#include "core/gallery/pgvector.h"
#include "core/gallery/sqlite_reads.h"

#include <algorithm>
#include <atomic>
#include <mutex>

namespace sphere {
namespace {

constexpr std::size_t kIndexedRows = 2000; ///< fewer are compared one by one as fast
constexpr std::size_t kRowsAtOnce = 500;
constexpr std::size_t kFewMore = 16; ///< looked at again beyond twice what is asked for

/// One connection, on which the temporary tables of all forks are.
struct Session {
    explicit Session(const std::string &location) : db(location) {}
    std::mutex mutex;
    PgDb db;
};

/// Not the same on two connections either: a pooler may make one session of them.
std::string next_table() {
    static std::atomic<int> tables{0};
    return "sphere_rows_" + std::to_string(tables++);
}

template <typename Value, typename Write>
std::string array_text(std::span<const Value> values, const Write &write) {
    std::string text = "{";
    for (const Value &value : values)
        text += (text.size() > 1 ? "," : "") + write(value);
    return text + "}";
}
std::string ids_text(std::span<const std::int64_t> ids) {
    return array_text(ids, [](std::int64_t id) { return std::to_string(id); });
}

class PgVectorIndex final : public Index {
  public:
    PgVectorIndex(std::shared_ptr<Session> session, int dims, Metric metric)
        : session_(std::move(session)), type_(pgvector_type(metric)), metric_(metric),
          dims_(dims), table_(next_table()) {}
    PgVectorIndex(const PgVectorIndex &) = delete;
    PgVectorIndex &operator=(const PgVectorIndex &) = delete;
    ~PgVectorIndex() override {
        const std::lock_guard lock(session_->mutex);
        // The table goes with the connection in any case.
        (void)session_->db.script("DROP TABLE IF EXISTS pg_temp." + table_);
    }

    /// With the session's mutex held.
    Result<void> make(const std::string &rows_of) {
        const std::string columns =
            "(id bigint PRIMARY KEY, near " + vector_type() + " NOT NULL, raw bytea NOT NULL)";
        SPHERE_TRY(session_->db.script("CREATE TEMP TABLE " + table_ + " " + columns));
        if (rows_of.empty())
            return {};
        return session_->db.script("INSERT INTO " + table_ + " SELECT * FROM " + rows_of);
    }

    Result<void> add(std::span<const std::int64_t> ids,
                     std::span<const float> vectors) override;
    Result<std::size_t> remove(std::span<const std::int64_t> ids) override;
    Result<HitLists> search_many(std::span<const float> queries, std::size_t count,
                                 std::size_t k) const override;
    std::size_t size() const override { return size_; }
    Result<std::unique_ptr<Index>> fork() const override;

  private:
    std::string vector_type() const {
        return std::string(type_.type) + "(" + std::to_string(dims_) + ")";
    }
    Result<void> insert(std::span<const std::int64_t> ids, std::span<const float> vectors);
    Result<void> structure() const;
    Result<std::vector<Hit>> search_one(std::span<const float> query, std::size_t k) const;

    std::shared_ptr<Session> session_;
    PgVectorType type_;
    Metric metric_;
    int dims_;
    std::string table_;
    std::size_t size_ = 0;
    mutable bool structured_ = false; ///< guarded by the session's mutex
};

Result<void> PgVectorIndex::insert(std::span<const std::int64_t> ids,
                                   std::span<const float> vectors) {
    const auto dims = static_cast<std::size_t>(dims_);
    const std::string sql =
        "INSERT INTO " + table_ + " SELECT n.id, n.near::" + vector_type() +
        ", n.raw FROM (SELECT unnest($1::bigint[]) AS id, unnest($2::text[]) AS near, "
        "unnest($3::bytea[]) AS raw) n";
    for (std::size_t first = 0; first < ids.size(); first += kRowsAtOnce) {
        const auto some = ids.subspan(first, std::min(kRowsAtOnce, ids.size() - first));
        std::string nears = "{";
        std::string raws = "{";
        for (std::size_t i = 0; i < some.size(); ++i) {
            const auto row = vectors.subspan((first + i) * dims, dims);
            const char *const comma = i > 0 ? "," : "";
            nears += comma + ("\"" + pgvector_text(metric_, row)) + "\"";
            raws += std::string(comma) + "\"\\\\x";
            for (const char byte : pg_vector({row.begin(), row.end()})) {
                constexpr const char *kDigits = "0123456789abcdef";
                raws += kDigits[static_cast<unsigned char>(byte) >> 4];
                raws += kDigits[static_cast<unsigned char>(byte) & 15];
            }
            raws += "\"";
        }
        const auto done =
            session_->db.query(sql.c_str(), {ids_text(some), nears + "}", raws + "}"});
        if (!done)
            return done.error();
    }
    return {};
}

Result<void> PgVectorIndex::add(std::span<const std::int64_t> ids,
                                std::span<const float> vectors) {
    SPHERE_TRY(
        check_index_vectors("rows", vectors, ids.size(), static_cast<std::size_t>(dims_)));
    std::vector<std::int64_t> sorted(ids.begin(), ids.end());
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end())
        return fail(Errc::InvalidArgument, "index: id ", *twice, " is added twice");
    const std::lock_guard lock(session_->mutex);
    const auto there = session_->db.integer(
        ("SELECT count(*) FROM " + table_ + " WHERE id = ANY($1::bigint[])").c_str(),
        {ids_text(ids)});
    if (!there)
        return there.error();
    if (*there > 0)
        return fail(Errc::InvalidArgument, "index: ", *there, " of the ids are there already");
    auto transaction = PgTransaction::begin(session_->db, "BEGIN");
    if (!transaction)
        return transaction.error();
    SPHERE_TRY(insert(ids, vectors));
    SPHERE_TRY(transaction->commit());
    size_ += ids.size();
    return {};
}

Result<std::size_t> PgVectorIndex::remove(std::span<const std::int64_t> ids) {
    const std::lock_guard lock(session_->mutex);
    const auto removed = session_->db.query(
        ("DELETE FROM " + table_ + " WHERE id = ANY($1::bigint[])").c_str(), {ids_text(ids)});
    if (!removed)
        return removed.error();
    size_ -= static_cast<std::size_t>(*removed);
    return static_cast<std::size_t>(*removed);
}

/// The index over the rows, when there are enough of them.
Result<void> PgVectorIndex::structure() const {
    if (structured_ || size_ < kIndexedRows || dims_ > type_.most_dims)
        return {};
    SPHERE_TRY(session_->db.script("CREATE INDEX ON " + table_ + " " +
                                   pgvector_hnsw(type_, "near") + "; ANALYZE " + table_));
    structured_ = true;
    return {};
}

Result<std::vector<Hit>> PgVectorIndex::search_one(std::span<const float> query,
                                                   std::size_t k) const {
    const std::string sql = "SELECT id, raw FROM " + table_ + " ORDER BY near " +
                            type_.nearness + " $1::text::" + vector_type() +
                            " LIMIT $2::bigint";
    ExactDistance distance(metric_, query);
    std::vector<Hit> hits;
    const auto done = session_->db.query(
        sql.c_str(),
        {pgvector_text(metric_, query),
         static_cast<std::int64_t>(std::min(size_, 2 * k + kFewMore))},
        [&](const PgRow &row) -> Result<void> {
            const auto values = from_little_endian(row.bytes(1));
            if (values.size() != query.size())
                return fail(Errc::Corrupt, "index: a row of ", values.size(), " values");
            hits.push_back({row.integer(0), distance.to(values)});
            return {};
        });
    if (!done)
        return done.error();
    std::sort(hits.begin(), hits.end(), nearer);
    hits.resize(std::min(k, hits.size()));
    return hits;
}

Result<HitLists> PgVectorIndex::search_many(std::span<const float> queries, std::size_t count,
                                            std::size_t k) const {
    const auto dims = static_cast<std::size_t>(dims_);
    SPHERE_TRY(check_index_vectors("queries", queries, count, dims));
    HitLists lists(count);
    const std::lock_guard lock(session_->mutex);
    k = std::min(k, size_);
    if (k == 0)
        return lists;
    SPHERE_TRY(structure());
    auto transaction = begin_pgvector_search(session_->db, k);
    if (!transaction)
        return transaction.error();
    for (std::size_t q = 0; q < count; ++q) {
        auto hits = search_one(queries.subspan(q * dims, dims), k);
        if (!hits)
            return std::move(hits).error();
        lists[q] = std::move(*hits);
    }
    SPHERE_TRY(transaction->commit());
    return lists;
}

Result<std::unique_ptr<Index>> PgVectorIndex::fork() const {
    const std::lock_guard lock(session_->mutex);
    auto copy = std::make_unique<PgVectorIndex>(session_, dims_, metric_);
    SPHERE_TRY(copy->make(table_));
    copy->size_ = size_;
    return std::unique_ptr<Index>(std::move(copy));
}

} // namespace

Result<std::unique_ptr<Index>> make_pgvector_index(const std::string &location, int dims,
                                                   Metric metric) {
    if (dims > kPgVectorMostValues)
        return fail(Errc::InvalidArgument, "index pgvector: ", dims, " dimensions; up to ",
                    kPgVectorMostValues, " are possible");
    const auto session = std::make_shared<Session>(location);
    std::unique_lock lock(session->mutex);
    SPHERE_TRY(session->db.connect());
    SPHERE_TRY(require_pgvector(session->db));
    auto index = std::make_unique<PgVectorIndex>(session, dims, metric);
    const auto made = index->make({});
    lock.unlock();
    if (!made)
        return made.error();
    return std::unique_ptr<Index>(std::move(index));
}

} // namespace sphere
