// SPDX-License-Identifier: MIT
// Nearest rows to a probe.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sphere {

enum class Metric : std::uint8_t {
    Cosine,    ///< 1 - cos, in [0, 2]; smaller is nearer
    Euclidean, ///< L2 of the raw vectors (not squared)
};
const char *metric_name(Metric metric); ///< "cosine", "euclidean"
Result<Metric> parse_metric(const std::string &name);

/// The two numbers of a pair of raw embeddings of equal size. Cosine of a zero vector is 0.
float cosine_similarity(std::span<const float> a, std::span<const float> b);
float euclidean_distance(std::span<const float> a, std::span<const float> b);
float metric_distance(Metric metric, std::span<const float> a, std::span<const float> b);

struct Hit {
    std::int64_t id = 0;
    float distance = 0;
    bool operator==(const Hit &) const = default;
};

using HitLists = std::vector<std::vector<Hit>>; ///< one list a query

/// Rows by caller-owned 64-bit ids. Not thread-safe for writing; search_many() and fork() are
/// const and may run from several threads at once. An add() that fails changes nothing.
class Index {
  public:
    virtual ~Index() = default;
    /// `vectors` is ids.size() x dims, row-major, raw. Errors: InvalidArgument (sizes, not
    /// finite, an id that is there already), Internal (memory).
    virtual Result<void> add(std::span<const std::int64_t> ids,
                             std::span<const float> vectors) = 0;
    /// Removes the ids that are there; returns how many were.
    virtual Result<std::size_t> remove(std::span<const std::int64_t> ids) = 0;
    /// `queries` is count x dims, row-major, raw. Of each the nearest rows, nearest first, at
    /// most k; equal distances by id. Several queries at once cost less than one by one.
    /// Errors: InvalidArgument (sizes, not finite), Internal (memory).
    virtual Result<HitLists> search_many(std::span<const float> queries, std::size_t count,
                                         std::size_t k) const = 0;
    virtual std::size_t size() const = 0;
    /// The row of `id` as it is compared: of unit length for cosine, else as it was added.
    /// Errors: NotFound, Unsupported (the rows are not here), Internal (memory).
    virtual Result<std::vector<float>> row(std::int64_t id) const;
    /// An index of the same rows that can be changed while this one goes on being searched. It
    /// shares the rows' memory as far as possible.
    virtual Result<std::unique_ptr<Index>> fork() const = 0;

    /// search_many() for one query.
    Result<std::vector<Hit>> search(std::span<const float> query, std::size_t k) const;
};

struct IndexOptions {
    int threads = 1; ///< of one search in a large index; 1 to kMaxIndexThreads
    /// How many rows will be added at first: an approximate index is built when they are there.
    std::size_t expected_rows = 0;
};
inline constexpr int kMaxIndexThreads = 256;

/// The kind with which faces stay in the store, which searches them (Store::face_search).
inline constexpr const char *kStoreIndex = "pgvector";

/// "auto" by the number of rows; any other kind as it is (docs/search.md has the measurements).
std::string choose_index_kind(const std::string &kind, std::size_t rows);

/// Kinds:
///   exact       every row, 4 bytes a value
///   exact-bf16  the same answers from a scan of 2 bytes a value; the same memory
///   exact-int8  the same answers from a scan of 1 byte a value; 5 bytes a value in memory
///   hnsw        a graph (hnswlib): approximate, for millions of rows; 4.3 bytes a value (of
///   512) faiss, faiss:FACTORY  what Faiss makes of the factory string ("Flat" without one),
///   beside
///               the rows
///   pgvector:LOCATION  an HNSW index of pgvector, in a table of its own on the PostgreSQL
///               server at LOCATION, for as long as it is connected: approximate
///   auto        exact here; who knows how many rows there will be asks choose_index_kind()
/// Errors: InvalidArgument (no such kind, dims, threads), Unsupported (not in this build; says
/// what to enable).
Result<std::unique_ptr<Index>> make_index(const std::string &kind, int dims, Metric metric,
                                          const IndexOptions &options = {});

} // namespace sphere
