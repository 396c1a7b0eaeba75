// SPDX-License-Identifier: MIT
// An enlargement and the sum behind it: the pass against plain indices, and plans that make one
// step of the two against plans that may not.
#include "core/engine/onednn/plan.h"
#include "core/engine/onednn/upsample.h"

#include "tests/support/graph_builder.h"
#include "tests/support/run_plan.h"
#include "tests/support/tiny_network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace sphere::onednn {
namespace {

using testing_support::numbers;

struct Shape {
    std::int64_t pictures, rows, pixels, channels, factor_y, factor_x;
};

class Upsample : public testing::TestWithParam<Shape> {};

TEST_P(Upsample, EachPixelIsAddedWhereItIsRepeated) {
    const Shape &s = GetParam();
    const std::int64_t height = s.rows * s.factor_y, width = s.pixels * s.factor_x;
    const auto x = numbers(s.pictures * s.rows * s.pixels * s.channels, 1);
    const auto addend = numbers(s.pictures * height * width * s.channels, 2);
    std::vector<float> right;
    for (std::int64_t n = 0; n < s.pictures; ++n)
        for (std::int64_t v = 0; v < height; ++v)
            for (std::int64_t u = 0; u < width; ++u)
                for (std::int64_t c = 0; c < s.channels; ++c)
                    right.push_back(
                        addend[right.size()] +
                        x[static_cast<std::size_t>(
                            ((n * s.rows + v / s.factor_y) * s.pixels + u / s.factor_x) *
                                s.channels +
                            c)]);
    for (const int threads : {1, 2, 3, 64})
        for (const bool in_place : {false, true}) {
            std::vector<float> out(right.size() + 16, 77);
            if (in_place)
                std::copy(addend.begin(), addend.end(), out.begin());
            UpsampledSum sum{x.data(),   in_place ? out.data() : addend.data(),
                             out.data(), s.pictures,
                             s.rows,     s.pixels,
                             s.channels, s.factor_y,
                             s.factor_x};
            run_upsampled_sum(sum, threads);
            for (std::size_t i = 0; i < right.size(); ++i)
                ASSERT_EQ(out[i], right[i]) << threads << " threads, at " << i;
            for (std::size_t i = right.size(); i < out.size(); ++i)
                ASSERT_EQ(out[i], 77) << "written past the end";
        }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Upsample,
                         testing::Values(Shape{1, 4, 5, 64, 2, 2}, Shape{2, 3, 1, 13, 2, 2},
                                         Shape{3, 1, 7, 16, 3, 1}, Shape{1, 2, 2, 1, 1, 4},
                                         Shape{2, 5, 3, 8, 1, 1}));

/// Two levels of a pyramid: pairs of convolutions, the smaller level enlarged and added to the
/// larger.
class UpsamplePlan : public testing::Test {
  protected:
    static constexpr std::int64_t kPictures = 2, kRows = 12, kPixels = 20, kChannels = 16;

    void SetUp() override {
        if (testing_support::fake_engine_only())
            GTEST_SKIP() << "SPHERE_FAKE_ENGINE_ONLY is set";
    }
    /// Which channels-last kernels of ours take, where there are such for this CPU.
    int pair(int x, std::int64_t inputs) {
        return made_.depthwise(made_.conv(x, {inputs, kChannels}), kChannels);
    }
    int pool(int x, std::int64_t by_rows, std::int64_t by_pixels) {
        return made_.pool(x, by_rows, by_pixels);
    }
    int add(const char *op, std::vector<int> inputs) {
        return made_.add(op, std::move(inputs));
    }
    int enlarge(int x, float by_rows, float by_pixels) {
        const int scales =
            graph_.add_constant("", {{4}, {1, 1, by_rows, by_pixels}, {}, false});
        const int value = add("Resize", {x, -1, scales});
        graph_.nodes.back().texts["mode"] = "nearest";
        graph_.nodes.back().texts["coordinate_transformation_mode"] = "asymmetric";
        graph_.nodes.back().texts["nearest_mode"] = "floor";
        return value;
    }

