// SPDX-License-Identifier: MIT
// Weights for the kernels of a convolution in int8, the walk over its rows, and the kernel that
// every CPU has.
#include "core/engine/onednn/dot.h"

#include "core/base/cpu.h"
#include "core/engine/onednn/bands.h"
#include "core/engine/onednn/compat.h"
#include "core/engine/onednn/int8.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <new>

namespace sphere::onednn {
namespace {

constexpr int kLargestCode = 127;
constexpr int kLargestSum = 128;           ///< 255 * this fits 16 bits with a sign
constexpr std::int64_t kQuad = 4;          ///< inputs that a vector has side by side
constexpr std::int64_t kStrip = 48;        ///< pixels whose codes stay in the first cache
constexpr std::int64_t kTile = 3;          ///< pixels; strips are of whole tiles
constexpr std::int64_t kKept = 128 * 1024; ///< bytes of weights that stay in the second cache
constexpr std::size_t kLane = 8;           ///< weights of a group that share 16 bits

/// The weights of one output channel, [taps][inputs], in groups of kDotInputs. Of each quad of
/// a group's inputs the first two meet in one sum of 16 bits, the others in a second one: a
/// lane each.
class Channel {
  public:
    Channel(const float *weights, std::int64_t inputs, std::int64_t taps) {
        weights_.reserve(static_cast<std::size_t>(inputs * taps));
        for (std::int64_t tap = 0; tap < taps; ++tap)
            for (std::int64_t i = 0; i < inputs; ++i)
                weights_.push_back(weights[i * taps + tap]);
        float largest = 0, sum = 0;
        for (std::size_t lane = 0; lane < lanes(); ++lane) {
            float above = 0, below = 0;
            for (std::size_t i = 0; i < kLane; ++i) {
                const float w = weights_[place(lane, i)];
                (w > 0 ? above : below) += std::abs(w);
                largest = std::max(largest, std::abs(w));
            }
            sum = std::max({sum, above, below});
        }
        scale_ = std::max({largest / kLargestCode, sum / kLargestSum, 1e-20F});
    }
    float scale() const { return scale_; }

    /// In the weights' order.
    std::vector<std::int8_t> codes() const {
        std::vector<std::int8_t> codes;
        codes.reserve(weights_.size());
        for (const float w : weights_)
            codes.push_back(static_cast<std::int8_t>(std::lrint(w / scale_)));
        for (std::size_t lane = 0; lane < lanes(); ++lane)
            for (const int sign : {1, -1})
                for (int over = sum(codes, lane, sign) - kLargestSum; over > 0; --over)
                    lower_one(codes, lane, sign);
        return codes;
    }

  private:
    std::size_t lanes() const { return weights_.size() / kLane; }
    static std::size_t place(std::size_t lane, std::size_t i) {
        return lane / 2 * kDotInputs + i / 2 * kQuad + lane % 2 * 2 + i % 2;
    }
    static int sum(const std::vector<std::int8_t> &codes, std::size_t lane, int sign) {
        int sum = 0;
        for (std::size_t i = 0; i < kLane; ++i)
            sum += std::max(sign * codes[place(lane, i)], 0);
        return sum;
    }
    // Rounding added up to too much: that which it moved furthest from zero goes back.
    void lower_one(std::vector<std::int8_t> &codes, std::size_t lane, int sign) const {
        std::size_t worst = place(lane, 0);
        float furthest = -kLargestSum;
        for (std::size_t i = 0; i < kLane; ++i) {
            const std::size_t at = place(lane, i);
            const auto code = static_cast<float>(sign * codes[at]);
            const float moved = code - static_cast<float>(sign) * weights_[at] / scale_;
            if (code > 0 && moved > furthest) {
                furthest = moved;
                worst = at;
            }
        }
        codes[worst] = static_cast<std::int8_t>(codes[worst] - sign);
    }

