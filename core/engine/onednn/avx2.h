// SPDX-License-Identifier: MIT
// What the kernels with AVX2 and FMA share. For the files of that instruction set.
#pragma once

#include <immintrin.h>

#define SPHERE_AVX2 __attribute__((target("avx2,fma")))
#define SPHERE_AVX2_INLINE __attribute__((target("avx2,fma"), always_inline)) inline

namespace sphere::onednn {

/// PReLU with any slopes.
SPHERE_AVX2_INLINE __m256 bent(__m256 y, __m256 slopes) {
    const __m256 zero = _mm256_setzero_ps();
    return _mm256_fmadd_ps(_mm256_min_ps(y, zero), slopes, _mm256_max_ps(y, zero));
}

} // namespace sphere::onednn
