// SPDX-License-Identifier: MIT
// Scan kernels for AVX2 with FMA.
#include "core/gallery/scan_tiles.h"

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

namespace sphere {
namespace {

struct Avx2F32 {
    static constexpr std::size_t kStep = 8;
    static constexpr int kTileRows = 2;
    using Row = float;
    using Query = float;
    using Out = float;
    using Total = double;
    using Accumulator = __m256;
    using RowVector = __m256;
    using QueryVector = __m256;
    static Accumulator zero() { return _mm256_setzero_ps(); }
    static RowVector load_row(const Row *p) { return _mm256_load_ps(p); }
    static QueryVector load_query(const Query *p) { return _mm256_load_ps(p); }
    static Accumulator add_products(Accumulator sums, RowVector row, QueryVector query) {
        return _mm256_fmadd_ps(row, query, sums);
    }
    static float sum(Accumulator sums) {
        __m128 s = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
        s = _mm_add_ps(s, _mm_movehl_ps(s, s));
        return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
    }
};

struct Avx2Bf16 : Avx2F32 {
    using Row = std::uint16_t;
    static RowVector load_row(const Row *p) {
        const __m128i halves = _mm_load_si128(reinterpret_cast<const __m128i *>(p));
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
    }
};

/// Two products of a row's byte and a query's fit 16 bits, and are added up there by one
/// instruction, for queries of 7 bits. Their coarser steps cost a few more rows to look at
/// again.
constexpr int kMostQueryByte = 64;
static_assert(2 * 255 * kMostQueryByte <= 32767);

struct Avx2U8 {
    static constexpr std::size_t kStep = 32;
    static constexpr int kTileRows = 2;
    using Row = std::uint8_t;
    using Query = std::int8_t;
    using Out = std::int32_t;
    using Total = std::int32_t;
    using Accumulator = __m256i;
    using RowVector = __m256i;
    using QueryVector = __m256i;
    static Accumulator zero() { return _mm256_setzero_si256(); }
    static RowVector load_row(const Row *p) {
        return _mm256_load_si256(reinterpret_cast<const __m256i *>(p));
    }
    static QueryVector load_query(const Query *p) {
        return _mm256_load_si256(reinterpret_cast<const __m256i *>(p));
    }
    static Accumulator add_products(Accumulator sums, RowVector row, QueryVector query) {
        const __m256i pairs = _mm256_maddubs_epi16(row, query);
        return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    static std::int32_t sum(Accumulator sums) {
        __m128i s =
            _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
        s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
        return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
    }
};

// The even values of a vector of halves are its floats' upper halves after a shift, the odd
// ones after a mask: no shuffle is needed where both sides are split alike.
float bf16_pair(const std::uint16_t *a, const std::uint16_t *b, std::size_t n) {
    const __m256i odd = _mm256_set1_epi32(static_cast<int>(0xFFFF0000));
    __m256 evens = _mm256_setzero_ps();
    __m256 odds = _mm256_setzero_ps();
    for (std::size_t i = 0; i < n; i += 16) {
        const __m256i x = _mm256_load_si256(reinterpret_cast<const __m256i *>(a + i));
        const __m256i y = _mm256_load_si256(reinterpret_cast<const __m256i *>(b + i));
        evens = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_slli_epi32(x, 16)),
                                _mm256_castsi256_ps(_mm256_slli_epi32(y, 16)), evens);
        odds = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_and_si256(x, odd)),
                               _mm256_castsi256_ps(_mm256_and_si256(y, odd)), odds);
    }
    return Avx2F32::sum(_mm256_add_ps(evens, odds));
}

constexpr ScanKernels kKernels = {
    CpuLevel::Avx2,    "avx2",     &scan_all<Avx2F32>, &scan_all<Avx2Bf16>,
    &scan_all<Avx2U8>, &bf16_pair, kMostQueryByte};

} // namespace

const ScanKernels *scan_kernels_avx2() noexcept {
    return &kKernels;
}

} // namespace sphere
#else
namespace sphere {
const ScanKernels *scan_kernels_avx2() noexcept {
    return nullptr;
}
} // namespace sphere
#endif
