// SPDX-License-Identifier: MIT
// The kernels of a convolution in int8 with AVX-512 VNNI, to values, codes or words.
#include "core/engine/onednn/pair_words.h"

#if defined(__x86_64__)
#include "core/engine/onednn/dot_tile_vnni.h"

namespace sphere::onednn {
namespace {

using vnni::kStrip;

/// From sums of products to values, for the 16 channels from `first` on.
template <bool kBends> struct Values {
    __m512 scales, bias, slopes;

    SPHERE_AVX512_INLINE Values(const DotConv &conv, std::int64_t first)
        : scales(_mm512_loadu_ps(conv.scales.data() + first)),
          bias(_mm512_loadu_ps(conv.bias.data() + first)),
          slopes(kBends ? _mm512_loadu_ps(conv.slopes.data() + first) : _mm512_setzero_ps()) {}
    SPHERE_AVX512_INLINE __m512 of(const std::int32_t *sums) const {
        const __m512 sum = _mm512_cvtepi32_ps(_mm512_load_si512(sums));
        const __m512 y = _mm512_fmadd_ps(sum, scales, bias);
        if constexpr (kBends)
            return _mm512_mask_mul_ps(y, _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_LT_OQ),
                                      y, slopes);
        return y;
    }
};

/// Sums of a strip's pixels, [pixels][blocks][16].
struct Sums {
    const std::int32_t *first; ///< of one block
    std::int64_t pixels, step; ///< `step` from one pixel to the next
};

/// The first of a strip's values, of a block; nullptr = none.
struct Ends {
    const float *addend;
    float *out;
    std::uint8_t *codes;

    Ends at(std::int64_t i) const {
        return {addend == nullptr ? nullptr : addend + i, out == nullptr ? nullptr : out + i,
                codes == nullptr ? nullptr : codes + i};
    }
};

template <bool kBends, bool kAdds, bool kOut, bool kCodes>
SPHERE_AVX512 void finish_block(const DotConv &conv, std::int64_t first, const Sums &sums,
                                const Ends &ends) {
    const Values<kBends> values(conv, first);
    const CodesAvx512 by(conv.to.inverse_scale, conv.to.zero);
    for (std::int64_t p = 0; p < sums.pixels; ++p) {
        const std::int64_t at = p * conv.to.channels;
        __m512 y = values.of(sums.first + p * sums.step);
        if constexpr (kAdds)
            y = _mm512_add_ps(y, _mm512_loadu_ps(ends.addend + at));
        if constexpr (kOut)
            _mm512_storeu_ps(ends.out + at, y);
        if constexpr (kCodes)
            _mm_storeu_si128(reinterpret_cast<__m128i *>(ends.codes + at), by.of(y));
    }
}

using FinishBlock = void (*)(const DotConv &, std::int64_t, const Sums &, const Ends &);

template <bool kBends, bool kAdds> FinishBlock finish_to(const Ends &ends) {
    if (ends.codes == nullptr)
        return &finish_block<kBends, kAdds, true, false>;
    return ends.out == nullptr ? &finish_block<kBends, kAdds, false, true>
                               : &finish_block<kBends, kAdds, true, true>;
}

template <bool kBends> FinishBlock finish_of(const Ends &ends) {
    return ends.addend == nullptr ? finish_to<kBends, false>(ends)
                                  : finish_to<kBends, true>(ends);
}

// Blocks that are summed together.
void dot_blocks(const DotConv &conv, const DotBlocks &blocks, std::int64_t pixels,
                const std::uint8_t *x, const Ends &ends) {
    const FinishBlock finish =
        conv.slopes.empty() ? finish_of<false>(ends) : finish_of<true>(ends);
    alignas(64) std::int32_t sums[kStrip * vnni::kMostBlocks * kDotOutputs];
    for (std::int64_t p = 0; p < pixels; p += kStrip) {
        const std::int64_t count = std::min(kStrip, pixels - p);
        vnni::sum_strip(conv, {blocks.first, blocks.count, blocks.fresh && p == 0}, count,
                        x + p * conv.stride * conv.weights->inputs, sums);
        for (std::int64_t b = 0; b < blocks.count; ++b)
            finish(conv, (blocks.first + b) * kDotOutputs,
                   {sums + b * kDotOutputs, count, blocks.count * kDotOutputs},
                   ends.at(p * conv.to.channels + b * kDotOutputs));
    }
}

void dot_row(const DotConv &conv, const DotBlocks &blocks, std::int64_t pixels,
             const std::uint8_t *x, const float *addend, float *out, std::uint8_t *codes) {
    const Ends ends = {addend, out, codes};
    for (std::int64_t b = 0; b < blocks.count;) {
        const std::int64_t some = vnni::blocks_at_a_time(blocks.count - b, pixels);
        dot_blocks(conv, {blocks.first + b, some, blocks.fresh}, pixels, x,
                   ends.at(b * kDotOutputs));
        b += some;
    }
}

template <bool kBends>
SPHERE_AVX512 void words_strip(const DotConv &conv, std::int64_t first, std::int64_t pixels,
                               const std::int32_t *sums, std::int16_t *out) {
    const Values<kBends> values(conv, first);
    for (std::int64_t p = 0; p < pixels; ++p) {
        const __m512i whole = _mm512_cvtps_epi32(values.of(sums + p * kDotOutputs));
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(out + p * kPairBlock),
                            _mm512_cvtsepi32_epi16(whole));
    }
}

void words_row(const DotConv &conv, std::int64_t block, std::int64_t pixels,
               const std::uint8_t *x, std::int16_t *out) {
    const auto finish = conv.slopes.empty() ? &words_strip<false> : &words_strip<true>;
    alignas(64) std::int32_t sums[kStrip * kDotOutputs];
    for (std::int64_t p = 0; p < pixels; p += kStrip) {
        const std::int64_t count = std::min(kStrip, pixels - p);
        vnni::sum_strip(conv, {block}, count, x + p * conv.stride * conv.weights->inputs, sums);
        finish(conv, block * kDotOutputs, count, sums, out + p * kPairBlock);
    }
}

bool has_vnni() {
    return has_avx512() && __builtin_cpu_supports("avx512vnni");
}

} // namespace

const DotKernel *dot_vnni() {
    static constexpr DotKernel kKernel = {"sphere avx512 vnni", vnni::kMostBlocks, &dot_row};
    return has_vnni() ? &kKernel : nullptr;
}

const WordKernel *words_vnni() {
    // Vectors of 16 words are as fast as longer ones: of those CPUs issue half as many.
    static const WordKernel *const kernel = []() -> const WordKernel * {
        if (!has_vnni() || words_avx2() == nullptr)
            return nullptr;
        static WordKernel made = *words_avx2();
        made.name = "sphere avx512";
        made.dot = &words_row;
        return &made;
    }();
    return kernel;
}

} // namespace sphere::onednn
#else

namespace sphere::onednn {

const DotKernel *dot_vnni() {
    return nullptr;
}

const WordKernel *words_vnni() {
    return nullptr;
}

} // namespace sphere::onednn
#endif
