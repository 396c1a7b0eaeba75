// SPDX-License-Identifier: MIT
// An index around a structure that finds likely rows fast but can neither change nor forget.
#pragma once

#include "core/gallery/exact_rows.h"
#include "core/gallery/index.h"

namespace sphere {

/// Names rows that are probably among the nearest. Immutable; thread-safe.
class CandidateFinder {
  public:
    virtual ~CandidateFinder() = default;
    /// Rows (places in the ExactRows that it was made from), at most k a query, in any order.
    /// `queries`: count x stride of those rows, made as they are (make_index_row), aligned.
    virtual Result<std::vector<std::vector<std::uint32_t>>>
    find(const float *queries, std::size_t count, std::size_t k) const = 0;
    /// False: it has nothing to save and is made again from the rows.
    virtual bool save(IndexSink &) const { return false; }
};

struct FinderOptions {
    std::string factory; ///< what follows the colon of an index's kind
    Metric metric = Metric::Cosine;
    int threads = 1; ///< to build with
};

/// Makes a finder over `rows`, which are in RowFormat::Bf16, all of bounded size, and outlive
/// it unchanged. Null: too few rows for one.
using MakeFinder = Result<std::unique_ptr<CandidateFinder>> (*)(const ExactRows &rows,
                                                                const FinderOptions &options);

/// One that was saved; null where `source` does not hold one for these rows. Throws
/// std::exception.
using RestoreFinder = std::unique_ptr<CandidateFinder> (*)(IndexSource &source,
                                                           const ExactRows &rows,
                                                           const FinderOptions &options);

struct FinderKind {
    MakeFinder make = nullptr;
    RestoreFinder restore = nullptr; ///< null: none is ever saved
};

/// Rows since the finder was made are scanned; rows removed since are marked and left out. It
/// is made anew when a tenth of its rows is marked or the new ones are a quarter of it, unless
/// forks share it: then the forks' owner makes a new index. What is found carries the exact
/// distance: only which rows are found is approximate.
Result<std::unique_ptr<Index>> make_approximate_index(int dims, Metric metric,
                                                      const IndexOptions &options,
                                                      std::string factory, FinderKind kind);

} // namespace sphere
