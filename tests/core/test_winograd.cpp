// SPDX-License-Identifier: MIT
// Winograd's convolutions by kernels of our own: each kernel against a direct convolution in
// double precision, and networks whose plans take them.
#include "core/base/cpu.h"
#include "core/engine/onednn/compat.h"
#include "core/engine/onednn/plan.h"
#include "core/engine/onednn/thread_state.h"
#include "core/engine/onednn/winograd.h"

#include "tests/support/graph_builder.h"
#include "tests/support/run_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace sphere::onednn {
namespace {

/// A kernel, and a tile that it knows.
struct Tried {
    const WinogradKernel *kernel;
    std::int64_t tile;

    std::string name() const {
        return std::string(kernel->name) + (kernel->bf16 ? ", bf16" : "") + ", tile " +
               std::to_string(tile);
    }
};

// For so many inputs.
std::vector<Tried> kernels(std::int64_t inputs) {
    std::vector<Tried> found = {{&winograd_portable(), 2}, {&winograd_portable(), 4}};
    if (const WinogradKernel *kernel = winograd_avx2(); kernel != nullptr)
        found.insert(found.end(), {{kernel, 2}, {kernel, 4}});
    if (inputs % 16 == 0) {
        found.push_back({&winograd_portable_bf16(), 2});
        if (winograd_bf16() != nullptr)
            found.push_back({winograd_bf16(), 2});
    }
    return found;
}

using Doubles = std::vector<double>;

struct Shape {
    std::int64_t pictures, rows, pixels, inputs, outputs;
};

/// 3x3, stride 1, a border of zeros; x is channels-last, weights [outputs][inputs][3][3].
template <typename Number>
Doubles direct(const Shape &s, const std::vector<Number> &x, const Constant &weights) {
    Doubles y;
    const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
    for (std::int64_t p = 0; p < s.pictures * s.rows * s.pixels; ++p)
        for (std::int64_t o = 0; o < s.outputs; ++o) {
            double sum = 0;
            for (std::int64_t tap = 0; tap < 9; ++tap) {
                const std::int64_t v = p / s.pixels % s.rows + tap / 3 - 1,
                                   u = p % s.pixels + tap % 3 - 1;
                if (v < 0 || u < 0 || v >= s.rows || u >= s.pixels)
                    continue;
                const std::int64_t pixel = p + (tap / 3 - 1) * s.pixels + tap % 3 - 1;
                for (std::int64_t k = 0; k < s.inputs; ++k)
                    sum += static_cast<double>(x[at(pixel * s.inputs + k)]) *
                           weights.floats[at((o * s.inputs + k) * 9 + tap)];
            }
            y.push_back(sum);
        }
    return y;
}

class Winograd : public testing::TestWithParam<Shape> {
  protected:
    Winograd() {
        const Shape &s = GetParam();
        fill(x_, s.pictures * s.rows * s.pixels * s.inputs);
        weights_.dims = {s.outputs, s.inputs, 3, 3};
        fill(weights_.floats, s.outputs * s.inputs * 9);
        fill(bias_, s.outputs);
        fill(slopes_, s.outputs);
        fill(addend_, s.pictures * s.rows * s.pixels * s.outputs);
        direct_ = direct(s, x_, weights_);
    }
    void fill(std::vector<float> &v, std::int64_t n) {
        std::normal_distribution<float> values;
        v.resize(static_cast<std::size_t>(n));
        std::generate(v.begin(), v.end(), [&] { return values(random_); });
    }
    static std::vector<Tried> tried() { return kernels(GetParam().inputs); }
    WinogradConv conv(const Tried &by) const {
        const Shape &s = GetParam();
        WinogradConv conv;
        conv.weights = std::make_shared<const WinogradWeights>(
            transform_weights(weights_, by.tile, by.kernel->bf16));
        conv.bias = bias_;
        conv.x = x_.data();
        conv.pictures = s.pictures;
        conv.rows = s.rows;
        conv.pixels = s.pixels;
        return conv;
    }
    Doubles expected(const WinogradConv &conv, const std::vector<float> &addend) const {
        Doubles right;
        for (std::size_t i = 0; i < direct_.size(); ++i) {
            const std::size_t o = i % bias_.size();
            double y = direct_[i] + bias_[o];
            if (conv.adds_first && conv.addend != nullptr)
                y += addend[i];
            if (y < 0 && !conv.slopes.empty())
                y *= conv.slopes[o];
            right.push_back(conv.adds_first || conv.addend == nullptr ? y : y + addend[i]);
        }
        return right;
    }
    // Of two numbers bf16 has eight bits each.
    static void expect_near(const std::vector<float> &got, const Doubles &right, bool bf16) {
        double largest = 0;
        for (const double y : right)
            largest = std::max(largest, std::abs(y));
        for (std::size_t i = 0; i < right.size(); ++i)
            ASSERT_NEAR(got[i], right[i], (bf16 ? 0.01 : 1e-4) * largest) << "at " << i;
    }

