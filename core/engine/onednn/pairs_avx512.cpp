// SPDX-License-Identifier: MIT
// The kernel of a pair with AVX-512: 64 channels of 6 pixels at a time stay in registers.
#include "core/engine/onednn/pairs.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__) // its own header: GCC bug 105593
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#define SPHERE_AVX512 __attribute__((target("avx512f")))
#define SPHERE_AVX512_INLINE __attribute__((target("avx512f"), always_inline)) inline

namespace sphere::onednn {
namespace {

constexpr std::int64_t kStrip = 16; ///< pixels whose three rows stay in the first cache

// kPixels pixels from `x` on, kVectors * 16 channels.
template <int kVectors, int kPixels>
SPHERE_AVX512_INLINE void point_tile(const ConvPair &pair, const float *x, std::int64_t channel,
                                     float *to) {
    __m512 sums[kPixels][kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
        const __m512 bias = pair.point_bias == nullptr
                                ? _mm512_setzero_ps()
                                : _mm512_loadu_ps(pair.point_bias + channel + 16L * v);
#pragma GCC unroll 12
        for (int p = 0; p < kPixels; ++p)
            sums[p][v] = bias;
    }
    const float *weights = pair.point_weights + channel;
    for (std::int64_t k = 0; k < pair.inputs; ++k, weights += pair.channels) {
        __m512 w[kVectors];
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v)
            w[v] = _mm512_loadu_ps(weights + 16L * v);
#pragma GCC unroll 12
        for (int p = 0; p < kPixels; ++p) {
            const __m512 value = _mm512_set1_ps(x[p * pair.inputs + k]);
#pragma GCC unroll 4
            for (int v = 0; v < kVectors; ++v)
                sums[p][v] = _mm512_fmadd_ps(value, w[v], sums[p][v]);
        }
    }
    const __m512 least = _mm512_setzero_ps();
#pragma GCC unroll 12
    for (int p = 0; p < kPixels; ++p)
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v)
            _mm512_storeu_ps(to + p * pair.channels + channel + 16L * v,
                             pair.point_relu ? _mm512_max_ps(sums[p][v], least) : sums[p][v]);
}

template <int kVectors, int kPixels>
SPHERE_AVX512 void point_channels(const ConvPair &pair, const float *x, std::int64_t channel,
                                  float *to) {
    std::int64_t p = 0;
    for (; p + kPixels <= pair.pixels; p += kPixels)
        point_tile<kVectors, kPixels>(pair, x + p * pair.inputs, channel,
                                      to + p * pair.channels);
    for (; p < pair.pixels; ++p)
        point_tile<kVectors, 1>(pair, x + p * pair.inputs, channel, to + p * pair.channels);
}

void point_row(const ConvPair &pair, const float *x, float *to) {
    std::int64_t channel = 0;
    for (; channel + 64 <= pair.channels; channel += 64)
        point_channels<4, 6>(pair, x, channel, to);
    for (; channel + 32 <= pair.channels; channel += 32)
        point_channels<2, 12>(pair, x, channel, to);
    for (; channel < pair.channels; channel += 16)
        point_channels<1, 12>(pair, x, channel, to);
}

// 16 channels of the pixels [from, to).
SPHERE_AVX512 void depth_strip(const ConvPair &pair, const float *const rows[3],
                               std::int64_t channel, std::int64_t from, std::int64_t to,
                               float *out) {
    __m512 w[9];
#pragma GCC unroll 9
    for (int i = 0; i < 9; ++i)
        w[i] = _mm512_loadu_ps(pair.depth_weights + i * pair.channels + channel);
    const __m512 bias = pair.depth_bias == nullptr ? _mm512_setzero_ps()
                                                   : _mm512_loadu_ps(pair.depth_bias + channel);
    const __m512 least = _mm512_setzero_ps();
    for (std::int64_t p = from; p < to; ++p) {
        __m512 sum = bias, other = _mm512_setzero_ps();
        const std::int64_t at = p * pair.channels + channel;
#pragma GCC unroll 3
        for (int y = 0; y < 3; ++y) {
            const float *const row = rows[y] + at;
            sum = _mm512_fmadd_ps(_mm512_loadu_ps(row), w[y * 3], sum);
            other = _mm512_fmadd_ps(_mm512_loadu_ps(row + pair.channels), w[y * 3 + 1], other);
            sum = _mm512_fmadd_ps(_mm512_loadu_ps(row + 2 * pair.channels), w[y * 3 + 2], sum);
        }
        sum = _mm512_add_ps(sum, other);
        _mm512_storeu_ps(out + at, pair.depth_relu ? _mm512_max_ps(sum, least) : sum);
    }
}

void depth_row(const ConvPair &pair, const float *const rows[3], float *out) {
    for (std::int64_t p = 0; p < pair.pixels; p += kStrip)
        for (std::int64_t channel = 0; channel < pair.channels; channel += 16)
            depth_strip(pair, rows, channel, p,
                        p + kStrip < pair.pixels ? p + kStrip : pair.pixels, out);
}

SPHERE_AVX512 void pool_row(const ConvPair &pair, const float *above, const float *below,
                            float *out) {
    for (std::int64_t p = 0; p < pair.pixels / 2; ++p)
        for (std::int64_t c = 0; c < pair.channels; c += 16) {
            const std::int64_t left = 2 * p * pair.channels + c, right = left + pair.channels;
            _mm512_storeu_ps(out + p * pair.channels + c,
                             _mm512_max_ps(_mm512_max_ps(_mm512_loadu_ps(above + left),
                                                         _mm512_loadu_ps(above + right)),
                                           _mm512_max_ps(_mm512_loadu_ps(below + left),
                                                         _mm512_loadu_ps(below + right))));
        }
}

} // namespace

const PairKernel *pairs_avx512() {
    // A CPU with AVX-512 has AVX2; the first convolution is a small part.
    static const PairKernel kernel = {
        "sphere avx512", pairs_avx2() == nullptr ? pairs_portable().stem : pairs_avx2()->stem,
        &point_row, &depth_row, &pool_row};
    return __builtin_cpu_supports("avx512f") ? &kernel : nullptr;
}

} // namespace sphere::onednn
#else

namespace sphere::onednn {

const PairKernel *pairs_avx512() {
    return nullptr;
}

} // namespace sphere::onednn
#endif
