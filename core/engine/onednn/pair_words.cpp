// SPDX-License-Identifier: MIT
// Weights of depthwise convolutions in 16 bits, and their rows in plain C++, which say what the
// other kernels compute.
#include "core/engine/onednn/pair_words.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace sphere::onednn {
namespace {

constexpr float kLargestWeight = 32767; ///< of 2^15
constexpr float kLargestBias = 16384;   ///< half of what 16 bits hold

std::int16_t cut(std::int32_t value) {
    return static_cast<std::int16_t>(
        std::clamp<std::int32_t>(value, std::numeric_limits<std::int16_t>::min(),
                                 std::numeric_limits<std::int16_t>::max()));
}

std::int16_t rounded(float value) {
    return static_cast<std::int16_t>(std::lrint(std::clamp(value, -32768.0F, 32767.0F)));
}

std::int16_t sum(std::int16_t a, std::int16_t b) {
    return cut(std::int32_t{a} + b);
}

// PMULHRSW.
std::int16_t product(std::int16_t a, std::int16_t b) {
    return static_cast<std::int16_t>((std::int32_t{a} * b + 0x4000) >> 15);
}

std::uint8_t code(std::int16_t made, std::int32_t zero) {
    const std::int16_t whole = product(made, (1 << 15) / kWordFraction);
    return static_cast<std::uint8_t>(std::clamp(whole + zero, 0, 255));
}

void stem_row(const ConvStem &stem, const float *const *rows, const WordPlace &to) {
    for (std::int64_t p = 0; p < stem.pixels_out; ++p)
        stem_pixel(stem, rows, p, to);
}

// At row[at]: values, codes or both.
void put(const ConvPair &pair, std::int16_t made, const MadeRow &row, std::int64_t at) {
    if (row.out != nullptr)
        row.out[at] = static_cast<float>(made) * pair.words->unit;
    if (row.codes != nullptr)
        row.codes[at] = code(made, row.encoding.zero);
}

void point_row(const ConvPair &pair, const float *x, const WordPlace &to) {
    std::vector<float> row(static_cast<std::size_t>(pair.pixels * pair.channels));
    pairs_portable().point(pair, x, {row.data(), pair.channels, kPairBlock});
    for (std::int64_t i = 0; i < pair.pixels * pair.channels; ++i) {
        const std::int64_t p = i / pair.channels, c = i % pair.channels;
        to.at[p * to.pixel + c / kPairBlock * to.block + c % kPairBlock] =
            rounded(row[static_cast<std::size_t>(i)]);
    }
}

void dot_row(const DotConv &conv, std::int64_t block, std::int64_t pixels,
             const std::uint8_t *x, std::int16_t *out) {
    DotConv rows = conv;
    rows.to.channels = kDotOutputs;
    std::vector<float> values(static_cast<std::size_t>(pixels * kDotOutputs));
    dot_portable().row(rows, {block}, pixels, x, nullptr, values.data(), nullptr);
    std::transform(values.begin(), values.end(), out, rounded);
}

void depth_row(const ConvPair &pair, std::int64_t block, const std::int16_t *const rows[3],
               const MadeWords &to) {
    const DepthWords &depth = *pair.words;
    for (std::int64_t p = 0; p < pair.depth_pixels(); ++p)
        for (std::int64_t c = 0; c < kPairBlock; ++c) {
            const std::int64_t channel = block * kPairBlock + c;
            const auto at_channel = static_cast<std::size_t>(channel);
            std::int16_t made = depth.bias[at_channel];
            for (std::int64_t x = 0; x < 3; ++x) { // columns are summed first
                const auto tap = [&](std::int64_t y) {
                    return product(rows[y][(p * pair.stride + x) * kPairBlock + c],
                                   depth.weights[static_cast<std::size_t>(
                                       (y * 3 + x) * pair.channels + channel)]);
                };
                made = sum(made, sum(sum(tap(0), tap(1)), tap(2)));
            }
            if (!depth.slopes.empty())
                made = std::max(made, product(made, depth.slopes[at_channel]));
            else if (pair.depth_relu)
                made = std::max<std::int16_t>(made, 0);
            const std::int64_t at = p * pair.channels + channel;
            if (to.words != nullptr)
                to.words[at] = made;
            else
                put(pair, made, to.row, at);
        }
}

void pool_row(const ConvPair &pair, const std::int16_t *above, const std::int16_t *below,
              const MadeRow &to) {
    for (std::int64_t p = 0; p < pair.pixels / 2; ++p)
        for (std::int64_t c = 0; c < pair.channels; ++c) {
            const std::int64_t left = 2 * p * pair.channels + c, right = left + pair.channels;
            const std::int16_t largest = std::max(std::max(above[left], above[right]),
                                                  std::max(below[left], below[right]));
            put(pair, largest, to, p * pair.channels + c);
        }
}

// Weights [rows][channels] and a bias behind them, times the channels' scales.
std::vector<float> scaled_rows(const float *&weights, const float *&bias, std::size_t rows,
                               const std::vector<float> &scales) {
    const std::size_t channels = scales.size();
    std::vector<float> scaled((rows + 1) * channels, 0.0F);
    for (std::size_t i = 0; i < rows * channels; ++i)
        scaled[i] = weights[i] * scales[i % channels];
    for (std::size_t c = 0; c < channels && bias != nullptr; ++c)
        scaled[rows * channels + c] = bias[c] * scales[c];
    weights = scaled.data();
    bias = scaled.data() + rows * channels;
    return scaled;
}

} // namespace

