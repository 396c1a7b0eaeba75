// SPDX-License-Identifier: MIT
// Channels that do nothing: which are taken out, and that results stay.
#include "core/engine/onednn/passes.h"
#include "core/engine/onednn/plan.h"

#include "tests/support/graph_builder.h"
#include "tests/support/run_plan.h"
#include "tests/support/tiny_network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace sphere::onednn {
namespace {

/// A convolution, a depthwise one and one that sums, a PReLU behind each of the first two.
class DeadChannels : public testing::Test {
  protected:
    static constexpr std::int64_t kRows = 9, kPixels = 11, kChannels = 64;

    void SetUp() override {
        int value = made_.conv(graph_.input, {3, kChannels, 3});
        first_ = node();
        value = made_.prelu(value, kChannels);
        slopes_ = node();
        value = made_.depthwise(value, kChannels);
        depth_ = node();
        value = made_.prelu(value, kChannels);
        value = made_.conv(value, {kChannels, 24});
        last_ = node();
        graph_.outputs = {value};
    }

    std::size_t node() const { return graph_.nodes.size() - 1; }
    Constant &constant(std::size_t node, std::size_t input) {
        return graph_.values[index(graph_.nodes[node].inputs[input])].constant;
    }
    static std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

    /// Row `channel` of a constant, times `by`.
    void scale(std::size_t node, std::size_t input, std::int64_t channel, float by) {
        Constant &weights = constant(node, input);
        const std::size_t each = weights.floats.size() / index(weights.dims[0]);
        for (std::size_t i = 0; i < each; ++i)
            weights.floats[index(channel) * each + i] *= by;
    }
    /// As weight decay does it: nothing is left but what the depthwise one's bias makes.
    void kill(std::int64_t channel, float by = 0) {
        scale(first_, 1, channel, by);
        scale(first_, 2, channel, by);
        scale(depth_, 1, channel, by);
    }
    void kill_half() {
        for (std::int64_t c = 0; c < kChannels / 2; ++c)
            kill(c);
    }
    std::int64_t channels() { return constant(first_, 1).dims[0]; }

    /// Nothing without the library, which sanitizers do not know: the graphs are still looked
    /// at.
    std::vector<float> run() {
        if (testing_support::fake_engine_only())
            return {};
        const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
        WeightStore weights(engine);
        auto plan = Plan::make(graph_, {1, 3, kRows, kPixels}, PlanSettings{}, engine, weights);
        EXPECT_TRUE(plan.ok()) << plan.error().message;
        if (!plan)
            return {};
        return testing_support::run_twice(**plan,
                                          testing_support::numbers(3 * kRows * kPixels, 99))[0];
    }
    /// So many channels are left, and the results are what they were.
    void check(std::int64_t left) {
        const std::vector<float> before = run();
        drop_dead_channels(graph_);
        EXPECT_EQ(channels(), left);
        EXPECT_EQ(constant(last_, 1).dims[1], left);
        EXPECT_EQ(graph_.nodes[depth_].integer("group", 1), left);
        const std::vector<float> after = run();
        ASSERT_EQ(after.size(), before.size());
        for (std::size_t i = 0; i < before.size(); ++i)
            ASSERT_NEAR(after[i], before[i], 2e-5) << "at " << i;
    }

