// SPDX-License-Identifier: MIT
// The kernel of a pair with AVX2: 16 channels of 6 pixels at a time stay in registers.
#include "core/engine/onednn/pairs.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <limits>

#define SPHERE_AVX2 __attribute__((target("avx2,fma")))
#define SPHERE_AVX2_INLINE __attribute__((target("avx2,fma"), always_inline)) inline

namespace sphere::onednn {
namespace {

constexpr std::int64_t kTile = 6;          ///< pixels: with 16 channels 12 of the 16 registers
constexpr std::int64_t kStrip = 4 * kTile; ///< pixels whose inputs stay in the first cache
constexpr std::int64_t kDepthStrip = 1536; ///< floats of a row, three of which stay there

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
    SPHERE_AVX2_INLINE void store(float *to, std::int64_t channels, bool relu) const {
        const __m256 least = _mm256_setzero_ps();
#pragma GCC unroll 6
        for (int p = 0; p < kPixels; ++p, to += channels) {
            _mm256_storeu_ps(to, relu ? _mm256_max_ps(low[p], least) : low[p]);
            _mm256_storeu_ps(to + 8, relu ? _mm256_max_ps(high[p], least) : high[p]);
        }
    }
};

// kPixels pixels from `x` on, 16 channels.
template <int kPixels>
SPHERE_AVX2_INLINE void point_tile(const ConvPair &pair, const float *x, std::int64_t channel,
                                   float *to) {
    Tile<kPixels> tile(pair.point_bias, channel);
    const float *weights = pair.point_weights + channel;
#pragma GCC unroll 4
    for (std::int64_t k = 0; k < pair.inputs; ++k, weights += pair.channels)
        tile.add(x + k, pair.inputs, weights);
    tile.store(to + channel, pair.channels, pair.point_relu);
}

// The last tile starts early where the row ends within it: pixels are computed twice rather
// than one by one.
SPHERE_AVX2 void point_strip(const ConvPair &pair, const float *x, std::int64_t channel,
                             std::int64_t from, std::int64_t until, float *to) {
    std::int64_t p = from;
    while (p < until && until >= kTile) {
        const std::int64_t at = std::min(p, until - kTile);
        point_tile<kTile>(pair, x + at * pair.inputs, channel, to + at * pair.channels);
        p = at + kTile;
    }
    for (; p < until; ++p)
        point_tile<1>(pair, x + p * pair.inputs, channel, to + p * pair.channels);
}

void point_row(const ConvPair &pair, const float *x, float *to) {
    for (std::int64_t p = 0; p < pair.pixels; p += kStrip)
        for (std::int64_t channel = 0; channel < pair.channels; channel += kPairBlock)
            point_strip(pair, x, channel, p, std::min(p + kStrip, pair.pixels), to);
}

// What one column of a window adds, in a chain of its own: those of a pixel's three columns do
// not wait for each other.
SPHERE_AVX2_INLINE __m256 column(__m256 top, __m256 middle, __m256 bottom, const __m256 w[9],
                                 int x) {
    return _mm256_fmadd_ps(bottom, w[6 + x],
                           _mm256_fmadd_ps(middle, w[3 + x], _mm256_mul_ps(top, w[x])));
}

// 8 channels of the pixels [from, until). Each column is loaded once, for the three pixels
// whose windows it is in.
SPHERE_AVX2 void depth_strip(const ConvPair &pair, const float *const rows[3],
                             std::int64_t channel, std::int64_t from, std::int64_t until,
                             float *out) {
    __m256 w[9];
#pragma GCC unroll 9
    for (int i = 0; i < 9; ++i)
        w[i] = _mm256_loadu_ps(pair.depth_weights + i * pair.channels + channel);
    const __m256 bias = pair.depth_bias == nullptr ? _mm256_setzero_ps()
                                                   : _mm256_loadu_ps(pair.depth_bias + channel);
    const std::int64_t channels = pair.channels, start = from * channels + channel;
    const float *top = rows[0] + start, *middle = rows[1] + start, *bottom = rows[2] + start;
    const bool relu = pair.depth_relu;
    // Sums of the two pixels that lack columns.
    __m256 a = _mm256_loadu_ps(top), b = _mm256_loadu_ps(middle), c = _mm256_loadu_ps(bottom);
    __m256 last = _mm256_add_ps(bias, column(a, b, c, w, 0));
    a = _mm256_loadu_ps(top + channels);
    b = _mm256_loadu_ps(middle + channels);
    c = _mm256_loadu_ps(bottom + channels);
    last = _mm256_add_ps(last, column(a, b, c, w, 1));
    __m256 next = _mm256_add_ps(bias, column(a, b, c, w, 0));
    std::int64_t at = 2 * channels;
    out += start;
#pragma GCC unroll 2
    for (std::int64_t left = until - from; left > 0; --left) {
        a = _mm256_loadu_ps(top + at);
        b = _mm256_loadu_ps(middle + at);
        c = _mm256_loadu_ps(bottom + at);
        const __m256 sum = _mm256_add_ps(last, column(a, b, c, w, 2));
        _mm256_storeu_ps(out + at - 2 * channels,
                         relu ? _mm256_max_ps(sum, _mm256_setzero_ps()) : sum);
        last = _mm256_add_ps(next, column(a, b, c, w, 1));
        next = _mm256_add_ps(bias, column(a, b, c, w, 0));
        at += channels;
    }
}

void depth_row(const ConvPair &pair, const float *const rows[3], float *to) {
    const std::int64_t strip = std::max<std::int64_t>(kDepthStrip / pair.channels, 8);
    for (std::int64_t p = 0; p < pair.pixels; p += strip)
        for (std::int64_t channel = 0; channel < pair.channels; channel += 8)
            depth_strip(pair, rows, channel, p, std::min(p + strip, pair.pixels), to);
}

SPHERE_AVX2 void pool_row(const ConvPair &pair, const float *above, const float *below,
                          float *out) {
    for (std::int64_t p = 0; p < pair.pixels / 2; ++p)
        for (std::int64_t c = 0; c < pair.channels; c += 8) {
            const std::int64_t left = 2 * p * pair.channels + c, right = left + pair.channels;
            _mm256_storeu_ps(out + p * pair.channels + c,
                             _mm256_max_ps(_mm256_max_ps(_mm256_loadu_ps(above + left),
                                                         _mm256_loadu_ps(above + right)),
                                           _mm256_max_ps(_mm256_loadu_ps(below + left),
                                                         _mm256_loadu_ps(below + right))));
        }
}

// kPixels pixels from `pixel` on, none of whose windows leaves the planes, and 16 channels.
template <int kPixels>
SPHERE_AVX2_INLINE void stem_tile(const ConvStem &stem, const float *const *rows,
                                  std::int64_t pixel, std::int64_t channel, float *to) {
    Tile<kPixels> tile(stem.bias, channel);
    const float *weights = stem.weights + channel;
    for (std::int64_t y = 0; y < 3; ++y, rows += stem.planes)
        for (std::int64_t x = 0; x < 3; ++x)
            for (std::int64_t k = 0; k < stem.planes; ++k, weights += stem.channels)
                tile.add(rows[k] + pixel * stem.stride + x - 1, stem.stride, weights);
    tile.store(to + channel, stem.channels, stem.relu);
}

SPHERE_AVX2 void stem_row(const ConvStem &stem, const float *const *rows, float *to) {
    // Pixels [1, inner) have their windows within the planes.
    const std::int64_t inner = std::min((stem.pixels - 2) / stem.stride + 1, stem.pixels_out);
    std::int64_t p = 0;
    const auto edge = [&](std::int64_t until) {
        for (; p < until; ++p)
            stem_pixel(stem, rows, p, to + p * stem.channels);
    };
    edge(std::min<std::int64_t>(1, stem.pixels_out));
    while (p < inner && inner > kTile) { // the last one starts early, as above
        const std::int64_t at = std::min(p, inner - kTile);
        for (std::int64_t channel = 0; channel < stem.channels; channel += kPairBlock)
            stem_tile<kTile>(stem, rows, at, channel, to + at * stem.channels);
        p = at + kTile;
    }
    edge(stem.pixels_out);
}

} // namespace

const PairKernel *pairs_avx2() {
    static constexpr PairKernel kKernel = {"sphere avx2", &stem_row, &point_row, &depth_row,
                                           &pool_row};
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kKernel : nullptr;
}

} // namespace sphere::onednn
#else

namespace sphere::onednn {

const PairKernel *pairs_avx2() {
    return nullptr;
}

} // namespace sphere::onednn
#endif
