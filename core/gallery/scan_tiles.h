// SPDX-License-Identifier: MIT
// The loops around the kernels' arithmetic, for the files of one instruction set each. All is a
// template over a type of that file's unnamed namespace, so that no code here has external
// linkage (core/base/cpu.h says why).
#pragma once

#include "core/gallery/scan_kernels.h"

namespace sphere {

/// kRows x kQueries pairs, one accumulator each: the order of a pair's additions depends on
/// nothing but n. `Simd` has Row, Query, Accumulator, RowVector, QueryVector, Sum (what one
/// block's sum is), Total (what blocks are added in), Out, and kStep values a vector.
template <typename Simd, int kRows, int kQueries>
[[gnu::always_inline]] inline void scan_tile(const typename Simd::Row *rows,
                                             const typename Simd::Query *queries, std::size_t n,
                                             typename Simd::Out *out) {
    typename Simd::Total totals[kRows][kQueries] = {};
    for (std::size_t start = 0; start < n; start += kScanBlock) {
        const std::size_t end = start + kScanBlock < n ? start + kScanBlock : n;
        typename Simd::Accumulator sums[kRows][kQueries];
        for (int r = 0; r < kRows; ++r)
            for (int q = 0; q < kQueries; ++q)
                sums[r][q] = Simd::zero();
        for (std::size_t i = start; i < end; i += Simd::kStep) {
            typename Simd::QueryVector query[kQueries];
            for (int q = 0; q < kQueries; ++q)
                query[q] = Simd::load_query(queries + static_cast<std::size_t>(q) * n + i);
            for (int r = 0; r < kRows; ++r) {
                const typename Simd::RowVector row =
                    Simd::load_row(rows + static_cast<std::size_t>(r) * n + i);
                for (int q = 0; q < kQueries; ++q)
                    sums[r][q] = Simd::add_products(sums[r][q], row, query[q]);
            }
        }
        for (int r = 0; r < kRows; ++r)
            for (int q = 0; q < kQueries; ++q)
                totals[r][q] += static_cast<typename Simd::Total>(Simd::sum(sums[r][q]));
    }
    for (int r = 0; r < kRows; ++r)
        for (int q = 0; q < kQueries; ++q)
            out[static_cast<std::size_t>(q) * kScanRows + static_cast<std::size_t>(r)] =
                static_cast<typename Simd::Out>(totals[r][q]);
}

/// Rows [0, row_count) with kQueries queries.
template <typename Simd, int kQueries>
[[gnu::noinline]] void scan_group(const typename Simd::Row *rows, std::size_t row_count,
                                  const typename Simd::Query *queries, std::size_t n,
                                  typename Simd::Out *out) {
    std::size_t r = 0;
    for (; r + Simd::kTileRows <= row_count; r += Simd::kTileRows)
        scan_tile<Simd, Simd::kTileRows, kQueries>(rows + r * n, queries, n, out + r);
    for (; r < row_count; ++r)
        scan_tile<Simd, 1, kQueries>(rows + r * n, queries, n, out + r);
}

/// One query: the rows go by once, in the order in which they lie in memory.
template <typename Simd>
[[gnu::noinline]] void scan_stream(const typename Simd::Row *rows, std::size_t row_count,
                                   const typename Simd::Query *query, std::size_t n,
                                   typename Simd::Out *out) {
    // Bytes that are asked for ahead of the sums; a prefetch of what is not there does nothing.
    constexpr std::size_t kAhead = 4096;
    for (std::size_t r = 0; r < row_count; ++r) {
        const auto *row = reinterpret_cast<const char *>(rows + r * n);
        for (std::size_t i = 0; i < n * sizeof(typename Simd::Row); i += 64)
            __builtin_prefetch(row + i + kAhead);
        scan_tile<Simd, 1, 1>(rows + r * n, query, n, out + r);
    }
}

/// All pairs. Rows go by in groups that stay in the first-level cache while the queries pass.
template <typename Simd>
void scan_all(const typename Simd::Row *rows, std::size_t row_count,
              const typename Simd::Query *queries, std::size_t query_count, std::size_t n,
              typename Simd::Out *out) {
    if (query_count == 1) {
        scan_stream<Simd>(rows, row_count, queries, n, out);
        return;
    }
    constexpr std::size_t kGroupRows = 16;
    for (std::size_t r = 0; r < row_count; r += kGroupRows) {
        const std::size_t count = row_count - r < kGroupRows ? row_count - r : kGroupRows;
        std::size_t q = 0;
        for (; q + 4 <= query_count; q += 4)
            scan_group<Simd, 4>(rows + r * n, count, queries + q * n, n,
                                out + q * kScanRows + r);
        for (; q < query_count; ++q)
            scan_group<Simd, 1>(rows + r * n, count, queries + q * n, n,
                                out + q * kScanRows + r);
    }
}

} // namespace sphere
