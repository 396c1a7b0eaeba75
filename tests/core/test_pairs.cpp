// SPDX-License-Identifier: MIT
// Pairs of convolutions: each kernel against sums in double precision, bands against the
// whole, chains against one pair after another.
#include "core/engine/onednn/pairs.h"

#include "core/base/cpu.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace sphere::onednn {
namespace {

struct Shape {
    std::int64_t pictures, rows, pixels, inputs, channels;
};

class Pairs : public ::testing::Test {
  protected:
    // Values are at cache lines, as in a plan's memory.
    struct Floats {
        explicit Floats(std::size_t n) : all(n + kPairBlock) {}
        float *data() {
            void *p = all.data();
            std::size_t space = all.size() * sizeof(float);
            return static_cast<float *>(std::align(64, sizeof(float), p, space));
        }
        std::vector<float> all;
    };

    float *made(std::int64_t n) {
        auto floats = std::make_unique<Floats>(static_cast<std::size_t>(n));
        std::uniform_real_distribution<float> values(-1, 1);
        std::generate_n(floats->data(), n, [&] { return values(random_); });
        owned_.push_back(std::move(floats));
        return owned_.back()->data();
    }

    ConvPair pair(const Shape &s, bool biased, bool relu, bool pooled = false) {
        ConvPair pair;
        pair.rows = s.rows;
        pair.pixels = s.pixels;
        pair.inputs = s.inputs;
        pair.channels = s.channels;
        pair.pooled = pooled;
        pair.point_relu = relu;
        pair.depth_relu = !relu;
        pair.point_weights = made(s.inputs * s.channels);
        pair.depth_weights = made(9 * s.channels);
        pair.point_bias = biased ? made(s.channels) : nullptr;
        pair.depth_bias = biased ? made(s.channels) : nullptr;
        return pair;
    }

    void fill(const Shape &s, bool biased, bool relu, bool pooled = false) {
        chain_ = {};
        chain_.pictures = s.pictures;
        chain_.pairs = {pair(s, biased, relu, pooled)};
        finish();
    }

    // Before the pairs: planes of `rows` and `pixels`.
    void put_stem(std::int64_t planes, std::int64_t rows, std::int64_t pixels,
                  std::int64_t stride) {
        const ConvPair &first = chain_.pairs[0];
        chain_.stem = {made(9 * planes * first.inputs),
                       stride == 1 ? nullptr : made(first.inputs),
                       stride == 2,
                       planes,
                       rows,
                       pixels,
                       stride,
                       first.pixels,
                       first.inputs};
    }

    // What there is of the input and the result.
    void finish() {
        const ConvPair &first = chain_.pairs.front(), &last = chain_.pairs.back();
        const ConvStem &stem = chain_.stem;
        chain_.x =
            made(chain_.pictures *
                 (stem.planes > 0 ? stem.planes * stem.rows * stem.pixels
                                  : input_scale() * first.rows * first.pixels * first.inputs));
        size_ = chain_.pictures * last.rows_out() * last.pixels_out() * last.channels;
        chain_.out = made(size_);
    }

    std::int64_t input_scale() const { return chain_.pools_input ? 4 : 1; }

    using Doubles = std::vector<double>; ///< channels-last, of one picture

    Doubles stem_result(std::int64_t picture) const {
        const ConvStem &s = chain_.stem;
        Doubles out;
        for (std::int64_t y = 0; y < chain_.pairs[0].rows; ++y)
            for (std::int64_t x = 0; x < s.pixels_out; ++x)
                for (std::int64_t c = 0; c < s.channels; ++c) {
                    double sum = s.bias == nullptr ? 0 : s.bias[c];
                    for (std::int64_t i = 0; i < 9 * s.planes; ++i) {
                        const std::int64_t k = i % s.planes, tap = i / s.planes;
                        const std::int64_t row = y * s.stride + tap / 3 - 1;
                        const std::int64_t at = x * s.stride + tap % 3 - 1;
                        if (row >= 0 && row < s.rows && at >= 0 && at < s.pixels)
                            sum += static_cast<double>(
                                       chain_.x[((picture * s.planes + k) * s.rows + row) *
                                                    s.pixels +
                                                at]) *
                                   s.weights[i * s.channels + c];
                    }
                    out.push_back(s.relu ? std::max(sum, 0.0) : sum);
                }
        return out;
    }

