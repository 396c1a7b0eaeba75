// SPDX-License-Identifier: MIT
// Internal. The row of a warp in AVX2 instructions: of its loop compilers make scalar code.
// Included by the files of the instruction sets that have them; for others there is nothing.
#pragma once

#ifdef __AVX2__

#include "core/image/kernels.h"

#include <immintrin.h>

namespace sphere::kernels {
// NOLINTBEGIN(misc-definitions-in-headers): as in kernel_loops.h
namespace {

/// Where four pixels lie in the patch, and the weights of their two upper and two lower taps:
/// the left taps' in the lower half.
struct FourTaps {
    alignas(16) std::int32_t offsets[4];
    __m256 upper, lower;
};

/// The line that the row follows through the patch.
struct PatchLine {
    __m256d x, y, dx, dy;
    __m128i row_floats;
};

inline void locate_four(const PatchLine &line, __m256d index, FourTaps &taps) {
    const __m256d x = _mm256_add_pd(line.x, _mm256_mul_pd(index, line.dx));
    const __m256d y = _mm256_add_pd(line.y, _mm256_mul_pd(index, line.dy));
    const __m128i ix = _mm256_cvttpd_epi32(x), iy = _mm256_cvttpd_epi32(y);
    const __m128 fx = _mm256_cvtpd_ps(_mm256_sub_pd(x, _mm256_cvtepi32_pd(ix)));
    const __m128 fy = _mm256_cvtpd_ps(_mm256_sub_pd(y, _mm256_cvtepi32_pd(iy)));
    const __m128i offsets =
        _mm_add_epi32(_mm_mullo_epi32(iy, line.row_floats), _mm_slli_epi32(ix, 2));
    _mm_store_si128(reinterpret_cast<__m128i *>(taps.offsets), offsets);
    const __m128 one = _mm_set1_ps(1), gy = _mm_sub_ps(one, fy);
    const __m256 across = _mm256_set_m128(fx, _mm_sub_ps(one, fx));
    taps.upper = _mm256_mul_ps(across, _mm256_set_m128(gy, gy));
    taps.lower = _mm256_mul_ps(across, _mm256_set_m128(fy, fy));
}

/// Pixel K of each four, as whole numbers. A pixel's left and right tap are one load.
template <int K>
__m256i blend_two(const float *patch, std::ptrdiff_t row_floats, const FourTaps &a,
                  const FourTaps &b) {
    constexpr int kEach = K * 0x55; // four times K: one weight for a tap's four floats
    const float *p = patch + a.offsets[K];
    const float *q = patch + b.offsets[K];
    const auto weighed = [](__m256 weights, const float *taps) {
        return _mm256_mul_ps(_mm256_permute_ps(weights, kEach), _mm256_loadu_ps(taps));
    };
    const auto added = [](__m256 of_p, __m256 of_q) { // left and right taps
        return _mm256_add_ps(_mm256_permute2f128_ps(of_p, of_q, 0x20),
                             _mm256_permute2f128_ps(of_p, of_q, 0x31));
    };
    const __m256 upper = added(weighed(a.upper, p), weighed(b.upper, q));
    const __m256 lower =
        added(weighed(a.lower, p + row_floats), weighed(b.lower, q + row_floats));
    return _mm256_cvttps_epi32(
        _mm256_add_ps(_mm256_add_ps(upper, lower), _mm256_set1_ps(0.5F)));
}

void warp_patch_row_avx2(double x, double y, double dx, double dy, const float *patch,
                         int row_floats, int n, std::uint8_t *out) {
    constexpr std::ptrdiff_t kPixels = 8;
    const PatchLine line{_mm256_set1_pd(x), _mm256_set1_pd(y), _mm256_set1_pd(dx),
                         _mm256_set1_pd(dy), _mm_set1_epi32(row_floats)};
    const __m256i three_of_four = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    const __m256d four = _mm256_set1_pd(4);
    FourTaps a, b;
    for (std::ptrdiff_t i = 0; i < n; i += kPixels) {
        const std::ptrdiff_t left = n - i;
        const __m256d index =
            _mm256_add_pd(_mm256_set1_pd(static_cast<double>(i)), _mm256_setr_pd(0, 1, 2, 3));
        locate_four(line, index, a);
        locate_four(line, _mm256_add_pd(index, four), b);
        for (std::ptrdiff_t k = left; k < kPixels;
             ++k) // beyond the end: any place in the patch
            (k < 4 ? a : b).offsets[k % 4] = 0;
        // In the halves: a's pixels and b's.
        const __m256i first = _mm256_packus_epi32(blend_two<0>(patch, row_floats, a, b),
                                                  blend_two<1>(patch, row_floats, a, b));
        const __m256i second = _mm256_packus_epi32(blend_two<2>(patch, row_floats, a, b),
                                                   blend_two<3>(patch, row_floats, a, b));
        const __m256i bytes =
            _mm256_shuffle_epi8(_mm256_packus_epi16(first, second), three_of_four);
        // 16 bytes each, of which 12 count.
        std::uint8_t last[3 * kPixels + 4];
        const bool room = 3 * left >= 3 * kPixels + 4;
        std::uint8_t *to = room ? out + 3 * i : last;
        _mm_storeu_si128(reinterpret_cast<__m128i *>(to), _mm256_castsi256_si128(bytes));
        _mm_storeu_si128(reinterpret_cast<__m128i *>(to + 12),
                         _mm256_extracti128_si256(bytes, 1));
        if (!room)
            __builtin_memcpy(out + 3 * i, last,
                             3 * static_cast<std::size_t>(left < kPixels ? left : kPixels));
    }
}

constexpr Kernels with_warp_row(Kernels kernels) {
    kernels.warp_patch_row = &warp_patch_row_avx2;
    return kernels;
}

} // namespace
// NOLINTEND(misc-definitions-in-headers)
} // namespace sphere::kernels

#endif
