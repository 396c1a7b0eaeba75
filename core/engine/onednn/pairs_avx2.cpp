// SPDX-License-Identifier: MIT
// The kernel of a pair with AVX2: 16 channels of 6 pixels at a time stay in registers.
#include "core/engine/onednn/pairs.h"

#if defined(__x86_64__)
#include "core/engine/onednn/codes_avx2.h"
#include "core/engine/onednn/pair_tile_avx2.h"

#include <algorithm>

namespace sphere::onednn {
namespace {

constexpr std::int64_t kDepthStrip = 96; ///< pixels of a block, three of whose rows stay there

struct Codes {
    CodesAvx2 by;

    SPHERE_AVX2_INLINE explicit Codes(const Encoding &encoding)
        : by(encoding.inverse_scale, encoding.zero) {}
    SPHERE_AVX2_INLINE void store(__m256 y, std::uint8_t *to) const {
        const __m256i code = by.of(y);
        const __m128i words =
            _mm_packs_epi32(_mm256_castsi256_si128(code), _mm256_extracti128_si256(code, 1));
        _mm_storel_epi64(reinterpret_cast<__m128i *>(to), _mm_packus_epi16(words, words));
    }
};

/// Eight channels of a depthwise convolution.
struct Depth {
    __m256 w[9], bias, slopes;
    Codes codes;

    SPHERE_AVX2_INLINE Depth(const ConvPair &pair, std::int64_t channel, const MadeRow &to)
        : codes(to.encoding) {
#pragma GCC unroll 9
        for (int i = 0; i < 9; ++i)
            w[i] = _mm256_loadu_ps(pair.depth_weights + i * pair.channels + channel);
        bias = pair.depth_bias == nullptr ? _mm256_setzero_ps()
                                          : _mm256_loadu_ps(pair.depth_bias + channel);
        slopes = pair.depth_slopes.empty()
                     ? _mm256_setzero_ps()
                     : _mm256_loadu_ps(pair.depth_slopes.data() + channel);
    }
    // `sum` and what column x of a window adds, in a chain of its own: those of a pixel's
    // three columns do not wait for each other.
    SPHERE_AVX2_INLINE __m256 add(__m256 sum, const __m256 (&pixels)[3], int x) const {
        const __m256 upper =
            _mm256_fmadd_ps(pixels[1], w[3 + x], _mm256_mul_ps(pixels[0], w[x]));
        return _mm256_add_ps(sum, _mm256_fmadd_ps(pixels[2], w[6 + x], upper));
    }
};

enum class Bend : std::uint8_t { None, Relu, Prelu };

/// The pixels [from, until) of 8 of a block's channels: rows and result at the first of them.
struct DepthStrip {
    const float *rows[3];
    std::int64_t from, until, channel;

