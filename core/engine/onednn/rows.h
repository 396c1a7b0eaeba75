// SPDX-License-Identifier: MIT
// What lies between two convolutions, in one pass over memory: PReLU, a sum, codes for int8.
#pragma once

#include <cstdint>

namespace sphere::onednn {

/// y = prelu(x) + addend, for dense tensors [pictures][rows][pixels][channels] of fp32; y goes
/// to `out`, to `codes`, or to both. A tensor in blocks of 16 channels (nChw16c) is one of
/// 16 channels and as many more pictures; the same with 8 (nChw8c).
struct RowPass {
    const float *x = nullptr;
    const float *slopes = nullptr; ///< of negative values; nullptr = all 1
    const float *addend = nullptr; ///< nullptr = none
    float *out = nullptr;          ///< may be x or addend
    /// round(y * inverse_scale) + zero, cut to a byte; with a border of `zero` around each
    /// picture, which stands for the padding of the convolution that follows.
    std::uint8_t *codes = nullptr;
    float inverse_scale = 1;
    std::int32_t zero = 0;

    std::int64_t pictures = 0, rows = 0, pixels = 0, channels = 0;
    std::int64_t slope_groups = 1; ///< picture i takes the slopes from (i % this) * channels
    std::int64_t top = 0, left = 0, bottom = 0, right = 0; ///< of the border

    std::int64_t code_row() const { return (left + pixels + right) * channels; }
    std::int64_t code_picture() const { return (top + rows + bottom) * code_row(); }
};

/// Runs it by best_row().
void run_rows(const RowPass &pass);

/// One row: `pixels` of `channels`, all pointers at its first value.
using RowKernel = void (*)(const RowPass &pass, const float *x, const float *slopes,
                           const float *addend, float *out, std::uint8_t *codes);
void row_portable(const RowPass &pass, const float *x, const float *slopes, const float *addend,
                  float *out, std::uint8_t *codes);
/// nullptr where the compiler or the CPU has no AVX-512 (F, BW, VL).
RowKernel row_avx512();
/// nullptr where the compiler or the CPU has no AVX2.
RowKernel row_avx2();

/// The fastest of them that cpu_level() allows.
RowKernel best_row();

/// The zero's code all around a picture of codes: rows above and below, both ends of each row.
void fill_border(const RowPass &pass, std::uint8_t *picture);

/// The pass by a kernel of the caller's choice, for tests.
void run_rows_with(RowKernel kernel, const RowPass &pass);

} // namespace sphere::onednn
