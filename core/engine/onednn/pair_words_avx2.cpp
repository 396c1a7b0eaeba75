// SPDX-License-Identifier: MIT
// The kernel of depthwise convolutions in 16 bits with AVX2: a block of channels is a register.
#include "core/engine/onednn/pair_words.h"

#if defined(__x86_64__)
#include "core/engine/onednn/dot_tile_avx2.h"
#include "core/engine/onednn/pair_tile_avx2.h"

#include <algorithm>

namespace sphere::onednn {
namespace {

SPHERE_AVX2_INLINE __m256i load(const std::int16_t *from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
}

SPHERE_AVX2_INLINE void store(std::int16_t *to, __m256i words) {
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), words);
}

/// Sums of codes' products to words, with the 1x1 convolution's PReLU.
class Finish {
  public:
    SPHERE_AVX2_INLINE Finish(const DotConv &conv, std::int64_t first) {
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i) {
            scales_[i] = _mm256_loadu_ps(conv.scales.data() + first + 8 * i);
            bias_[i] = _mm256_loadu_ps(conv.bias.data() + first + 8 * i);
            slopes_[i] = conv.slopes.empty()
                             ? _mm256_set1_ps(1)
                             : _mm256_loadu_ps(conv.slopes.data() + first + 8 * i);
        }
        const __m256 whole = _mm256_set1_ps(32767);
        words_ = pair_tiles::packed(_mm256_mul_ps(slopes_[0], whole),
                                    _mm256_mul_ps(slopes_[1], whole));
    }
    template <tiles::Bend kBend>
    SPHERE_AVX2_INLINE __m256i pixel(const std::int32_t *sums) const {
        const __m256i made = pair_tiles::packed(value<kBend>(sums, 0), value<kBend>(sums, 1));
        if constexpr (kBend == tiles::Bend::Gentle)
            return _mm256_max_epi16(made, _mm256_mulhrs_epi16(made, words_));
        return made;
    }

  private:
    template <tiles::Bend kBend>
    SPHERE_AVX2_INLINE __m256 value(const std::int32_t *sums, int i) const {
        const __m256i sum = _mm256_load_si256(reinterpret_cast<const __m256i *>(sums) + i);
        const __m256 y = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), scales_[i], bias_[i]);
        return kBend == tiles::Bend::Any ? bent(y, slopes_[i]) : y;
    }

    __m256 scales_[2], bias_[2], slopes_[2];
    __m256i words_; ///< slopes
};

// Slopes below -1 are beyond 16 bits.
tiles::Bend bend_of(const float *slopes) {
    const tiles::Bend bend = tiles::bend_of(slopes);
    const bool steep =
        bend == tiles::Bend::Gentle && *std::min_element(slopes, slopes + kDotOutputs) < -1;
    return steep ? tiles::Bend::Any : bend;
}

template <tiles::Bend kBend>
SPHERE_AVX2 void dot_strip(const DotConv &conv, std::int64_t first, std::int64_t pixels,
                           const std::int32_t *sums, std::int16_t *out) {
    const Finish finish(conv, first);
    for (std::int64_t p = 0; p < pixels; ++p)
        store(out + p * kPairBlock, finish.pixel<kBend>(sums + p * kDotOutputs));
}

void dot_row(const DotConv &conv, std::int64_t block, std::int64_t pixels,
             const std::uint8_t *x, std::int16_t *out) {
    const std::int64_t first = block * kDotOutputs;
    const tiles::Bend bend =
        bend_of(conv.slopes.empty() ? nullptr : conv.slopes.data() + first);
    const auto finish = bend == tiles::Bend::None     ? &dot_strip<tiles::Bend::None>
                        : bend == tiles::Bend::Gentle ? &dot_strip<tiles::Bend::Gentle>
                                                      : &dot_strip<tiles::Bend::Any>;
    alignas(32) std::int32_t sums[tiles::kStrip * kDotOutputs];
    for (std::int64_t p = 0; p < pixels; p += tiles::kStrip) {
        const std::int64_t count = std::min(tiles::kStrip, pixels - p);
        tiles::sum_strip(conv, block, count, x + p * conv.stride * conv.weights->inputs, sums);
        finish(conv, first, count, sums, out + p * kPairBlock);
    }
}

