// SPDX-License-Identifier: MIT
// What the kernels with AVX-512 (F, BW, VL) share. For the files of that instruction set.
#pragma once

#if defined(__GNUC__) && !defined(__clang__) // its own header: GCC bug 105593
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <cstdint>
#include <immintrin.h>

#define SPHERE_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl")))
#define SPHERE_AVX512_INLINE                                                                   \
    __attribute__((target("avx512f,avx512bw,avx512vl"), always_inline)) inline
/// Dot products of bfloat16, and of bytes, too.
#define SPHERE_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#define SPHERE_BF16_INLINE                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"), always_inline)) inline
#define SPHERE_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
#define SPHERE_VNNI_INLINE                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"), always_inline)) inline

namespace sphere::onednn {

inline bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
}

/// PReLU with any slopes.
SPHERE_AVX512_INLINE __m512 bent(__m512 y, __m512 slopes) {
    const __m512 zero = _mm512_setzero_ps();
    return _mm512_fmadd_ps(_mm512_min_ps(y, zero), slopes, _mm512_max_ps(y, zero));
}

/// round(y * inverse_scale) + zero, as RowPass has it, cut to a byte.
struct CodesAvx512 {
    __m512 scale;
    __m512i zero;

    SPHERE_AVX512_INLINE CodesAvx512(float inverse_scale, std::int32_t zero_point)
        : scale(_mm512_set1_ps(inverse_scale)), zero(_mm512_set1_epi32(zero_point)) {}

    /// Before it is cut from above. Cut to more than any code first: adding the zero cannot
    /// overflow then.
    SPHERE_AVX512_INLINE __m512i whole(__m512 y) const {
        const __m512 scaled = _mm512_min_ps(_mm512_mul_ps(y, scale), _mm512_set1_ps(512));
        const __m512i code = _mm512_add_epi32(_mm512_cvtps_epi32(scaled), zero);
        return _mm512_max_epi32(code, _mm512_setzero_si512());
    }
    SPHERE_AVX512_INLINE __m128i of(__m512 y) const { return _mm512_cvtusepi32_epi8(whole(y)); }
};

} // namespace sphere::onednn
