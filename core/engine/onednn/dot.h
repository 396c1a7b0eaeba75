// SPDX-License-Identifier: MIT
// Convolutions in int8, and what comes behind them up to the next one's codes, as one pass.
// With AVX-512 VNNI by its dot products of bytes. Without, by the instruction that multiplies
// bytes and adds pairs of products in 16 bits (PMADDUBSW): the library widens each such pair to
// 32 bits at once; here four of them are added first, which saves most of the widening, and
// weights are rounded so that no sum leaves the 16 bits. Sums are exact either way.
#pragma once

#include "core/engine/onednn/aligned.h"
#include "core/engine/onednn/graph.h"
#include "core/engine/onednn/rows.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace sphere::onednn {

inline constexpr std::int64_t kDotInputs = 16;  ///< channels whose products share 16 bits
inline constexpr std::int64_t kDotOutputs = 16; ///< channels that are made at a time
/// So many products of codes are below 2^31: 255 * 127 each.
inline constexpr std::int64_t kMostProducts = 65536;

/// A convolution's weights as codes: weight = code * scale.
struct DotWeights {
    std::int64_t outputs = 0, inputs = 0, kernel_rows = 0, kernel_pixels = 0;
    /// [outputs / 16][kernel_rows][kernel_pixels][inputs / 4][16 outputs][4 inputs]
    AlignedBytes bytes;
    std::vector<float> scales; ///< by output channel
    std::vector<float> sums;   ///< of the codes, by output channel

    const std::int8_t *codes() const {
        return reinterpret_cast<const std::int8_t *>(bytes.get());
    }
    std::int64_t taps() const { return kernel_rows * kernel_pixels; }
};

/// `weights` are [outputs][inputs][rows][pixels], both channels multiples of 16. Codes are as
/// large as a byte holds. With fewer `bits` than 8 they are for PMADDUBSW, and in each of the
/// two 16-bit sums of a group of 16 inputs add up to no more than 128 with either sign: times
/// 255 that fits. Throws std::bad_alloc.
DotWeights pack_dot_weights(const Constant &weights, int bits);
/// Of an inner product, [outputs][planes][rows][pixels], as those of a 1x1 convolution whose
/// inputs are a whole picture, channels innermost.
DotWeights pack_product_weights(const std::vector<float> &weights, const Dims &dims, int bits);

/// to.out = prelu(convolution of the codes) + to.addend, and its codes: what RowPass does to
/// its x. All tensors are channels-last; `x` has the window's border around each picture.
struct DotConv {
    std::shared_ptr<const DotWeights> weights;
    std::vector<float> scales; ///< of a sum of products, by output channel
    std::vector<float> bias;   ///< with what the codes' zero adds
    std::vector<float> slopes; ///< of negative values, by output channel; empty = all 1
    const std::uint8_t *x = nullptr;
    std::int64_t x_row = 0, x_picture = 0; ///< bytes, border included
    std::int64_t stride = 1;               ///< in rows and pixels
    RowPass to;                            ///< but for its x and slopes
};

/// Blocks of 16 channels, side by side.
struct DotBlocks {
    std::int64_t first = 0, count = 1;
    bool fresh = false; ///< their first pixels: the weights behind theirs are wanted next
};

/// What computes a convolution.
struct DotKernel {
    const char *name;
    std::int64_t most_blocks; ///< at a time
    /// `pixels` results, which are conv.to.channels apart. `x` is where the first one's window
    /// begins; the others point at the first channel of its blocks.
    void (*row)(const DotConv &conv, const DotBlocks &blocks, std::int64_t pixels,
                const std::uint8_t *x, const float *addend, float *out, std::uint8_t *codes);
};
const DotKernel &dot_portable();
/// For weights of 7 bits. nullptr where the compiler or the CPU has no AVX2 and FMA.
const DotKernel *dot_avx2();
/// nullptr where the compiler or the CPU has no AVX-512 VNNI.
const DotKernel *dot_vnni();
/// The one to use: nullptr where the library does better (AMX; AVX-512 without VNNI), or
/// cpu_level() forbids it.
const DotKernel *best_dot();

/// A 1x1 convolution whose tensors have no borders becomes one of a single long row.
void flatten(DotConv &conv);

/// The whole, on `threads` of OpenMP, where it is built in.
void run_dot(const DotKernel &kernel, const DotConv &conv, int threads);

} // namespace sphere::onednn
