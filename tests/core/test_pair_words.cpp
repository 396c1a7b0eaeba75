// SPDX-License-Identifier: MIT
// Depthwise convolutions in 16 bits: their weights, and the rows of each kernel against those
// in plain C++, numbers at the ends of what 16 bits hold among them.
#include "core/engine/onednn/pair_words.h"

#include "core/base/cpu.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <vector>

namespace sphere::onednn {
namespace {

class PairWords : public testing::Test {
  protected:
    std::vector<std::int16_t> words(std::int64_t n) {
        std::vector<std::int16_t> made(static_cast<std::size_t>(n));
        for (std::int16_t &word : made) {
            word = static_cast<std::int16_t>(random_());
            if (random_() % 8 == 0)
                word = random_() % 2 == 0 ? std::numeric_limits<std::int16_t>::max()
                                          : std::numeric_limits<std::int16_t>::min();
        }
        return made;
    }
    std::vector<float> numbers(std::int64_t n, float scale) {
        std::uniform_real_distribution<float> values(-scale, scale);
        std::vector<float> made(static_cast<std::size_t>(n));
        std::generate(made.begin(), made.end(), [&] { return values(random_); });
        return made;
    }
    /// Weights of all that pack_depth_words() gives, and of no more.
    std::shared_ptr<const DepthWords> depth(std::int64_t channels, bool slopes) {
        DepthWords made{words(9 * channels), words(channels), {}, {}, 0.25F};
        if (slopes)
            made.slopes = words(channels);
        for (std::vector<std::int16_t> *weights : {&made.weights, &made.slopes})
            for (std::int16_t &weight : *weights)
                weight = std::max<std::int16_t>(weight, -32767);
        return std::make_shared<const DepthWords>(std::move(made));
    }
    static ConvPair shape(std::int64_t pixels, std::int64_t stride, std::int64_t channels) {
        ConvPair pair;
        pair.pixels = pixels;
        pair.rows = 2;
        pair.stride = stride;
        pair.channels = channels;
        return pair;
    }

    /// What there is room for: words, codes, values, and both of these.
    struct Made {
        static constexpr int kGoals = 4;
        explicit Made(std::size_t size)
            : words(size, 7), codes(size, 7), codes_too(size, 7), values(size, 7),
              values_too(size, 7) {}
        MadeWords to(int goal) {
            switch (goal) {
            case 0:
                return {words.data(), {}};
            case 1:
                return {nullptr, {nullptr, codes.data(), {1, 77}}};
            case 2:
                return {nullptr, {values.data(), nullptr, {}}};
            default:
                return {nullptr, {values_too.data(), codes_too.data(), {1, 3}}};
            }
        }
        std::vector<std::int16_t> words;
        std::vector<std::uint8_t> codes, codes_too;
        std::vector<float> values, values_too;
    };
    static void expect_near(const std::vector<std::int16_t> &got,
                            const std::vector<std::int16_t> &right, int most) {
        ASSERT_EQ(got.size(), right.size());
        for (std::size_t i = 0; i < right.size(); ++i)
            ASSERT_NEAR(got[i], right[i], most) << right.size() << " numbers, at " << i;
    }
    static void expect_equal(const Made &got, const Made &right) {
        EXPECT_EQ(got.words, right.words);
        EXPECT_EQ(got.codes, right.codes);
        EXPECT_EQ(got.codes_too, right.codes_too);
        EXPECT_EQ(got.values, right.values);
        EXPECT_EQ(got.values_too, right.values_too);
    }

    void check_pointwise(const WordKernel &kernel, int bits);