    std::vector<float> weights_;
    float scale_ = 1;
};

std::int64_t strips_of(std::int64_t pixels) {
    return (pixels + kStrip - 1) / kStrip;
}

/// Part of a row: what a kernel is called for.
struct Strip {
    std::int64_t picture, row, pixel, pixels;
};

/// The strips of a convolution, in order.
class Strips {
  public:
    explicit Strips(const RowPass &to)
        : to_(to), a_row_(strips_of(to.pixels)),
          each_((to.pixels + a_row_ - 1) / a_row_ + kTile - 1) {
        each_ -= each_ % kTile;
        a_row_ = (to.pixels + each_ - 1) / each_;
    }
    std::int64_t count() const { return to_.pictures * to_.rows * a_row_; }
    std::int64_t pixels() const { return each_; }
    Strip at(std::int64_t i) const {
        const std::int64_t row = i / a_row_, pixel = i % a_row_ * each_;
        return {row / to_.rows, row % to_.rows, pixel, std::min(each_, to_.pixels - pixel)};
    }

  private:
    const RowPass &to_;
    std::int64_t a_row_, each_;
};

void run_strip(const DotKernel &kernel, const DotConv &conv, const DotBlocks &blocks,
               const Strip &strip) {
    const RowPass &to = conv.to;
    const std::int64_t pixel = (strip.picture * to.rows + strip.row) * to.pixels + strip.pixel;
    const std::int64_t y = pixel * to.channels + blocks.first * kDotOutputs;
    const std::int64_t code =
        strip.picture * to.code_picture() + (to.top + strip.row) * to.code_row() +
        (to.left + strip.pixel) * to.channels + blocks.first * kDotOutputs;
    kernel.row(conv, blocks, strip.pixels,
               conv.x + strip.picture * conv.x_picture +
                   conv.stride * (strip.row * conv.x_row + strip.pixel * conv.weights->inputs),
               to.addend == nullptr ? nullptr : to.addend + y,
               to.out == nullptr ? nullptr : to.out + y,
               to.codes == nullptr ? nullptr : to.codes + code);
}

/// The weights of one output channel in the order of the taps, as codes.
struct ChannelCodes {
    float scale = 1;
    std::vector<std::int8_t> codes;
};

ChannelCodes whole_codes(const float *weights, std::int64_t inputs, std::int64_t taps) {
    const std::int64_t count = inputs * taps;
    float largest = 0;
    for (std::int64_t i = 0; i < count; ++i)
        largest = std::max(largest, std::abs(weights[i]));
    ChannelCodes made{std::max(largest / kLargestCode, 1e-20F), {}};
    made.codes.reserve(static_cast<std::size_t>(count));
    for (std::int64_t tap = 0; tap < taps; ++tap)
        for (std::int64_t i = 0; i < inputs; ++i)
            made.codes.push_back(
                static_cast<std::int8_t>(std::lrint(weights[i * taps + tap] / made.scale)));
    return made;
}

ChannelCodes codes_of(const float *weights, std::int64_t inputs, std::int64_t taps, int bits) {
    if (bits >= 8)
        return whole_codes(weights, inputs, taps);
    const Channel channel(weights, inputs, taps);
    return {channel.scale(), channel.codes()};
}

void portable_row(const DotConv &conv, const DotBlocks &blocks, std::int64_t pixels,
                  const std::uint8_t *x, const float *addend, float *out, std::uint8_t *codes) {
    const DotWeights &weights = *conv.weights;
    const std::int64_t inputs = weights.inputs, first = blocks.first * kDotOutputs;
    RowPass one = conv.to; // of a pixel's sixteen channels
    one.pixels = 1;
    one.channels = kDotOutputs;
    const float *const slopes = conv.slopes.empty() ? nullptr : conv.slopes.data() + first;
    for (std::int64_t p = 0; p < pixels; ++p, x += conv.stride * inputs) {
        std::array<std::int32_t, kDotOutputs> sums{};
        const std::int8_t *w = weights.codes() + first * weights.taps() * inputs;
        for (std::int64_t ky = 0; ky < weights.kernel_rows; ++ky)
            for (std::int64_t i = 0; i < weights.kernel_pixels * inputs; i += kQuad)
                for (std::int32_t &sum : sums)
                    for (std::int64_t k = 0; k < kQuad; ++k)
                        sum += x[ky * conv.x_row + i + k] * *w++;
        std::array<float, kDotOutputs> y{};
        for (std::size_t o = 0; o < y.size(); ++o)
            y[o] =
                static_cast<float>(sums[o]) * conv.scales[static_cast<std::size_t>(first) + o] +
                conv.bias[static_cast<std::size_t>(first) + o];
        const std::int64_t at = p * conv.to.channels;
        row_portable(one, y.data(), slopes, addend == nullptr ? nullptr : addend + at,
                     out == nullptr ? nullptr : out + at,
                     codes == nullptr ? nullptr : codes + at);
    }
}

DotWeights pack(const std::vector<float> &weights, const Dims &dims, int bits) {
    DotWeights packed;
    packed.outputs = dims[0];
    packed.inputs = dims[1];
    packed.kernel_rows = dims[2];
    packed.kernel_pixels = dims[3];
    packed.bytes = allocate_aligned(weights.size());
    if (!packed.bytes)
        throw std::bad_alloc();
    auto *const to = reinterpret_cast<std::int8_t *>(packed.bytes.get());
    const std::int64_t taps = packed.taps(), inputs = packed.inputs;
    for (std::int64_t o = 0; o < packed.outputs; ++o) {
        const ChannelCodes channel =
            codes_of(weights.data() + o * inputs * taps, inputs, taps, bits);
        std::int8_t *const block =
            to + o / kDotOutputs * taps * inputs * kDotOutputs + o % kDotOutputs * kQuad;
        std::int64_t sum = 0, i = 0;
        for (const std::int8_t code : channel.codes) {
            block[(i - i % kQuad) * kDotOutputs + i % kQuad] = code;
            sum += code;
            ++i;
        }
        packed.scales.push_back(channel.scale);
        packed.sums.push_back(static_cast<float>(sum));
    }
    return packed;
}

} // namespace

DotWeights pack_dot_weights(const Constant &weights, int bits) {
    return pack(weights.floats, weights.dims, bits);
}

// They lie so already: taps in turn, channels of each.
DotWeights pack_product_weights(const std::vector<float> &weights, const Dims &dims, int bits) {
    DotWeights packed = pack(weights, dims, bits);
    packed.inputs *= packed.taps();
    packed.kernel_rows = packed.kernel_pixels = 1;
    return packed;
}

const DotKernel &dot_portable() {
    static constexpr DotKernel kKernel = {"sphere", 1, &portable_row};
    return kKernel;
}

// With the library's VNNI held back (ONEDNN_MAX_CPU_ISA) calibrations are of 7 bits, which
// either kernel takes.
const DotKernel *best_dot() {
    if (cpu_extensions().avx512_vnni && int8_weight_bits() >= 7)
        return compat::uses_tiles() ? nullptr : dot_vnni();
    return cpu_level() == CpuLevel::Avx2 && int8_weight_bits() == 7 ? dot_avx2() : nullptr;
}

void flatten(DotConv &conv) {
    RowPass &to = conv.to;
    const bool plain = conv.weights->taps() == 1 && conv.stride == 1 &&
                       conv.x_row == to.pixels * conv.weights->inputs &&
                       conv.x_picture == to.rows * conv.x_row &&
                       to.top + to.left + to.bottom + to.right == 0;
    if (!plain)
        return;
    to.pixels *= to.pictures * to.rows;
    to.pictures = to.rows = 1;
}

// Few weights stay in the cache for all pixels; where they are many, those of a few channels
// stay, and the pixels pass by again for the next ones.
void run_dot(const DotKernel &kernel, const DotConv &conv, int threads) {
    const RowPass &to = conv.to;
    if (to.codes != nullptr)
        for (std::int64_t n = 0; n < to.pictures; ++n)
            fill_border(to, to.codes + n * to.code_picture());
    const Strips strips(to);
    const std::int64_t blocks = to.channels / kDotOutputs, count = strips.count();
    const bool few = conv.weights->taps() * conv.weights->inputs * to.channels <= kKept;
    const std::int64_t bands = std::clamp<std::int64_t>(count, 1, std::max(threads, 1));
    const auto band = [&](std::int64_t i) {
        const std::int64_t last = count * (i + 1) / bands;
        std::int64_t first = count * i / bands;
        const std::int64_t group =
            few ? std::max<std::int64_t>(kStrip / strips.pixels(), 1) : last - first;
        for (; first < last; first += group)
            for (std::int64_t block = 0; block < blocks; block += kernel.most_blocks)
                for (std::int64_t s = first; s < std::min(first + group, last); ++s)
                    run_strip(kernel, conv,
                              {block, std::min(kernel.most_blocks, blocks - block), s == first},
                              strips.at(s));
    };
    run_bands(bands, band);
}

} // namespace sphere::onednn
