// SPDX-License-Identifier: MIT
// A 1x1 convolution, the 3x3 depthwise one that takes its result, and the pooling behind them,
// row by row; and chains of such pairs, a network's first convolution or a pooling before them:
// what lies between them never leaves the cache. Detectors and small recognisers are made of
// such pairs on large planes, where one after the other waits for memory.
#pragma once

#include "core/engine/onednn/dot.h"

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace sphere::onednn {

struct DepthWords;
struct WordKernel;

/// code = round(value * inverse_scale) + zero, as RowPass has it.
struct Encoding {
    float inverse_scale = 1;
    std::int32_t zero = 0;
};

/// out = relu(depthwise3x3(relu(x * point + bias)) + bias), each ReLU where it is asked for;
/// the depthwise one with a border of zeros, which begins one row and one pixel before what it
/// takes. Tensors are dense and channels-last: [pictures][rows][pixels][inputs],
/// [pictures][rows_out][pixels_out][channels].
struct ConvPair {
    bool alone = false; ///< without the 1x1 one: the depthwise one takes what a stem makes
    const float *point_weights = nullptr; ///< [inputs][channels]
    const float *point_bias = nullptr;    ///< [channels]; nullptr = none
    const float *depth_weights = nullptr; ///< [3][3][channels]
    const float *depth_bias = nullptr;    ///< [channels]; nullptr = none
    bool point_relu = false, depth_relu = false;
    /// The 1x1 one in int8, with its ReLU or PReLU; what is above of it is not used then.
    std::shared_ptr<const DotConv> dot;
    Encoding codes;                  ///< of its input, for `dot`
    std::vector<float> depth_slopes; ///< PReLU's behind the depthwise one; empty = none
    /// The depthwise one in 16 bits. What it takes, of a stem or a 1x1 convolution, is times
    /// these scales.
    std::shared_ptr<const DepthWords> words;
    std::int64_t stride = 1; ///< of the depthwise one: 1 or 2
    bool pooled = false;     ///< the largest of each 2x2 pixels goes on; with stride 1 only
    std::int64_t rows = 0, pixels = 0; ///< both even if pooled
    std::int64_t inputs = 0;
    std::int64_t channels = 0; ///< a multiple of kPairBlock

    /// What the depthwise one makes.
    std::int64_t depth_rows() const { return (rows - 1) / stride + 1; }
    std::int64_t depth_pixels() const { return (pixels - 1) / stride + 1; }
    std::int64_t rows_out() const { return pooled ? rows / 2 : depth_rows(); }
    std::int64_t pixels_out() const { return pooled ? pixels / 2 : depth_pixels(); }
};

/// A 3x3 convolution of planes ([pictures][planes][rows][pixels]) whose window starts one row
/// and one pixel before the plane; beyond it there are zeros. Makes channels-last pixels.
struct ConvStem {
    const float *weights = nullptr; ///< [3][3][planes][channels]
    const float *bias = nullptr;    ///< [channels]; nullptr = none
    bool relu = false;
    std::vector<float> slopes; ///< PReLU's, by channel; empty = none
    std::int64_t planes = 0;   ///< up to kStemPlanes; 0 = there is no such convolution
    std::int64_t rows = 0, pixels = 0, stride = 1;
    std::int64_t pixels_out = 0;
    std::int64_t channels = 0; ///< a multiple of kPairBlock
};

inline constexpr std::int64_t kPairBlock = 16; ///< channels
inline constexpr std::int64_t kStemPlanes = 4;

/// Each takes what the one before makes. What it reads and what it writes do not overlap.
struct PairChain {
    const float *x = nullptr;
    const std::uint8_t *x_codes = nullptr; ///< if not nullptr: instead of x
    float *out = nullptr;                  ///< one of the two may be nullptr
    std::uint8_t *codes = nullptr;
    Encoding encoding;                 ///< of `codes`
    const DotKernel *dot = nullptr;    ///< for pairs that have such a convolution
    const WordKernel *words = nullptr; ///< likewise
    std::int64_t pictures = 0;
    ConvStem stem;
    /// Instead of a stem: x has twice the rows and pixels that the first pair takes, the
    /// largest of each 2x2. Its channels are a multiple of kPairBlock then.
    bool pools_input = false;
    std::vector<ConvPair> pairs;
};

/// Where a row goes: its pixels, and blocks of kPairBlock channels of one pixel, are so many
/// numbers apart. Channels-last that is channels and kPairBlock; in what a depthwise
/// convolution takes each block's pixels lie side by side, so that it reads memory in turn.
template <typename Number> struct PlaceOf {
    Number *at = nullptr;
    std::int64_t pixel = 0, block = 0;
};
using RowPlace = PlaceOf<float>;
using WordPlace = PlaceOf<std::int16_t>;

/// What a depthwise convolution or a pooling makes, channels-last: values, codes or both.
struct MadeRow {
    float *out = nullptr;
    std::uint8_t *codes = nullptr;
    Encoding encoding;
};

/// What computes a chain: one row each. Rows are at cache lines.
struct PairKernel {
    const char *name;
    /// rows[3][planes]: three rows of each plane.
    void (*stem)(const ConvStem &stem, const float *const *rows, const RowPlace &to);
    void (*point)(const ConvPair &pair, const float *x, const RowPlace &to);
    /// The kPairBlock channels from kPairBlock * `block` on: rows[0..2] have theirs, pixel
    /// after pixel, from one pixel left of the first window's middle on; `to` has all.
    void (*depth)(const ConvPair &pair, std::int64_t block, const float *const rows[3],
                  const MadeRow &to);
    void (*pool)(const ConvPair &pair, const float *above, const float *below,
                 const MadeRow &to);
};
const PairKernel &pairs_portable();
/// nullptr where the compiler or the CPU has no AVX2 and FMA, or no AVX-512 (F, BW, VL).
const PairKernel *pairs_avx2();
const PairKernel *pairs_avx512();
/// The fastest that cpu_level() allows; nullptr where that is the portable one, which loses to
/// the library's primitives.
const PairKernel *best_pairs();

/// One pixel of a stem, which may touch the border; and kPairBlock channels of it.
void stem_pixel(const ConvStem &stem, const float *const *rows, std::int64_t pixel,
                const RowPlace &to);
void stem_pixel(const ConvStem &stem, const float *const *rows, std::int64_t pixel,
                const WordPlace &to);
std::array<float, kPairBlock> stem_block(const ConvStem &stem, const float *const *rows,
                                         std::int64_t pixel, std::int64_t first);

/// The chain by `kernel`, in bands of rows for `threads` (of OpenMP, where it is built in).
/// `scratch` grows to what is needed. Throws std::bad_alloc.
void run_pairs(const PairKernel &kernel, const PairChain &chain, int threads,
               std::vector<float> &scratch);

} // namespace sphere::onednn