    testing_support::GraphBuilder made_{"emptied.onnx"};
    Graph &graph_ = made_.graph;
    std::size_t first_ = 0, slopes_ = 0, depth_ = 0, last_ = 0;
};

TEST_F(DeadChannels, AreTakenOutInSixteens) {
    for (std::int64_t c = 0; c < 40; ++c)
        kill(c * 37 % kChannels); // 24 live
    check(32);
}

TEST_F(DeadChannels, FewerThanSixteenStay) {
    for (std::int64_t c = 10; c < 25; ++c)
        kill(c);
    check(kChannels);
}

TEST_F(DeadChannels, OneChannelAboveAMultipleKeepsSixteen) {
    for (std::int64_t c = 33; c < kChannels; ++c)
        kill(c);
    check(48);
}

TEST_F(DeadChannels, TooSmallToMatterIsDead) {
    for (std::int64_t c = 0; c < 32; ++c)
        kill(c, 1e-6F); // 1e-12 behind the depthwise one
    check(32);
}

TEST_F(DeadChannels, SmallIsNotDead) {
    for (std::int64_t c = 0; c < 32; ++c)
        kill(c, 1e-3F);
    check(kChannels);
}

// What is small here is large again behind the next one.
TEST_F(DeadChannels, WhatIsEnlargedLaterLives) {
    for (std::int64_t c = 0; c < 32; ++c) {
        scale(first_, 1, c, 1e-8F);
        scale(first_, 2, c, 1e-8F);
        scale(depth_, 1, c, 1e8F);
    }
    check(kChannels);
}

TEST_F(DeadChannels, ADepthwiseConvolutionOfZerosLeavesItsBias) {
    for (std::int64_t c = 20; c < 40; ++c)
        scale(depth_, 1, c, 0);
    check(48);
}

TEST_F(DeadChannels, WhatNobodyTakesIsDead) {
    Constant &weights = constant(last_, 1);
    for (std::size_t i = 0; i < weights.floats.size(); ++i)
        if (i % kChannels < 16)
            weights.floats[i] = 0;
    check(48);
}

// A constant is none for a convolution that sees zeros beyond the border.
TEST_F(DeadChannels, AConstantBeforeABorderLives) {
    for (std::int64_t c = 0; c < 32; ++c)
        scale(first_, 1, c, 0);
    check(kChannels);
}

TEST_F(DeadChannels, AConstantBeforeTheBorderOfTheLastLives) {
    graph_.nodes[last_].ints["pads"] = {1, 1, 1, 1};
    kill_half();
    check(kChannels);
}

TEST_F(DeadChannels, ActivationsWithinConvolutionsCount) {
    graph_.nodes[depth_].post.push_back({PostOp::Kind::Relu, -0.5F, 0});
    graph_.nodes[first_].post.push_back({PostOp::Kind::Clip, -0.3F, 0.4F});
    kill_half();
    check(32);
}

TEST_F(DeadChannels, OneSlopeForAllStays) {
    constant(slopes_, 1) = {{1}, {0.25F}, {}, false};
    kill_half();
    check(32);
    EXPECT_EQ(constant(slopes_, 1).dims, Dims{1});
}

TEST_F(DeadChannels, WeightsOfAnotherNodeStayWhole) {
    kill_half();
    const std::vector<int> shared = graph_.nodes[first_].inputs;
    made_.add("Conv", {graph_.input, shared[1], shared[2]});
    made_.last().ints["pads"] = {1, 1, 1, 1};
    graph_.outputs.push_back(made_.last().output);
    check(32);
    EXPECT_EQ(graph_.constant(shared[1])->dims[0], kChannels);
    EXPECT_EQ(graph_.constant(shared[2])->dims, Dims{kChannels});
}

TEST_F(DeadChannels, WhatIsAskedForStays) {
    kill_half();
    graph_.outputs.push_back(graph_.nodes[slopes_].output);
    check(kChannels);
}

TEST_F(DeadChannels, WhatIsAddedElsewhereStays) {
    kill_half();
    made_.add("Sigmoid", {graph_.nodes[depth_].output});
    graph_.outputs.push_back(made_.last().output);
    check(kChannels);
}

TEST_F(DeadChannels, AllDeadLeavesSixteen) {
    for (std::int64_t c = 0; c < kChannels; ++c)
        kill(c);
    check(16);
}

TEST_F(DeadChannels, NumbersThatAreNoneAreLeftAlone) {
    kill_half();
    constant(first_, 1).floats[0] = std::numeric_limits<float>::quiet_NaN();
    constant(depth_, 1).floats[kChannels * 9 - 1] = std::numeric_limits<float>::infinity();
    drop_dead_channels(graph_);
    EXPECT_GE(channels(), 16);
}

// Another size than the nodes say is for those to refuse who work out the shapes.
TEST_F(DeadChannels, WeightsThatDoNotFitAreLeftAlone) {
    kill_half();
    constant(depth_, 2).dims = {kChannels - 1};
    drop_dead_channels(graph_);
    EXPECT_EQ(channels(), kChannels);
}

} // namespace
} // namespace sphere::onednn