// Half a vector of codes.
SPHERE_AVX2_INLINE void encode(__m256i made, __m256i zero, std::uint8_t *codes) {
    const __m256i by = _mm256_set1_epi16((1 << 15) / kWordFraction);
    const __m256i whole = _mm256_adds_epi16(_mm256_mulhrs_epi16(made, by), zero);
    _mm_storeu_si128(
        reinterpret_cast<__m128i *>(codes),
        _mm_packus_epi16(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1)));
}

enum class To : std::uint8_t { Words, Codes, Values, Both };

To goal_of(const MadeRow &row) {
    if (row.out == nullptr)
        return To::Codes;
    return row.codes == nullptr ? To::Values : To::Both;
}

/// Where a row goes, pixel by pixel.
template <To kTo> struct Goal {
    std::int16_t *words;
    float *out;
    std::uint8_t *codes;
    __m256i zero;
    __m256 unit;

    SPHERE_AVX2_INLINE Goal(const ConvPair &pair, const MadeWords &to, std::int64_t channel)
        : words(kTo == To::Words ? to.words + channel : nullptr),
          out(kTo == To::Values || kTo == To::Both ? to.row.out + channel : nullptr),
          codes(kTo == To::Codes || kTo == To::Both ? to.row.codes + channel : nullptr),
          zero(_mm256_set1_epi16(static_cast<std::int16_t>(to.row.encoding.zero))),
          unit(_mm256_set1_ps(pair.words->unit)) {}
    SPHERE_AVX2_INLINE void put(__m256i made, std::int64_t at) const {
        if constexpr (kTo == To::Words)
            store(words + at, made);
        if constexpr (kTo == To::Codes || kTo == To::Both)
            encode(made, zero, codes + at);
        if constexpr (kTo == To::Values || kTo == To::Both) {
            put_half(_mm256_castsi256_si128(made), out + at);
            put_half(_mm256_extracti128_si256(made, 1), out + at + 8);
        }
    }

  private:
    SPHERE_AVX2_INLINE void put_half(__m128i made, float *to) const {
        const __m256 whole = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(made));
        _mm256_storeu_ps(to, _mm256_mul_ps(whole, unit));
    }
};

/// A block of a depthwise convolution.
struct Depth {
    __m256i w[9], bias, slopes;

    SPHERE_AVX2_INLINE Depth(const ConvPair &pair, std::int64_t channel) {
        const DepthWords &words = *pair.words;
#pragma GCC unroll 9
        for (int i = 0; i < 9; ++i)
            w[i] = load(words.weights.data() + i * pair.channels + channel);
        bias = load(words.bias.data() + channel);
        slopes =
            words.slopes.empty() ? _mm256_setzero_si256() : load(words.slopes.data() + channel);
    }
    // `sum` and what column x of a window adds.
    SPHERE_AVX2_INLINE __m256i add(__m256i sum, const __m256i (&pixels)[3], int x) const {
        const __m256i upper = _mm256_adds_epi16(_mm256_mulhrs_epi16(pixels[0], w[x]),
                                                _mm256_mulhrs_epi16(pixels[1], w[3 + x]));
        const __m256i lower = _mm256_mulhrs_epi16(pixels[2], w[6 + x]);
        return _mm256_adds_epi16(sum, _mm256_adds_epi16(upper, lower));
    }
};

SPHERE_AVX2_INLINE void load(__m256i (&pixels)[3], const std::int16_t *const rows[3],
                             std::int64_t pixel) {
#pragma GCC unroll 3
    for (int y = 0; y < 3; ++y)
        pixels[y] = load(rows[y] + pixel * kPairBlock);
}

enum class End : std::uint8_t { None, Relu, Prelu };

