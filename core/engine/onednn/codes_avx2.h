// SPDX-License-Identifier: MIT
// How kernels with AVX2 make codes. For the files of that instruction set.
#pragma once

#include <cstdint>
#include <immintrin.h>

namespace sphere::onednn {

/// round(y * inverse_scale) + zero, as RowPass has it, before it is cut to a byte.
struct CodesAvx2 {
    __m256 scale;
    __m256i zero;

    __attribute__((target("avx2"), always_inline)) inline CodesAvx2(float inverse_scale,
                                                                    std::int32_t zero_point)
        : scale(_mm256_set1_ps(inverse_scale)), zero(_mm256_set1_epi32(zero_point)) {}

    // Cut to more than any code first: adding the zero cannot overflow then.
    __attribute__((target("avx2"), always_inline)) inline __m256i of(__m256 y) const {
        const __m256 scaled = _mm256_min_ps(_mm256_mul_ps(y, scale), _mm256_set1_ps(512));
        return _mm256_add_epi32(_mm256_cvtps_epi32(scaled), zero);
    }
};

} // namespace sphere::onednn
