// SPDX-License-Identifier: MIT
// Internal. The arithmetic of resize and warp as loops over plain arrays, once for each
// instruction set.
#pragma once

#include "core/base/cpu.h"

#include <cstddef>
#include <cstdint>

namespace sphere::kernels {

/// Y'CbCr to R'G'B' in 0..255: luma = (y - y_offset) * y_scale, b = luma + u_to_b * u and so
/// on, where u and v are in sixteenths (kChromaUnit) and still hold the offset of 128.
struct YuvMatrix {
    float y_offset = 0;
    float y_scale = 1;
    float u_to_b = 0;
    float u_to_g = 0;
    float v_to_g = 0;
    float v_to_r = 0;
};

/// Bilinear up-sampling weighs chroma in quarters along each axis, so a sum of four samples is
/// exact in units of a sixteenth and fits 12 bits.
inline constexpr int kChromaUnit = 16;

/// Three channels of `n` floats in 0..255, not rounded.
struct BgrArrays {
    float *b = nullptr;
    float *g = nullptr;
    float *r = nullptr;
};

/// One version of each loop. All versions give the same bits: elementwise arithmetic in one
/// order, without fused multiply-adds. Rows are `n` long, of any alignment; nothing is written
/// beyond.
struct Kernels {
    CpuLevel level;

    /// n pixels, converted and clipped to [0, 255].
    void (*yuv_to_bgr)(const YuvMatrix &matrix, const std::uint8_t *y, const std::uint16_t *u,
                       const std::uint16_t *v, int n, const BgrArrays &out);

    /// n gray pixels: range conversion of luma, clipped to [0, 255].
    void (*luma_to_gray)(const YuvMatrix &matrix, const std::uint8_t *y, int n, float *out);

    void (*bytes_to_float)(const std::uint8_t *in, int n, float *out);

    /// The first three bytes of each pixel of 3 or 4, in memory order, as b, g and r.
    void (*unpack_3)(const std::uint8_t *in, int n, const BgrArrays &out);
    void (*unpack_4)(const std::uint8_t *in, int n, const BgrArrays &out);

    /// out[i] = in[i * step]. By step.
    using PickBytes = void (*)(const std::uint8_t *in, int n, std::uint8_t *out);
    using PickWords = void (*)(const std::uint16_t *in, int n, std::uint16_t *out);
    PickBytes pick_bytes_2, pick_bytes_3, pick_bytes_4;
    PickWords pick_words_2, pick_words_3, pick_words_4;

    /// out[2 i] = even[i], out[2 i + 1] = odd[i].
    void (*interleave_phases)(const std::uint16_t *even, const std::uint16_t *odd, int n,
                              std::uint16_t *out);

    /// out[i] = near_weight * near[i * step] + other_weight * other[i * step], weights in
    /// quarters. By step: 1 planar, 2 NV12, 4 YUY2.
    using BlendChromaRows = void (*)(const std::uint8_t *near, const std::uint8_t *other,
                                     int near_weight, int other_weight, int n,
                                     std::uint16_t *out);
    BlendChromaRows blend_chroma_rows_1, blend_chroma_rows_2, blend_chroma_rows_4;

    /// out[i] = a_weight * a[i] + b_weight * b[i], weights in quarters.
    void (*blend_chroma_columns)(const std::uint16_t *a, const std::uint16_t *b, int a_weight,
                                 int b_weight, int n, std::uint16_t *out);

    /// out[i] = left[i] + (right[i] - left[i]) * weight[i].
    void (*blend_columns)(const float *left, const float *right, const float *weight, int n,
                          float *out);

    /// out[i] = top[i] + (bottom[i] - top[i]) * weight.
    void (*blend_rows)(const float *top, const float *bottom, float weight, int n, float *out);

    /// out[i] = sum over k of weights[k * n + i] * taps[k * n + i], k = 0..3.
    void (*blend_four)(const float *taps, const float *weights, int n, float *out);

    /// out[i] = 0.299 r + 0.587 g + 0.114 b (BT.601-7 2.5.1).
    void (*bgr_to_gray)(const BgrArrays &in, int n, float *out);

    /// out[i] = (round(in[i]) - mean) * scale.
    void (*round_and_normalize)(const float *in, int n, float mean, float scale, float *out);

    /// out[i] = (in[3 i] - mean) * scale: a channel of interleaved bytes.
    void (*normalize_channel)(const std::uint8_t *in, int n, float mean, float scale,
                              float *out);

    /// b, g, r and one more float that means nothing, a pixel.
    void (*interleave_four)(const BgrArrays &in, int n, float *out);

    /// One row of a warp whose taps all lie inside the patch: pixel i is the blend of the four
    /// pixels around (x + i dx, y + i dy) of the patch, coordinates not negative, rounded to 8
    /// bits; b, g, r interleaved. `row_floats` floats a patch row, four a pixel.
    void (*warp_patch_row)(double x, double y, double dx, double dy, const float *patch,
                           int row_floats, int n, std::uint8_t *out);

    /// As warp_patch_row for taps of any place: pixel i is the sum of weights[k n + i] times
    /// the four floats at patch + offsets[k n + i], k = 0..3, rounded to 8 bits; b, g, r
    /// interleaved.
    void (*blend_patch_row)(const float *patch, const std::int32_t *offsets,
                            const float *weights, int n, std::uint8_t *out);

    /// Rounds to 8 bits: b, g, r interleaved.
    void (*round_to_bytes)(const BgrArrays &in, int n, std::uint8_t *out);

    /// Luma in thousandths, exact: out[i] = 114 b + 587 g + 299 r (BT.601-7 2.5.1) of
    /// interleaved bytes. Returns their sum.
    std::int64_t (*bytes_to_luma)(const std::uint8_t *bgr, int n, std::int32_t *out);

    /// Adds the Laplacians of n pixels of a row of luma in thousandths to sums[0] and their
    /// squares to sums[1], exactly. Reads row[-1] and row[n].
    void (*sum_laplacians)(const std::int32_t *above, const std::int32_t *row,
                           const std::int32_t *below, int n, std::int64_t *sums);

    /// Adds the sums of b, g, r, b b, g g, r r, b g, b r and g r of n pixels of interleaved
    /// bytes, exactly.
    void (*sum_moments)(const std::uint8_t *bgr, int n, std::int64_t *sums);
};

/// The versions, null where the compiler's target lacks the instructions. On 64-bit ARM the
/// compiler makes NEON of the scalar one.
const Kernels *kernels_scalar() noexcept;
const Kernels *kernels_avx2() noexcept;
const Kernels *kernels_avx512() noexcept;

/// The best version at or below cpu_level() (core/base/cpu.h).
const Kernels &kernels_in_use() noexcept;

} // namespace sphere::kernels
