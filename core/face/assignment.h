// SPDX-License-Identifier: MIT
// Which detection belongs to which track: the assignment of least total cost.
#pragma once

#include <span>
#include <vector>

namespace sphere {

/// The linear assignment problem by shortest augmenting paths (Jonker and Volgenant, "A
/// shortest augmenting path algorithm for dense and sparse linear assignment problems",
/// Computing 38, 1987). Keeps its memory between calls. Equal inputs give equal results.
class Assignment {
  public:
    /// A pair that must not be. Costs must be finite and below it.
    static constexpr float kForbidden = 1e4F;

    /// Room for this many rows and columns, so that solve() does not allocate.
    void reserve(std::size_t most);

    /// `costs` is rows x columns, row after row. Returns for each row its column, or -1 where
    /// every column that was left is forbidden. Valid until the next call.
    std::span<const int> solve(std::span<const float> costs, int rows, int columns);

  private:
    void augment(std::span<const float> costs, int row, int rows, int columns, bool turned);

    std::vector<float> row_price_, column_price_, distance_;
    std::vector<int> row_of_column_, before_, result_;
    std::vector<char> done_;
};

} // namespace sphere
