// SPDX-License-Identifier: MIT
// The row kernel with AVX-512: 16 channels at a time.
#include "core/engine/onednn/row_variants.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__) // its own header: GCC bug 105593
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#define SPHERE_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl")))

namespace sphere::onednn {
namespace {

struct Kernel {
    template <bool kSlopes, bool kAdds, bool kOut, bool kCodes>
    SPHERE_AVX512 static void row(const RowPass &pass, const float *x, const float *slopes,
                                  const float *addend, float *out, std::uint8_t *codes) {
        const __m512 scale = _mm512_set1_ps(pass.inverse_scale);
        const __m512 beyond = _mm512_set1_ps(512); // any code; as row_portable()
        const __m512i zero = _mm512_set1_epi32(pass.zero);
        // Without slopes a row is one run of numbers; with them each pixel starts anew.
        const std::int64_t runs = kSlopes ? pass.pixels : 1;
        const std::int64_t length = kSlopes ? pass.channels : pass.pixels * pass.channels;
        std::int64_t at = 0;
        for (std::int64_t r = 0; r < runs; ++r)
            for (std::int64_t c = 0; c < length; c += 16) {
                const std::int64_t n = length - c < 16 ? length - c : 16;
                const auto mask = static_cast<__mmask16>((1U << n) - 1U);
                __m512 y = _mm512_maskz_loadu_ps(mask, x + at);
                if constexpr (kSlopes) {
                    const __mmask16 negative =
                        _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_LT_OQ);
                    y = _mm512_mask_mul_ps(y, negative, y,
                                           _mm512_maskz_loadu_ps(mask, slopes + c));
                }
                if constexpr (kAdds)
                    y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(mask, addend + at));
                if constexpr (kOut)
                    _mm512_mask_storeu_ps(out + at, mask, y);
                if constexpr (kCodes) {
                    const __m512 scaled = _mm512_min_ps(_mm512_mul_ps(y, scale), beyond);
                    __m512i code = _mm512_add_epi32(_mm512_cvtps_epi32(scaled), zero);
                    code = _mm512_max_epi32(code, _mm512_setzero_si512());
                    _mm512_mask_cvtusepi32_storeu_epi8(codes + at, mask, code);
                }
                at += n;
            }
    }
};

} // namespace

RowKernel row_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512vl")
               ? &any_row<Kernel>
               : nullptr;
}

} // namespace sphere::onednn
#else

namespace sphere::onednn {

RowKernel row_avx512() {
    return nullptr;
}

} // namespace sphere::onednn
#endif