    static Doubles pair_result(const ConvPair &pair, const Doubles &x) {
        const auto index = [&](std::int64_t y, std::int64_t at, std::int64_t c) {
            return static_cast<std::size_t>((y * pair.pixels + at) * pair.channels + c);
        };
        Doubles between, both;
        for (std::int64_t p = 0; p < pair.rows * pair.pixels; ++p)
            for (std::int64_t c = 0; c < pair.channels; ++c) {
                double sum = pair.point_bias == nullptr ? 0 : pair.point_bias[c];
                for (std::int64_t k = 0; k < pair.inputs; ++k)
                    sum += x[static_cast<std::size_t>(p * pair.inputs + k)] *
                           pair.point_weights[k * pair.channels + c];
                between.push_back(pair.point_relu ? std::max(sum, 0.0) : sum);
            }
        for (std::int64_t y = 0; y < pair.rows; ++y)
            for (std::int64_t at = 0; at < pair.pixels; ++at)
                for (std::int64_t c = 0; c < pair.channels; ++c) {
                    double sum = pair.depth_bias == nullptr ? 0 : pair.depth_bias[c];
                    for (std::int64_t i = 0; i < 9; ++i) {
                        const std::int64_t v = y + i / 3 - 1, u = at + i % 3 - 1;
                        if (v >= 0 && u >= 0 && v < pair.rows && u < pair.pixels)
                            sum += between[index(v, u, c)] *
                                   pair.depth_weights[i * pair.channels + c];
                    }
                    both.push_back(pair.depth_relu ? std::max(sum, 0.0) : sum);
                }
        if (!pair.pooled)
            return both;
        return pooled(both, pair.rows, pair.pixels, pair.channels);
    }

    static Doubles pooled(const Doubles &x, std::int64_t rows, std::int64_t pixels,
                          std::int64_t channels) {
        Doubles out;
        const auto value = [&](std::int64_t y, std::int64_t at, std::int64_t c) {
            return x[static_cast<std::size_t>((y * pixels + at) * channels + c)];
        };
        for (std::int64_t y = 0; y < rows; y += 2)
            for (std::int64_t at = 0; at < pixels; at += 2)
                for (std::int64_t c = 0; c < channels; ++c)
                    out.push_back(
                        std::max(std::max(value(y, at, c), value(y, at + 1, c)),
                                 std::max(value(y + 1, at, c), value(y + 1, at + 1, c))));
        return out;
    }

    Doubles wanted() const {
        Doubles all;
        for (std::int64_t n = 0; n < chain_.pictures; ++n) {
            const ConvPair &first = chain_.pairs[0];
            const std::int64_t size = input_scale() * first.rows * first.pixels * first.inputs;
            Doubles x = chain_.stem.planes > 0
                            ? stem_result(n)
                            : Doubles(chain_.x + n * size, chain_.x + (n + 1) * size);
            if (chain_.pools_input)
                x = pooled(x, 2 * first.rows, 2 * first.pixels, first.inputs);
            for (const ConvPair &pair : chain_.pairs)
                x = pair_result(pair, x);
            all.insert(all.end(), x.begin(), x.end());
        }
        return all;
    }

    void check(const PairKernel &kernel, int threads) {
        const Doubles right = wanted();
        ASSERT_EQ(static_cast<std::int64_t>(right.size()), size_);
        double largest = 1;
        for (const double value : right)
            largest = std::max(largest, std::abs(value));
        std::fill_n(chain_.out, size_, -99.0F);
        run_pairs(kernel, chain_, threads, scratch_);
        for (std::size_t i = 0; i < right.size(); ++i)
            ASSERT_NEAR(chain_.out[i], right[i], 1e-5 * largest)
                << kernel.name << ", " << threads << " threads, at " << i;
    }

