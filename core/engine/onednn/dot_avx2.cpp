// SPDX-License-Identifier: MIT
// The kernel of a convolution in int8 with AVX2: 16 channels of 3 pixels stay in registers.
#include "core/engine/onednn/dot.h"

#if defined(__x86_64__)
#include "core/engine/onednn/codes_avx2.h"
#include "core/engine/onednn/dot_tile_avx2.h"

#include <algorithm>

namespace sphere::onednn {
namespace {

using tiles::Bend;
using tiles::kStrip;

/// Pointers at the first of a strip's values.
struct Ends {
    const float *scales, *bias;
    const float *slopes, *addend; ///< nullptr = none
    float *out;                   ///< nullptr = none
    std::uint8_t *codes;
};

// What becomes of a strip's sums. Chosen for a whole row and kept in registers: asked for and
// loaded for each pixel it would cost as much as the sums of sixteen inputs.
template <Bend kBend, bool kAdds, bool kOut, bool kCodes> struct Finish {
    __m256 scales[2], bias[2], slopes[2];
    CodesAvx2 by;

    SPHERE_AVX2_INLINE explicit Finish(const RowPass &to, const Ends &ends)
        : by(to.inverse_scale, to.zero) {
        const __m256 none = _mm256_setzero_ps();
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i) {
            scales[i] = _mm256_loadu_ps(ends.scales + 8 * i);
            bias[i] = _mm256_loadu_ps(ends.bias + 8 * i);
            slopes[i] = kBend == Bend::None ? none : _mm256_loadu_ps(ends.slopes + 8 * i);
        }
    }

    SPHERE_AVX2_INLINE __m256 value(const std::int32_t *sums, int i) const {
        const __m256i sum = _mm256_load_si256(reinterpret_cast<const __m256i *>(sums) + i);
        const __m256 y = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), scales[i], bias[i]);
        if constexpr (kBend == Bend::Gentle)
            return _mm256_max_ps(y, _mm256_mul_ps(y, slopes[i]));
        return kBend == Bend::Any ? bent(y, slopes[i]) : y;
    }

    SPHERE_AVX2_INLINE void pixel(const std::int32_t *sums, const float *addend, float *out,
                                  std::uint8_t *codes) const {
        __m256 l = value(sums, 0), h = value(sums, 1);
        if constexpr (kAdds) {
            l = _mm256_add_ps(l, _mm256_loadu_ps(addend));
            h = _mm256_add_ps(h, _mm256_loadu_ps(addend + 8));
        }
        if constexpr (kOut) {
            _mm256_storeu_ps(out, l);
            _mm256_storeu_ps(out + 8, h);
        }
        if constexpr (kCodes) {
            // Packing works within halves: words 0-3 and 8-11 come first.
            const __m256i words =
                _mm256_permute4x64_epi64(_mm256_packs_epi32(by.of(l), by.of(h)), 0b11011000);
            _mm_storeu_si128(reinterpret_cast<__m128i *>(codes),
                             _mm_packus_epi16(_mm256_castsi256_si128(words),
                                              _mm256_extracti128_si256(words, 1)));
        }
    }
};

template <Bend kBend, bool kAdds, bool kOut, bool kCodes>
SPHERE_AVX2 void finish_strip(const RowPass &to, const Ends &ends, std::int64_t pixels,
                              const std::int32_t *sums) {
    const Finish<kBend, kAdds, kOut, kCodes> finish(to, ends);
    const std::int64_t channels = to.channels;
    for (std::int64_t p = 0; p < pixels; ++p) {
        const std::int64_t at = p * channels;
        finish.pixel(sums + p * kDotOutputs, kAdds ? ends.addend + at : nullptr,
                     kOut ? ends.out + at : nullptr, kCodes ? ends.codes + at : nullptr);
    }
}

using FinishStrip = void (*)(const RowPass &, const Ends &, std::int64_t, const std::int32_t *);

template <Bend kBend, bool kAdds> FinishStrip finish_to(const Ends &ends) {
    if (ends.codes == nullptr)
        return &finish_strip<kBend, kAdds, true, false>;
    return ends.out == nullptr ? &finish_strip<kBend, kAdds, false, true>
                               : &finish_strip<kBend, kAdds, true, true>;
}

template <Bend kBend> FinishStrip finish_of(const Ends &ends) {
    return ends.addend == nullptr ? finish_to<kBend, false>(ends)
                                  : finish_to<kBend, true>(ends);
}

FinishStrip pick_finish(const Ends &ends) {
    switch (tiles::bend_of(ends.slopes)) {
    case Bend::None:
        return finish_of<Bend::None>(ends);
    case Bend::Gentle:
        return finish_of<Bend::Gentle>(ends);
    default:
        return finish_of<Bend::Any>(ends);
    }
}

void dot_row(const DotConv &conv, const DotBlocks &blocks, std::int64_t pixels,
             const std::uint8_t *x, const float *addend, float *out, std::uint8_t *codes) {
    const std::int64_t first = blocks.first * kDotOutputs, step = kStrip * conv.to.channels;
    const DotWeights &shape = *conv.weights;
    const auto next = [step](auto *&at) { at = at == nullptr ? nullptr : at + step; };
    Ends ends = {conv.scales.data() + first,
                 conv.bias.data() + first,
                 conv.slopes.empty() ? nullptr : conv.slopes.data() + first,
                 addend,
                 out,
                 codes};
    const FinishStrip finish = pick_finish(ends);
    alignas(32) std::int32_t sums[kStrip * kDotOutputs];
    for (;; pixels -= kStrip) {
        const std::int64_t count = std::min(kStrip, pixels);
        tiles::sum_strip(conv, blocks.first, count, x, sums);
        finish(conv.to, ends, count, sums);
        if (count == pixels)
            return;
        x += kStrip * conv.stride * shape.inputs;
        next(ends.addend);
        next(ends.out);
        next(ends.codes);
    }
}

} // namespace

const DotKernel *dot_avx2() {
    static constexpr DotKernel kKernel = {"sphere avx2", 1, &dot_row};
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kKernel : nullptr;
}

} // namespace sphere::onednn
#else

namespace sphere::onednn {

const DotKernel *dot_avx2() {
    return nullptr;
}

} // namespace sphere::onednn
#endif
