// SPDX-License-Identifier: MIT
// The 8-bit scan kernel for AVX-512 with VNNI; the others are those of AVX-512.
#include "core/gallery/scan_tiles.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
#include <immintrin.h>

namespace sphere {
namespace {

struct VnniU8 {
    static constexpr std::size_t kStep = 64;
    static constexpr int kTileRows = 4;
    using Row = std::uint8_t;
    using Query = std::int8_t;
    using Out = std::int32_t;
    using Total = std::int32_t;
    using Accumulator = __m512i;
    using RowVector = __m512i;
    using QueryVector = __m512i;
    static Accumulator zero() { return _mm512_setzero_si512(); }
    static RowVector load_row(const Row *p) { return _mm512_load_si512(p); }
    static QueryVector load_query(const Query *p) { return _mm512_load_si512(p); }
    static Accumulator add_products(Accumulator sums, RowVector row, QueryVector query) {
        return _mm512_dpbusd_epi32(sums, row, query);
    }
    static std::int32_t sum(Accumulator sums) { return _mm512_reduce_add_epi32(sums); }
};

} // namespace

const ScanKernels *scan_kernels_avx512_vnni() noexcept {
    static const ScanKernels *const kBase = scan_kernels_avx512();
    static const ScanKernels kKernels = {CpuLevel::Avx512, "avx512-vnni",     kBase->f32,
                                         kBase->bf16,      &scan_all<VnniU8>, kBase->bf16_pair};
    return &kKernels;
}

} // namespace sphere
#else
namespace sphere {
const ScanKernels *scan_kernels_avx512_vnni() noexcept {
    return nullptr;
}
} // namespace sphere
#endif
