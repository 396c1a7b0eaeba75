// SPDX-License-Identifier: MIT
// Sums of products of many rows with several queries: the inner loops of exact search.
#pragma once

#include "core/base/cpu.h"

#include <cstddef>
#include <cstdint>

namespace sphere {

inline constexpr std::size_t kScanQueries = 32; ///< most queries of one call
inline constexpr std::size_t kScanRows = 256;   ///< most rows of one call
/// Rows and queries are padded with zeros to a multiple of this many values and start on a
/// 64-byte boundary.
inline constexpr std::size_t kScanLanes = 64;
/// Sums are kept in float within so many values, in double across, so that the error does not
/// grow with the number of dimensions: it is at most kScanError * |row| * |query|.
inline constexpr std::size_t kScanBlock = 512;
inline constexpr float kScanError = 5e-6F; ///< 72 roundings of 2^-24 in one sum at most

/// One instruction set's kernels. Each sets out[q * kScanRows + r] to the sum of products of
/// row r and query q; rows and queries follow each other at `n` values, n a multiple of
/// kScanLanes. A pair's sum has the same bits whatever stands beside it in the call.
struct ScanKernels {
    CpuLevel level = CpuLevel::Scalar;
    const char *name = "";
    void (*f32)(const float *rows, std::size_t row_count, const float *queries,
                std::size_t query_count, std::size_t n, float *out) = nullptr;
    /// `rows`: the upper halves of floats (bfloat16).
    void (*bf16)(const std::uint16_t *rows, std::size_t row_count, const float *queries,
                 std::size_t query_count, std::size_t n, float *out) = nullptr;
    /// Exact for queries within +-most_query_byte: no sum of up to 16384 products leaves 32
    /// bits.
    void (*u8)(const std::uint8_t *rows, std::size_t row_count, const std::int8_t *queries,
               std::size_t query_count, std::size_t n, std::int32_t *out) = nullptr;
    /// The sum of products of two rows, both bfloat16, both aligned.
    float (*bf16_pair)(const std::uint16_t *a, const std::uint16_t *b, std::size_t n) = nullptr;
    int most_query_byte = 127;
};

/// The kernels of one set; null where this build lacks them.
const ScanKernels *scan_kernels_scalar() noexcept;
const ScanKernels *scan_kernels_avx2() noexcept;
const ScanKernels *scan_kernels_avx512() noexcept;
const ScanKernels *scan_kernels_avx512_vnni() noexcept; ///< avx512 with 8-bit dot products

/// The fastest for cpu_level() and cpu_extensions(); chosen once.
const ScanKernels &scan_kernels() noexcept;

} // namespace sphere
