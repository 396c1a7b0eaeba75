// SPDX-License-Identifier: MIT
// Scan kernels for AVX-512.
#include "core/gallery/scan_tiles.h"

#if defined(__AVX512F__) && defined(__AVX512BW__)
#include <immintrin.h>

namespace sphere {
namespace {

struct Avx512F32 {
    static constexpr std::size_t kStep = 16;
    static constexpr int kTileRows = 4;
    using Row = float;
    using Query = float;
    using Out = float;
    using Total = double;
    using Accumulator = __m512;
    using RowVector = __m512;
    using QueryVector = __m512;
    static Accumulator zero() { return _mm512_setzero_ps(); }
    static RowVector load_row(const Row *p) { return _mm512_load_ps(p); }
    static QueryVector load_query(const Query *p) { return _mm512_load_ps(p); }
    static Accumulator add_products(Accumulator sums, RowVector row, QueryVector query) {
        return _mm512_fmadd_ps(row, query, sums);
    }
    static float sum(Accumulator sums) { return _mm512_reduce_add_ps(sums); }
};

struct Avx512Bf16 : Avx512F32 {
    using Row = std::uint16_t;
    static RowVector load_row(const Row *p) {
        const __m256i halves = _mm256_load_si256(reinterpret_cast<const __m256i *>(p));
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
    }
};

struct Avx512U8 {
    static constexpr std::size_t kStep = 32;
    static constexpr int kTileRows = 4;
    using Row = std::uint8_t;
    using Query = std::int8_t;
    using Out = std::int32_t;
    using Total = std::int32_t;
    using Accumulator = __m512i;
    using RowVector = __m512i;
    using QueryVector = __m512i;
    static Accumulator zero() { return _mm512_setzero_si512(); }
    static RowVector load_row(const Row *p) {
        return _mm512_cvtepu8_epi16(_mm256_load_si256(reinterpret_cast<const __m256i *>(p)));
    }
    static QueryVector load_query(const Query *p) {
        return _mm512_cvtepi8_epi16(_mm256_load_si256(reinterpret_cast<const __m256i *>(p)));
    }
    // 16-bit products in pairs: maddubs would saturate.
    static Accumulator add_products(Accumulator sums, RowVector row, QueryVector query) {
        return _mm512_add_epi32(sums, _mm512_madd_epi16(row, query));
    }
    static std::int32_t sum(Accumulator sums) { return _mm512_reduce_add_epi32(sums); }
};

// The even values of a vector of halves are its floats' upper halves after a shift, the odd
// ones after a mask: no shuffle is needed where both sides are split alike.
float bf16_pair(const std::uint16_t *a, const std::uint16_t *b, std::size_t n) {
    const __m512i odd = _mm512_set1_epi32(static_cast<int>(0xFFFF0000));
    __m512 evens = _mm512_setzero_ps();
    __m512 odds = _mm512_setzero_ps();
    for (std::size_t i = 0; i < n; i += 32) {
        const __m512i x = _mm512_load_si512(a + i);
        const __m512i y = _mm512_load_si512(b + i);
        evens = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(x, 16)),
                                _mm512_castsi512_ps(_mm512_slli_epi32(y, 16)), evens);
        odds = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(x, odd)),
                               _mm512_castsi512_ps(_mm512_and_si512(y, odd)), odds);
    }
    return Avx512F32::sum(_mm512_add_ps(evens, odds));
}

constexpr ScanKernels kKernels = {CpuLevel::Avx512,     "avx512",
                                  &scan_all<Avx512F32>, &scan_all<Avx512Bf16>,
                                  &scan_all<Avx512U8>,  &bf16_pair};

} // namespace

const ScanKernels *scan_kernels_avx512() noexcept {
    return &kKernels;
}

} // namespace sphere
#else
namespace sphere {
const ScanKernels *scan_kernels_avx512() noexcept {
    return nullptr;
}
} // namespace sphere
#endif
