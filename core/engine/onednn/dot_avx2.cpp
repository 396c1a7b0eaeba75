// SPDX-License-Identifier: MIT
// The kernel of a convolution in int8 with AVX2: 16 channels of 3 pixels stay in registers.
#include "core/engine/onednn/dot.h"

#if defined(__x86_64__)
#include "core/engine/onednn/dot_tile_avx2.h"

#include <algorithm>

namespace sphere::onednn {
namespace {

constexpr int kPixels = 3; ///< with 16 channels 12 of the 16 registers: sums of 16 and 32 bits
constexpr std::int64_t kStrip = 48; ///< pixels whose sums are made before any goes on

// As row_avx2() has it: cut to any code first, adding the zero point cannot overflow.
SPHERE_AVX2_INLINE __m256i encoded(const RowPass &to, __m256 y) {
    const __m256 scaled =
        _mm256_min_ps(_mm256_mul_ps(y, _mm256_set1_ps(to.inverse_scale)), _mm256_set1_ps(512));
    return _mm256_add_epi32(_mm256_cvtps_epi32(scaled), _mm256_set1_epi32(to.zero));
}

/// What becomes of sums: pointers are at the tile's first value.
struct Ends {
    const float *scales, *bias;
    const float *slopes, *addend; ///< nullptr = none
    float *out;                   ///< nullptr = none
    std::uint8_t *codes;
};

enum class Bend : std::uint8_t {
    None,
    Gentle, ///< slopes up to 1: the larger of y and its product
    Any,
};

template <int kCount>
SPHERE_AVX2_INLINE void sum_tile(const DotConv &conv, const std::int8_t *weights,
                                 const std::uint8_t *x, std::int32_t *sums) {
    tiles::Tile<kCount> tile;
    const DotWeights &shape = *conv.weights;
    const std::int64_t stride = conv.stride * shape.inputs;
    const std::int64_t run = shape.kernel_pixels * shape.inputs; // taps of a row in turn
    start(tile, x, stride, weights);
    std::int64_t i = kDotInputs;
    for (std::int64_t ky = 0; ky < shape.kernel_rows; ++ky, x += conv.x_row, i = 0)
        for (; i < run; i += kDotInputs)
            add(tile, x + i, stride, weights += 4 * tiles::kQuadBytes);
    auto *const to = reinterpret_cast<__m256i *>(sums);
#pragma GCC unroll 3
    for (int p = 0; p < kCount; ++p) {
        _mm256_store_si256(to + 2 * p, tile.low[p]);
        _mm256_store_si256(to + 2 * p + 1, tile.high[p]);
    }
}

SPHERE_AVX2 void sum_strip(const DotConv &conv, const std::int8_t *weights, std::int64_t pixels,
                           const std::uint8_t *x, std::int32_t *sums) {
    const std::int64_t stride = conv.stride * conv.weights->inputs;
    std::int64_t p = 0;
    for (; pixels - p >= kPixels; p += kPixels)
        sum_tile<kPixels>(conv, weights, x + p * stride, sums + p * kDotOutputs);
    if (pixels - p == 2)
        sum_tile<2>(conv, weights, x + p * stride, sums + p * kDotOutputs);
    else if (pixels > p)
        sum_tile<1>(conv, weights, x + p * stride, sums + p * kDotOutputs);
}

// What a tile ends with is chosen for a whole row: asked for each pixel it would cost as much
// as the sums of sixteen inputs.
template <Bend kBend, bool kAdds, bool kOut, bool kCodes> struct Kernel {
    SPHERE_AVX2_INLINE static __m256 bent(__m256 y, const float *slopes) {
        if constexpr (kBend == Bend::None)
            return y;
        const __m256 by = _mm256_loadu_ps(slopes);
        if constexpr (kBend == Bend::Gentle)
            return _mm256_max_ps(y, _mm256_mul_ps(y, by));
        const __m256 zero = _mm256_setzero_ps();
        return _mm256_fmadd_ps(_mm256_min_ps(y, zero), by, _mm256_max_ps(y, zero));
    }

    SPHERE_AVX2_INLINE static void finish(const RowPass &to, const Ends &ends, std::int64_t at,
                                          __m256i low, __m256i high) {
        __m256 l = _mm256_fmadd_ps(_mm256_cvtepi32_ps(low), _mm256_loadu_ps(ends.scales),
                                   _mm256_loadu_ps(ends.bias));
        __m256 h = _mm256_fmadd_ps(_mm256_cvtepi32_ps(high), _mm256_loadu_ps(ends.scales + 8),
                                   _mm256_loadu_ps(ends.bias + 8));
        l = bent(l, ends.slopes);
        h = bent(h, ends.slopes + 8);
        if constexpr (kAdds) {
            l = _mm256_add_ps(l, _mm256_loadu_ps(ends.addend + at));
            h = _mm256_add_ps(h, _mm256_loadu_ps(ends.addend + at + 8));
        }
        if constexpr (kOut) {
            _mm256_storeu_ps(ends.out + at, l);
            _mm256_storeu_ps(ends.out + at + 8, h);
        }
        if constexpr (kCodes) {
            // Packing works within halves: words 0-3 and 8-11 come first.
            const __m256i words = _mm256_permute4x64_epi64(
                _mm256_packs_epi32(encoded(to, l), encoded(to, h)), 0b11011000);
            _mm_storeu_si128(reinterpret_cast<__m128i *>(ends.codes + at),
                             _mm_packus_epi16(_mm256_castsi256_si128(words),
                                              _mm256_extracti128_si256(words, 1)));
        }
    }

    SPHERE_AVX2 static void row(const DotConv &conv, const std::int8_t *weights,
                                std::int64_t pixels, const std::uint8_t *x, const Ends &given) {
        const Ends ends = given;
        const RowPass to = conv.to;
        const std::int64_t stride = conv.stride * conv.weights->inputs;
        alignas(32) std::int32_t sums[kStrip * kDotOutputs];
        for (std::int64_t first = 0; first < pixels; first += kStrip) {
            const std::int64_t count = std::min(kStrip, pixels - first);
            sum_strip(conv, weights, count, x + first * stride, sums);
            for (std::int64_t p = 0; p < count; ++p) {
                const auto *const at =
                    reinterpret_cast<const __m256i *>(sums + p * kDotOutputs);
                finish(to, ends, (first + p) * to.channels, _mm256_load_si256(at),
                       _mm256_load_si256(at + 1));
            }
        }
    }
};

using Row = void (*)(const DotConv &, const std::int8_t *, std::int64_t, const std::uint8_t *,
                     const Ends &);

template <Bend kBend, bool kAdds> Row row_to(const Ends &ends) {
    if (ends.codes == nullptr)
        return &Kernel<kBend, kAdds, true, false>::row;
    return ends.out == nullptr ? &Kernel<kBend, kAdds, false, true>::row
                               : &Kernel<kBend, kAdds, true, true>::row;
}

template <Bend kBend> Row row_of(const Ends &ends) {
    return ends.addend == nullptr ? row_to<kBend, false>(ends) : row_to<kBend, true>(ends);
}

void dot_row(const DotConv &conv, std::int64_t block, std::int64_t pixels,
             const std::uint8_t *x, const float *addend, float *out, std::uint8_t *codes) {
    const std::int64_t first = block * kDotOutputs;
    const DotWeights &shape = *conv.weights;
    const std::int8_t *const weights = shape.codes() + first * shape.taps() * shape.inputs;
    const Ends ends = {conv.scales.data() + first,
                       conv.bias.data() + first,
                       conv.slopes.empty() ? nullptr : conv.slopes.data() + first,
                       addend,
                       out,
                       codes};
    if (ends.slopes == nullptr)
        return row_of<Bend::None>(ends)(conv, weights, pixels, x, ends);
    const bool gentle = std::all_of(ends.slopes, ends.slopes + kDotOutputs,
                                    [](float slope) { return slope <= 1; });
    (gentle ? row_of<Bend::Gentle>(ends) : row_of<Bend::Any>(ends))(conv, weights, pixels, x,
                                                                    ends);
}

} // namespace

DotKernel dot_avx2() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &dot_row : nullptr;
}

} // namespace sphere::onednn
#else

namespace sphere::onednn {

DotKernel dot_avx2() {
    return nullptr;
}

} // namespace sphere::onednn
#endif
