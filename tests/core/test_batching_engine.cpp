// SPDX-License-Identifier: MIT
// Pictures of several threads in one run of a network.
#include "core/engine/batching_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <mutex>
#include <thread>

namespace sphere {
namespace {

/// Gives each picture's sum and its first value, and remembers the sizes of its batches.
class SumEngine final : public Engine {
  public:
    Result<void> run(const Tensor &input, std::vector<Tensor> &outputs) override {
        const std::int64_t n = input.shape[0];
        {
            const std::lock_guard lock(mutex);
            batches.push_back(n);
        }
        if (n > largest)
            return fail(Errc::Engine, "too many pictures");
        if (refuses_negative && input.data[0] < 0)
            return fail(Errc::Engine, "negative");
        outputs.resize(2);
        outputs[0].reset({n, 1});
        outputs[1].reset({n, 1, 1});
        const std::size_t each = input.data.size() / static_cast<std::size_t>(n);
        for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
            const float *picture = input.data.data() + i * each;
            outputs[0].data[i] = 0;
            for (std::size_t k = 0; k < each; ++k)
                outputs[0].data[i] += picture[k];
            outputs[1].data[i] = picture[0];
        }
        return {};
    }
    const char *name() const override { return "sum"; }
    int preferred_batch() const override { return 8; }

    std::mutex mutex;
    std::vector<std::int64_t> batches;
    std::int64_t largest = 1000;
    bool refuses_negative = false;
};

Tensor pictures(std::int64_t n, float value, std::int64_t side = 2) {
    Tensor input;
    input.reset({n, 1, side, side});
    for (std::size_t i = 0; i < input.data.size(); ++i)
        input.data[i] = value + static_cast<float>(i);
    return input;
}

void expect_same(const std::vector<Tensor> &a, const std::vector<Tensor> &b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        EXPECT_EQ(a[i].shape, b[i].shape);
        EXPECT_EQ(a[i].data, b[i].data);
    }
}

using std::chrono::milliseconds;

TEST(BatchingEngine, OneHolderDoesNotWait) {
    const auto inner = std::make_shared<SumEngine>();
    const auto engine = make_batching_engine(inner, 8, milliseconds(60000));
    std::vector<Tensor> outputs, wanted;
    ASSERT_TRUE(engine->run(pictures(3, 1), outputs));
    ASSERT_TRUE(inner->run(pictures(3, 1), wanted));
    expect_same(outputs, wanted);
}

TEST(BatchingEngine, ThreadsShareARunAndGetTheirOwnResults) {
    const auto inner = std::make_shared<SumEngine>();
    const auto engine = make_batching_engine(inner, 6, milliseconds(60000));
    std::barrier start(3);
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t)
        threads.emplace_back([&, held = engine, t] {
            start.arrive_and_wait();
            std::vector<Tensor> outputs, wanted;
            const Tensor input = pictures(2, static_cast<float>(100 * t));
            ASSERT_TRUE(held->run(input, outputs));
            SumEngine alone;
            ASSERT_TRUE(alone.run(input, wanted));
            expect_same(outputs, wanted);
        });
    threads.clear();
    EXPECT_EQ(inner->batches, std::vector<std::int64_t>{6}); // full: nobody waited a minute
}

TEST(BatchingEngine, AfterTheTimeoutItGoesWithoutTheOthers) {
    const auto inner = std::make_shared<SumEngine>();
    const auto engine = make_batching_engine(inner, 8, milliseconds(5));
    const auto other = engine; // holds it and sends nothing
    std::vector<Tensor> outputs;
    ASSERT_TRUE(engine->run(pictures(2, 1), outputs));
    EXPECT_EQ(inner->batches, std::vector<std::int64_t>{2});
}

TEST(BatchingEngine, OtherSizesAndFullBatchesGoOnTheirOwn) {
    const auto inner = std::make_shared<SumEngine>();
    const auto engine = make_batching_engine(inner, 4, milliseconds(20));
    std::vector<std::jthread> threads;
    for (int t = 0; t < 6; ++t)
        threads.emplace_back([&, held = engine, t] {
            const Tensor input = pictures(t % 3 + 1, static_cast<float>(t), 2 + t % 2);
            for (int round = 0; round < 50; ++round) {
                std::vector<Tensor> outputs, wanted;
                ASSERT_TRUE(held->run(input, outputs));
                SumEngine alone;
                ASSERT_TRUE(alone.run(input, wanted));
                expect_same(outputs, wanted);
            }
        });
    threads.clear();
    EXPECT_LE(*std::max_element(inner->batches.begin(), inner->batches.end()), 4);
}

TEST(BatchingEngine, OnesFaultIsNotTheOthers) {
    const auto inner = std::make_shared<SumEngine>();
    inner->largest = 1; // no batch works
    inner->refuses_negative = true;
    const auto engine = make_batching_engine(inner, 2, milliseconds(60000));
    std::barrier start(2);
    std::atomic<int> good = 0, bad = 0;
    std::vector<std::jthread> threads;
    for (const float value : {1.0F, -50.0F})
        threads.emplace_back([&, held = engine, value] {
            start.arrive_and_wait();
            std::vector<Tensor> outputs;
            const auto ran = held->run(pictures(1, value), outputs);
            ++(ran ? good : bad);
            EXPECT_EQ(ran.ok(), value > 0);
        });
    threads.clear();
    EXPECT_EQ(good, 1);
    EXPECT_EQ(bad, 1);
}

} // namespace
} // namespace sphere