std::optional<DepthWords> pack_depth_words(const ConvPair &pair, const Encoding &codes) {
    const auto channels = static_cast<std::size_t>(pair.channels);
    const float by = codes.inverse_scale * kWordFraction; // of what is made
    DepthWords words;
    words.unit = 1 / by;
    words.weights.resize(9 * channels);
    for (std::size_t c = 0; c < channels; ++c) {
        float largest = 0;
        for (std::size_t tap = 0; tap < 9; ++tap)
            largest = std::max(largest, std::abs(pair.depth_weights[tap * channels + c]));
        const float bias = pair.depth_bias == nullptr ? 0 : pair.depth_bias[c] * by;
        if (!std::isfinite(largest * by) || !(std::abs(bias) <= kLargestBias))
            return std::nullopt;
        for (std::size_t tap = 0; tap < 9 && largest > 0; ++tap)
            words.weights[tap * channels + c] =
                rounded(pair.depth_weights[tap * channels + c] / largest * kLargestWeight);
        words.bias.push_back(rounded(bias));
        words.scales.push_back(largest * by);
    }
    for (const float slope : pair.depth_slopes) {
        if (!(std::abs(slope) <= 1))
            return std::nullopt;
        words.slopes.push_back(rounded(slope * kLargestWeight));
    }
    return words;
}

std::optional<DotConv> scaled_dot(const DotConv &conv, const std::vector<float> &scales) {
    const DotWeights &weights = *conv.weights;
    const auto most = static_cast<float>(255 * 127 * weights.inputs * weights.taps());
    DotConv scaled = conv;
    for (std::size_t c = 0; c < scales.size(); ++c) {
        scaled.scales[c] *= scales[c];
        scaled.bias[c] *= scales[c];
        if (!(std::abs(scaled.scales[c]) * most + std::abs(scaled.bias[c]) < 0x1p30F))
            return std::nullopt;
    }
    return scaled;
}

std::vector<float> scaled_point(ConvPair &pair, const std::vector<float> &scales) {
    return scaled_rows(pair.point_weights, pair.point_bias,
                       static_cast<std::size_t>(pair.inputs), scales);
}

std::vector<float> scaled_stem(ConvStem &stem, const std::vector<float> &scales) {
    return scaled_rows(stem.weights, stem.bias, 9 * static_cast<std::size_t>(stem.planes),
                       scales);
}

void stem_pixel(const ConvStem &stem, const float *const *rows, std::int64_t pixel,
                const WordPlace &to) {
    for (std::int64_t first = 0; first < stem.channels; first += kPairBlock) {
        const std::array<float, kPairBlock> made = stem_block(stem, rows, pixel, first);
        std::transform(made.begin(), made.end(),
                       to.at + pixel * to.pixel + first / kPairBlock * to.block, rounded);
    }
}

const WordKernel &words_portable() {
    static constexpr WordKernel kKernel = {"sphere", &stem_row,  &point_row,
                                           &dot_row, &depth_row, &pool_row};
    return kKernel;
}

const WordKernel *best_words() {
    if (best_dot() == nullptr)
        return nullptr;
    return best_dot() == dot_vnni() ? words_vnni() : words_avx2();
}

} // namespace sphere::onednn
