// SPDX-License-Identifier: MIT
// Winograd's convolutions with AVX2: transforms of 8 channels at a time; products of 6 tiles
// with 16 channels stay in registers.
#include "core/engine/onednn/winograd.h"

#if defined(__x86_64__)
#include "core/engine/onednn/avx2.h"

namespace sphere::onednn {
namespace {

constexpr int kGroup = kWinogradGroup; ///< with 16 channels 12 of the 16 registers

SPHERE_AVX2_INLINE __m256 plus(__m256 a, float factor, __m256 x) { // a + factor * x
    return _mm256_fmadd_ps(_mm256_set1_ps(factor), x, a);
}

// One row or column of a tile of the input: points that lie `kStep` apart. What two results
// share is computed once.
template <int kTile, int kStep> SPHERE_AVX2_INLINE void input_line(__m256 *d) {
    const __m256 d0 = d[0], d1 = d[kStep], d2 = d[2 * kStep], d3 = d[3 * kStep];
    if constexpr (kTile == 2) {
        d[0] = _mm256_sub_ps(d0, d2);
        d[kStep] = _mm256_add_ps(d1, d2);
        d[2 * kStep] = _mm256_sub_ps(d2, d1);
        d[3 * kStep] = _mm256_sub_ps(d3, d1);
    } else {
        const __m256 d4 = d[4 * kStep], d5 = d[5 * kStep];
        const __m256 even = plus(d4, -4, d2), odd = plus(d3, -4, d1);
        const __m256 even2 = _mm256_sub_ps(d4, d2), odd2 = _mm256_sub_ps(d3, d1);
        d[0] = plus(plus(d4, -5, d2), 4, d0);
        d[kStep] = _mm256_add_ps(even, odd);
        d[2 * kStep] = _mm256_sub_ps(even, odd);
        d[3 * kStep] = plus(even2, 2, odd2);
        d[4 * kStep] = plus(even2, -2, odd2);
        d[5 * kStep] = plus(plus(d5, -5, d3), 4, d1);
    }
}

template <int kTile, int kStep> SPHERE_AVX2_INLINE void output_line(__m256 *m) {
    const __m256 m0 = m[0], m1 = m[kStep], m2 = m[2 * kStep], m3 = m[3 * kStep];
    const __m256 sum = _mm256_add_ps(m1, m2), difference = _mm256_sub_ps(m1, m2);
    if constexpr (kTile == 2) {
        m[0] = _mm256_add_ps(m0, sum);
        m[kStep] = _mm256_add_ps(difference, m3);
    } else {
        const __m256 m4 = m[4 * kStep], m5 = m[5 * kStep];
        const __m256 sum2 = _mm256_add_ps(m3, m4), difference2 = _mm256_sub_ps(m3, m4);
        m[0] = _mm256_add_ps(_mm256_add_ps(m0, sum), sum2);
        m[kStep] = plus(difference, 2, difference2);
        m[2 * kStep] = plus(sum, 4, sum2);
        m[3 * kStep] = _mm256_add_ps(plus(difference, 8, difference2), m5);
    }
}

template <int kTile>
SPHERE_AVX2 void input_tile(std::int64_t inputs, const float *const *points,
                            std::int64_t stride, float *to) {
    constexpr int kSide = kTile + 2;
    for (std::int64_t k = 0; k < inputs; k += 8) {
        __m256 d[kSide * kSide];
#pragma GCC unroll 6
        for (int x = 0; x < kSide; ++x) {
#pragma GCC unroll 6
            for (int y = 0; y < kSide; ++y)
                d[y * kSide + x] = _mm256_loadu_ps(points[y * kSide + x] + k);
            input_line<kTile, kSide>(d + x);
        }
#pragma GCC unroll 6
        for (int y = 0; y < kSide; ++y) {
            input_line<kTile, 1>(d + y * kSide);
#pragma GCC unroll 6
            for (int x = 0; x < kSide; ++x)
                _mm256_storeu_ps(to + (y * kSide + x) * stride + k, d[y * kSide + x]);
        }
    }
}

void input(const WinogradWeights &weights, const float *const *points, std::int64_t stride,
           void *made) {
    auto *const to = static_cast<float *>(made);
    weights.tile == 4 ? input_tile<4>(weights.inputs, points, stride, to)
                      : input_tile<2>(weights.inputs, points, stride, to);
}

// `next` is what to bring into the second cache meanwhile: a line for each input.
template <int kCount>
SPHERE_AVX2_INLINE void products(const float *x, std::int64_t inputs, const float *weights,
                                 std::int64_t stride, float *sums, const float *next) {
    __m256 low[kCount], high[kCount];
#pragma GCC unroll 6
    for (int t = 0; t < kCount; ++t)
        low[t] = high[t] = _mm256_setzero_ps();
#pragma GCC unroll 4
    for (std::int64_t k = 0; k < inputs; ++k) {
        const __m256 l = _mm256_load_ps(weights), h = _mm256_load_ps(weights + 8);
        if (next != nullptr)
            _mm_prefetch(next + k * kWinogradOutputs, _MM_HINT_T1);
#pragma GCC unroll 6
        for (int t = 0; t < kCount; ++t) {
            const __m256 value = _mm256_broadcast_ss(x + t * inputs + k);
            low[t] = _mm256_fmadd_ps(value, l, low[t]);
            high[t] = _mm256_fmadd_ps(value, h, high[t]);
        }
        weights += kWinogradOutputs;
    }
#pragma GCC unroll 6
    for (int t = 0; t < kCount; ++t) {
        _mm256_storeu_ps(sums + t * stride, low[t]);
        _mm256_storeu_ps(sums + t * stride + 8, high[t]);
    }
}

SPHERE_AVX2 void multiply(const void *values, std::int64_t tiles, std::int64_t inputs,
                          const void *by, std::int64_t stride, float *sums) {
    const auto *x = static_cast<const float *>(values);
    const auto *const weights = static_cast<const float *>(by);
    const float *next = weights + inputs * kWinogradOutputs;
    for (; tiles >= kGroup; tiles -= kGroup) {
        if (next != nullptr) // two loops without a test each
            products<kGroup>(x, inputs, weights, stride, sums, next);
        else
            products<kGroup>(x, inputs, weights, stride, sums, nullptr);
        next = nullptr;
        x += kGroup * inputs;
        sums += kGroup * stride;
    }
    switch (tiles) {
    case 5:
        return products<5>(x, inputs, weights, stride, sums, nullptr);
    case 4:
        return products<4>(x, inputs, weights, stride, sums, nullptr);
    case 3:
        return products<3>(x, inputs, weights, stride, sums, nullptr);
    case 2:
        return products<2>(x, inputs, weights, stride, sums, nullptr);
    case 1:
        return products<1>(x, inputs, weights, stride, sums, nullptr);
    default:
        return;
    }
}

// 8 channels.
template <int kTile>
SPHERE_AVX2_INLINE void output_half(const WinogradConv &conv, const float *sums,
                                    const WinogradTile &to, std::int64_t half) {
    constexpr int kSide = kTile + 2;
    const std::int64_t channel = to.block * kWinogradOutputs + half;
    const std::int64_t channels = conv.weights->outputs;
    const float *const slopes = conv.slopes.empty() ? nullptr : conv.slopes.data() + channel;
    const __m256 bias = _mm256_loadu_ps(conv.bias.data() + channel);
    __m256 m[kSide * kSide];
#pragma GCC unroll 6
    for (int x = 0; x < kSide; ++x) {
#pragma GCC unroll 6
        for (int y = 0; y < kSide; ++y)
            m[y * kSide + x] =
                _mm256_loadu_ps(sums + (y * kSide + x) * kWinogradOutputs + half);
        output_line<kTile, kSide>(m + x);
    }
#pragma GCC unroll 4
    for (int y = 0; y < kTile; ++y)
        output_line<kTile, 1>(m + y * kSide);
    for (std::int64_t y = 0; y < to.rows; ++y)
        for (std::int64_t x = 0; x < to.pixels; ++x) {
            const std::int64_t at = (y * conv.pixels + x) * channels + half;
            __m256 value = _mm256_add_ps(m[y * kSide + x], bias);
            if (conv.adds_first && to.addend != nullptr)
                value = _mm256_add_ps(value, _mm256_loadu_ps(to.addend + at));
            if (slopes != nullptr)
                value = bent(value, _mm256_loadu_ps(slopes));
            if (!conv.adds_first && to.addend != nullptr)
                value = _mm256_add_ps(value, _mm256_loadu_ps(to.addend + at));
            _mm256_storeu_ps(to.out + at, value);
        }
}

template <int kTile>
SPHERE_AVX2 void output_tile(const WinogradConv &conv, const float *sums,
                             const WinogradTile &to) {
    output_half<kTile>(conv, sums, to, 0);
    output_half<kTile>(conv, sums, to, 8);
}

void output(const WinogradConv &conv, const float *sums, const WinogradTile &to) {
    conv.weights->tile == 4 ? output_tile<4>(conv, sums, to) : output_tile<2>(conv, sums, to);
}

} // namespace

const WinogradKernel *winograd_avx2() {
    static constexpr WinogradKernel kKernel = {"sphere winograd avx2", false, &input, &multiply,
                                               &output};
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kKernel : nullptr;
}

} // namespace sphere::onednn
#else

namespace sphere::onednn {

const WinogradKernel *winograd_avx2() {
    return nullptr;
}

} // namespace sphere::onednn
#endif
