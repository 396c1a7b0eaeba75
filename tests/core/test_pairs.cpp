// SPDX-License-Identifier: MIT
// Pairs of convolutions: each kernel against sums in double precision, bands against the
// whole, chains against one pair after another.
#include "core/engine/onednn/pairs.h"

#include "core/base/cpu.h"
#include "core/engine/onednn/pair_words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <utility>
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
                       {},
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

    static double ended(double sum, bool relu, const std::vector<float> &slopes,
                        std::int64_t channel) {
        if (relu)
            sum = std::max(sum, 0.0);
        return sum < 0 && !slopes.empty() ? sum * slopes[static_cast<std::size_t>(channel)]
                                          : sum;
    }

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
                    out.push_back(ended(sum, s.relu, s.slopes, c));
                }
        return out;
    }

    static Doubles pair_result(const ConvPair &pair, const Doubles &x) {
        const auto index = [&](std::int64_t y, std::int64_t at, std::int64_t c) {
            return static_cast<std::size_t>((y * pair.pixels + at) * pair.channels + c);
        };
        Doubles between = x, both;
        if (!pair.alone)
            between.clear();
        for (std::int64_t p = 0; p < pair.rows * pair.pixels && !pair.alone; ++p)
            for (std::int64_t c = 0; c < pair.channels; ++c)
                between.push_back(pair.dot ? dot_result(*pair.dot, x, p, c)
                                           : point_result(pair, x, p, c));
        for (std::int64_t y = 0; y < pair.depth_rows(); ++y)
            for (std::int64_t at = 0; at < pair.depth_pixels(); ++at)
                for (std::int64_t c = 0; c < pair.channels; ++c) {
                    double sum = pair.depth_bias == nullptr ? 0 : pair.depth_bias[c];
                    for (std::int64_t i = 0; i < 9; ++i) {
                        const std::int64_t v = y * pair.stride + i / 3 - 1,
                                           u = at * pair.stride + i % 3 - 1;
                        if (v >= 0 && u >= 0 && v < pair.rows && u < pair.pixels)
                            sum += between[index(v, u, c)] *
                                   pair.depth_weights[i * pair.channels + c];
                    }
                    both.push_back(ended(sum, pair.depth_relu, pair.depth_slopes, c));
                }
        if (!pair.pooled)
            return both;
        return pooled(both, pair.rows, pair.pixels, pair.channels);
    }

    static double point_result(const ConvPair &pair, const Doubles &x, std::int64_t pixel,
                               std::int64_t channel) {
        double sum = pair.point_bias == nullptr ? 0 : pair.point_bias[channel];
        for (std::int64_t k = 0; k < pair.inputs; ++k)
            sum += x[static_cast<std::size_t>(pixel * pair.inputs + k)] *
                   pair.point_weights[k * pair.channels + channel];
        return pair.point_relu ? std::max(sum, 0.0) : sum;
    }

    // `x` are the codes.
    static double dot_result(const DotConv &dot, const Doubles &x, std::int64_t pixel,
                             std::int64_t channel) {
        const std::int64_t inputs = dot.weights->inputs;
        const std::int8_t *const block = dot.weights->codes() + channel / 16 * 16 * inputs;
        double sum = 0;
        for (std::int64_t k = 0; k < inputs; ++k)
            sum += x[static_cast<std::size_t>(pixel * inputs + k)] *
                   block[k / 4 * 64 + channel % 16 * 4 + k % 4];
        const auto c = static_cast<std::size_t>(channel);
        return ended(sum * dot.scales[c] + dot.bias[c], false, dot.slopes, channel);
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
            if (chain_.x_codes != nullptr)
                x.assign(chain_.x_codes + n * size, chain_.x_codes + (n + 1) * size);
            for (const ConvPair &pair : chain_.pairs)
                x = pair_result(pair, x);
            all.insert(all.end(), x.begin(), x.end());
        }
        return all;
    }

    std::vector<float> slopes(std::int64_t channels) {
        const float *const values = made(channels); // some of them above 0, some below
        return {values, values + channels};
    }

    // As small recognisers begin: a stem and a depthwise convolution, with PReLUs.
    void put_stem_and_alone(std::int64_t stride) {
        chain_.pairs = {pair({2, 27, 27, 32, 32}, true, true)};
        ConvPair &alone = chain_.pairs[0];
        alone.alone = true;
        alone.depth_relu = false;
        alone.depth_slopes = slopes(32);
        alone.stride = stride;
        put_stem(3, 53, 53, 2);
        chain_.stem.relu = false;
        chain_.stem.slopes = slopes(32);
    }

    std::shared_ptr<const DotConv> dot_of(const ConvPair &pair) {
        Constant weights;
        weights.dims = {pair.channels, pair.inputs, 1, 1};
        const float *const values = made(pair.inputs * pair.channels);
        weights.floats.assign(values, values + pair.inputs * pair.channels);
        auto conv = std::make_shared<DotConv>();
        conv->weights = std::make_shared<const DotWeights>(pack_dot_weights(weights, 7));
        conv->scales = slopes(pair.channels);
        for (float &scale : conv->scales)
            scale *= 1e-5F;
        conv->bias = slopes(pair.channels);
        conv->slopes = slopes(pair.channels);
        conv->to.channels = kPairBlock;
        return conv;
    }

    /// The chain's pairs in 16 bits where that goes; the rest of it is as before.
    PairChain in_words(const WordKernel &kernel,
                       std::vector<std::vector<float>> &scaled) const {
        PairChain chain = chain_;
        chain.words = &kernel;
        for (std::size_t i = 0; i < chain.pairs.size(); ++i) {
            ConvPair &pair = chain.pairs[i];
            const bool last = i + 1 == chain.pairs.size();
            auto words =
                pack_depth_words(pair, last ? chain.encoding : chain.pairs[i + 1].codes);
            EXPECT_TRUE(words);
            if (pair.alone)
                scaled.push_back(scaled_stem(chain.stem, words->scales));
            else if (!pair.dot)
                scaled.push_back(scaled_point(pair, words->scales));
            else
                pair.dot =
                    std::make_shared<const DotConv>(*scaled_dot(*pair.dot, words->scales));
            pair.words = std::make_shared<const DepthWords>(std::move(*words));
        }
        return chain;
    }

    // That what was made as values was made as codes too.
    void check_codes(const PairKernel &kernel) {
        ASSERT_NE(chain_.codes, nullptr);
        for (std::int64_t i = 0; i < size_; ++i) {
            const double code = chain_.out[i] * chain_.encoding.inverse_scale;
            const double right = std::clamp(code + chain_.encoding.zero, 0.0, 255.0);
            ASSERT_NEAR(chain_.codes[i], right, 0.501) << kernel.name << ", at " << i;
        }
    }

    // One pair in 16 bits: nine roundings to sixteenths of a code, for codes another one.
    void check_words(const WordKernel &words, int threads) {
        const Doubles right = wanted();
        std::vector<std::vector<float>> scaled;
        PairChain chain = in_words(words, scaled);
        std::vector<std::uint8_t> codes(right.size() + 32, 77), alone = codes;
        std::fill_n(chain_.out, size_, -99.0F);
        chain.codes = codes.data();
        run_pairs(pairs_portable(), chain, threads, scratch_);
        for (std::size_t i = 0; i < right.size(); ++i) {
            const double code = right[i] * chain.encoding.inverse_scale;
            ASSERT_NEAR(codes[i], std::clamp(code + chain.encoding.zero, 0.0, 255.0), 0.8)
                << words.name << ", at " << i;
            ASSERT_NEAR(chain_.out[i] * chain.encoding.inverse_scale, code, 0.3)
                << words.name << ", at " << i;
        }
        for (std::size_t i = right.size(); i < codes.size(); ++i)
            ASSERT_EQ(codes[i], 77) << words.name << ": written past the end";
        chain.out = nullptr;
        chain.codes = alone.data();
        run_pairs(pairs_portable(), chain, threads, scratch_);
        EXPECT_EQ(codes, alone); // whether there are values as well or not
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

TEST_F(Pairs, StridesOfTwo) {
    for (const PairKernel *kernel : kernels())
        for (const std::int64_t rows : {1, 2, 7, 18, 33})
            for (const std::int64_t pixels : {1, 2, 9, 28, 203})
                for (const int threads : {1, 2}) {
                    fill({2, rows, pixels, 3, 32}, true, rows == 7);
                    chain_.pairs[0].stride = 2;
                    chain_.pairs.push_back(
                        pair({2, (rows + 1) / 2, (pixels + 1) / 2, 32, 16}, true, false));
                    chain_.pairs[1].stride = pixels == 9 ? 2 : 1;
                    finish();
                    check(*kernel, threads);
                }
}

TEST_F(Pairs, AStemAndADepthwiseOneAlone) {
    for (const PairKernel *kernel : kernels())
        for (const std::int64_t stride : {1, 2})
            for (const int threads : {1, 3}) {
                chain_ = {};
                chain_.pictures = 2;
                const std::int64_t after = stride == 1 ? 27 : 14;
                put_stem_and_alone(stride);
                chain_.pairs.push_back(pair({2, after, after, 32, 48}, true, true));
                finish();
                check(*kernel, threads);
            }
}

// 1x1 convolutions on codes, with PReLUs, and codes as the result.
TEST_F(Pairs, CodesInAndOut) {
    const std::int64_t inputs = 32, channels = 48;
    std::vector<const DotKernel *> dots = {&dot_portable()};
    for (const DotKernel *dot : {dot_avx2(), dot_vnni()})
        if (dot != nullptr)
            dots.push_back(dot);
    for (const PairKernel *kernel : kernels())
        for (const DotKernel *dot : dots)
            for (const std::int64_t stride : {1, 2})
                for (const std::int64_t pixels : {1, 8, 29}) {
                    fill({2, 17, pixels, inputs, channels}, true, true);
                    ConvPair &pair = chain_.pairs[0];
                    pair.stride = stride;
                    pair.depth_slopes = slopes(channels);
                    pair.dot = dot_of(pair);
                    finish();
                    std::vector<std::uint8_t> in(2 * 17 * pixels * inputs);
                    std::generate(in.begin(), in.end(),
                                  [&] { return static_cast<std::uint8_t>(random_()); });
                    std::vector<std::uint8_t> codes(static_cast<std::size_t>(size_));
                    chain_.x_codes = in.data();
                    chain_.dot = dot;
                    chain_.codes = codes.data();
                    chain_.encoding = {31, 100};
                    check(*kernel, 2);
                    check_codes(*kernel);
                    chain_.x_codes = nullptr; // of values: encoded on the way
                    chain_.pairs[0].codes = {50, 128};
                    float *const only = std::exchange(chain_.out, nullptr);
                    run_pairs(*kernel, chain_, 1, scratch_);
                    std::vector<std::uint8_t> alone = codes;
                    chain_.out = only;
                    run_pairs(*kernel, chain_, 1, scratch_);
                    EXPECT_EQ(codes, alone); // whether there are values as well or not
                    check_codes(*kernel);
                }
}

std::vector<const WordKernel *> word_kernels() {
    std::vector<const WordKernel *> found = {&words_portable()};
    if (words_avx2() != nullptr)
        found.push_back(words_avx2());
    return found;
}

// The 1x1 convolution in int8 or in fp32.
TEST_F(Pairs, CodesByWayOfSixteenBits) {
    for (const WordKernel *words : word_kernels())
        for (const auto &[pooled, int8] : {std::pair{false, true}, {true, true}, {true, false}})
            for (const std::int64_t stride : {1, 2})
                for (const std::int64_t pixels : {2, 8, 30, 110})
                    for (const int threads : {1, 2}) {
                        if (pooled && stride == 2)
                            continue;
                        fill({2, 18, pixels, 32, 48}, true, pixels == 8, pooled);
                        ConvPair &pair = chain_.pairs[0];
                        pair.stride = stride;
                        if (pixels > 8) {
                            pair.depth_relu = false;
                            pair.depth_slopes = slopes(48);
                        }
                        std::vector<std::uint8_t> in(2 * 18 * pixels * 32);
                        std::generate(in.begin(), in.end(),
                                      [&] { return static_cast<std::uint8_t>(random_()); });
                        if (int8)
                            pair.dot = dot_of(pair);
                        finish();
                        if (int8)
                            chain_.x_codes = in.data();
                        chain_.encoding = {int8 ? 31.0F : 7.0F, 100};
                        check_words(*words, threads);
                    }
}

// Up to the codes of the second 1x1 convolution.
TEST_F(Pairs, AChainByWayOfSixteenBits) {
    for (const WordKernel *words : word_kernels())
        for (const std::int64_t stride : {1, 2}) {
            const std::int64_t after = stride == 1 ? 27 : 14;
            chain_ = {};
            chain_.pictures = 2;
            put_stem_and_alone(stride);
            for (float &slope : chain_.stem.slopes)
                slope *= 3; // of which the 16 bits know nothing
            finish();
            chain_.encoding = {20, 90};
            check_words(*words, 2);
            // Both pairs: what the second takes is rounded to codes on the way.
            chain_.pairs.push_back(pair({2, after, after, 32, 48}, true, false));
            chain_.pairs[1].dot = dot_of(chain_.pairs[1]);
            chain_.pairs[1].codes = {20, 90};
            finish();
            std::vector<std::uint8_t> codes[2];
            for (const WordKernel *each : {words, &words_portable()}) {
                std::vector<std::vector<float>> scaled;
                PairChain chain = in_words(*each, scaled);
                std::vector<std::uint8_t> &made = codes[each == words ? 0 : 1];
                made.resize(static_cast<std::size_t>(size_));
                chain.codes = made.data();
                chain.out = nullptr;
                run_pairs(pairs_portable(), chain, 1, scratch_);
            }
            for (std::size_t i = 0; i < codes[1].size(); ++i)
                ASSERT_NEAR(codes[0][i], codes[1][i], words == &words_portable() ? 0 : 2);
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