    std::mt19937 random_{7};
    std::vector<std::unique_ptr<Floats>> owned_;
    PairChain chain_;
    std::int64_t size_ = 0;
    std::vector<float> scratch_; // of one chain after another, and thus not zero
};

const Shape kShapes[] = {{1, 1, 1, 1, 16},   {1, 2, 3, 5, 16},    {2, 5, 7, 16, 32},
                         {1, 9, 13, 3, 48},  {1, 17, 19, 8, 64},  {1, 16, 6, 64, 64},
                         {3, 3, 33, 7, 112}, {1, 3, 101, 16, 16}, {1, 2, 5, 2, 256}};

// Every kernel that runs here.
std::vector<const PairKernel *> kernels() {
    std::vector<const PairKernel *> found = {&pairs_portable()};
    for (const PairKernel *kernel : {pairs_avx2(), pairs_avx512()})
        if (kernel != nullptr)
            found.push_back(kernel);
    return found;
}

TEST_F(Pairs, EachKernelComputesBothConvolutions) {
    for (const PairKernel *kernel : kernels())
        for (const Shape &shape : kShapes)
            for (const bool flag : {false, true}) {
                fill(shape, flag, flag);
                check(*kernel, 1);
            }
}

TEST_F(Pairs, WhatTheCpuHasIsTested) {
    EXPECT_EQ(pairs_avx2() != nullptr, cpu_level_runs_on(CpuLevel::Avx2, detected_cpu_level()));
    if (detected_cpu_level() == CpuLevel::Avx512) {
        EXPECT_NE(pairs_avx512(), nullptr);
    }
    if (best_pairs() != nullptr) {
        EXPECT_EQ(best_pairs()->name, std::string("sphere ") + cpu_level_name(cpu_level()));
    }
}

TEST_F(Pairs, PoolsWhatTheyComputed) {
    for (const PairKernel *kernel : kernels())
        for (const Shape &shape : {Shape{2, 2, 2, 3, 16}, Shape{1, 6, 10, 16, 64},
                                   Shape{1, 18, 34, 5, 48}, Shape{2, 34, 4, 1, 16}})
            for (const int threads : {1, 3}) {
                fill(shape, true, threads == 1, true);
                check(*kernel, threads);
            }
}

TEST_F(Pairs, BandsOfRowsAreTheWhole) {
    for (const PairKernel *kernel : kernels())
        for (const std::int64_t rows : {7, 16, 31, 40}) {
            fill({2, rows, 5, 3, 16}, true, true);
            for (const int threads : {2, 3})
                check(*kernel, threads);
        }
}

TEST_F(Pairs, AStemReadsPlanesWithTheirBorder) {
    for (const PairKernel *kernel : kernels())
        for (const std::int64_t stride : {1, 2})
            for (const std::int64_t planes : {1, 3, 4})
                for (const std::int64_t pixels : {1, 2, 5, 7, 8, 16, 27}) {
                    // An even plane ends beside its last window, an odd one within it.
                    const std::int64_t rows = 7 + planes, made = (pixels - 1) / stride + 1;
                    chain_ = {};
                    chain_.pictures = 2;
                    chain_.pairs = {
                        pair({2, (rows - 1) / stride + 1, made, 32, 16}, true, true)};
                    put_stem(planes, rows, pixels, stride);
                    finish();
                    check(*kernel, 1);
                }
}

TEST_F(Pairs, AChainIsOnePairAfterAnother) {
    for (const PairKernel *kernel : kernels())
        for (const int threads : {1, 2, 5}) {
            chain_ = {};
            chain_.pictures = 2;
            chain_.pairs = {pair({2, 44, 20, 16, 32}, true, true, true),
                            pair({2, 22, 10, 32, 16}, false, false),
                            pair({2, 22, 10, 16, 48}, true, true, true),
                            pair({2, 11, 5, 48, 16}, true, false)};
            put_stem(3, 88, 40, 2);
            finish();
            check(*kernel, threads);
        }
}

TEST_F(Pairs, AChainPoolsItsInput) {
    for (const PairKernel *kernel : kernels())
        for (const int threads : {1, 2}) {
            chain_ = {};
            chain_.pictures = 2;
            chain_.pools_input = true;
            chain_.pairs = {pair({2, 17, 9, 32, 16}, true, true),
                            pair({2, 17, 9, 16, 32}, true, false)};
            finish();
            check(*kernel, threads);
        }
}

} // namespace
} // namespace sphere::onednn
