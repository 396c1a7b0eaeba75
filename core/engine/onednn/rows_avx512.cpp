// SPDX-License-Identifier: MIT
// The row kernel with AVX-512: 16 channels at a time.
#include "core/engine/onednn/row_variants.h"

#if defined(__x86_64__)
#include "core/engine/onednn/avx512.h"

namespace sphere::onednn {
namespace {

struct Kernel {
    template <bool kSlopes, bool kAdds, bool kOut, bool kCodes>
    SPHERE_AVX512 static void row(const RowPass &pass, const float *x, const float *slopes,
                                  const float *addend, float *out, std::uint8_t *codes) {
        const CodesAvx512 by(pass.inverse_scale, pass.zero);
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
                if constexpr (kCodes)
                    _mm512_mask_cvtusepi32_storeu_epi8(codes + at, mask, by.whole(y));
                at += n;
            }
    }
};

} // namespace

RowKernel row_avx512() {
    return has_avx512() ? &any_row<Kernel> : nullptr;
}

} // namespace sphere::onednn
#else

namespace sphere::onednn {

RowKernel row_avx512() {
    return nullptr;
}

} // namespace sphere::onednn
#endif
