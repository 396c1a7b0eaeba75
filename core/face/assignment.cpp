// SPDX-License-Identifier: MIT
#include "core/face/assignment.h"

#include <algorithm>
#include <limits>

namespace sphere {

void Assignment::reserve(std::size_t most) {
    for (auto *prices : {&row_price_, &column_price_, &distance_})
        prices->reserve(most + 1);
    for (auto *indices : {&row_of_column_, &before_, &result_})
        indices->reserve(most + 1);
    done_.reserve(most + 1);
}

// Rows and columns count from 1 here; column 0 stands for "none yet".
void Assignment::augment(std::span<const float> costs, int row, int rows, int columns,
                         bool turned) {
    const auto cost = [&](int r, int c) {
        return turned ? costs[static_cast<std::size_t>(c - 1) * rows + (r - 1)]
                      : costs[static_cast<std::size_t>(r - 1) * columns + (c - 1)];
    };
    std::fill(distance_.begin(), distance_.end(), std::numeric_limits<float>::max());
    std::fill(done_.begin(), done_.end(), char{0});
    row_of_column_[0] = row;
    int column = 0;
    do {
        done_[column] = 1;
        const int r = row_of_column_[column];
        float least = std::numeric_limits<float>::max();
        int next = 0;
        for (int c = 1; c <= columns; ++c) {
            if (done_[c])
                continue;
            const float reduced = cost(r, c) - row_price_[r] - column_price_[c];
            if (reduced < distance_[c]) {
                distance_[c] = reduced;
                before_[c] = column;
            }
            if (distance_[c] < least) {
                least = distance_[c];
                next = c;
            }
        }
        for (int c = 0; c <= columns; ++c)
            if (done_[c]) {
                row_price_[row_of_column_[c]] += least;
                column_price_[c] -= least;
            } else {
                distance_[c] -= least;
            }
        column = next;
    } while (row_of_column_[column] != 0);
    for (; column != 0; column = before_[column])
        row_of_column_[column] = row_of_column_[before_[column]];
}

std::span<const int> Assignment::solve(std::span<const float> costs, int rows, int columns) {
    result_.assign(static_cast<std::size_t>(rows), -1);
    if (rows == 0 || columns == 0)
        return result_;
    // The algorithm wants no more rows than columns.
    const bool turned = rows > columns;
    const int few = turned ? columns : rows, many = turned ? rows : columns;
    row_price_.assign(static_cast<std::size_t>(few) + 1, 0);
    for (auto *prices : {&column_price_, &distance_})
        prices->assign(static_cast<std::size_t>(many) + 1, 0);
    for (auto *indices : {&row_of_column_, &before_})
        indices->assign(static_cast<std::size_t>(many) + 1, 0);
    done_.assign(static_cast<std::size_t>(many) + 1, 0);
    for (int row = 1; row <= few; ++row)
        augment(costs, row, few, many, turned);
    for (int column = 1; column <= many; ++column) {
        const int row = row_of_column_[column];
        if (row == 0)
            continue;
        const int r = turned ? column - 1 : row - 1, c = turned ? row - 1 : column - 1;
        if (costs[static_cast<std::size_t>(r) * columns + c] < kForbidden)
            result_[r] = c;
    }
    return result_;
}

} // namespace sphere
