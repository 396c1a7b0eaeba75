// SPDX-License-Identifier: MIT
// The rows of pairs in plain C++, which say what the other kernels compute.
#include "core/engine/onednn/pairs.h"

#include "core/base/cpu.h"

#include <algorithm>
#include <array>

namespace sphere::onednn {
namespace {

void stem_row(const ConvStem &stem, const float *const *rows, const RowPlace &to) {
    for (std::int64_t p = 0; p < stem.pixels_out; ++p)
        stem_pixel(stem, rows, p, to);
}

void point_row(const ConvPair &pair, const float *x, const RowPlace &to) {
    for (std::int64_t p = 0; p < pair.pixels; ++p)
        for (std::int64_t c = 0; c < pair.channels; ++c) {
            float sum = pair.point_bias == nullptr ? 0 : pair.point_bias[c];
            for (std::int64_t k = 0; k < pair.inputs; ++k)
                sum += x[p * pair.inputs + k] * pair.point_weights[k * pair.channels + c];
            to.at[p * to.pixel + c / kPairBlock * to.block + c % kPairBlock] =
                pair.point_relu ? std::max(sum, 0.0F) : sum;
        }
}

void depth_row(const ConvPair &pair, std::int64_t block, const float *const rows[3],
               const MadeRow &to) {
    const std::int64_t first = block * kPairBlock;
    RowPass one; // of a pixel's block
    one.pixels = 1;
    one.channels = kPairBlock;
    one.inverse_scale = to.encoding.inverse_scale;
    one.zero = to.encoding.zero;
    const float *const slopes =
        pair.depth_slopes.empty() ? nullptr : pair.depth_slopes.data() + first;
    for (std::int64_t p = 0; p < pair.depth_pixels(); ++p) {
        std::array<float, kPairBlock> made{};
        for (std::int64_t c = 0; c < kPairBlock; ++c) {
            float sum = pair.depth_bias == nullptr ? 0 : pair.depth_bias[first + c];
            for (int y = 0; y < 3; ++y)
                for (int x = 0; x < 3; ++x)
                    sum += rows[y][(p * pair.stride + x) * kPairBlock + c] *
                           pair.depth_weights[(y * 3 + x) * pair.channels + first + c];
            made[static_cast<std::size_t>(c)] = pair.depth_relu ? std::max(sum, 0.0F) : sum;
        }
        const std::int64_t at = p * pair.channels + first;
        row_portable(one, made.data(), slopes, nullptr,
                     to.out == nullptr ? nullptr : to.out + at,
                     to.codes == nullptr ? nullptr : to.codes + at);
    }
}

void pool_row(const ConvPair &pair, const float *above, const float *below, const MadeRow &to) {
    RowPass one; // of a value
    one.pixels = one.channels = 1;
    one.inverse_scale = to.encoding.inverse_scale;
    one.zero = to.encoding.zero;
    for (std::int64_t p = 0; p < pair.pixels / 2; ++p)
        for (std::int64_t c = 0; c < pair.channels; ++c) {
            const std::int64_t left = 2 * p * pair.channels + c, right = left + pair.channels;
            const float largest = std::max(std::max(above[left], above[right]),
                                           std::max(below[left], below[right]));
            const std::int64_t at = p * pair.channels + c;
            row_portable(one, &largest, nullptr, nullptr,
                         to.out == nullptr ? nullptr : to.out + at,
                         to.codes == nullptr ? nullptr : to.codes + at);
        }
}

} // namespace

std::array<float, kPairBlock> stem_block(const ConvStem &stem, const float *const *rows,
                                         std::int64_t pixel, std::int64_t first) {
    std::array<float, kPairBlock> sums{};
    if (stem.bias != nullptr)
        std::copy_n(stem.bias + first, kPairBlock, sums.begin());
    for (std::int64_t y = 0; y < 3; ++y)
        for (std::int64_t x = 0; x < 3; ++x) {
            const std::int64_t at = pixel * stem.stride + x - 1;
            if (at < 0 || at >= stem.pixels)
                continue;
            for (std::int64_t k = 0; k < stem.planes; ++k) {
                const float value = rows[y * stem.planes + k][at];
                const float *w =
                    stem.weights + ((y * 3 + x) * stem.planes + k) * stem.channels + first;
                for (float &sum : sums)
                    sum += value * *w++;
            }
        }
    for (std::size_t c = 0; c < sums.size(); ++c) {
        if (stem.relu)
            sums[c] = std::max(sums[c], 0.0F);
        if (sums[c] < 0 && !stem.slopes.empty())
            sums[c] *= stem.slopes[static_cast<std::size_t>(first) + c];
    }
    return sums;
}

void stem_pixel(const ConvStem &stem, const float *const *rows, std::int64_t pixel,
                const RowPlace &to) {
    for (std::int64_t first = 0; first < stem.channels; first += kPairBlock) {
        const std::array<float, kPairBlock> made = stem_block(stem, rows, pixel, first);
        std::copy(made.begin(), made.end(),
                  to.at + pixel * to.pixel + first / kPairBlock * to.block);
    }
}

const PairKernel &pairs_portable() {
    static constexpr PairKernel kKernel = {"sphere", &stem_row, &point_row, &depth_row,
                                           &pool_row};
    return kKernel;
}

const PairKernel *best_pairs() {
    if (cpu_level() == CpuLevel::Avx512)
        return pairs_avx512();
    return cpu_level() == CpuLevel::Avx2 ? pairs_avx2() : nullptr;
}

} // namespace sphere::onednn
