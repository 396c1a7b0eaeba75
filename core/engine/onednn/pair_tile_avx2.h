// SPDX-License-Identifier: MIT
// Sums in fp32 with AVX2: 16 channels of up to 6 pixels stay in registers. For the files of
// pairs with that instruction set.
#pragma once

#include "core/engine/onednn/avx2.h"
#include "core/engine/onednn/pairs.h"

#include <algorithm>

namespace sphere::onednn::pair_tiles {

inline constexpr std::int64_t kTile = 6; ///< pixels: with 16 channels 12 of the 16 registers

inline constexpr std::int64_t kStrip =
    4 * kTile; ///< pixels whose inputs stay in the first cache

/// Rounded and cut to 16 bits, `low` first.
SPHERE_AVX2_INLINE __m256i packed(__m256 low, __m256 high) {
    // Packing works within halves: words 0-3 and 8-11 come first.
    return _mm256_permute4x64_epi64(
        _mm256_packs_epi32(_mm256_cvtps_epi32(low), _mm256_cvtps_epi32(high)), 0b11011000);
}

/// Sums of kPixels pixels, 16 channels from `channel` on.
template <int kPixels> struct Tile {
    __m256 low[kPixels], high[kPixels];

    SPHERE_AVX2_INLINE Tile(const float *bias, std::int64_t channel) {
        const __m256 none = _mm256_setzero_ps();
        const __m256 l = bias == nullptr ? none : _mm256_loadu_ps(bias + channel);
        const __m256 h = bias == nullptr ? none : _mm256_loadu_ps(bias + channel + 8);
#pragma GCC unroll 6
        for (int p = 0; p < kPixels; ++p) {
            low[p] = l;
            high[p] = h;
        }
    }
    SPHERE_AVX2_INLINE void add(const float *x, std::int64_t stride, const float *weights) {
        const __m256 l = _mm256_loadu_ps(weights), h = _mm256_loadu_ps(weights + 8);
#pragma GCC unroll 6
        for (int p = 0; p < kPixels; ++p) {
            const __m256 value = _mm256_broadcast_ss(x + p * stride);
            low[p] = _mm256_fmadd_ps(value, l, low[p]);
            high[p] = _mm256_fmadd_ps(value, h, high[p]);
        }
    }
    SPHERE_AVX2_INLINE void relu() {
        const __m256 least = _mm256_setzero_ps();
#pragma GCC unroll 6
        for (int p = 0; p < kPixels; ++p) {
            low[p] = _mm256_max_ps(low[p], least);
            high[p] = _mm256_max_ps(high[p], least);
        }
    }
    SPHERE_AVX2_INLINE void prelu(const float *slopes) {
        const __m256 l = _mm256_loadu_ps(slopes), h = _mm256_loadu_ps(slopes + 8);
#pragma GCC unroll 6
        for (int p = 0; p < kPixels; ++p) {
            low[p] = bent(low[p], l);
            high[p] = bent(high[p], h);
        }
    }
    SPHERE_AVX2_INLINE void store(std::int16_t *to, std::int64_t pixel) const {
        const __m256 most = _mm256_set1_ps(32767); // what is less needs no cutting here
#pragma GCC unroll 6
        for (int p = 0; p < kPixels; ++p, to += pixel)
            _mm256_storeu_si256(
                reinterpret_cast<__m256i *>(to),
                packed(_mm256_min_ps(low[p], most), _mm256_min_ps(high[p], most)));
    }
    SPHERE_AVX2_INLINE void store(float *to, std::int64_t pixel) const {
#pragma GCC unroll 6
        for (int p = 0; p < kPixels; ++p, to += pixel) {
            _mm256_storeu_ps(to, low[p]);
            _mm256_storeu_ps(to + 8, high[p]);
        }
    }
};

// kPixels pixels from `x` on, 16 channels.
template <int kPixels, typename Number>
SPHERE_AVX2_INLINE void point_tile(const ConvPair &pair, const float *x, std::int64_t channel,
                                   Number *to, std::int64_t pixel) {
    Tile<kPixels> tile(pair.point_bias, channel);
    const float *weights = pair.point_weights + channel;
#pragma GCC unroll 4
    for (std::int64_t k = 0; k < pair.inputs; ++k, weights += pair.channels)
        tile.add(x + k, pair.inputs, weights);
    if (pair.point_relu)
        tile.relu();
    tile.store(to, pixel);
}

// The last tile starts early where the row ends within it: pixels are computed twice rather
// than one by one.
template <typename Number>
SPHERE_AVX2 void point_strip(const ConvPair &pair, const float *x, std::int64_t channel,
                             std::int64_t from, std::int64_t until, Number *to,
                             std::int64_t pixel) {
    std::int64_t p = from;
    while (p < until && until >= kTile) {
        const std::int64_t at = std::min(p, until - kTile);
        point_tile<kTile>(pair, x + at * pair.inputs, channel, to + at * pixel, pixel);
        p = at + kTile;
    }
    for (; p < until; ++p)
        point_tile<1>(pair, x + p * pair.inputs, channel, to + p * pixel, pixel);
}

/// A row of a 1x1 convolution, of fp32 or of words.
template <typename Number>
void point_row(const ConvPair &pair, const float *x, const PlaceOf<Number> &to) {
    for (std::int64_t p = 0; p < pair.pixels; p += kStrip)
        for (std::int64_t channel = 0; channel < pair.channels; channel += kPairBlock)
            point_strip(pair, x, channel, p, std::min(p + kStrip, pair.pixels),
                        to.at + channel / kPairBlock * to.block, to.pixel);
}

// kPixels pixels from `pixel` on, none of whose windows leaves the planes, and 16 channels.
template <int kPixels, typename Number>
SPHERE_AVX2_INLINE void stem_tile(const ConvStem &stem, const float *const *rows,
                                  std::int64_t pixel, std::int64_t channel,
                                  const PlaceOf<Number> &to) {
    Tile<kPixels> tile(stem.bias, channel);
    const float *weights = stem.weights + channel;
    for (std::int64_t y = 0; y < 3; ++y, rows += stem.planes)
        for (std::int64_t x = 0; x < 3; ++x)
            for (std::int64_t k = 0; k < stem.planes; ++k, weights += stem.channels)
                tile.add(rows[k] + pixel * stem.stride + x - 1, stem.stride, weights);
    if (stem.relu)
        tile.relu();
    if (!stem.slopes.empty())
        tile.prelu(stem.slopes.data() + channel);
    tile.store(to.at + pixel * to.pixel + channel / kPairBlock * to.block, to.pixel);
}

/// A stem's row of fp32 or of words.
template <typename Number>
SPHERE_AVX2 void stem_row(const ConvStem &stem, const float *const *rows,
                          const PlaceOf<Number> &to) {
    // Pixels [1, inner) have their windows within the planes.
    const std::int64_t inner = std::min((stem.pixels - 2) / stem.stride + 1, stem.pixels_out);
    std::int64_t p = 0;
    const auto edge = [&](std::int64_t until) {
        for (; p < until; ++p)
            stem_pixel(stem, rows, p, to);
    };
    edge(std::min<std::int64_t>(1, stem.pixels_out));
    while (p < inner && inner > kTile) { // the last one starts early, as above
        const std::int64_t at = std::min(p, inner - kTile);
        for (std::int64_t channel = 0; channel < stem.channels; channel += kPairBlock)
            stem_tile<kTile>(stem, rows, at, channel, to);
        p = at + kTile;
    }
    edge(stem.pixels_out);
}

} // namespace sphere::onednn::pair_tiles