    std::mt19937 random_{17};
};

TEST_F(PairWords, RowsAreThoseOfPlainCode) {
    const WordKernel *const kernel = words_avx2();
    if (kernel == nullptr)
        GTEST_SKIP() << "this CPU has no AVX2";
    for (const std::int64_t stride : {1, 2})
        for (const std::int64_t pixels : {1, 2, 3, 8, 31})
            for (const int end : {0, 1, 2}) {
                ConvPair pair = shape(pixels, stride, 48);
                pair.depth_relu = end == 1;
                pair.words = depth(48, end == 2);
                const auto rows = words(3 * (pixels + 2) * kPairBlock);
                const std::int16_t *const at[3] = {rows.data(),
                                                   rows.data() + (pixels + 2) * kPairBlock,
                                                   rows.data() + 2 * (pixels + 2) * kPairBlock};
                const auto size = static_cast<std::size_t>(pair.depth_pixels() * 48);
                Made right(size), got(size);
                for (std::int64_t block = 0; block < 2; ++block) // the third stays as it is
                    for (int goal = 0; goal < Made::kGoals; ++goal) {
                        words_portable().depth(pair, block, at, right.to(goal));
                        kernel->depth(pair, block, at, got.to(goal));
                    }
                expect_equal(got, right);
            }
}

TEST_F(PairWords, PoolingIsThatOfPlainCode) {
    const WordKernel *const kernel = words_avx2();
    if (kernel == nullptr)
        GTEST_SKIP() << "this CPU has no AVX2";
    for (const std::int64_t pixels : {2, 6, 34}) {
        ConvPair pair = shape(pixels, 1, 32);
        pair.words = depth(32, false);
        const auto above = words(pixels * 32), below = words(pixels * 32);
        const auto size = static_cast<std::size_t>(pixels / 2 * 32);
        Made right(size), got(size);
        for (int goal = 1; goal < Made::kGoals; ++goal) {
            words_portable().pool(pair, above.data(), below.data(), right.to(goal).row);
            kernel->pool(pair, above.data(), below.data(), got.to(goal).row);
        }
        expect_equal(got, right);
    }
}

// A rounding apart: sums are scaled in one step here and in two there.
void PairWords::check_pointwise(const WordKernel &kernel, int bits) {
    const std::int64_t inputs = 48, outputs = 32;
    for (const float slopes : {0.0F, 1.0F, 3.0F, 4.0F}) { // none, up to 1, with steep ones, any
        DotConv conv;
        conv.weights = std::make_shared<const DotWeights>(pack_dot_weights(
            {{outputs, inputs, 1, 1}, numbers(outputs * inputs, 1), {}, false}, bits));
        conv.scales = numbers(outputs, 0.1F);
        // Beyond 16 bits where it does not matter that this is cut before its slope.
        conv.bias = numbers(outputs, slopes > 0 ? 15000 : 60000);
        if (slopes > 0)
            conv.slopes = numbers(outputs, slopes);
        for (float &slope : conv.slopes)
            slope = slopes == 3 ? std::min(slope, 1.0F) : slope;
        for (const std::int64_t pixels : {1, 2, 3, 47, 48, 50, 100}) {
            std::vector<std::uint8_t> x(static_cast<std::size_t>(pixels * inputs));
            std::generate(x.begin(), x.end(),
                          [&] { return static_cast<std::uint8_t>(random_()); });
            std::vector<std::int16_t> right(static_cast<std::size_t>(pixels * 16 + 16), 5);
            std::vector<std::int16_t> got = right;
            for (const std::int64_t block : {0, 1}) {
                words_portable().dot(conv, block, pixels, x.data(), right.data());
                kernel.dot(conv, block, pixels, x.data(), got.data());
                expect_near(got, right, 2);
            }
        }
    }
}

TEST_F(PairWords, PointwiseConvolutionsAreNearThoseOfPlainCode) {
    if (words_avx2() == nullptr)
        GTEST_SKIP() << "this CPU has no AVX2";
    check_pointwise(*words_avx2(), 7);
    for (const int bits : {7, 8})
        if (words_vnni() != nullptr)
            check_pointwise(*words_vnni(), bits);
}

TEST_F(PairWords, PointwiseConvolutionsInFp32AreNearThoseOfPlainCode) {
    const WordKernel *const kernel = words_avx2();
    if (kernel == nullptr)
        GTEST_SKIP() << "this CPU has no AVX2";
    for (const std::int64_t pixels : {1, 5, 6, 25, 40}) {
        ConvPair pair = shape(pixels, 1, 32);
        pair.inputs = 7;
        pair.point_relu = pixels == 25;
        const auto weights = numbers(7 * 32, 9000), bias = numbers(32, 20000),
                   x = numbers(pixels * 7, 1);
        pair.point_weights = weights.data();
        pair.point_bias = bias.data();
        std::vector<std::int16_t> right(static_cast<std::size_t>(pixels * 32)), got = right;
        const std::int64_t block = pixels * kPairBlock;
        words_portable().point(pair, x.data(), {right.data(), kPairBlock, block});
        kernel->point(pair, x.data(), {got.data(), kPairBlock, block});
        expect_near(got, right, 1);
    }
}

TEST_F(PairWords, StemsAreNearThoseOfPlainCode) {
    const WordKernel *const kernel = words_avx2();
    if (kernel == nullptr)
        GTEST_SKIP() << "this CPU has no AVX2";
    const auto weights = numbers(27 * 32, 20000), bias = numbers(32, 20000),
               planes = numbers(9 * 41, 1), slopes = numbers(32, 3);
    const float *rows[9];
    for (std::int64_t i = 0; i < 9; ++i)
        rows[i] = planes.data() + i * 41;
    for (const bool bends : {false, true}) {
        ConvStem stem{weights.data(), bias.data(), !bends, {}, 3, 41, 41, 2, 21, 32};
        if (bends)
            stem.slopes = slopes;
        std::vector<std::int16_t> right(21 * 32), got(21 * 32);
        const std::int64_t block = 21 * kPairBlock;
        words_portable().stem(stem, rows, {right.data(), kPairBlock, block});
        kernel->stem(stem, rows, {got.data(), kPairBlock, block});
        expect_near(got, right, 1);
    }
}

TEST_F(PairWords, WeightsFillSixteenBits) {
    auto weights = numbers(9 * 32, 3);
    const auto bias = numbers(32, 2);
    for (std::size_t tap = 0; tap < 9; ++tap)
        weights[tap * 32 + 5] = 0; // a channel that does nothing
    ConvPair pair = shape(4, 1, 32);
    pair.depth_weights = weights.data();
    pair.depth_bias = bias.data();
    pair.depth_slopes = numbers(32, 1);
    const Encoding codes{40, 90};
    const auto words = pack_depth_words(pair, codes);
    ASSERT_TRUE(words);
    EXPECT_FLOAT_EQ(words->unit, 1.0F / 40 / 16);
    for (std::size_t c = 0; c < 32; ++c) {
        std::int16_t largest = 0;
        for (std::size_t tap = 0; tap < 9; ++tap) {
            const std::int16_t weight = words->weights[tap * 32 + c];
            largest =
                std::max<std::int16_t>(largest, static_cast<std::int16_t>(std::abs(weight)));
            // A value of 1 makes, in sixteenths of a code:
            ASSERT_NEAR(weight / 32768.0 * words->scales[c], weights[tap * 32 + c] * 40 * 16,
                        1e-4 * words->scales[c]);
        }
        EXPECT_EQ(largest, c == 5 ? 0 : 32767);
        EXPECT_NEAR(words->bias[c], bias[c] * 40 * 16, 0.51);
        EXPECT_NEAR(words->slopes[c] / 32768.0F, pair.depth_slopes[c], 1e-4);
    }
}

TEST_F(PairWords, WhatDoesNotFitIsRefused) {
    auto weights = numbers(9 * 16, 1), bias = numbers(16, 1);
    ConvPair pair = shape(4, 1, 16);
    pair.depth_weights = weights.data();
    pair.depth_bias = bias.data();
    pair.depth_slopes = numbers(16, 1);
    const Encoding codes{30, 0};
    EXPECT_TRUE(pack_depth_words(pair, codes));
    pair.depth_slopes[3] = -1.5F;
    EXPECT_FALSE(pack_depth_words(pair, codes));
    pair.depth_slopes[3] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_FALSE(pack_depth_words(pair, codes));
    pair.depth_slopes[3] = 1;
    EXPECT_TRUE(pack_depth_words(pair, codes));
    bias[7] = 1025.0F / 30; // codes
    EXPECT_FALSE(pack_depth_words(pair, codes));
    bias[7] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_FALSE(pack_depth_words(pair, codes));
    bias[7] = 0;
    weights[40] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(pack_depth_words(pair, codes));
    weights[40] = 0;
    EXPECT_TRUE(pack_depth_words(pair, codes));
}

TEST_F(PairWords, SumsThatMayBeTooLargeAreRefused) {
    DotConv conv;
    conv.weights = std::make_shared<const DotWeights>(
        pack_dot_weights({{16, 16, 1, 1}, numbers(256, 1), {}, false}, 7));
    conv.scales.assign(16, 1);
    conv.bias.assign(16, 0);
    std::vector<float> scales(16, 2);
    const auto scaled = scaled_dot(conv, scales);
    ASSERT_TRUE(scaled);
    EXPECT_EQ(scaled->scales[3], 2);
    scales[3] = 1e5F;
    EXPECT_FALSE(scaled_dot(conv, scales));
    scales[3] = 1;
    conv.bias[4] = 2e9F;
    EXPECT_FALSE(scaled_dot(conv, scales));
}

TEST(BestWords, AreForCpusWithKernelsForTheirSums) {
    const WordKernel *const own = best_dot() == dot_vnni() ? words_vnni() : words_avx2();
    EXPECT_EQ(best_words(), best_dot() != nullptr ? own : nullptr);
    EXPECT_EQ(words_vnni() != nullptr, detected_cpu_extensions().avx512_vnni);
    EXPECT_EQ(words_avx2() != nullptr, cpu_level_runs_on(CpuLevel::Avx2, detected_cpu_level()));
}

} // namespace
} // namespace sphere::onednn