    SPHERE_AVX2_INLINE void load(__m256 (&pixels)[3], std::int64_t pixel) const {
#pragma GCC unroll 3
        for (int y = 0; y < 3; ++y)
            pixels[y] = _mm256_loadu_ps(rows[y] + pixel * kPairBlock);
    }
};

// Each column is loaded once, for all pixels whose windows it is in: their sums wait for the
// columns that they lack.
template <int kStride, Bend kBend, bool kOut, bool kCodes>
SPHERE_AVX2 void depth_strip(const ConvPair &pair, const DepthStrip &given, const MadeRow &to) {
    const DepthStrip strip = given; // which bytes that are written cannot be part of
    const Depth depth(pair, strip.channel, to);
    const std::int64_t channels = pair.channels;
    const std::int64_t start = strip.from * channels + strip.channel;
    float *out = kOut ? to.out + start : nullptr;
    std::uint8_t *codes = kCodes ? to.codes + start : nullptr;
    __m256 pixels[3];
    std::int64_t at = strip.from * kStride;
    strip.load(pixels, at++);
    __m256 last = depth.add(depth.bias, pixels, 0), next = depth.bias;
    if constexpr (kStride == 1) {
        strip.load(pixels, at++);
        last = depth.add(last, pixels, 1);
        next = depth.add(next, pixels, 0);
    }
    for (std::int64_t left = strip.until - strip.from; left > 0; --left) {
        if constexpr (kStride == 2) {
            strip.load(pixels, at++);
            last = depth.add(last, pixels, 1);
        }
        strip.load(pixels, at++);
        __m256 sum = depth.add(last, pixels, 2);
        if constexpr (kStride == 1) {
            last = depth.add(next, pixels, 1);
            next = depth.add(depth.bias, pixels, 0);
        } else {
            last = depth.add(depth.bias, pixels, 0);
        }
        if constexpr (kBend == Bend::Relu)
            sum = _mm256_max_ps(sum, _mm256_setzero_ps());
        if constexpr (kBend == Bend::Prelu)
            sum = bent(sum, depth.slopes);
        if constexpr (kOut) {
            _mm256_storeu_ps(out, sum);
            out += channels;
        }
        if constexpr (kCodes) {
            depth.codes.store(sum, codes);
            codes += channels;
        }
    }
}

using DepthStripFunction = void (*)(const ConvPair &, const DepthStrip &, const MadeRow &);

template <int kStride, Bend kBend> DepthStripFunction depth_strip_to(const MadeRow &to) {
    if (to.codes == nullptr)
        return &depth_strip<kStride, kBend, true, false>;
    return to.out == nullptr ? &depth_strip<kStride, kBend, false, true>
                             : &depth_strip<kStride, kBend, true, true>;
}

template <int kStride>
DepthStripFunction depth_strip_of(const ConvPair &pair, const MadeRow &to) {
    if (!pair.depth_slopes.empty())
        return depth_strip_to<kStride, Bend::Prelu>(to);
    return pair.depth_relu ? depth_strip_to<kStride, Bend::Relu>(to)
                           : depth_strip_to<kStride, Bend::None>(to);
}

void depth_row(const ConvPair &pair, std::int64_t block, const float *const rows[3],
               const MadeRow &to) {
    const DepthStripFunction run =
        pair.stride == 1 ? depth_strip_of<1>(pair, to) : depth_strip_of<2>(pair, to);
    const std::int64_t pixels = pair.depth_pixels();
    for (std::int64_t p = 0; p < pixels; p += kDepthStrip)
        for (std::int64_t half = 0; half < kPairBlock; half += 8)
            run(pair,
                {{rows[0] + half, rows[1] + half, rows[2] + half},
                 p,
                 std::min(p + kDepthStrip, pixels),
                 block * kPairBlock + half},
                to);
}

template <bool kOut, bool kCodes>
SPHERE_AVX2 void pool_to(const ConvPair &pair, const float *above, const float *below,
                         const MadeRow &to) {
    const Codes codes(to.encoding);
    const std::int64_t channels = pair.channels;
    for (std::int64_t p = 0; p < pair.pixels / 2; ++p)
        for (std::int64_t c = 0; c < channels; c += 8) {
            const std::int64_t left = 2 * p * channels + c, right = left + channels;
            const __m256 largest = _mm256_max_ps(
                _mm256_max_ps(_mm256_loadu_ps(above + left), _mm256_loadu_ps(above + right)),
                _mm256_max_ps(_mm256_loadu_ps(below + left), _mm256_loadu_ps(below + right)));
            if constexpr (kOut)
                _mm256_storeu_ps(to.out + p * channels + c, largest);
            if constexpr (kCodes)
                codes.store(largest, to.codes + p * channels + c);
        }
}

void pool_row(const ConvPair &pair, const float *above, const float *below, const MadeRow &to) {
    if (to.codes == nullptr)
        pool_to<true, false>(pair, above, below, to);
    else if (to.out == nullptr)
        pool_to<false, true>(pair, above, below, to);
    else
        pool_to<true, true>(pair, above, below, to);
}

} // namespace

const PairKernel *pairs_avx2() {
    static constexpr PairKernel kKernel = {"sphere avx2", &pair_tiles::stem_row<float>,
                                           &pair_tiles::point_row<float>, &depth_row,
                                           &pool_row};
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kKernel : nullptr;
}

} // namespace sphere::onednn
#else

namespace sphere::onednn {

const PairKernel *pairs_avx2() {
    return nullptr;
}

} // namespace sphere::onednn
#endif