    std::mt19937 random_{17};
    std::vector<float> x_, bias_, slopes_, addend_;
    Constant weights_;
    Doubles direct_;
    std::vector<float> scratch_;
};

TEST_P(Winograd, EachKernelAgreesWithADirectConvolution) {
    for (const Tried &by : tried())
        for (int bits = 0; bits < 8; ++bits) {
            WinogradConv made = conv(by);
            if ((bits & 1) != 0)
                made.slopes = slopes_;
            if ((bits & 2) != 0)
                made.addend = addend_.data();
            made.adds_first = (bits & 4) != 0;
            const Doubles right = expected(made, addend_);
            SCOPED_TRACE(by.name() + ", variant " + std::to_string(bits));
            std::vector<float> out(right.size() + 16, 77);
            made.out = out.data();
            run_winograd(*by.kernel, made, 1, scratch_);
            expect_near(out, right, by.kernel->bf16);
            for (std::size_t i = right.size(); i < out.size(); ++i)
                ASSERT_EQ(out[i], 77) << "written past the end";
        }
}

TEST_P(Winograd, BandsAreTheWhole) {
    for (const Tried &by : tried()) {
        SCOPED_TRACE(by.name());
        WinogradConv made = conv(by);
        std::vector<float> whole(direct_.size()), bands(direct_.size());
        made.out = whole.data();
        run_winograd(*by.kernel, made, 1, scratch_);
        made.out = bands.data();
        for (const int threads : {2, 3, 64}) {
            std::fill(bands.begin(), bands.end(), 77.0F);
            run_winograd(*by.kernel, made, threads, scratch_);
            for (std::size_t i = 0; i < whole.size(); ++i)
                ASSERT_NEAR(bands[i], whole[i], 1e-3) << threads << " threads, at " << i;
        }
    }
}

// The result's memory is that of what is added.
TEST_P(Winograd, InPlace) {
    for (const Tried &by : tried()) {
        WinogradConv made = conv(by);
        std::vector<float> both = addend_;
        made.addend = made.out = both.data();
        const Doubles right = expected(made, addend_);
        run_winograd(*by.kernel, made, 2, scratch_);
        expect_near(both, right, by.kernel->bf16);
    }
}

// Its sums are those of plain code, which rounds what it multiplies in the same way.
TEST_P(Winograd, Bf16IsThatOfPlainCode) {
    if (winograd_bf16() == nullptr)
        GTEST_SKIP() << "this CPU has no AVX512-BF16";
    if (GetParam().inputs % 16 != 0)
        return;
    WinogradConv made = conv({winograd_bf16(), 2});
    std::vector<float> got(direct_.size()), right(direct_.size());
    made.out = got.data();
    run_winograd(*winograd_bf16(), made, 1, scratch_);
    made.out = right.data();
    run_winograd(winograd_portable_bf16(), made, 1, scratch_);
    const float largest = *std::max_element(right.begin(), right.end());
    for (std::size_t i = 0; i < right.size(); ++i)
        ASSERT_NEAR(got[i], right[i], 2e-3 * largest) << "at " << i;
}

// Planes smaller than a tile and no multiple of one; groups of tiles that are not full; more
// tiles than are transformed at a time.
INSTANTIATE_TEST_SUITE_P(Shapes, Winograd,
                         testing::Values(Shape{1, 1, 1, 8, 16}, Shape{1, 2, 3, 32, 16},
                                         Shape{2, 3, 2, 16, 48}, Shape{1, 4, 4, 24, 32},
                                         Shape{2, 7, 6, 64, 32}, Shape{1, 5, 9, 40, 16},
                                         Shape{3, 14, 12, 32, 32}, Shape{1, 28, 31, 16, 16},
                                         Shape{2, 1, 33, 16, 16}, Shape{5, 9, 10, 520, 16},
                                         Shape{3, 13, 15, 48, 16}));

TEST(WinogradTile, LargePlanesTakeLargeTilesAndTheSmallestNone) {
    EXPECT_EQ(best_winograd_tile(56, 48, false), 4);
    EXPECT_EQ(best_winograd_tile(28, 24, false), 4);
    EXPECT_EQ(best_winograd_tile(14, 12, false), 2); // the weights of 4x4 tiles cost as much
    EXPECT_EQ(best_winograd_tile(7, 6, false), 2);   // or more
    EXPECT_EQ(best_winograd_tile(1, 1, false), 0);
    EXPECT_EQ(best_winograd_tile(3, 3, false), 0);
}

TEST(WinogradTile, InBf16AllAreSmall) {
    EXPECT_EQ(best_winograd_tile(56, 48, true), 2);
    EXPECT_EQ(best_winograd_tile(7, 6, true), 2);
    EXPECT_EQ(best_winograd_tile(1, 1, true), 0);
}

TEST(BestWinograd, IsForCpusForWhichTheLibraryHasNone) {
    const bool ours = cpu_level() == CpuLevel::Avx2 && detected_cpu_level() == CpuLevel::Avx2;
    EXPECT_EQ(best_winograd(false), ours ? winograd_avx2() : nullptr);
    const bool bf16 = cpu_extensions().avx512_bf16 && !compat::uses_tiles();
    EXPECT_EQ(best_winograd(true), bf16 ? winograd_bf16() : nullptr);
    EXPECT_EQ(winograd_bf16() != nullptr, detected_cpu_extensions().avx512_bf16);
}

/// A network of 3x3 convolutions, by a plan.
class WinogradPlan : public testing::Test {
  protected:
    static constexpr std::int64_t kPictures = 2, kChannels = 32, kRows = 14, kPixels = 11;

