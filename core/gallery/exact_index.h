// SPDX-License-Identifier: MIT
// The index that looks at every row.
#pragma once

#include "core/gallery/exact_rows.h"
#include "core/gallery/id_map.h"
#include "core/gallery/index.h"
#include "core/gallery/top_candidates.h"

#include <optional>

namespace sphere {

/// Scans rows of 4, 2 or 1 bytes a value, and looks again, in full precision, at each row that
/// the scan's error bounds do not rule out: all three find the same rows at the same distances.
/// `dims` in 1..kMaxDims (checked by make_index). A copy shares rows until one of both changes.
class ExactIndex final : public Index, public SavedIndex {
  public:
    ExactIndex(int dims, Metric metric, RowFormat format, int threads);

    Result<void> add(std::span<const std::int64_t> ids,
                     std::span<const float> vectors) override;
    Result<std::size_t> remove(std::span<const std::int64_t> ids) override;
    Result<HitLists> search_many(std::span<const float> queries, std::size_t count,
                                 std::size_t k) const override;
    std::size_t size() const override { return ids_.size(); }
    Result<std::vector<float>> row(std::int64_t id) const override;
    Result<std::unique_ptr<Index>> fork() const override;
    void save(IndexSink &sink) const override { save_without(sink, {}); }
    bool restore(IndexSource &source) override;
    /// save(), rows of `blank` as zeros.
    void save_without(IndexSink &sink, const std::unordered_set<std::uint32_t> &blank) const;

    /// For those who keep more beside it: the rows as make_index_row makes them, and their ids.
    const ExactRows &rows() const { return rows_; }
    const std::vector<std::int64_t> &ids() const { return ids_; }
    std::optional<std::size_t> place(std::int64_t id) const { return places_.find(id, ids_); }
    /// Adds `id`, which is new, with a row as rows() has them. Throws std::bad_alloc.
    void append_row(std::int64_t id, const float *row);

  private:
    using Collectors = std::vector<TopCandidates>;

    void append(std::int64_t id, std::span<const float> values, AlignedVector<float> &row);
    void drop_last();
    Collectors scan(const ScanQueries &queries, std::size_t k) const;
    void scan_part(const ScanQueries &queries, std::size_t first, std::size_t end,
                   Collectors &collectors) const;
    void collect(const ScanQueries::One &query, std::size_t first, std::size_t count,
                 const float *products, TopCandidates &collector) const;
    std::vector<Hit> look_again(const float *query, TopCandidates &collector,
                                std::size_t k) const;
    HitLists search_group(std::span<const float> queries, std::size_t count,
                          std::size_t k) const;

    std::size_t dims_;
    Metric metric_;
    std::size_t threads_;
    ExactRows rows_; ///< unit length for cosine, raw for euclidean
    std::vector<std::int64_t> ids_;
    IdMap places_; ///< id to row
};

Result<std::unique_ptr<Index>> make_exact_index(int dims, Metric metric,
                                                const IndexOptions &options);
Result<std::unique_ptr<Index>> make_exact_bf16_index(int dims, Metric metric,
                                                     const IndexOptions &options);
Result<std::unique_ptr<Index>> make_exact_int8_index(int dims, Metric metric,
                                                     const IndexOptions &options);

} // namespace sphere
