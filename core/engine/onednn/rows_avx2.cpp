// SPDX-License-Identifier: MIT
// The row kernel with AVX2: 8 channels at a time.
#include "core/engine/onednn/row_variants.h"

#if defined(__x86_64__)
#include "core/engine/onednn/codes_avx2.h"

#include <array>
#include <cstring>

#define SPHERE_AVX2 __attribute__((target("avx2")))

namespace sphere::onednn {
namespace {

constexpr std::int64_t kLanes = 8;

// Eight numbers cut to bytes, in the low half.
SPHERE_AVX2 inline __m128i to_bytes(__m256i codes) {
    const __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
    return _mm_packus_epi16(words, words);
}

SPHERE_AVX2 inline __m256 prelu(__m256 y, __m256 slopes) {
    const __m256 negative = _mm256_cmp_ps(y, _mm256_setzero_ps(), _CMP_LT_OQ);
    return _mm256_blendv_ps(y, _mm256_mul_ps(y, slopes), negative);
}

struct Kernel {
    template <bool kSlopes, bool kAdds, bool kOut, bool kCodes>
    SPHERE_AVX2 static void row(const RowPass &pass, const float *x, const float *slopes,
                                const float *addend, float *out, std::uint8_t *codes) {
        const CodesAvx2 by(pass.inverse_scale, pass.zero);
        // Without slopes, or with as many as fit a register, a row is one run of numbers; else
        // each pixel starts anew.
        const bool by_pixel = kSlopes && pass.channels != kLanes;
        const std::int64_t runs = by_pixel ? pass.pixels : 1;
        const std::int64_t length = by_pixel ? pass.channels : pass.pixels * pass.channels;
        const std::int64_t whole = length / kLanes * kLanes, rest = length - whole;
        const __m256i tail = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(rest)),
                                                _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        std::int64_t at = 0;
        for (std::int64_t r = 0; r < runs; ++r) {
            for (std::int64_t c = 0; c < whole; c += kLanes, at += kLanes) {
                __m256 y = _mm256_loadu_ps(x + at);
                if constexpr (kSlopes)
                    y = prelu(y, _mm256_loadu_ps(slopes + (by_pixel ? c : 0)));
                if constexpr (kAdds)
                    y = _mm256_add_ps(y, _mm256_loadu_ps(addend + at));
                if constexpr (kOut)
                    _mm256_storeu_ps(out + at, y);
                if constexpr (kCodes)
                    _mm_storel_epi64(reinterpret_cast<__m128i *>(codes + at),
                                     to_bytes(by.of(y)));
            }
            if (rest == 0)
                continue;
            __m256 y = _mm256_maskload_ps(x + at, tail);
            if constexpr (kSlopes)
                y = prelu(y, _mm256_maskload_ps(slopes + whole, tail));
            if constexpr (kAdds)
                y = _mm256_add_ps(y, _mm256_maskload_ps(addend + at, tail));
            if constexpr (kOut)
                _mm256_maskstore_ps(out + at, tail, y);
            if constexpr (kCodes) {
                std::array<std::uint8_t, 16> bytes{};
                _mm_storeu_si128(reinterpret_cast<__m128i *>(bytes.data()), to_bytes(by.of(y)));
                std::memcpy(codes + at, bytes.data(), static_cast<std::size_t>(rest));
            }
            at += rest;
        }
    }
};

} // namespace

RowKernel row_avx2() {
    return __builtin_cpu_supports("avx2") ? &any_row<Kernel> : nullptr;
}

} // namespace sphere::onednn
#else

namespace sphere::onednn {

RowKernel row_avx2() {
    return nullptr;
}

} // namespace sphere::onednn
#endif