    int conv(int x) { return made_.conv(x, {kChannels, kChannels, 3}); }
    int prelu(int x, int addend = -1) {
        const int value = made_.prelu(x, kChannels);
        if (addend >= 0)
            made_.last().inputs.push_back(addend);
        made_.last().addend = addend;
        return value;
    }
    // To the last convolution.
    void sum_into(int addend) {
        Node &node = made_.last();
        node.post.push_back({PostOp::Kind::Sum, 0, 0});
        node.addend = addend;
        node.inputs.push_back(addend);
    }
    void relu(float slope) { made_.relu(slope); }

    std::vector<float> run(const std::vector<float> &x, PlanSettings settings = {}) {
        const ThreadCount alone(1); // ThreadSanitizer knows nothing of the library's threads
        const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
        WeightStore weights(engine);
        auto plan = Plan::make(graph_, {kPictures, kChannels, kRows, kPixels}, settings, engine,
                               weights);
        EXPECT_TRUE(plan.ok()) << plan.error().message;
        if (!plan)
            return {};
        ours_ = 0;
        for (const KernelUse &use : (*plan)->kernels())
            if (use.kernel.rfind("sphere winograd", 0) == 0)
                ours_ += use.layers;
        return testing_support::run_twice(**plan, x)[0];
    }
    static std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }
    // [pictures][channels][plane] and back.
    template <typename Number>
    static Doubles swapped(const std::vector<Number> &x, std::int64_t a, std::int64_t b) {
        Doubles y(x.size());
        for (std::int64_t i = 0; i < static_cast<std::int64_t>(x.size()); ++i)
            y[index(i / (a * b) * a * b + i % b * a + i / b % a)] = x[index(i)];
        return y;
    }
    // In double precision up to the first output, values channels-last. The nodes are those
    // that this class makes.
    Doubles reference(const std::vector<float> &x) const {
        std::map<int, Doubles> values;
        values[graph_.input] = swapped(x, kChannels, kRows * kPixels);
        for (const Node &node : graph_.nodes) {
            Doubles y = values[node.inputs[0]];
            if (node.op == "Conv") {
                const Constant &weights = *graph_.constant(node.inputs[1]);
                y = direct({kPictures, kRows, kPixels, kChannels, kChannels}, y, weights);
                for (std::size_t i = 0; i < y.size(); ++i)
                    y[i] += graph_.constant(node.inputs[2])->floats[i % kChannels];
            }
            for (const PostOp &post : node.post)
                for (std::size_t i = 0; i < y.size(); ++i)
                    y[i] = post.kind == PostOp::Kind::Sum ? y[i] + values[node.addend][i]
                                                          : std::max(y[i], y[i] * post.a);
            if (node.op == "PRelu")
                for (std::size_t i = 0; i < y.size(); ++i) {
                    const float slope = graph_.constant(node.inputs[1])->floats[i % kChannels];
                    y[i] = (y[i] < 0 ? y[i] * slope : y[i]) +
                           (node.addend >= 0 ? values[node.addend][i] : 0);
                }
            values[node.output] = std::move(y);
            if (node.output == graph_.outputs[0])
                break;
        }
        return swapped(values[graph_.outputs[0]], kRows * kPixels, kChannels);
    }
    // `layers` by Winograd where there are kernels for this CPU.
    void check(std::vector<int> outputs, int layers, const PlanSettings &settings = {}) {
        graph_.outputs = std::move(outputs);
        const auto x = testing_support::numbers(kPictures * kChannels * kRows * kPixels, 99);
        const std::vector<float> got = run(x, settings);
        const Doubles right = reference(x);
        const bool bf16 = settings.bf16_convolutions;
        EXPECT_EQ(ours_, best_winograd(bf16) == nullptr ? 0 : layers);
        ASSERT_EQ(got.size(), right.size());
        double largest = 0;
        for (const double y : right)
            largest = std::max(largest, std::abs(y));
        for (std::size_t i = 0; i < right.size(); ++i)
            ASSERT_NEAR(got[i], right[i], (bf16 ? 0.02 : 2e-4) * largest) << "at " << i;
    }

