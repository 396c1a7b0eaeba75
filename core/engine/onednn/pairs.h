// SPDX-License-Identifier: MIT
// A 1x1 convolution, the 3x3 depthwise one that takes its result, and the pooling behind them,
// row by row: what lies between them never leaves the cache. Detectors are made of such pairs
// on large planes, where one after the other waits for memory.
#pragma once

#include <cstdint>

namespace sphere::onednn {

/// out = relu(depthwise3x3(relu(x * point + bias)) + bias), each ReLU where it is asked for;
/// stride 1, the depthwise one with a border of zeros. Tensors are dense and channels-last:
/// x [pictures][rows][pixels][inputs], out [pictures][rows][pixels][channels]; they do not
/// overlap.
struct ConvPair {
    const float *x = nullptr;
    const float *point_weights = nullptr; ///< [inputs][channels]
    const float *point_bias = nullptr;    ///< [channels]; nullptr = none
    const float *depth_weights = nullptr; ///< [3][3][channels]
    const float *depth_bias = nullptr;    ///< [channels]; nullptr = none
    float *out = nullptr;
    bool point_relu = false, depth_relu = false;
    /// The largest of each 2x2 pixels: out is [pictures][rows / 2][pixels / 2][channels].
    bool pooled = false;
    std::int64_t pictures = 0, rows = 0, pixels = 0; ///< the latter two even if pooled
    std::int64_t inputs = 0;
    std::int64_t channels = 0; ///< a multiple of kPairBlock
};

inline constexpr std::int64_t kPairBlock = 16; ///< channels

/// Rows [first, last) of one picture, both even if they are pooled. `ring` holds
/// pair_ring_floats().
using PairKernel = void (*)(const ConvPair &pair, std::int64_t picture, std::int64_t first,
                            std::int64_t last, float *ring);
constexpr std::int64_t pair_ring_floats(const ConvPair &pair) {
    return (3 * (pair.pixels + 2) + (pair.pooled ? 2 * pair.pixels : 0)) * pair.channels;
}
void pair_portable(const ConvPair &pair, std::int64_t picture, std::int64_t first,
                   std::int64_t last, float *ring);
/// nullptr where the compiler or the CPU has no AVX-512 (F).
PairKernel pair_avx512();

/// The pair by `kernel`, in bands of rows for `threads` (of OpenMP, where it is built in).
/// Throws std::bad_alloc.
void run_pair(PairKernel kernel, const ConvPair &pair, int threads);

} // namespace sphere::onednn
