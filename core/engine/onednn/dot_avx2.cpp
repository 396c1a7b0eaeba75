// SPDX-License-Identifier: MIT
// The kernel of a convolution in int8 with AVX2: 16 channels of 3 pixels stay in registers.
#include "core/engine/onednn/dot.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#define SPHERE_AVX2 __attribute__((target("avx2,fma")))
#define SPHERE_AVX2_INLINE __attribute__((target("avx2,fma"), always_inline)) inline

namespace sphere::onednn {
namespace {

constexpr int kPixels = 3; ///< with 16 channels 12 of the 16 registers: sums of 16 and 32 bits
constexpr std::int64_t kStrip = 48; ///< pixels whose sums are made before any goes on
constexpr std::int64_t kQuad = 4;
constexpr std::int64_t kQuadBytes = kQuad * kDotOutputs; ///< of weights

alignas(32) constexpr std::int16_t kOnes[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

// Keeps the compiler from adding in another order, which takes more registers than there are.
SPHERE_AVX2_INLINE void in_order(__m256i &a, __m256i &b) {
    asm("" : "+x"(a), "+x"(b));
}

// Pairs of 16 bits to 32. The ones come from memory: there is no register for them.
SPHERE_AVX2_INLINE __m256i widened(__m256i pairs) {
    __m256i sums;
    asm("vpmaddwd %2, %1, %0"
        : "=x"(sums)
        : "x"(pairs), "m"(*reinterpret_cast<const __m256i *>(kOnes)));
    return sums;
}

SPHERE_AVX2_INLINE __m256i load(const std::int8_t *from) {
    return _mm256_load_si256(reinterpret_cast<const __m256i *>(from));
}

SPHERE_AVX2_INLINE __m256i quad(const std::uint8_t *from) {
    std::int32_t bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    return _mm256_set1_epi32(bytes);
}

/// Sums of kCount pixels, 16 channels.
template <int kCount> struct Tile {
    __m256i low[kCount], high[kCount];

    SPHERE_AVX2_INLINE Tile() {
#pragma GCC unroll 3
        for (int p = 0; p < kCount; ++p)
            low[p] = high[p] = _mm256_setzero_si256();
    }
    // 16 input channels: 128 codes of one sign times 255 are the most that meets in 16 bits.
    SPHERE_AVX2_INLINE void add(const std::uint8_t *x, std::int64_t stride,
                                const std::int8_t *weights) {
        __m256i l[kCount], h[kCount];
        __m256i wl = load(weights), wh = load(weights + 32);
#pragma GCC unroll 3
        for (int p = 0; p < kCount; ++p) {
            const __m256i codes = quad(x + p * stride);
            l[p] = _mm256_maddubs_epi16(codes, wl);
            h[p] = _mm256_maddubs_epi16(codes, wh);
        }
#pragma GCC unroll 3
        for (int q = 1; q < kDotInputs / kQuad; ++q) {
            wl = load(weights + q * kQuadBytes);
            wh = load(weights + q * kQuadBytes + 32);
#pragma GCC unroll 3
            for (int p = 0; p < kCount; ++p) {
                const __m256i codes = quad(x + p * stride + q * kQuad);
                l[p] = _mm256_add_epi16(l[p], _mm256_maddubs_epi16(codes, wl));
                h[p] = _mm256_add_epi16(h[p], _mm256_maddubs_epi16(codes, wh));
                if (q + 1 < kDotInputs / kQuad) // the last are added in any order
                    in_order(l[p], h[p]);
            }
        }
#pragma GCC unroll 3
        for (int p = 0; p < kCount; ++p) {
            low[p] = _mm256_add_epi32(low[p], widened(l[p]));
            high[p] = _mm256_add_epi32(high[p], widened(h[p]));
        }
    }
};

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

// One quad of the second to fourth, and the end of one sum.
#define SPHERE_PIXEL(Q, X, P)                                                                  \
    "vpbroadcastd 4*" #Q "(%[x]" X "), %[c]\n\t"                                               \
    "vpmaddubsw %[wl], %[c], %[t]\n\t"                                                         \
    "vpmaddubsw %[wh], %[c], %[c]\n\t"                                                         \
    "vpaddw %[t], %[l" #P "], %[l" #P "]\n\t"                                                  \
    "vpaddw %[c], %[h" #P "], %[h" #P "]\n\t"
#define SPHERE_QUAD(Q)                                                                         \
    "vmovdqa 64*" #Q "(%[w]), %[wl]\n\t"                                                       \
    "vmovdqa 64*" #Q "+32(%[w]), %[wh]\n\t" SPHERE_PIXEL(Q, "", 0) SPHERE_PIXEL(Q, ",%[s]", 1) \
        SPHERE_PIXEL(Q, ",%[s],2", 2)
#define SPHERE_FIRST(X, P)                                                                     \
    "vpbroadcastd (%[x]" X "), %[c]\n\t"                                                       \
    "vpmaddubsw %[wl], %[c], %[l" #P "]\n\t"                                                   \
    "vpmaddubsw %[wh], %[c], %[h" #P "]\n\t"
#define SPHERE_WIDEN(SUM, PAIRS)                                                               \
    "vpmaddwd %[ones], %[" PAIRS "], %[" PAIRS "]\n\t"                                         \
    "vpaddd %[" PAIRS "], %[" SUM "], %[" SUM "]\n\t"

/// What assembly reads, for the compiler to know.
template <std::int64_t kBytes, typename Byte>
SPHERE_AVX2_INLINE const Byte (&read(const Byte *from))[kBytes] {
    return *reinterpret_cast<const Byte(*)[kBytes]>(from);
}

// Tile<3>::add() by hand: sums, weights, codes and products are all of the 16 registers, and
// compilers keep two of the sums in memory.
SPHERE_AVX2_INLINE void add_three(Tile<3> &tile, const std::uint8_t *x, std::int64_t stride,
                                  const std::int8_t *weights) {
    __m256i l0, l1, l2, h0, h1, h2, wl, wh, c, t;
    asm("vmovdqa (%[w]), %[wl]\n\t"
        "vmovdqa 32(%[w]), %[wh]\n\t" SPHERE_FIRST("", 0) SPHERE_FIRST(",%[s]", 1)
            SPHERE_FIRST(",%[s],2", 2) SPHERE_QUAD(1) SPHERE_QUAD(2) SPHERE_QUAD(3)
                SPHERE_WIDEN("L0", "l0") SPHERE_WIDEN("H0", "h0") SPHERE_WIDEN("L1", "l1")
                    SPHERE_WIDEN("H1", "h1") SPHERE_WIDEN("L2", "l2") SPHERE_WIDEN("H2", "h2")
        : [L0] "+x"(tile.low[0]), [L1] "+x"(tile.low[1]), [L2] "+x"(tile.low[2]),
          [H0] "+x"(tile.high[0]), [H1] "+x"(tile.high[1]), [H2] "+x"(tile.high[2]),
          [l0] "=&x"(l0), [l1] "=&x"(l1), [l2] "=&x"(l2), [h0] "=&x"(h0), [h1] "=&x"(h1),
          [h2] "=&x"(h2), [wl] "=&x"(wl), [wh] "=&x"(wh), [c] "=&x"(c), [t] "=&x"(t)
        : [x] "r"(x), [s] "r"(stride), [w] "r"(weights),
          [ones] "m"(*reinterpret_cast<const __m256i *>(kOnes)), "m"(read<kDotInputs>(x)),
          "m"(read<kDotInputs>(x + stride)), "m"(read<kDotInputs>(x + 2 * stride)),
          "m"(read<4 * kQuadBytes>(weights)));
}

#undef SPHERE_PIXEL
#undef SPHERE_QUAD
#undef SPHERE_FIRST
#undef SPHERE_WIDEN

template <int kCount>
SPHERE_AVX2_INLINE void sum_tile(const DotConv &conv, const std::int8_t *weights,
                                 const std::uint8_t *x, std::int32_t *sums) {
    Tile<kCount> tile;
    const DotWeights &shape = *conv.weights;
    const std::int64_t stride = conv.stride * shape.inputs;
    const std::int64_t run = shape.kernel_pixels * shape.inputs; // taps of a row in turn
    for (std::int64_t ky = 0; ky < shape.kernel_rows; ++ky, x += conv.x_row)
        for (std::int64_t i = 0; i < run; i += kDotInputs, weights += 4 * kQuadBytes)
            if constexpr (kCount == kPixels)
                add_three(tile, x + i, stride, weights);
            else
                tile.add(x + i, stride, weights);
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
