// SPDX-License-Identifier: MIT
// Winograd's convolutions in bf16 with AVX-512: products of 24 tiles of 2x2 with 16 channels
// stay in registers.
#include "core/engine/onednn/winograd.h"

#if defined(__x86_64__)
#include "core/engine/onednn/places_avx512.h"

#include <array>
#include <utility>

namespace sphere::onednn {
namespace {

constexpr int kSide = 4; ///< of a tile of the input
constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kBytes = 2; ///< of a value

// One row or column of a tile of the input: points that lie `kStep` apart.
template <int kStep> SPHERE_AVX512_INLINE void input_line(__m512 *d) {
    const __m512 d0 = d[0], d1 = d[kStep], d2 = d[2 * kStep], d3 = d[3 * kStep];
    d[0] = _mm512_sub_ps(d0, d2);
    d[kStep] = _mm512_add_ps(d1, d2);
    d[2 * kStep] = _mm512_sub_ps(d2, d1);
    d[3 * kStep] = _mm512_sub_ps(d3, d1);
}

SPHERE_BF16 void input(const WinogradWeights &weights, const float *const *points,
                       std::int64_t stride, void *made) {
    auto *const to = static_cast<std::uint16_t *>(made);
    for (std::int64_t k = 0; k < weights.inputs; k += kLanes) {
        __m512 d[kSide * kSide];
#pragma GCC unroll 4
        for (int x = 0; x < kSide; ++x) {
#pragma GCC unroll 4
            for (int y = 0; y < kSide; ++y)
                d[y * kSide + x] = _mm512_loadu_ps(points[y * kSide + x] + k);
            input_line<kSide>(d + x);
        }
#pragma GCC unroll 4
        for (int y = 0; y < kSide; ++y) {
            input_line<1>(d + y * kSide);
#pragma GCC unroll 4
            for (int x = 0; x < kSide; ++x)
                _mm256_storeu_si256(
                    reinterpret_cast<__m256i *>(to + (y * kSide + x) * stride + k),
                    __builtin_bit_cast(__m256i, _mm512_cvtneps_pbh(d[y * kSide + x])));
        }
    }
}

template <int... kTile>
SPHERE_BF16_INLINE void add_pair(__m512 *sums, const Places &x, std::int64_t i, __m512i weights,
                                 std::integer_sequence<int, kTile...>) {
    ((sums[kTile] = _mm512_dpbf16_ps(
          sums[kTile], __builtin_bit_cast(__m512bh, _mm512_set1_epi32(x.quad<kTile>(i))),
          __builtin_bit_cast(__m512bh, weights))),
     ...);
}

// `next` is what to bring into the second cache meanwhile.
template <int kCount>
SPHERE_BF16 void products(const std::uint8_t *x, std::int64_t inputs,
                          const std::uint8_t *weights, std::int64_t stride, float *sums,
                          const std::uint8_t *next) {
    __m512 tile[kCount];
#pragma GCC unroll 24
    for (int t = 0; t < kCount; ++t)
        tile[t] = _mm512_setzero_ps();
    const std::int64_t run = inputs * kBytes;
    const Places places(x, run);
    constexpr std::int64_t kQuad = 4, kLine = 64; // two inputs; their weights
    for (std::int64_t i = 0; i < run; i += 4 * kQuad, weights += 4 * kLine, next += 4 * kLine) {
#pragma GCC unroll 4
        for (int q = 0; q < 4; ++q) {
            _mm_prefetch(next + q * kLine, _MM_HINT_T1);
            add_pair(tile, places, i + q * kQuad, _mm512_load_si512(weights + q * kLine),
                     std::make_integer_sequence<int, kCount>());
        }
    }
#pragma GCC unroll 24
    for (int t = 0; t < kCount; ++t)
        _mm512_storeu_ps(sums + t * stride, tile[t]);
}

using Products = void (*)(const std::uint8_t *, std::int64_t, const std::uint8_t *,
                          std::int64_t, float *, const std::uint8_t *);

template <int... kLess> constexpr auto products_of(std::integer_sequence<int, kLess...>) {
    return std::array<Products, sizeof...(kLess)>{{&products<kLess + 1>...}};
}
/// By tiles less one.
constexpr auto kProducts = products_of(std::make_integer_sequence<int, kPlaces>());

void multiply(const void *values, std::int64_t tiles, std::int64_t inputs, const void *by,
              std::int64_t stride, float *sums) {
    const auto *x = static_cast<const std::uint8_t *>(values);
    const auto *const weights = static_cast<const std::uint8_t *>(by);
    const std::uint8_t *next = weights + inputs * kWinogradOutputs * kBytes;
    for (std::int64_t left = (tiles + kPlaces - 1) / kPlaces; left > 0; --left) {
        const std::int64_t count = (tiles + left - 1) / left; // groups of about one size
        kProducts[static_cast<std::size_t>(count) - 1](x, inputs, weights, stride, sums, next);
        next = weights; // there by now
        tiles -= count;
        x += count * inputs * kBytes;
        sums += count * stride;
    }
}

} // namespace

const WinogradKernel *winograd_bf16() {
    static const WinogradKernel *const kernel = []() -> const WinogradKernel * {
        if (!has_avx512() || !__builtin_cpu_supports("avx512bf16") ||
            winograd_avx2() == nullptr)
            return nullptr;
        static const WinogradKernel made = {"sphere winograd bf16", true, &input, &multiply,
                                            winograd_avx2()->output};
        return &made;
    }();
    return kernel;
}

} // namespace sphere::onednn
#else

namespace sphere::onednn {

const WinogradKernel *winograd_bf16() {
    return nullptr;
}

} // namespace sphere::onednn
#endif
