// SPDX-License-Identifier: MIT
// Layers in int8: sums of products are exact on this CPU, whatever the codes.
#include "core/engine/onednn/plan.h"

#include "tests/support/tiny_network.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace sphere::onednn {
namespace {

struct Layer {
    std::int64_t inputs, outputs, kernel; ///< kernel 0 = an inner product
    bool extreme;                         ///< products as large as codes allow
};

class Int8Layer : public testing::TestWithParam<Layer> {
  protected:
    static constexpr std::int64_t kSide = 5;

    void SetUp() override {
        if (testing_support::fake_engine_only())
            GTEST_SKIP() << "SPHERE_FAKE_ENGINE_ONLY is set"; // the library is not instrumented
        bits_ = int8_weight_bits();
        if (bits_ == 0)
            GTEST_SKIP() << "this CPU has no int8";
        largest_ = bits_ == 8 ? 127 : 64;
        const Layer &layer = GetParam();
        const bool gemm = layer.kernel == 0;
        const std::int64_t side = gemm ? 1 : kSide;
        input_ = {2, layer.inputs, side, side};
        const Dims weights =
            gemm ? Dims{layer.outputs, layer.inputs}
                 : Dims{layer.outputs, layer.inputs, layer.kernel, layer.kernel};
        std::mt19937 random(5);
        std::uniform_int_distribution<int> bytes(0, 255), codes(-largest_, largest_);
        for (std::int64_t i = count_elements(input_); i > 0; --i)
            x_.push_back(layer.extreme ? 255.0F : static_cast<float>(bytes(random)));
        const std::int64_t each = count_elements(weights) / layer.outputs;
        for (std::int64_t i = 0; i < each * layer.outputs; ++i) {
            // The first of each channel is the largest: weights are their codes.
            const int sign = i / each % 2 == 0 ? 1 : -1;
            weights_.push_back(static_cast<float>(
                layer.extreme || i % each == 0 ? sign * largest_ : codes(random)));
        }
        make_graph(weights);
    }

    // A ReLU first: the picture itself is never taken in int8.
    void make_graph(const Dims &weights) {
        const Layer &layer = GetParam();
        graph_.path = "made";
        graph_.values = {{"x", false, {}},
                         {"relu", false, {}},
                         {"w", true, {weights, weights_, {}, false}},
                         {"y", false, {}}};
        Node relu, last;
        relu.op = "Relu";
        relu.inputs = {0};
        relu.output = 1;
        last.op = layer.kernel == 0 ? "Gemm" : "Conv";
        last.name = "last";
        last.inputs = {1, 2};
        last.output = 3;
        if (layer.kernel == 0)
            last.ints["transB"] = {1};
        else
            last.ints["pads"] = Dims(4, layer.kernel / 2);
        graph_.nodes = {relu, last};
        graph_.input = 0;
        graph_.outputs = {3};
    }

    double at(std::int64_t picture, std::int64_t channel, std::int64_t row,
              std::int64_t pixel) const {
        if (row < 0 || row >= kSide || pixel < 0 || pixel >= kSide)
            return 0;
        const std::int64_t i = ((picture * GetParam().inputs + channel) * kSide + row) * kSide;
        return x_[static_cast<std::size_t>(i + pixel)];
    }
    double expected(std::int64_t picture, std::int64_t output, std::int64_t row,
                    std::int64_t pixel) const {
        const auto [inputs, outputs, kernel, extreme] = GetParam();
        double sum = 0;
        for (std::int64_t c = 0; c < inputs; ++c) {
            if (kernel == 0)
                sum += static_cast<double>(x_[static_cast<std::size_t>(picture * inputs + c)]) *
                       weights_[static_cast<std::size_t>(output * inputs + c)];
            for (std::int64_t i = 0; i < kernel; ++i)
                for (std::int64_t j = 0; j < kernel; ++j) {
                    const std::int64_t w = ((output * inputs + c) * kernel + i) * kernel + j;
                    sum += at(picture, c, row + i - kernel / 2, pixel + j - kernel / 2) *
                           weights_[static_cast<std::size_t>(w)];
                }
        }
        return sum;
    }

    int bits_ = 0, largest_ = 0;
    Dims input_;
    std::vector<float> x_, weights_;
    Graph graph_;
};

TEST_P(Int8Layer, SumsAreExact) {
    auto calibration = std::make_shared<Int8Calibration>();
    calibration->ranges["relu"] = {0, 255}; // values are their codes
    PlanSettings settings;
    settings.int8 = calibration;
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    WeightStore weights(engine, bits_);
    const auto plan = Plan::make(graph_, input_, settings, engine, weights);
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    bool int8 = false;
    for (const KernelUse &use : (*plan)->kernels())
        int8 = int8 || use.precision == std::string("int8");
    // oneDNN 3 has nothing but reference code for inner products with AVX2: fp32 then.
    ASSERT_TRUE(int8 || GetParam().kernel == 0) << "the layer was computed in fp32";
    std::vector<float> y(static_cast<std::size_t>(count_elements((*plan)->output_dims(0))));
    float *const to = y.data();
    (*plan)->run(x_.data(), {&to, 1});
    const std::int64_t outputs = GetParam().outputs, side = GetParam().kernel == 0 ? 1 : kSide;
    for (std::size_t i = 0; i < y.size(); ++i) {
        const auto n = static_cast<std::int64_t>(i);
        const double want = expected(n / side / side / outputs, n / side / side % outputs,
                                     n / side % side, n % side);
        ASSERT_NEAR(y[i], want, 1e-6 * std::abs(want) + 1e-3) << i; // of fp32 at the end
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Int8Layer,
                         testing::Values(Layer{64, 64, 1, true}, Layer{72, 64, 1, true},
                                         Layer{72, 64, 1, false}, Layer{24, 40, 3, true},
                                         Layer{24, 40, 3, false}, Layer{19, 7, 3, true},
                                         Layer{19, 7, 1, false}, Layer{300, 24, 0, true},
                                         Layer{300, 24, 0, false}));

TEST(Int8Weights, LargestCodesFitTheirBits) {
    const Constant weights{{2, 3}, {1, -0.5F, 0.25F, -4, 2, 0}, {}, false};
    for (const int bits : {7, 8}) {
        const float largest = bits == 8 ? 127 : 64;
        const Int8Weights codes = quantise_weights(weights, 2, bits);
        EXPECT_EQ(codes.codes[0], largest);
        EXPECT_EQ(codes.codes[3], -largest);
        EXPECT_FLOAT_EQ(codes.scales[0], 1 / largest);
        EXPECT_FLOAT_EQ(codes.scales[1], 4 / largest);
        EXPECT_EQ(codes.sums[1], static_cast<float>(codes.codes[3]) +
                                     static_cast<float>(codes.codes[4]) +
                                     static_cast<float>(codes.codes[5]));
    }
}

} // namespace
} // namespace sphere::onednn
