// SPDX-License-Identifier: MIT
// Sums of products of bytes with AVX-512 VNNI: 16 channels of up to 24 pixels stay in
// registers. For the files of convolutions in int8 with that instruction set.
#pragma once

#include "core/engine/onednn/dot.h"
#include "core/engine/onednn/places_avx512.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace sphere::onednn::vnni {

inline constexpr std::int64_t kQuad = 4;
inline constexpr std::int64_t kQuadBytes = kQuad * kDotOutputs; ///< of weights: a register
inline constexpr int kTile = 24; ///< pixels: of 32 registers, beside weights and codes
inline constexpr std::int64_t kStrip = 48; ///< pixels whose sums are made before any goes on

template <int... kPixel>
SPHERE_VNNI_INLINE void add_quad(__m512i *sums, const Places &x, std::int64_t i,
                                 __m512i weights, std::integer_sequence<int, kPixel...>) {
    ((sums[kPixel] =
          _mm512_dpbusd_epi32(sums[kPixel], _mm512_set1_epi32(x.quad<kPixel>(i)), weights)),
     ...);
}

/// Sums of kCount pixels, 16 channels.
template <int kCount>
SPHERE_VNNI void sum_tile(const DotConv &conv, const std::int8_t *weights,
                          const std::uint8_t *x, std::int32_t *sums) {
    __m512i tile[kCount];
#pragma GCC unroll 24
    for (int p = 0; p < kCount; ++p)
        tile[p] = _mm512_setzero_si512();
    const DotWeights &shape = *conv.weights;
    const std::int64_t run = shape.kernel_pixels * shape.inputs; // taps of a row in turn
    const std::int64_t row = conv.x_row;
    Places pixels(x, conv.stride * shape.inputs);
    for (std::int64_t ky = 0; ky < shape.kernel_rows; ++ky) {
        for (std::int64_t i = 0; i < run; i += kDotInputs, weights += 4 * kQuadBytes) {
#pragma GCC unroll 4
            for (int q = 0; q < kDotInputs / kQuad; ++q)
                add_quad(tile, pixels, i + q * kQuad,
                         _mm512_load_si512(weights + q * kQuadBytes),
                         std::make_integer_sequence<int, kCount>());
        }
        pixels.move(row);
    }
#pragma GCC unroll 24
    for (int p = 0; p < kCount; ++p)
        _mm512_store_si512(sums + p * kDotOutputs, tile[p]);
}

using TileFunction = void (*)(const DotConv &, const std::int8_t *, const std::uint8_t *,
                              std::int32_t *);

template <int... kLess> constexpr auto tiles_of(std::integer_sequence<int, kLess...>) {
    return std::array<TileFunction, sizeof...(kLess)>{{&sum_tile<kLess + 1>...}};
}
/// By pixels less one.
inline constexpr auto kTiles = tiles_of(std::make_integer_sequence<int, kTile>());

/// Sums of the 16 channels of `block`, for up to kStrip pixels: [pixels][16], at a vector.
inline void sum_strip(const DotConv &conv, std::int64_t block, std::int64_t pixels,
                      const std::uint8_t *x, std::int32_t *sums) {
    const DotWeights &shape = *conv.weights;
    const std::int8_t *const weights =
        shape.codes() + block * kDotOutputs * shape.taps() * shape.inputs;
    const std::int64_t stride = conv.stride * shape.inputs;
    for (std::int64_t left = (pixels + kTile - 1) / kTile; left > 0; --left) {
        const std::int64_t count = (pixels + left - 1) / left; // tiles of about one size
        kTiles[static_cast<std::size_t>(count) - 1](conv, weights, x, sums);
        pixels -= count;
        x += count * stride;
        sums += count * kDotOutputs;
    }
}

/// `slopes` of 16 channels are up to 1: the larger of y and its product.
inline bool is_gentle(const float *slopes) {
    return std::all_of(slopes, slopes + kDotOutputs, [](float slope) { return slope <= 1; });
}

} // namespace sphere::onednn::vnni
