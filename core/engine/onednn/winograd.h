// SPDX-License-Identifier: MIT
// Winograd's 3x3 convolutions where the library has none: in fp32 its own need AVX-512, in bf16
// it has no such. A tile of 4x4 results takes 36 products instead of 144, one of 2x2 16 instead
// of 36 (Lavin & Gray, Fast Algorithms for Convolutional Neural Networks, 2015); weights are 4
// or 16/9 times as large. In bf16 tiles are of 2x2, whose transforms add two numbers at a time:
// those of 4x4 multiply what rounding has lost tenfold.
#pragma once

#include "core/engine/onednn/aligned.h"
#include "core/engine/onednn/graph.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace sphere::onednn {

inline constexpr std::int64_t kWinogradOutputs = 16; ///< channels that are made at a time
inline constexpr std::int64_t kWinogradInputs = 8; ///< channels that are transformed at a time
inline constexpr std::int64_t kWinogradGroup = 6;  ///< tiles that are multiplied at a time
inline constexpr std::int64_t kWinogradMost = 36;  ///< positions in a transformed tile

/// A convolution's weights, transformed.
struct WinogradWeights {
    std::int64_t outputs = 0, inputs = 0;
    std::int64_t tile = 4; ///< 2 or 4: rows and pixels of a tile's results
    bool bf16 = false;     ///< what is multiplied
    /// fp32: [outputs / 16][(tile + 2)^2][inputs][16 outputs], bf16: [outputs / 16]
    /// [(tile + 2)^2][inputs / 2][16 outputs][2 inputs]
    AlignedBytes bytes;

    std::int64_t value_bytes() const { return bf16 ? 2 : 4; }
    std::int64_t positions() const { return (tile + 2) * (tile + 2); }
};

/// `weights` are [outputs][inputs][3][3], outputs a multiple of 16, inputs of 8, in bf16 of 16;
/// `tile` is 2 or 4. Throws std::bad_alloc.
WinogradWeights transform_weights(const Constant &weights, std::int64_t tile,
                                  bool bf16 = false);

/// out = prelu(convolution of x + bias) + addend, with a border of zeros one pixel wide around
/// x, so that rows and pixels stay as many. All tensors are dense and channels-last.
struct WinogradConv {
    std::shared_ptr<const WinogradWeights> weights;
    std::vector<float> bias;       ///< by output channel
    std::vector<float> slopes;     ///< of negative values, by output channel; empty = all 1
    bool adds_first = false;       ///< out = prelu(convolution + bias + addend)
    const float *x = nullptr;      ///< overlaps neither addend nor out
    const float *addend = nullptr; ///< nullptr = none
    float *out = nullptr;          ///< may be addend
    std::int64_t pictures = 0, rows = 0, pixels = 0;

    std::int64_t tiles_down() const { return (rows + weights->tile - 1) / weights->tile; }
    std::int64_t tiles_across() const { return (pixels + weights->tile - 1) / weights->tile; }
    std::int64_t tiles() const { return pictures * tiles_down() * tiles_across(); }
};

/// Where a tile's results are: 16 channels of its first pixel, and how much of it is within
/// the plane.
struct WinogradTile {
    std::int64_t block = 0; ///< of 16 channels
    std::int64_t rows = 0, pixels = 0;
    const float *addend = nullptr;
    float *out = nullptr;
};

/// What computes a convolution.
struct WinogradKernel {
    const char *name;
    bool bf16; ///< what it multiplies
    /// One tile of x: points[positions] are its pixels. Position i goes to the place
    /// i * stride values behind `to`.
    void (*input)(const WinogradWeights &weights, const float *const *points,
                  std::int64_t stride, void *to);
    /// Of one position: sums[t * stride + o] = sum over k of x[t][k] * weights[k][o], for
    /// 16 outputs o. What lies behind these weights is wanted next.
    void (*multiply)(const void *x, std::int64_t tiles, std::int64_t inputs,
                     const void *weights, std::int64_t stride, float *sums);
    /// One tile from sums[positions][16].
    void (*output)(const WinogradConv &conv, const float *sums, const WinogradTile &to);
};
const WinogradKernel &winograd_portable();
const WinogradKernel &winograd_portable_bf16();
/// nullptr where the compiler or the CPU has no AVX2 and FMA.
const WinogradKernel *winograd_avx2();
/// For tiles of 2x2. nullptr where the compiler or the CPU has no AVX512-BF16.
const WinogradKernel *winograd_bf16();
/// The one to use; nullptr where the library does better, or cpu_level() forbids it.
const WinogradKernel *best_winograd(bool bf16);

/// The tile that takes less time for one picture of so many rows and pixels, 2 or 4 (in bf16
/// always 2); 0 where none beats a direct convolution. A batch takes the same: weights are in
/// memory once.
std::int64_t best_winograd_tile(std::int64_t rows, std::int64_t pixels, bool bf16);

/// The whole, on `threads` of OpenMP, where it is built in. `scratch` grows to what is needed.
/// Throws std::bad_alloc.
void run_winograd(const WinogradKernel &kernel, const WinogradConv &conv, int threads,
                  std::vector<float> &scratch);

} // namespace sphere::onednn
