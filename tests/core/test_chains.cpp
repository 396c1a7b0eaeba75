// SPDX-License-Identifier: MIT
// Plans of a small detector: its pairs of convolutions in chains, against the same layers one
// by one by the library.
#include "core/engine/onednn/pairs.h"
#include "core/engine/onednn/plan.h"

#include "tests/support/run_plan.h"
#include "tests/support/tiny_network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace sphere::onednn {
namespace {

/// A stem, three pairs of which one pools, a branch, a pooling before a pair, and three heads.
class Chains : public ::testing::Test {
  protected:
    void SetUp() override {
        if (testing_support::fake_engine_only())
            GTEST_SKIP() << "SPHERE_FAKE_ENGINE_ONLY is set";
        graph_.path = "small.onnx";
        graph_.input = graph_.add_value("data");
        int value = conv(graph_.input, 3, 16, 3, 2, true);
        value = pair(value, 16, 32);
        value = pool(value);
        value = pair(value, 32, 16);
        branch_ = pair(value, 16, 48);
        deep_ = pair(pool(branch_), 48, 32);
        for (const std::int64_t channels : {1, 4, 10})
            heads_.push_back(transpose(pair(branch_, 48, channels)));
    }

    int add(const char *op, std::vector<int> inputs) {
        Node node;
        node.op = op;
        node.name = op + std::to_string(graph_.nodes.size());
        node.inputs = std::move(inputs);
        node.output = graph_.add_value(node.name);
        graph_.nodes.push_back(node);
        return graph_.nodes.back().output;
    }

    int constant(const Dims &dims, float scale) {
        Constant made;
        made.dims = dims;
        std::uniform_real_distribution<float> values(-scale, scale);
        made.floats.resize(static_cast<std::size_t>(count_elements(dims)));
        std::generate(made.floats.begin(), made.floats.end(), [&] { return values(random_); });
        return graph_.add_constant("w" + std::to_string(graph_.values.size()), made);
    }

    int conv(int x, std::int64_t inputs, std::int64_t channels, std::int64_t size,
             std::int64_t stride, bool relu, std::int64_t group = 1) {
        const std::int64_t per_group = inputs / group;
        const float scale =
            std::sqrt(3.0F / static_cast<float>(per_group * size * size)); // keeps the variance
        const int w = constant({channels, per_group, size, size}, scale);
        const int value = add("Conv", {x, w, constant({channels}, 0.5F)});
        Node &node = graph_.nodes.back();
        node.ints["strides"] = {stride, stride};
        node.ints["pads"] = {size / 2, size / 2, size / 2, size / 2};
        node.ints["group"] = {group};
        if (relu)
            node.post.push_back({PostOp::Kind::Relu, 0, 0});
        layers_.push_back(value);
        return value;
    }

    int pair(int x, std::int64_t inputs, std::int64_t channels) {
        const int between = conv(x, inputs, channels, 1, 1, false);
        return conv(between, channels, channels, 3, 1, channels % 16 == 0, channels);
    }

    int pool(int x) {
        const int value = add("MaxPool", {x});
        graph_.nodes.back().ints["kernel_shape"] = graph_.nodes.back().ints["strides"] = {2, 2};
        layers_.push_back(value);
        return value;
    }

    int transpose(int x) {
        const int value = add("Transpose", {x});
        graph_.nodes.back().ints["perm"] = {0, 2, 3, 1};
        return value;
    }

    // What is asked for is no part of a chain: asking for every layer leaves none.
    std::vector<std::vector<float>> run(std::int64_t pictures, bool every_layer) {
        graph_.outputs = heads_;
        graph_.outputs.push_back(deep_);
        if (every_layer)
            graph_.outputs.insert(graph_.outputs.end(), layers_.begin(), layers_.end());
        const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
        WeightStore weights(engine);
        auto plan =
            Plan::make(graph_, {pictures, 3, kRows, kPixels}, PlanSettings{}, engine, weights);
        EXPECT_TRUE(plan.ok()) << plan.error().message;
        if (!plan)
            return {};
        ours_ = 0;
        for (const KernelUse &use : (*plan)->kernels())
            if (best_pairs() != nullptr && use.kernel == best_pairs()->name)
                ours_ += use.layers;
        std::vector<float> x(static_cast<std::size_t>(pictures * 3 * kRows * kPixels));
        std::mt19937 random(3);
        std::uniform_real_distribution<float> values(-1, 1);
        std::generate(x.begin(), x.end(), [&] { return values(random); });
        auto results = testing_support::run_twice(**plan, x);
        results.resize(heads_.size() + 1);
        return results;
    }

    static constexpr std::int64_t kRows = 40, kPixels = 56;
    std::mt19937 random_{11};
    Graph graph_;
    int branch_ = -1, deep_ = -1;
    std::vector<int> heads_, layers_;
    int ours_ = 0; ///< layers by kernels of pairs
};

TEST_F(Chains, ComputeWhatTheLayersDo) {
    for (const std::int64_t pictures : {1, 3}) {
        const auto singly = run(pictures, true);
        EXPECT_EQ(ours_, 0);
        const auto chained = run(pictures, false);
        // A stem and three pairs; a pooling and a pair; the heads.
        EXPECT_EQ(ours_, best_pairs() == nullptr ? 0 : 7);
        ASSERT_EQ(chained.size(), singly.size());
        for (std::size_t i = 0; i < singly.size(); ++i) {
            ASSERT_EQ(chained[i].size(), singly[i].size());
            for (std::size_t k = 0; k < singly[i].size(); ++k)
                ASSERT_NEAR(chained[i][k], singly[i][k], 1e-4)
                    << "result " << i << " at " << k << " of " << pictures << " pictures";
        }
    }
}

// Where most of the work is in other convolutions.
TEST_F(Chains, FewPairsAreLeftToTheLibrary) {
    int value = graph_.input;
    for (int i = 0; i < 4; ++i) // more work than the pairs
        value = conv(value, i == 0 ? 3 : 64, 64, 3, 1, true);
    heads_.push_back(value);
    (void)run(1, false);
    EXPECT_EQ(ours_, 0);
}

} // namespace
} // namespace sphere::onednn
