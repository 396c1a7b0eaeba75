// SPDX-License-Identifier: MIT
// Winograd's convolutions: weights, which tile suits a plane, and the portable kernel, which is
// the reference.
#include "core/engine/onednn/winograd.h"

#include "core/base/bf16.h"
#include "core/base/cpu.h"
#include "core/engine/onednn/compat.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <new>

namespace sphere::onednn {
namespace {

constexpr double kNegligible = 1e-20; ///< see WeightStore: products would be denormal

constexpr double kWorthwhile = 0.8; ///< of the time: weights of 4x4 tiles are 9/4 as large

// The transforms for the points 0, 1, -1, 2, -2 and infinity, or 0, 1, -1 and infinity.
constexpr double kWeights4[6][3] = {
    {1.0 / 4, 0, 0},
    {-1.0 / 6, -1.0 / 6, -1.0 / 6},
    {-1.0 / 6, 1.0 / 6, -1.0 / 6},
    {1.0 / 24, 1.0 / 12, 1.0 / 6},
    {1.0 / 24, -1.0 / 12, 1.0 / 6},
    {0, 0, 1},
};
constexpr double kWeights2[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
constexpr float kInput4[6][6] = {
    {4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
    {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1},
};
constexpr float kInput2[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}};
constexpr float kOutput4[4][6] = {
    {1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}};
constexpr float kOutput2[2][4] = {{1, 1, 1, 0}, {0, 1, -1, 1}};

double weights_matrix(std::int64_t tile, std::int64_t row, std::int64_t column) {
    return tile == 4 ? kWeights4[row][column] : kWeights2[row][column];
}
float input_matrix(std::int64_t tile, std::int64_t row, std::int64_t column) {
    return tile == 4 ? kInput4[row][column] : kInput2[row][column];
}
float output_matrix(std::int64_t tile, std::int64_t row, std::int64_t column) {
    return tile == 4 ? kOutput4[row][column] : kOutput2[row][column];
}

using Square = std::array<float, kWinogradMost>;

void put(float value, float &to) {
    to = value;
}
void put(float value, std::uint16_t &to) {
    to = nearest_bf16(value);
}
float number(float value) {
    return value;
}
float number(std::uint16_t half) {
    return float_of_bf16(half);
}

// Where a weight is within those of 16 outputs.
std::int64_t weight_at(std::int64_t input, std::int64_t output, bool bf16) {
    return bf16 ? input / 2 * 2 * kWinogradOutputs + output * 2 + input % 2
                : input * kWinogradOutputs + output;
}

template <typename Number>
void portable_input(const WinogradWeights &weights, const float *const *points,
                    std::int64_t stride, void *made) {
    auto *const to = static_cast<Number *>(made);
    const std::int64_t side = weights.tile + 2;
    for (std::int64_t k = 0; k < weights.inputs; ++k) {
        Square half{};
        for (std::int64_t i = 0; i < side; ++i)
            for (std::int64_t x = 0; x < side; ++x)
                for (std::int64_t y = 0; y < side; ++y)
                    half[static_cast<std::size_t>(i * side + x)] +=
                        input_matrix(weights.tile, i, y) * points[y * side + x][k];
        for (std::int64_t i = 0; i < side; ++i)
            for (std::int64_t j = 0; j < side; ++j) {
                float sum = 0;
                for (std::int64_t x = 0; x < side; ++x)
                    sum += half[static_cast<std::size_t>(i * side + x)] *
                           input_matrix(weights.tile, j, x);
                put(sum, to[(i * side + j) * stride + k]);
            }
    }
}

template <typename Number>
void portable_multiply(const void *values, std::int64_t tiles, std::int64_t inputs,
                       const void *by, std::int64_t stride, float *sums) {
    const auto *const x = static_cast<const Number *>(values);
    const auto *const weights = static_cast<const Number *>(by);
    for (std::int64_t t = 0; t < tiles; ++t)
        for (std::int64_t o = 0; o < kWinogradOutputs; ++o) {
            float sum = 0;
            for (std::int64_t k = 0; k < inputs; ++k)
                sum += number(x[t * inputs + k]) *
                       number(weights[weight_at(k, o, sizeof(Number) == 2)]);
            sums[t * stride + o] = sum;
        }
}

void portable_output(const WinogradConv &conv, const float *sums, const WinogradTile &to) {
    const std::int64_t tile = conv.weights->tile, side = tile + 2;
    const std::int64_t channels = conv.weights->outputs;
    for (std::int64_t o = 0; o < kWinogradOutputs; ++o) {
        const auto channel = static_cast<std::size_t>(to.block * kWinogradOutputs + o);
        Square half{};
        for (std::int64_t i = 0; i < tile; ++i)
            for (std::int64_t x = 0; x < side; ++x)
                for (std::int64_t y = 0; y < side; ++y)
                    half[static_cast<std::size_t>(i * side + x)] +=
                        output_matrix(tile, i, y) * sums[(y * side + x) * kWinogradOutputs + o];
        for (std::int64_t i = 0; i < to.rows; ++i)
            for (std::int64_t j = 0; j < to.pixels; ++j) {
                float y = conv.bias[channel];
                for (std::int64_t x = 0; x < side; ++x)
                    y += half[static_cast<std::size_t>(i * side + x)] *
                         output_matrix(tile, j, x);
                const std::int64_t at = (i * conv.pixels + j) * channels + o;
                const float addend = to.addend == nullptr ? 0 : to.addend[at];
                if (conv.adds_first)
                    y += addend;
                if (y < 0 && !conv.slopes.empty())
                    y *= conv.slopes[channel];
                to.out[at] = conv.adds_first ? y : y + addend;
            }
    }
}

} // namespace

WinogradWeights transform_weights(const Constant &weights, std::int64_t tile, bool bf16) {
    WinogradWeights made;
    made.bf16 = bf16;
    made.outputs = weights.dims[0];
    made.inputs = weights.dims[1];
    made.tile = tile;
    const std::int64_t side = tile + 2, positions = made.positions();
    made.bytes = allocate_aligned(
        static_cast<std::size_t>(made.outputs * made.inputs * positions * made.value_bytes()));
    if (!made.bytes)
        throw std::bad_alloc();
    auto *const floats = reinterpret_cast<float *>(made.bytes.get());
    auto *const halves = reinterpret_cast<std::uint16_t *>(made.bytes.get());
    const float *from = weights.floats.data();
    for (std::int64_t o = 0; o < made.outputs; ++o)
        for (std::int64_t k = 0; k < made.inputs; ++k, from += 9) {
            const std::int64_t block =
                o / kWinogradOutputs * positions * made.inputs * kWinogradOutputs;
            const std::int64_t first = block + weight_at(k, o % kWinogradOutputs, bf16);
            for (std::int64_t i = 0; i < side; ++i) {
                std::array<double, 3> half{};
                for (std::int64_t x = 0; x < 3; ++x)
                    for (std::int64_t y = 0; y < 3; ++y)
                        half[static_cast<std::size_t>(x)] +=
                            weights_matrix(tile, i, y) * from[y * 3 + x];
                for (std::int64_t j = 0; j < side; ++j) {
                    double sum = 0;
                    for (std::int64_t x = 0; x < 3; ++x)
                        sum += half[static_cast<std::size_t>(x)] * weights_matrix(tile, j, x);
                    const std::int64_t at =
                        first + (i * side + j) * made.inputs * kWinogradOutputs;
                    const float value =
                        std::abs(sum) < kNegligible ? 0 : static_cast<float>(sum);
                    bf16 ? put(value, halves[at]) : put(value, floats[at]);
                }
            }
        }
    return made;
}

const WinogradKernel &winograd_portable() {
    static constexpr WinogradKernel kKernel = {"sphere winograd portable", false,
                                               &portable_input<float>,
                                               &portable_multiply<float>, &portable_output};
    return kKernel;
}

const WinogradKernel &winograd_portable_bf16() {
    static constexpr WinogradKernel kKernel = {
        "sphere winograd portable", true, &portable_input<std::uint16_t>,
        &portable_multiply<std::uint16_t>, &portable_output};
    return kKernel;
}

const WinogradKernel *best_winograd(bool bf16) {
    if (bf16)
        return cpu_extensions().avx512_bf16 && !compat::uses_tiles() ? winograd_bf16()
                                                                     : nullptr;
    // The library's is for the CPU that there is, whatever cpu_level() says.
    return cpu_level() == CpuLevel::Avx2 && detected_cpu_level() == CpuLevel::Avx2
               ? winograd_avx2()
               : nullptr;
}

std::int64_t best_winograd_tile(std::int64_t rows, std::int64_t pixels, bool bf16) {
    // In products by input and output: reading one weight from memory takes as long as 20, of
    // which 15 pass during products with it.
    const auto time = [](double weights, double products) {
        return weights * std::max(products + 5, 20.0);
    };
    const auto tiled = [&](std::int64_t tile) {
        const std::int64_t tiles = ((rows + tile - 1) / tile) * ((pixels + tile - 1) / tile);
        const std::int64_t whole =
            (tiles + kWinogradGroup - 1) / kWinogradGroup * kWinogradGroup;
        return time(static_cast<double>((tile + 2) * (tile + 2)), static_cast<double>(whole));
    };
    const double direct = time(9, 1.2 * static_cast<double>(rows * pixels));
    const double two = tiled(2), four = bf16 ? two : tiled(4);
    if (direct <= std::min(two, four))
        return 0;
    return bf16 || kWorthwhile * two < four ? 2 : 4;
}

} // namespace sphere::onednn
