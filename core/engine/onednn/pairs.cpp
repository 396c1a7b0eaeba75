// SPDX-License-Identifier: MIT
// Bands of rows for threads, and the kernel that says what the others compute.
#include "core/engine/onednn/pairs.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace sphere::onednn {
namespace {

constexpr std::int64_t kLeastBand = 8; ///< rows: two more are computed twice at each edge

void point_row(const ConvPair &pair, const float *x, float *to) {
    for (std::int64_t p = 0; p < pair.pixels; ++p)
        for (std::int64_t c = 0; c < pair.channels; ++c) {
            float sum = pair.point_bias == nullptr ? 0 : pair.point_bias[c];
            for (std::int64_t k = 0; k < pair.inputs; ++k)
                sum += x[p * pair.inputs + k] * pair.point_weights[k * pair.channels + c];
            to[p * pair.channels + c] = pair.point_relu ? std::max(sum, 0.0F) : sum;
        }
}

void depth_row(const ConvPair &pair, const float *const rows[3], float *out) {
    for (std::int64_t p = 0; p < pair.pixels; ++p)
        for (std::int64_t c = 0; c < pair.channels; ++c) {
            float sum = pair.depth_bias == nullptr ? 0 : pair.depth_bias[c];
            for (int y = 0; y < 3; ++y)
                for (int x = 0; x < 3; ++x)
                    sum += rows[y][(p + x) * pair.channels + c] *
                           pair.depth_weights[(y * 3 + x) * pair.channels + c];
            out[p * pair.channels + c] = pair.depth_relu ? std::max(sum, 0.0F) : sum;
        }
}

void pool_row(const ConvPair &pair, const float *above, const float *below, float *out) {
    for (std::int64_t p = 0; p < pair.pixels / 2; ++p)
        for (std::int64_t c = 0; c < pair.channels; ++c) {
            const std::int64_t left = 2 * p * pair.channels + c, right = left + pair.channels;
            out[p * pair.channels + c] = std::max(std::max(above[left], above[right]),
                                                  std::max(below[left], below[right]));
        }
}

} // namespace

void pair_portable(const ConvPair &pair, std::int64_t picture, std::int64_t first,
                   std::int64_t last, float *ring) {
    const std::int64_t row = (pair.pixels + 2) * pair.channels;
    const auto place = [&](std::int64_t y) { return ring + (y + 3) % 3 * row; };
    for (std::int64_t y = first - 1; y <= last; ++y) {
        std::fill_n(place(y), row, 0.0F);
        if (y >= 0 && y < pair.rows)
            point_row(pair, pair.x + (picture * pair.rows + y) * pair.pixels * pair.inputs,
                      place(y) + pair.channels);
        if (y <= first)
            continue;
        const float *const rows[3] = {place(y - 2), place(y - 1), place(y)};
        const std::int64_t done = picture * pair.rows + y - 1;
        if (!pair.pooled) {
            depth_row(pair, rows, pair.out + done * pair.pixels * pair.channels);
            continue;
        }
        float *const two[2] = {ring + 3 * row, ring + 3 * row + pair.pixels * pair.channels};
        depth_row(pair, rows, two[done % 2]);
        if (done % 2 == 1)
            pool_row(pair, two[0], two[1],
                     pair.out + done / 2 * (pair.pixels / 2) * pair.channels);
    }
}

void run_pair(PairKernel kernel, const ConvPair &pair, int threads) {
    // Channels come in sixteens, so that each row, and each load, is within a cache line.
    const auto floats = static_cast<std::size_t>(pair_ring_floats(pair));
    const std::int64_t bands =
        std::clamp<std::int64_t>(pair.rows / kLeastBand, 1, std::max(threads, 1));
    std::vector<float> rings(floats * static_cast<std::size_t>(bands) + kPairBlock);
    void *aligned = rings.data();
    std::size_t space = rings.size() * sizeof(float);
    auto *const start = static_cast<float *>(
        std::align(kPairBlock * sizeof(float), sizeof(float), aligned, space));
    const auto edge = [&](std::int64_t i) {
        const std::int64_t row = pair.rows * i / bands;
        return pair.pooled ? row / 2 * 2 : row;
    };
    const auto band = [&](std::int64_t i) {
        float *const ring = start + floats * static_cast<std::size_t>(i);
        for (std::int64_t n = 0; n < pair.pictures; ++n)
            kernel(pair, n, edge(i), edge(i + 1), ring);
    };
    if (bands == 1)
        return band(0);
// ThreadSanitizer does not see how GNU OpenMP's threads wait for each other.
#if defined(_OPENMP) && !defined(__SANITIZE_THREAD__)
#pragma omp parallel for num_threads(static_cast <int>(bands)) schedule(static)
#endif
    for (std::int64_t i = 0; i < bands; ++i)
        band(i);
}

} // namespace sphere::onednn
