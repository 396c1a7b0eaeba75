// SPDX-License-Identifier: MIT
// Plans of a small detector: its pairs of convolutions in chains, against the same layers one
// by one by the library.
#include "core/engine/onednn/pairs.h"
#include "core/engine/onednn/plan.h"

#include "tests/support/graph_builder.h"
#include "tests/support/run_plan.h"
#include "tests/support/tiny_network.h"

#include <gtest/gtest.h>

namespace sphere::onednn {
namespace {

/// A stem, three pairs of which one pools, a branch, a pooling before a pair, and three heads.
class Chains : public ::testing::Test {
  protected:
    void SetUp() override {
        if (testing_support::fake_engine_only())
            GTEST_SKIP() << "SPHERE_FAKE_ENGINE_ONLY is set";
        int value = conv(graph_.input, {3, 16, 3, 2}, true);
        value = pair(value, 16, 32);
        value = pool(value);
        value = pair(value, 32, 16);
        branch_ = pair(value, 16, 48);
        deep_ = pair(pool(branch_), 48, 32);
        for (const std::int64_t channels : {1, 4, 10})
            heads_.push_back(transpose(pair(branch_, 48, channels)));
    }

    int conv(int x, const testing_support::ConvShape &shape, bool relu) {
        const int value = made_.conv(x, shape);
        if (relu)
            made_.relu();
        layers_.push_back(value);
        return value;
    }

    int pair(int x, std::int64_t inputs, std::int64_t channels) {
        const int between = conv(x, {inputs, channels}, false);
        return conv(between, {channels, channels, 3, 1, channels}, channels % 16 == 0);
    }

    int pool(int x) {
        layers_.push_back(made_.pool(x, 2, 2));
        return layers_.back();
    }

    int transpose(int x) {
        const int value = made_.add("Transpose", {x});
        made_.last().ints["perm"] = {0, 2, 3, 1};
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
        auto results = testing_support::run_twice(
            **plan, testing_support::numbers(pictures * 3 * kRows * kPixels, 3));
        results.resize(heads_.size() + 1);
        return results;
    }

    static constexpr std::int64_t kRows = 40, kPixels = 56;
    testing_support::GraphBuilder made_{"small.onnx"};
    Graph &graph_ = made_.graph;
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
        value = conv(value, {i == 0 ? 3 : 64, 64, 3}, true);
    heads_.push_back(value);
    (void)run(1, false);
    EXPECT_EQ(ours_, 0);
}

} // namespace
} // namespace sphere::onednn