    /// The first output, and how many steps are ours.
    std::vector<float> run(std::vector<int> outputs, int &ours) {
        graph_.outputs = std::move(outputs);
        const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
        WeightStore weights(engine);
        auto plan = Plan::make(graph_, {kPictures, kChannels, kRows, kPixels}, PlanSettings{},
                               engine, weights);
        EXPECT_TRUE(plan.ok()) << plan.error().message;
        if (!plan)
            return {};
        ours = 0;
        for (const KernelUse &use : (*plan)->kernels())
            if (use.operation == "resize" && use.kernel == "sphere")
                ours += use.layers;
        const auto x = numbers(kPictures * kChannels * kRows * kPixels, 99);
        return testing_support::run_twice(**plan, x)[0];
    }
    /// `output` where the enlarged maps are asked for as well: they are not part of a step
    /// then.
    void check(int output, std::vector<int> also, const std::vector<int> &enlarged,
               int wanted) {
        int ours = 0, none = 0;
        also.insert(also.begin(), output);
        const std::vector<float> got = run(also, ours);
        also.insert(also.end(), enlarged.begin(), enlarged.end());
        const std::vector<float> right = run(also, none);
        EXPECT_EQ(ours, channels_last() ? wanted : 0);
        EXPECT_EQ(none, 0);
        ASSERT_EQ(got.size(), right.size());
        for (std::size_t i = 0; i < right.size(); ++i)
            ASSERT_NEAR(got[i], right[i], 1e-4) << "at " << i;
    }
    static bool channels_last() { return best_pairs() != nullptr; }

    testing_support::GraphBuilder made_{"pyramid.onnx"};
    Graph &graph_ = made_.graph;
};

TEST_F(UpsamplePlan, IsOneStepWithItsSum) {
    const int large = pair(graph_.input, kChannels);
    const int small = pair(pool(large, 2, 2), kChannels);
    const int enlarged = enlarge(small, 2, 2);
    check(pair(add("Add", {pair(large, kChannels), enlarged}), kChannels), {}, {enlarged}, 1);
}

TEST_F(UpsamplePlan, EachAxisHasItsFactorAndTheSumItsOrder) {
    const int large = pair(graph_.input, kChannels);
    const int small = pair(pool(large, 3, 2), kChannels);
    const int enlarged = enlarge(small, 3, 2);
    check(pair(add("Add", {enlarged, pair(large, kChannels)}), kChannels), {}, {enlarged}, 1);
}

// Neither is written over: both are asked for.
TEST_F(UpsamplePlan, WhatIsAddedIsStillThere) {
    const int large = pair(graph_.input, kChannels);
    const int small = pair(pool(large, 2, 2), kChannels);
    const int enlarged = enlarge(small, 2, 2);
    const int sum = add("Add", {large, enlarged});
    check(large, {pair(sum, kChannels), small}, {enlarged}, 1);
    check(small, {pair(sum, kChannels), large}, {enlarged}, 1);
}

// The sum comes long after the enlargement, whose input has to last until then.
TEST_F(UpsamplePlan, WhatIsEnlargedLastsUntilTheSum) {
    const int large = pair(graph_.input, kChannels);
    const int enlarged = enlarge(pair(pool(large, 2, 2), kChannels), 2, 2);
    int later = large;
    for (int i = 0; i < 4; ++i)
        later = add("Sigmoid", {pair(later, kChannels)});
    check(pair(add("Add", {later, enlarged}), kChannels), {}, {enlarged}, 1);
}

TEST_F(UpsamplePlan, TwoTakersLeaveItToTheLibrary) {
    const int large = pair(graph_.input, kChannels);
    const int enlarged = enlarge(pair(pool(large, 2, 2), kChannels), 2, 2);
    const int sum = add("Add", {large, enlarged});
    check(pair(add("Add", {sum, enlarged}), kChannels), {}, {enlarged}, 0);
}

// One column for all: no sum of two tensors of one shape.
TEST_F(UpsamplePlan, ASumThatRepeatsLeavesItToTheLibrary) {
    const int large = pair(graph_.input, kChannels);
    const int enlarged = enlarge(pair(pool(large, 2, 2), kChannels), 2, 2);
    const int column = pool(large, 1, kPixels);
    check(pair(add("Add", {column, enlarged}), kChannels), {}, {enlarged}, 0);
}

// The picture itself is enlarged: it does not lie channels-last.
TEST_F(UpsamplePlan, AnotherLayoutIsLeftToTheLibrary) {
    const int enlarged = enlarge(graph_.input, 2, 2);
    const int wide = add("Sigmoid", {enlarge(add("Relu", {graph_.input}), 2, 2)});
    check(add("Add", {enlarged, wide}), {}, {enlarged}, 0);
}

} // namespace
} // namespace sphere::onednn