    testing_support::GraphBuilder made_{"made.onnx"};
    Graph &graph_ = made_.graph;
    int ours_ = 0;
};

// What is added is what the convolution takes, which may not be written over meanwhile.
TEST_F(WinogradPlan, ResidualsOfOneConvolution) {
    const int a = prelu(conv(graph_.input));
    const int b = prelu(conv(a), a);
    check({prelu(conv(b), b)}, 3);
}

TEST_F(WinogradPlan, ResidualsOfTwoConvolutions) {
    const int a = prelu(conv(graph_.input));
    const int b = prelu(conv(prelu(conv(a))), a);
    check({prelu(conv(prelu(conv(b))), b)}, 5);
}

TEST_F(WinogradPlan, SumsBeforeAndBehindARelu) {
    const int a = conv(graph_.input);
    relu(0);
    int b = conv(a);
    relu(0.25F);
    b = conv(b);
    sum_into(a);
    relu(0);
    const int c = conv(b);
    relu(0);
    const int d = conv(c);
    relu(0.5F);
    sum_into(b);
    check({conv(d)}, 6);
}

TEST_F(WinogradPlan, WhatIsWantedBetweenIsThere) {
    const int a = conv(graph_.input), b = prelu(a);
    check({a, prelu(conv(b), a)}, 2);
}

// Between others in bf16, which make fp32 for them.
TEST_F(WinogradPlan, InBf16) {
    if (!cpu_extensions().avx512_bf16)
        GTEST_SKIP() << "this CPU has no AVX512-BF16";
    PlanSettings settings;
    settings.bf16_convolutions = true;
    const int a = prelu(conv(graph_.input));
    const int b = prelu(conv(prelu(conv(a))), a);
    const int wide = made_.conv(b, {kChannels, 320});
    check({prelu(conv(prelu(conv(b))), b), wide}, 5, settings);
}

TEST_F(WinogradPlan, NotInInt8) {
    PlanSettings settings;
    settings.int8 = std::make_shared<const Int8Calibration>(); // that names no layer
    check({prelu(conv(prelu(conv(graph_.input))))}, 0, settings);
}

// Other convolutions would pay for the layout.
TEST_F(WinogradPlan, NotWhereOthersDoMostOfTheWork) {
    const int a = conv(graph_.input);
    const int wide = made_.conv(graph_.input, {kChannels, 320});
    check({a, wide}, 0);
}

} // namespace
} // namespace sphere::onednn
