// SPDX-License-Identifier: MIT
// Sums of products of bytes with AVX2: 16 channels of up to 3 pixels stay in registers. For
// the files of convolutions in int8 with that instruction set.
#pragma once

#include "core/engine/onednn/avx2.h"
#include "core/engine/onednn/dot.h"

#include <algorithm>
#include <cstring>

namespace sphere::onednn::tiles {

inline constexpr std::int64_t kQuad = 4;
inline constexpr std::int64_t kQuadBytes = kQuad * kDotOutputs; ///< of weights

alignas(32) inline constexpr std::int16_t kOnes[16] = {1, 1, 1, 1, 1, 1, 1, 1,
                                                       1, 1, 1, 1, 1, 1, 1, 1};

SPHERE_AVX2_INLINE __m256i load(const std::int8_t *from) {
    return _mm256_load_si256(reinterpret_cast<const __m256i *>(from));
}

SPHERE_AVX2_INLINE __m256i quad(const std::uint8_t *from) {
    std::int32_t bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    return _mm256_set1_epi32(bytes);
}

/// Sums of kCount pixels, 16 channels.
template <int kCount> struct Tile { __m256i low[kCount], high[kCount]; };

// 16 input channels: 128 codes of one sign times 255 are the most that meets in 16 bits.
template <int kCount>
SPHERE_AVX2_INLINE void add(Tile<kCount> &tile, const std::uint8_t *x, std::int64_t stride,
                            const std::int8_t *weights) {
    __m256i l[kCount], h[kCount];
#pragma GCC unroll 3
    for (int p = 0; p < kCount; ++p)
        l[p] = h[p] = _mm256_setzero_si256();
#pragma GCC unroll 4
    for (int q = 0; q < kDotInputs / kQuad; ++q) {
        const __m256i wl = load(weights + q * kQuadBytes);
        const __m256i wh = load(weights + q * kQuadBytes + 32);
#pragma GCC unroll 3
        for (int p = 0; p < kCount; ++p) {
            const __m256i codes = quad(x + p * stride + q * kQuad);
            l[p] = _mm256_add_epi16(l[p], _mm256_maddubs_epi16(codes, wl));
            h[p] = _mm256_add_epi16(h[p], _mm256_maddubs_epi16(codes, wh));
        }
    }
    const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 3
    for (int p = 0; p < kCount; ++p) {
        tile.low[p] = _mm256_add_epi32(tile.low[p], _mm256_madd_epi16(l[p], ones));
        tile.high[p] = _mm256_add_epi32(tile.high[p], _mm256_madd_epi16(h[p], ones));
    }
}

template <int kCount>
SPHERE_AVX2_INLINE void start(Tile<kCount> &tile, const std::uint8_t *x, std::int64_t stride,
                              const std::int8_t *weights) {
#pragma GCC unroll 3
    for (int p = 0; p < kCount; ++p)
        tile.low[p] = tile.high[p] = _mm256_setzero_si256();
    add(tile, x, stride, weights);
}

/// What assembly reads, for the compiler to know.
template <std::int64_t kBytes, typename Byte>
SPHERE_AVX2_INLINE const Byte (&read(const Byte *from))[kBytes] {
    return *reinterpret_cast<const Byte(*)[kBytes]>(from);
}

// For three pixels by hand: sums, weights, codes and products are all of the 16 registers, and
// compilers keep two of the sums in memory.
// clang-format off
#define SPHERE_FIRST(X, P)                      \
    "vpbroadcastd (%[x]" X "), %[c]\n\t"        \
    "vpmaddubsw %[wl], %[c], %[l" #P "]\n\t"    \
    "vpmaddubsw %[wh], %[c], %[h" #P "]\n\t"
#define SPHERE_NEXT(Q, X, P)                    \
    "vpbroadcastd 4*" #Q "(%[x]" X "), %[c]\n\t"\
    "vpmaddubsw %[wl], %[c], %[t]\n\t"          \
    "vpmaddubsw %[wh], %[c], %[c]\n\t"          \
    "vpaddw %[t], %[l" #P "], %[l" #P "]\n\t"   \
    "vpaddw %[c], %[h" #P "], %[h" #P "]\n\t"
#define SPHERE_QUAD(Q)                          \
    "vmovdqa 64*" #Q "(%[w]), %[wl]\n\t"        \
    "vmovdqa 64*" #Q "+32(%[w]), %[wh]\n\t"     \
    SPHERE_NEXT(Q, "", 0) SPHERE_NEXT(Q, ",%[s]", 1) SPHERE_NEXT(Q, ",%[s],2", 2)
// Sixteen inputs: sums of 32 bits in l0 to h2.
#define SPHERE_PRODUCTS                         \
    "vmovdqa (%[w]), %[wl]\n\t"                 \
    "vmovdqa 32(%[w]), %[wh]\n\t"               \
    SPHERE_FIRST("", 0) SPHERE_FIRST(",%[s]", 1) SPHERE_FIRST(",%[s],2", 2) \
    SPHERE_QUAD(1) SPHERE_QUAD(2) SPHERE_QUAD(3) \
    "vpmaddwd %[ones], %[l0], %[l0]\n\t"        \
    "vpmaddwd %[ones], %[h0], %[h0]\n\t"        \
    "vpmaddwd %[ones], %[l1], %[l1]\n\t"        \
    "vpmaddwd %[ones], %[h1], %[h1]\n\t"        \
    "vpmaddwd %[ones], %[l2], %[l2]\n\t"        \
    "vpmaddwd %[ones], %[h2], %[h2]\n\t"
#define SPHERE_READ                                                                      \
    [x] "r"(x), [s] "r"(stride), [w] "r"(weights),                                       \
    [ones] "m"(*reinterpret_cast<const __m256i *>(kOnes)), "m"(read<kDotInputs>(x)),     \
    "m"(read<kDotInputs>(x + stride)), "m"(read<kDotInputs>(x + 2 * stride)),            \
    "m"(read<4 * kQuadBytes>(weights))

SPHERE_AVX2_INLINE void start(Tile<3> &tile, const std::uint8_t *x, std::int64_t stride,
                              const std::int8_t *weights) {
    __m256i wl, wh, c, t;
    asm(SPHERE_PRODUCTS
        : [l0] "=&x"(tile.low[0]), [l1] "=&x"(tile.low[1]), [l2] "=&x"(tile.low[2]),
          [h0] "=&x"(tile.high[0]), [h1] "=&x"(tile.high[1]), [h2] "=&x"(tile.high[2]),
          [wl] "=&x"(wl), [wh] "=&x"(wh), [c] "=&x"(c), [t] "=&x"(t)
        : SPHERE_READ);
}

SPHERE_AVX2_INLINE void add(Tile<3> &tile, const std::uint8_t *x, std::int64_t stride,
                            const std::int8_t *weights) {
    __m256i l0, l1, l2, h0, h1, h2, wl, wh, c, t;
    asm(SPHERE_PRODUCTS
        "vpaddd %[l0], %[L0], %[L0]\n\t"
        "vpaddd %[h0], %[H0], %[H0]\n\t"
        "vpaddd %[l1], %[L1], %[L1]\n\t"
        "vpaddd %[h1], %[H1], %[H1]\n\t"
        "vpaddd %[l2], %[L2], %[L2]\n\t"
        "vpaddd %[h2], %[H2], %[H2]"
        : [L0] "+x"(tile.low[0]), [L1] "+x"(tile.low[1]), [L2] "+x"(tile.low[2]),
          [H0] "+x"(tile.high[0]), [H1] "+x"(tile.high[1]), [H2] "+x"(tile.high[2]),
          [l0] "=&x"(l0), [l1] "=&x"(l1), [l2] "=&x"(l2), [h0] "=&x"(h0), [h1] "=&x"(h1),
          [h2] "=&x"(h2), [wl] "=&x"(wl), [wh] "=&x"(wh), [c] "=&x"(c), [t] "=&x"(t)
        : SPHERE_READ);
}
// clang-format on

#undef SPHERE_FIRST
#undef SPHERE_NEXT
#undef SPHERE_QUAD
#undef SPHERE_PRODUCTS
#undef SPHERE_READ

inline constexpr int kPixels = 3;          ///< with 16 channels 12 of the 16 registers
inline constexpr std::int64_t kStrip = 48; ///< pixels whose sums are made before any goes on

template <int kCount>
SPHERE_AVX2_INLINE void sum_tile(const DotConv &conv, const std::int8_t *weights,
                                 const std::uint8_t *x, std::int32_t *sums) {
    Tile<kCount> tile;
    const DotWeights &shape = *conv.weights;
    const std::int64_t stride = conv.stride * shape.inputs;
    const std::int64_t run = shape.kernel_pixels * shape.inputs; // taps of a row in turn
    start(tile, x, stride, weights);
    std::int64_t i = kDotInputs;
    for (std::int64_t ky = 0; ky < shape.kernel_rows; ++ky, x += conv.x_row, i = 0)
        for (; i < run; i += kDotInputs)
            add(tile, x + i, stride, weights += 4 * kQuadBytes);
    auto *const to = reinterpret_cast<__m256i *>(sums);
#pragma GCC unroll 3
    for (int p = 0; p < kCount; ++p) {
        _mm256_store_si256(to + 2 * p, tile.low[p]);
        _mm256_store_si256(to + 2 * p + 1, tile.high[p]);
    }
}

/// Sums of the 16 channels of `block`, for up to kStrip pixels: [pixels][16], at a vector.
SPHERE_AVX2 inline void sum_strip(const DotConv &conv, std::int64_t block, std::int64_t pixels,
                                  const std::uint8_t *x, std::int32_t *sums) {
    const DotWeights &shape = *conv.weights;
    const std::int8_t *const weights =
        shape.codes() + block * kDotOutputs * shape.taps() * shape.inputs;
    const std::int64_t stride = conv.stride * shape.inputs;
    std::int64_t p = 0;
    for (; pixels - p >= kPixels; p += kPixels)
        sum_tile<kPixels>(conv, weights, x + p * stride, sums + p * kDotOutputs);
    if (pixels - p == 2)
        sum_tile<2>(conv, weights, x + p * stride, sums + p * kDotOutputs);
    else if (pixels > p)
        sum_tile<1>(conv, weights, x + p * stride, sums + p * kDotOutputs);
}

/// A PReLU's slopes.
enum class Bend : std::uint8_t {
    None,
    Gentle, ///< slopes up to 1: the larger of y and its product
    Any,
};

/// `slopes` of 16 channels; nullptr = none.
inline Bend bend_of(const float *slopes) {
    if (slopes == nullptr)
        return Bend::None;
    const bool gentle =
        std::all_of(slopes, slopes + kDotOutputs, [](float slope) { return slope <= 1; });
    return gentle ? Bend::Gentle : Bend::Any;
}

} // namespace sphere::onednn::tiles
