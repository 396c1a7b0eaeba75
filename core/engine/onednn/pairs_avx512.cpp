// SPDX-License-Identifier: MIT
// The kernel of a pair with AVX-512: 64 channels of 6 pixels at a time stay in registers.
#include "core/engine/onednn/pairs.h"

#if defined(__x86_64__)
#include "core/engine/onednn/avx512.h"

namespace sphere::onednn {
namespace {

// kPixels pixels from `x` on, kVectors * 16 channels.
template <int kVectors, int kPixels>
SPHERE_AVX512_INLINE void point_tile(const ConvPair &pair, const float *x, std::int64_t channel,
                                     const RowPlace &to, std::int64_t pixel) {
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
            _mm512_storeu_ps(to.at + (pixel + p) * to.pixel +
                                 (channel / kPairBlock + v) * to.block,
                             pair.point_relu ? _mm512_max_ps(sums[p][v], least) : sums[p][v]);
}

template <int kVectors, int kPixels>
SPHERE_AVX512 void point_channels(const ConvPair &pair, const float *x, std::int64_t channel,
                                  const RowPlace &to) {
    std::int64_t p = 0;
    for (; p + kPixels <= pair.pixels; p += kPixels)
        point_tile<kVectors, kPixels>(pair, x + p * pair.inputs, channel, to, p);
    for (; p < pair.pixels; ++p)
        point_tile<kVectors, 1>(pair, x + p * pair.inputs, channel, to, p);
}

void point_row(const ConvPair &pair, const float *x, const RowPlace &to) {
    std::int64_t channel = 0;
    for (; channel + 64 <= pair.channels; channel += 64)
        point_channels<4, 6>(pair, x, channel, to);
    for (; channel + 32 <= pair.channels; channel += 32)
        point_channels<2, 12>(pair, x, channel, to);
    for (; channel < pair.channels; channel += 16)
        point_channels<1, 12>(pair, x, channel, to);
}

SPHERE_AVX512_INLINE void encode(__m512 y, const CodesAvx512 &by, std::uint8_t *codes) {
    _mm_storeu_si128(reinterpret_cast<__m128i *>(codes), by.of(y));
}

SPHERE_AVX512 void depth_row(const ConvPair &pair, std::int64_t block,
                             const float *const rows[3], const MadeRow &to) {
    const std::int64_t channel = block * kPairBlock;
    __m512 w[9];
#pragma GCC unroll 9
    for (int i = 0; i < 9; ++i)
        w[i] = _mm512_loadu_ps(pair.depth_weights + i * pair.channels + channel);
    const __m512 none = _mm512_setzero_ps();
    const __m512 bias =
        pair.depth_bias == nullptr ? none : _mm512_loadu_ps(pair.depth_bias + channel);
    const bool bends = !pair.depth_slopes.empty();
    const CodesAvx512 by(to.encoding.inverse_scale, to.encoding.zero);
    const __m512 slopes = bends ? _mm512_loadu_ps(pair.depth_slopes.data() + channel) : none;
    for (std::int64_t p = 0; p < pair.depth_pixels(); ++p) {
        __m512 sum = bias, other = none;
        const std::int64_t from = p * pair.stride * kPairBlock;
#pragma GCC unroll 3
        for (int y = 0; y < 3; ++y) {
            const float *const row = rows[y] + from;
            sum = _mm512_fmadd_ps(_mm512_loadu_ps(row), w[y * 3], sum);
            other = _mm512_fmadd_ps(_mm512_loadu_ps(row + kPairBlock), w[y * 3 + 1], other);
            sum = _mm512_fmadd_ps(_mm512_loadu_ps(row + 2 * kPairBlock), w[y * 3 + 2], sum);
        }
        sum = _mm512_add_ps(sum, other);
        if (pair.depth_relu)
            sum = _mm512_max_ps(sum, none);
        if (bends)
            sum = bent(sum, slopes);
        const std::int64_t at = p * pair.channels + channel;
        if (to.out != nullptr)
            _mm512_storeu_ps(to.out + at, sum);
        if (to.codes != nullptr)
            encode(sum, by, to.codes + at);
    }
}

SPHERE_AVX512 void pool_row(const ConvPair &pair, const float *above, const float *below,
                            const MadeRow &to) {
    const CodesAvx512 by(to.encoding.inverse_scale, to.encoding.zero);
    for (std::int64_t p = 0; p < pair.pixels / 2; ++p)
        for (std::int64_t c = 0; c < pair.channels; c += 16) {
            const std::int64_t left = 2 * p * pair.channels + c, right = left + pair.channels;
            const __m512 largest = _mm512_max_ps(
                _mm512_max_ps(_mm512_loadu_ps(above + left), _mm512_loadu_ps(above + right)),
                _mm512_max_ps(_mm512_loadu_ps(below + left), _mm512_loadu_ps(below + right)));
            const std::int64_t at = p * pair.channels + c;
            if (to.out != nullptr)
                _mm512_storeu_ps(to.out + at, largest);
            if (to.codes != nullptr)
                encode(largest, by, to.codes + at);
        }
}

} // namespace

const PairKernel *pairs_avx512() {
    // A CPU with AVX-512 has AVX2; the first convolution is a small part.
    static const PairKernel kernel = {
        "sphere avx512", pairs_avx2() == nullptr ? pairs_portable().stem : pairs_avx2()->stem,
        &point_row, &depth_row, &pool_row};
    return has_avx512() ? &kernel : nullptr;
}

} // namespace sphere::onednn
#else

namespace sphere::onednn {

const PairKernel *pairs_avx512() {
    return nullptr;
}

} // namespace sphere::onednn
#endif
