// SPDX-License-Identifier: MIT
// Where a walk through a graph of neighbours may begin: found by 256 bits a row.
#pragma once

#include "core/gallery/exact_rows.h"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace sphere {

/// A bit a direction: on which side of the rows' mean the row lies. Two rows at an angle a
/// share all bits but about a / pi of them (Charikar, Similarity estimation techniques from
/// rounding algorithms, 2002; the directions here are sums of neighbouring values). Immutable
/// once made; thread-safe then.
class EntrySketches {
  public:
    static constexpr std::size_t kMostEntries = 131'072; ///< 4 MB: what a cache holds

    /// `entries`: rows of `rows`, in RowFormat::Bf16. Of too many evenly chosen ones are taken.
    /// Throws std::bad_alloc.
    void make(const ExactRows &rows, std::vector<std::uint32_t> entries);

    /// The `count` entries whose bits differ least from those of `query` (stride values), or
    /// fewer: places in entries().
    std::vector<std::uint32_t> nearest(const float *query, std::size_t count) const;

    const std::vector<std::uint32_t> &entries() const { return entries_; }

  private:
    static constexpr std::size_t kWords = 4;
    using Sketch = std::array<std::uint64_t, kWords>;
    template <typename Value> Sketch sketch(const Value &value) const;

    std::size_t dims_ = 0;
    std::size_t group_ = 1;   ///< values summed for a bit
    std::vector<float> mean_; ///< of each sum
    std::vector<std::uint32_t> entries_;
    std::vector<Sketch> sketches_;
};

} // namespace sphere