// Each column is loaded once, as in pairs_avx2.cpp.
template <int kStride, End kEnd, To kTo>
SPHERE_AVX2 void depth_to(const ConvPair &pair, std::int64_t channel,
                          const std::int16_t *const given[3], const MadeWords &to) {
    const Depth depth(pair, channel);
    const Goal<kTo> goal(pair, to, channel);
    const std::int16_t *const rows[3] = {given[0], given[1], given[2]};
    const std::int64_t channels = pair.channels;
    __m256i pixels[3];
    std::int64_t at = 0;
    load(pixels, rows, at++);
    __m256i last = depth.add(depth.bias, pixels, 0), next = depth.bias;
    if constexpr (kStride == 1) {
        load(pixels, rows, at++);
        last = depth.add(last, pixels, 1);
        next = depth.add(next, pixels, 0);
    }
    const std::int64_t last_at = pair.depth_pixels() * channels;
    for (std::int64_t to_at = 0; to_at < last_at; to_at += channels) {
        if constexpr (kStride == 2) {
            load(pixels, rows, at++);
            last = depth.add(last, pixels, 1);
        }
        load(pixels, rows, at++);
        __m256i made = depth.add(last, pixels, 2);
        if constexpr (kStride == 1) {
            last = depth.add(next, pixels, 1);
            next = depth.add(depth.bias, pixels, 0);
        } else {
            last = depth.add(depth.bias, pixels, 0);
        }
        if constexpr (kEnd == End::Relu)
            made = _mm256_max_epi16(made, _mm256_setzero_si256());
        if constexpr (kEnd == End::Prelu)
            made = _mm256_max_epi16(made, _mm256_mulhrs_epi16(made, depth.slopes));
        goal.put(made, to_at);
    }
}

using DepthFunction = void (*)(const ConvPair &, std::int64_t, const std::int16_t *const[3],
                               const MadeWords &);

template <int kStride, End kEnd> DepthFunction depth_of(const MadeWords &to) {
    if (to.words != nullptr)
        return &depth_to<kStride, kEnd, To::Words>;
    switch (goal_of(to.row)) {
    case To::Codes:
        return &depth_to<kStride, kEnd, To::Codes>;
    case To::Values:
        return &depth_to<kStride, kEnd, To::Values>;
    default:
        return &depth_to<kStride, kEnd, To::Both>;
    }
}

template <int kStride> DepthFunction depth_of(const ConvPair &pair, const MadeWords &to) {
    if (!pair.words->slopes.empty())
        return depth_of<kStride, End::Prelu>(to);
    return pair.depth_relu ? depth_of<kStride, End::Relu>(to)
                           : depth_of<kStride, End::None>(to);
}

void depth_row(const ConvPair &pair, std::int64_t block, const std::int16_t *const rows[3],
               const MadeWords &to) {
    const DepthFunction run = pair.stride == 1 ? depth_of<1>(pair, to) : depth_of<2>(pair, to);
    run(pair, block * kPairBlock, rows, to);
}

template <To kTo>
SPHERE_AVX2 void pool_to(const ConvPair &pair, const std::int16_t *above,
                         const std::int16_t *below, const MadeRow &to) {
    const Goal<kTo> goal(pair, {nullptr, to}, 0);
    const std::int64_t channels = pair.channels;
    for (std::int64_t p = 0; p < pair.pixels / 2; ++p)
        for (std::int64_t c = 0; c < channels; c += kPairBlock) {
            const std::int64_t left = 2 * p * channels + c, right = left + channels;
            goal.put(
                _mm256_max_epi16(_mm256_max_epi16(load(above + left), load(above + right)),
                                 _mm256_max_epi16(load(below + left), load(below + right))),
                p * channels + c);
        }
}

void pool_row(const ConvPair &pair, const std::int16_t *above, const std::int16_t *below,
              const MadeRow &to) {
    switch (goal_of(to)) {
    case To::Codes:
        return pool_to<To::Codes>(pair, above, below, to);
    case To::Values:
        return pool_to<To::Values>(pair, above, below, to);
    default:
        return pool_to<To::Both>(pair, above, below, to);
    }
}

} // namespace

const WordKernel *words_avx2() {
    static constexpr WordKernel kKernel = {"sphere avx2",
                                           &pair_tiles::stem_row<std::int16_t>,
                                           &pair_tiles::point_row<std::int16_t>,
                                           &dot_row,
                                           &depth_row,
                                           &pool_row};
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kKernel : nullptr;
}

} // namespace sphere::onednn
#else

namespace sphere::onednn {

const WordKernel *words_avx2() {
    return nullptr;
}

} // namespace sphere::onednn
#endif
