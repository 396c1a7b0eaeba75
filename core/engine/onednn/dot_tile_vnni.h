// SPDX-License-Identifier: MIT
// Sums of products of bytes with AVX-512 VNNI: 24 registers of 16 channels each, of one pixel
// and one, two or four blocks. A value is loaded once for all blocks, weights once for all
// pixels: the more even, the less a load for each product is what a core waits for. For the
// files of convolutions in int8 with that instruction set.
#pragma once

#include "core/engine/onednn/dot.h"
#include "core/engine/onednn/places_avx512.h"

#include <algorithm>
#include <array>
#include <utility>

namespace sphere::onednn::vnni {

inline constexpr std::int64_t kQuad = 4;
inline constexpr std::int64_t kQuadBytes = kQuad * kDotOutputs; ///< of weights: a register
inline constexpr std::int64_t kMostBlocks = 4;
inline constexpr std::int64_t kStrip = 48; ///< pixels whose sums are made before any goes on
/// Bytes of weights that may be in the second cache before they are wanted; where they are
/// more, they are asked for a little ahead.
inline constexpr std::int64_t kKept = 256 * 1024, kNear = 512;

/// Weights of blocks, a stride apart; those `ahead` are brought into the second cache: they
/// come from memory while there is something to compute.
template <int kBlocks>
SPHERE_VNNI_INLINE void load_weights(__m512i *to, const std::int8_t *weights,
                                     std::int64_t block, std::int64_t ahead) {
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b) {
        to[b] = _mm512_load_si512(weights + b * block);
        _mm_prefetch(weights + b * block + ahead, _MM_HINT_T1);
    }
}

template <int kBlocks>
SPHERE_VNNI_INLINE void add_pixel(__m512i *sums, std::int32_t quad, const __m512i *weights) {
    const __m512i codes = _mm512_set1_epi32(quad);
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b)
        sums[b] = _mm512_dpbusd_epi32(sums[b], codes, weights[b]);
}

template <int kBlocks, int... kPixel>
SPHERE_VNNI_INLINE void add_quad(__m512i *sums, const Places &x, std::int64_t i,
                                 const __m512i *weights,
                                 std::integer_sequence<int, kPixel...>) {
    (add_pixel<kBlocks>(sums + kPixel * kBlocks, x.quad<kPixel>(i), weights), ...);
}

/// Sums of kCount pixels: [pixels][kBlocks][16].
template <int kBlocks, int kCount>
SPHERE_VNNI void sum_tile(const DotConv &conv, const std::int8_t *weights, std::int64_t ahead,
                          const std::uint8_t *x, std::int32_t *sums) {
    __m512i tile[kBlocks * kCount];
#pragma GCC unroll 24
    for (int i = 0; i < kBlocks * kCount; ++i)
        tile[i] = _mm512_setzero_si512();
    const DotWeights &shape = *conv.weights;
    const std::int64_t run = shape.kernel_pixels * shape.inputs; // taps of a row in turn
    const std::int64_t block = kDotOutputs * shape.taps() * shape.inputs, row = conv.x_row;
    Places pixels(x, conv.stride * shape.inputs);
    for (std::int64_t ky = 0; ky < shape.kernel_rows; ++ky, pixels.move(row))
        for (std::int64_t i = 0; i < run; i += kDotInputs, weights += 4 * kQuadBytes) {
#pragma GCC unroll 4
            for (int q = 0; q < kDotInputs / kQuad; ++q) {
                __m512i w[kBlocks];
                load_weights<kBlocks>(w, weights + q * kQuadBytes, block, ahead);
                add_quad<kBlocks>(tile, pixels, i + q * kQuad, w,
                                  std::make_integer_sequence<int, kCount>());
            }
        }
#pragma GCC unroll 24
    for (int i = 0; i < kBlocks * kCount; ++i)
        _mm512_store_si512(sums + i * kDotOutputs, tile[i]);
}

using TileFunction = void (*)(const DotConv &, const std::int8_t *, std::int64_t,
                              const std::uint8_t *, std::int32_t *);

template <int kBlocks, int... kLess>
constexpr auto tiles_of(std::integer_sequence<int, kLess...>) {
    return std::array<TileFunction, sizeof...(kLess)>{{&sum_tile<kBlocks, kLess + 1>...}};
}

/// Sums of kBlocks blocks from `first` on, for up to kStrip pixels: [pixels][kBlocks][16], at a
/// vector.
template <int kBlocks>
void sum_blocks(const DotConv &conv, const DotBlocks &blocks, std::int64_t pixels,
                const std::uint8_t *x, std::int32_t *sums) {
    constexpr int kTile = kPlaces / kBlocks;
    static constexpr auto kTiles = // by pixels less one
        tiles_of<kBlocks>(std::make_integer_sequence<int, kTile>());
    const DotWeights &shape = *conv.weights;
    const std::int64_t block = kDotOutputs * shape.taps() * shape.inputs;
    const std::int8_t *const weights = shape.codes() + blocks.first * block;
    std::int64_t ahead = !blocks.fresh ? 0 : kBlocks * block < kKept ? kBlocks * block : kNear;
    const std::int64_t stride = conv.stride * shape.inputs;
    for (std::int64_t left = (pixels + kTile - 1) / kTile; left > 0; --left) {
        const std::int64_t count = (pixels + left - 1) / left; // tiles of about one size
        kTiles[static_cast<std::size_t>(count) - 1](conv, weights, ahead, x, sums);
        ahead = 0;
        pixels -= count;
        x += count * stride;
        sums += count * kBlocks * kDotOutputs;
    }
}

/// As many blocks at a time as keep registers busy: the sums of few pixels would wait for one
/// another.
inline std::int64_t blocks_at_a_time(std::int64_t blocks, std::int64_t pixels) {
    constexpr std::int64_t kFew = kPlaces / kMostBlocks;
    return blocks >= kMostBlocks && pixels <= kFew ? kMostBlocks : blocks >= 2 ? 2 : 1;
}

/// Sums of `blocks.count` blocks, which blocks_at_a_time() gave.
inline void sum_strip(const DotConv &conv, const DotBlocks &blocks, std::int64_t pixels,
                      const std::uint8_t *x, std::int32_t *sums) {
    if (blocks.count == kMostBlocks)
        sum_blocks<kMostBlocks>(conv, blocks, pixels, x, sums);
    else if (blocks.count == 2)
        sum_blocks<2>(conv, blocks, pixels, x, sums);
    else
        sum_blocks<1>(conv, blocks, pixels, x, sums);
}

} // namespace sphere::onednn::vnni
