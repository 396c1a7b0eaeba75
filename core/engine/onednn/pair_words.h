// SPDX-License-Identifier: MIT
// Depthwise convolutions of networks in int8, in 16 bits: sixteen channels to a vector of AVX2
// instead of eight, half the bytes. A product is rounded, as PMULHRSW does it, to a sixteenth
// of what is a code in 8 bits, and sums are cut to what 16 bits hold, eight times as much as
// codes do and of either sign.
#pragma once

#include "core/engine/onednn/dot.h"
#include "core/engine/onednn/pairs.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace sphere::onednn {

inline constexpr std::int16_t kWordFraction = 16; ///< of a code: the unit of what is made

/// A depthwise convolution in 16 bits: product = round(value * weight / 2^15).
struct DepthWords {
    std::vector<std::int16_t> weights; ///< [3][3][channels]
    std::vector<std::int16_t> bias;    ///< [channels], in the unit of what is made
    std::vector<std::int16_t> slopes;  ///< likewise, times 2^15; empty = no PReLU
    std::vector<float> scales;         ///< [channels]: what it takes is value * scale
    float unit = 1;                    ///< of what is made
};

/// For what is, or could be, `codes`. The largest weight of a channel is all but 1, so that a
/// step of what it takes is one of what it makes. Nothing where a slope or a bias is too large,
/// or a weight is no number.
std::optional<DepthWords> pack_depth_words(const ConvPair &pair, const Encoding &codes);

/// The 1x1 convolution before it, whose results are times `scales`; nothing where they may be
/// too large for 32 bits.
std::optional<DotConv> scaled_dot(const DotConv &conv, const std::vector<float> &scales);
/// Likewise in fp32, and a stem; weights and bias are in what is given back.
std::vector<float> scaled_point(ConvPair &pair, const std::vector<float> &scales);
std::vector<float> scaled_stem(ConvStem &stem, const std::vector<float> &scales);

/// What becomes of a depthwise convolution, channels-last: words to be pooled, or a row, whose
/// codes are of the encoding that the weights were packed for.
struct MadeWords {
    std::int16_t *words = nullptr;
    MadeRow row;
};

/// What computes a row of such a pair, as PairKernel does. Rows are at half cache lines.
struct WordKernel {
    const char *name;
    void (*stem)(const ConvStem &stem, const float *const *rows, const WordPlace &to);
    void (*point)(const ConvPair &pair, const float *x, const WordPlace &to);
    /// The kDotOutputs channels of `block` of the 1x1 convolution, side by side.
    void (*dot)(const DotConv &conv, std::int64_t block, std::int64_t pixels,
                const std::uint8_t *x, std::int16_t *out);
    void (*depth)(const ConvPair &pair, std::int64_t block, const std::int16_t *const rows[3],
                  const MadeWords &to);
    /// Two rows that `depth` made into one.
    void (*pool)(const ConvPair &pair, const std::int16_t *above, const std::int16_t *below,
                 const MadeRow &to);
};
const WordKernel &words_portable();
/// nullptr where the compiler or the CPU has no AVX2 and FMA, or no AVX-512 VNNI.
const WordKernel *words_avx2();
const WordKernel *words_vnni();
/// Where best_dot() has kernels, too; else nullptr.
const WordKernel *best_words();

} // namespace sphere::onednn
