// SPDX-License-Identifier: MIT
// The rows of pairs in plain C++, which say what the other kernels compute.
#include "core/engine/onednn/pairs.h"

#include "core/base/cpu.h"

#include <algorithm>

namespace sphere::onednn {
namespace {

void stem_row(const ConvStem &stem, const float *const *rows, float *to) {
    for (std::int64_t p = 0; p < stem.pixels_out; ++p)
        stem_pixel(stem, rows, p, to + p * stem.channels);
}

void point_row(const ConvPair &pair, const float *x, float *to) {
    for (std::int64_t p = 0; p < pair.pixels; ++p)
        for (std::int64_t c = 0; c < pair.channels; ++c) {
            float sum = pair.point_bias == nullptr ? 0 : pair.point_bias[c];
            for (std::int64_t k = 0; k < pair.inputs; ++k)
                sum += x[p * pair.inputs + k] * pair.point_weights[k * pair.channels + c];
            to[p * pair.channels + c] = pair.point_relu ? std::max(sum, 0.0F) : sum;
        }
}

void depth_row(const ConvPair &pair, const float *const rows[3], float *to) {
    for (std::int64_t p = 0; p < pair.pixels; ++p)
        for (std::int64_t c = 0; c < pair.channels; ++c) {
            float sum = pair.depth_bias == nullptr ? 0 : pair.depth_bias[c];
            for (int y = 0; y < 3; ++y)
                for (int x = 0; x < 3; ++x)
                    sum += rows[y][(p + x) * pair.channels + c] *
                           pair.depth_weights[(y * 3 + x) * pair.channels + c];
            to[p * pair.channels + c] = pair.depth_relu ? std::max(sum, 0.0F) : sum;
        }
}

void pool_row(const ConvPair &pair, const float *above, const float *below, float *to) {
    for (std::int64_t p = 0; p < pair.pixels / 2; ++p)
        for (std::int64_t c = 0; c < pair.channels; ++c) {
            const std::int64_t left = 2 * p * pair.channels + c, right = left + pair.channels;
            to[p * pair.channels + c] = std::max(std::max(above[left], above[right]),
                                                 std::max(below[left], below[right]));
        }
}

} // namespace

void stem_pixel(const ConvStem &stem, const float *const *rows, std::int64_t pixel, float *to) {
    for (std::int64_t c = 0; c < stem.channels; ++c)
        to[c] = stem.bias == nullptr ? 0 : stem.bias[c];
    for (std::int64_t y = 0; y < 3; ++y)
        for (std::int64_t x = 0; x < 3; ++x) {
            const std::int64_t at = pixel * stem.stride + x - 1;
            if (at < 0 || at >= stem.pixels)
                continue;
            for (std::int64_t k = 0; k < stem.planes; ++k) {
                const float value = rows[y * stem.planes + k][at];
                const float *const weights =
                    stem.weights + ((y * 3 + x) * stem.planes + k) * stem.channels;
                for (std::int64_t c = 0; c < stem.channels; ++c)
                    to[c] += value * weights[c];
            }
        }
    for (std::int64_t c = 0; stem.relu && c < stem.channels; ++c)
        to[c] = std::max(to[c], 0.0F);
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
