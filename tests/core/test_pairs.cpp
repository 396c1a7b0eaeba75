// SPDX-License-Identifier: MIT
// Pairs of convolutions: each kernel against sums in double precision, bands against the whole.
#include "core/engine/onednn/pairs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
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

    void fill(const Shape &s, bool biased, bool relu, bool pooled = false) {
        pair_ = {};
        pair_.pictures = s.pictures;
        pair_.rows = s.rows;
        pair_.pixels = s.pixels;
        pair_.inputs = s.inputs;
        pair_.channels = s.channels;
        pair_.pooled = pooled;
        pair_.point_relu = relu;
        pair_.depth_relu = !relu;
        const auto made = [&](std::int64_t n) {
            auto floats = std::make_unique<Floats>(static_cast<std::size_t>(n));
            std::uniform_real_distribution<float> values(-1, 1);
            std::generate_n(floats->data(), n, [&] { return values(random_); });
            owned_.push_back(std::move(floats));
            return owned_.back()->data();
        };
        pixels_ = s.pictures * s.rows * s.pixels;
        pair_.x = made(pixels_ * s.inputs);
        pair_.point_weights = made(s.inputs * s.channels);
        pair_.depth_weights = made(9 * s.channels);
        pair_.point_bias = biased ? made(s.channels) : nullptr;
        pair_.depth_bias = biased ? made(s.channels) : nullptr;
        pair_.out = made(pixels_ * s.channels);
    }

    double between(std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c) const {
        if (y < 0 || x < 0 || y >= pair_.rows || x >= pair_.pixels)
            return 0;
        double sum = pair_.point_bias == nullptr ? 0 : pair_.point_bias[c];
        const float *const from =
            pair_.x + ((n * pair_.rows + y) * pair_.pixels + x) * pair_.inputs;
        for (std::int64_t k = 0; k < pair_.inputs; ++k)
            sum += static_cast<double>(from[k]) * pair_.point_weights[k * pair_.channels + c];
        return pair_.point_relu ? std::max(sum, 0.0) : sum;
    }

    double unpooled(std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c) const {
        double sum = pair_.depth_bias == nullptr ? 0 : pair_.depth_bias[c];
        for (int i = 0; i < 9; ++i)
            sum += between(n, y + i / 3 - 1, x + i % 3 - 1, c) *
                   pair_.depth_weights[i * pair_.channels + c];
        return pair_.depth_relu ? std::max(sum, 0.0) : sum;
    }

    double wanted(std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c) const {
        if (!pair_.pooled)
            return unpooled(n, y, x, c);
        return std::max(
            std::max(unpooled(n, 2 * y, 2 * x, c), unpooled(n, 2 * y, 2 * x + 1, c)),
            std::max(unpooled(n, 2 * y + 1, 2 * x, c), unpooled(n, 2 * y + 1, 2 * x + 1, c)));
    }

    void check(PairKernel kernel, int threads) {
        std::fill_n(pair_.out, pixels_ * pair_.channels, -99.0F);
        run_pair(kernel, pair_, threads);
        std::int64_t at = 0;
        const std::int64_t size = pair_.pooled ? 2 : 1;
        for (std::int64_t n = 0; n < pair_.pictures; ++n)
            for (std::int64_t y = 0; y < pair_.rows / size; ++y)
                for (std::int64_t x = 0; x < pair_.pixels / size; ++x)
                    for (std::int64_t c = 0; c < pair_.channels; ++c, ++at)
                        ASSERT_NEAR(pair_.out[at], wanted(n, y, x, c), 1e-4)
                            << "picture " << n << " at " << x << "," << y << " channel " << c;
    }

    std::mt19937 random_{7};
    std::vector<std::unique_ptr<Floats>> owned_;
    ConvPair pair_;
    std::int64_t pixels_ = 0;
};

const Shape kShapes[] = {{1, 1, 1, 1, 16},  {1, 2, 3, 5, 16},   {2, 5, 7, 16, 32},
                         {1, 9, 13, 3, 48}, {1, 17, 19, 8, 64}, {1, 16, 6, 64, 64},
                         {3, 3, 33, 7, 112}};

TEST_F(Pairs, ThePortableKernelComputesBothConvolutions) {
    for (const Shape &shape : kShapes)
        for (const bool flag : {false, true}) {
            fill(shape, flag, flag);
            check(&pair_portable, 1);
        }
}

TEST_F(Pairs, Avx512ComputesTheSame) {
    if (pair_avx512() == nullptr)
        GTEST_SKIP() << "this CPU or build has no AVX-512";
    for (const Shape &shape : kShapes)
        for (const bool flag : {false, true}) {
            fill(shape, flag, flag);
            check(pair_avx512(), 1);
        }
}

TEST_F(Pairs, PoolsWhatTheyComputed) {
    for (const PairKernel kernel : {&pair_portable, pair_avx512()})
        for (const Shape &shape : {Shape{2, 2, 2, 3, 16}, Shape{1, 6, 10, 16, 64},
                                   Shape{1, 18, 34, 5, 48}, Shape{2, 34, 4, 1, 16}})
            for (const int threads : {1, 3}) {
                if (kernel == nullptr)
                    continue;
                fill(shape, true, threads == 1, true);
                check(kernel, threads);
            }
}

TEST_F(Pairs, BandsOfRowsAreTheWhole) {
    const PairKernel kernel = pair_avx512() == nullptr ? &pair_portable : pair_avx512();
    for (const std::int64_t rows : {7, 16, 31, 40}) {
        fill({2, rows, 5, 3, 16}, true, true);
        for (const int threads : {2, 3})
            check(kernel, threads);
    }
}

} // namespace
} // namespace sphere::onednn
