// SPDX-License-Identifier: MIT
// Convolutions in int8 by kernels of our own: weights whose sums fit 16 bits, each kernel
// against sums in whole numbers, and pairs that take their input in int8.
#include "core/base/cpu.h"
#include "core/engine/onednn/dot.h"
#include "core/engine/onednn/pairs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

namespace sphere::onednn {
namespace {

/// A kernel, and the bits of a weight that it is tried with.
struct Tried {
    const DotKernel *kernel;
    int bits;
};

std::vector<Tried> kernels() {
    std::vector<Tried> found = {{&dot_portable(), 7}, {&dot_portable(), 8}};
    if (dot_avx2() != nullptr)
        found.push_back({dot_avx2(), 7});
    if (dot_vnni() != nullptr) {
        found.push_back({dot_vnni(), 7});
        found.push_back({dot_vnni(), 8});
    }
    return found;
}

Constant weights_of(const Dims &dims, const std::function<float(std::int64_t)> &value) {
    Constant weights{dims, {}, {}, false};
    for (std::int64_t i = 0; i < count_elements(dims); ++i)
        weights.floats.push_back(value(i));
    return weights;
}

// As packed: [outputs / 16][taps][inputs / 4][16][4].
int code(const DotWeights &weights, std::int64_t output, std::int64_t input, std::int64_t tap) {
    const std::int64_t block =
        (output / 16 * weights.taps() + tap) * weights.inputs * 16 + input / 4 * 64;
    return weights.codes()[block + output % 16 * 4 + input % 4];
}

class Packing : public testing::TestWithParam<int> {
  protected:
    static Constant weights(int kind) {
        std::mt19937 random(11);
        std::normal_distribution<float> normal;
        return weights_of({32, 48, 3, 1}, [&](std::int64_t i) {
            switch (kind) {
            case 0:
                return normal(random);
            case 1: // every sum is as large as it can be
                return i / 144 % 2 == 0 ? 1.0F : -1.0F;
            case 2: // one far from the others
                return i % 144 == 7 ? -50.0F : normal(random);
            default: // of rounding's least liking: halves
                return (i % 2 == 0 ? 0.5F : 1.5F) / 128 * 16;
            }
        });
    }
};

TEST_P(Packing, SumsFitSixteenBitsAndCodesAreNear) {
    const Constant weights = Packing::weights(GetParam());
    const DotWeights packed = pack_dot_weights(weights, 7);
    for (std::int64_t o = 0; o < 32; ++o) {
        int sum = 0;
        for (std::int64_t tap = 0; tap < 3; ++tap)
            for (std::int64_t group = 0; group < 48; group += 16)
                for (const std::int64_t half : {0, 2}) {
                    int above = 0, below = 0;
                    for (std::int64_t i = 0; i < 8; ++i) {
                        const std::int64_t input = group + i / 2 * 4 + half + i % 2;
                        const int c = code(packed, o, input, tap);
                        (c > 0 ? above : below) += c;
                        const auto scale = packed.scales[static_cast<std::size_t>(o)];
                        const auto at = static_cast<std::size_t>((o * 48 + input) * 3 + tap);
                        ASSERT_NEAR(static_cast<float>(c) * scale, weights.floats[at],
                                    1.6F * scale);
                    }
                    ASSERT_LE(255 * above, 32767);
                    ASSERT_GE(255 * below, -32768);
                    sum += above + below;
                }
        EXPECT_EQ(packed.sums[static_cast<std::size_t>(o)], static_cast<float>(sum));
    }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Packing, testing::Range(0, 4));

struct Shape {
    std::int64_t pictures, rows, pixels, inputs, outputs, kernel, stride;
};

class Dot : public testing::TestWithParam<Shape> {
  protected:
    // `extreme`: codes and weights as large as can be.
    void make(bool extreme, int bits) {
        const Shape &s = GetParam();
        std::uniform_int_distribution<int> bytes(0, 255);
        std::normal_distribution<float> normal;
        conv_ = {};
        const Constant weights =
            weights_of({s.outputs, s.inputs, s.kernel, s.kernel}, [&](std::int64_t i) {
                return extreme ? (i / (s.inputs * s.kernel * s.kernel) % 2 == 0 ? 1.0F : -1.0F)
                               : normal(random_);
            });
        conv_.weights = std::make_shared<const DotWeights>(pack_dot_weights(weights, bits));
        const std::int64_t y = (s.rows - 1) * s.stride + s.kernel,
                           x = (s.pixels - 1) * s.stride + s.kernel;
        conv_.x_row = x * s.inputs;
        conv_.x_picture = y * conv_.x_row;
        conv_.stride = s.stride;
        codes_.resize(static_cast<std::size_t>(s.pictures * conv_.x_picture));
        for (std::uint8_t &c : codes_)
            c = static_cast<std::uint8_t>(extreme ? 255 : bytes(random_));
        conv_.x = codes_.data();
        fill(conv_.scales, s.outputs);
        fill(conv_.bias, s.outputs);
        fill(slopes_, s.outputs);
        fill(addend_, s.pictures * s.rows * s.pixels * s.outputs);
        conv_.to.pictures = s.pictures;
        conv_.to.rows = s.rows;
        conv_.to.pixels = s.pixels;
        conv_.to.channels = s.outputs;
        conv_.to.zero = 90;
    }
    void fill(std::vector<float> &v, std::int64_t n) {
        std::uniform_real_distribution<float> values(-1, 1);
        v.resize(static_cast<std::size_t>(n));
        std::generate(v.begin(), v.end(), [&] { return values(random_); });
    }

    double expected(std::int64_t i) const {
        const Shape &s = GetParam();
        const std::int64_t o = i % s.outputs, p = i / s.outputs % s.pixels,
                           y = i / s.outputs / s.pixels % s.rows,
                           n = i / s.outputs / s.pixels / s.rows;
        const std::uint8_t *x =
            conv_.x + n * conv_.x_picture + s.stride * (y * conv_.x_row + p * s.inputs);
        std::int64_t sum = 0;
        for (std::int64_t tap = 0; tap < s.kernel * s.kernel; ++tap)
            for (std::int64_t k = 0; k < s.inputs; ++k)
                sum += x[tap / s.kernel * conv_.x_row + tap % s.kernel * s.inputs + k] *
                       code(*conv_.weights, o, k, tap);
        const auto at = static_cast<std::size_t>(o);
        double value = static_cast<double>(sum) * conv_.scales[at] + conv_.bias[at];
        if (!conv_.slopes.empty() && value < 0)
            value *= conv_.slopes[at];
        return conv_.to.addend == nullptr ? value
                                          : value + addend_[static_cast<std::size_t>(i)];
    }

    void check(const DotKernel &kernel, int threads, bool out, bool codes) {
        RowPass &to = conv_.to;
        const auto size = static_cast<std::int64_t>(addend_.size());
        std::vector<double> right;
        double largest = 1;
        for (std::int64_t i = 0; i < size; ++i) {
            right.push_back(expected(i));
            largest = std::max(largest, std::abs(right.back()));
        }
        to.inverse_scale = static_cast<float>(100 / largest);
        std::vector<float> y(addend_.size(), 77);
        std::vector<std::uint8_t> q(
            static_cast<std::size_t>(to.pictures * to.code_picture()) + 64, 7);
        to.out = out ? y.data() : nullptr;
        to.codes = codes ? q.data() : nullptr;
        run_dot(kernel, conv_, threads);
        std::size_t at = 0;
        for (std::int64_t i = 0; i < size; ++i) {
            const double value = right[static_cast<std::size_t>(i)];
            if (out) {
                ASSERT_NEAR(y[static_cast<std::size_t>(i)], value, 1e-5 * largest) << i;
            }
            if (!codes)
                continue;
            while (at % static_cast<std::size_t>(to.code_row()) <
                       static_cast<std::size_t>(to.left * to.channels) ||
                   at % static_cast<std::size_t>(to.code_picture()) <
                       static_cast<std::size_t>(to.top * to.code_row()))
                ASSERT_EQ(q[at++], to.zero); // the border
            ASSERT_NEAR(q[at++], std::clamp(value * to.inverse_scale + to.zero, 0.0, 255.0),
                        0.51);
        }
        for (; at < q.size(); ++at)
            ASSERT_EQ(q[at], 7) << "written past the end";
    }

    std::mt19937 random_{3};
    DotConv conv_;
    std::vector<std::uint8_t> codes_;
    std::vector<float> slopes_, addend_;
};

TEST_P(Dot, EachKernelIsExact) {
    for (const auto &[kernel, bits] : kernels())
        for (int kind = 0; kind < 16; ++kind) {
            make((kind & 8) != 0, bits);
            if ((kind & 1) != 0)
                conv_.slopes = slopes_;
            if ((kind & 2) != 0)
                conv_.to.addend = addend_.data();
            if ((kind & 4) != 0)
                conv_.to.top = conv_.to.left = 1;
            else
                flatten(conv_);
            check(*kernel, 1, true, true);
            check(*kernel, 3, (kind & 1) != 0, (kind & 1) == 0);
        }
}

// The result's memory is that of what is added.
TEST_P(Dot, InPlace) {
    for (const auto &[kernel, bits] : kernels()) {
        make(false, bits);
        conv_.to.addend = addend_.data();
        std::vector<double> right;
        for (std::size_t i = 0; i < addend_.size(); ++i)
            right.push_back(expected(static_cast<std::int64_t>(i)));
        conv_.to.out = addend_.data();
        run_dot(*kernel, conv_, 1);
        for (std::size_t i = 0; i < right.size(); ++i)
            ASSERT_NEAR(addend_[i], right[i], 1e-5 * (1 + std::abs(right[i])) + 0.01) << i;
    }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Dot,
    testing::Values(Shape{1, 1, 1, 16, 16, 1, 1}, Shape{2, 3, 5, 32, 48, 1, 1},
                    Shape{1, 2, 52, 16, 16, 1, 1}, Shape{2, 4, 7, 16, 32, 3, 1},
                    Shape{1, 3, 8, 48, 16, 3, 2}, Shape{1, 2, 3, 64, 16, 1, 2},
                    Shape{1, 5, 4, 80, 192, 3, 1}, Shape{1, 2, 23, 32, 32, 3, 1},
                    Shape{1, 1, 71, 16, 16, 3, 2}));

// A picture is a pixel; its values lie channels innermost, the weights do not.
TEST(Product, IsThatOfWholePictures) {
    const std::int64_t pictures = 5, outputs = 80, planes = 32, rows = 3, pixels = 2;
    std::mt19937 random(8);
    std::normal_distribution<float> normal;
    const Constant weights = weights_of({outputs, planes * rows * pixels},
                                        [&](std::int64_t) { return normal(random); });
    std::vector<std::uint8_t> x(static_cast<std::size_t>(pictures * planes * rows * pixels));
    std::generate(x.begin(), x.end(), [&] { return static_cast<std::uint8_t>(random()); });
    for (const auto &[kernel, bits] : kernels()) {
        DotConv conv;
        conv.weights = std::make_shared<const DotWeights>(
            pack_product_weights(weights.floats, {outputs, planes, rows, pixels}, bits));
        conv.scales = conv.weights->scales;
        conv.bias.assign(static_cast<std::size_t>(outputs), 0);
        conv.x = x.data();
        conv.to.pictures = conv.to.rows = 1;
        conv.to.pixels = pictures;
        conv.to.channels = outputs;
        std::vector<float> y(static_cast<std::size_t>(pictures * outputs));
        conv.to.out = y.data();
        run_dot(*kernel, conv, 1);
        for (std::int64_t i = 0; i < pictures * outputs; ++i) {
            const std::int64_t n = i / outputs, o = i % outputs, each = planes * rows * pixels;
            const float scale = conv.scales[static_cast<std::size_t>(o)];
            std::int64_t sum = 0;
            for (std::int64_t k = 0; k < each; ++k) { // of pixel k / planes, plane k % planes
                const int by = code(*conv.weights, o, k, 0);
                const auto at = static_cast<std::size_t>(o * each + k % planes * rows * pixels +
                                                         k / planes);
                ASSERT_NEAR(static_cast<float>(by) * scale, weights.floats[at], 1.6F * scale);
                sum += by * x[static_cast<std::size_t>(n * each + k)];
            }
            ASSERT_FLOAT_EQ(y[static_cast<std::size_t>(i)], static_cast<float>(sum) * scale)
                << kernel->name;
        }
    }
}

/// Pairs all of whose values are whole numbers, so that every kernel gives the same ones.
class DotPairs : public testing::Test {
  protected:
    ConvPair pair(std::int64_t rows, std::int64_t pixels, std::int64_t inputs,
                  std::int64_t channels, bool int8, bool pooled = false) {
        ConvPair pair;
        pair.rows = rows;
        pair.pixels = pixels;
        pair.inputs = inputs;
        pair.channels = channels;
        pair.pooled = pooled;
        // The 127 makes codes of the weights themselves.
        const Constant weights =
            weights_of({channels, inputs, 1, 1}, [&](std::int64_t i) -> float {
                if (i % inputs == 6)
                    return i / inputs % 2 == 0 ? 127 : -127;
                return i % 16 < 2 ? static_cast<float>(random_() % 3) - 1 : 0;
            });
        if (int8) {
            auto dot = std::make_shared<DotConv>();
            dot->weights = std::make_shared<const DotWeights>(pack_dot_weights(weights, bits_));
            EXPECT_EQ(dot->weights->scales, std::vector<float>(pair.channels, 1.0F));
            dot->scales = dot->weights->scales;
            pair.codes = {0x1p-10F, 100};
            for (std::size_t o = 0; o < dot->scales.size(); ++o) {
                dot->scales[o] = 4;
                dot->bias.push_back(3 - 4 * 100 * dot->weights->sums[o]);
                dot->slopes.push_back(o % 2 == 0 ? 0.5F : 0.25F);
            }
            dot->to.pixels = pixels;
            dot->to.channels = kPairBlock;
            pair.dot = dot;
        } else { // [inputs][channels], as the kernel takes them
            floats_.emplace_back();
            for (std::int64_t k = 0; k < inputs; ++k)
                for (std::int64_t o = 0; o < channels; ++o)
                    floats_.back().push_back(
                        weights.floats[static_cast<std::size_t>(o * inputs + k)]);
            pair.point_weights = floats_.back().data();
        }
        floats_.emplace_back();
        for (std::int64_t i = 0; i < 9 * channels; ++i)
            floats_.back().push_back(static_cast<float>(random_() % 3) - 1);
        pair.depth_weights = floats_.back().data();
        if (!pooled)
            pair.depth_slopes.assign(static_cast<std::size_t>(channels), 0.5F);
        return pair;
    }

    using Doubles = std::vector<double>;
    static std::uint8_t encoded(double x, const Encoding &by) {
        return static_cast<std::uint8_t>(
            std::clamp(std::nearbyint(x * by.inverse_scale) + by.zero, 0.0, 255.0));
    }
    static Doubles point_result(const ConvPair &pair, const Doubles &x) {
        Doubles between;
        for (std::int64_t p = 0; p < pair.rows * pair.pixels; ++p)
            for (std::int64_t o = 0; o < pair.channels; ++o) {
                double sum = 0;
                for (std::int64_t k = 0; k < pair.inputs; ++k) {
                    const double value = x[static_cast<std::size_t>(p * pair.inputs + k)];
                    sum += pair.dot
                               ? encoded(value, pair.codes) * code(*pair.dot->weights, o, k, 0)
                               : value * pair.point_weights[k * pair.channels + o];
                }
                if (pair.dot) {
                    const auto at = static_cast<std::size_t>(o);
                    sum = sum * pair.dot->scales[at] + pair.dot->bias[at];
                    sum *= sum < 0 ? pair.dot->slopes[at] : 1;
                }
                between.push_back(sum);
            }
        return between;
    }
    static Doubles result(const ConvPair &pair, const Doubles &x) {
        const Doubles between = point_result(pair, x);
        const auto at = [&](std::int64_t v, std::int64_t u, std::int64_t o) {
            return static_cast<std::size_t>((v * pair.pixels + u) * pair.channels + o);
        };
        Doubles both;
        for (std::int64_t y = 0; y < pair.rows; ++y)
            for (std::int64_t p = 0; p < pair.pixels; ++p)
                for (std::int64_t o = 0; o < pair.channels; ++o) {
                    double sum = 0;
                    for (std::int64_t i = 0; i < 9; ++i) {
                        const std::int64_t v = y + i / 3 - 1, u = p + i % 3 - 1;
                        if (v >= 0 && u >= 0 && v < pair.rows && u < pair.pixels)
                            sum += between[at(v, u, o)] *
                                   pair.depth_weights[i * pair.channels + o];
                    }
                    both.push_back(sum < 0 && !pair.depth_slopes.empty() ? sum / 2 : sum);
                }
        if (!pair.pooled)
            return both;
        Doubles out;
        for (std::int64_t y = 0; y < pair.rows; y += 2)
            for (std::int64_t p = 0; p < pair.pixels; p += 2)
                for (std::int64_t o = 0; o < pair.channels; ++o)
                    out.push_back(
                        std::max(std::max(both[at(y, p, o)], both[at(y, p + 1, o)]),
                                 std::max(both[at(y + 1, p, o)], both[at(y + 1, p + 1, o)])));
        return out;
    }

    // From numbers or from their codes, to numbers and to codes.
    void check(const PairKernel &kernel, const DotKernel *dot, int threads, bool from_codes) {
        const ConvPair &first = chain_.pairs.front();
        std::vector<float> x;
        std::vector<std::uint8_t> codes;
        for (std::int64_t i = 0; i < first.rows * first.pixels * first.inputs; ++i) {
            x.push_back(static_cast<float>(static_cast<int>(random_() % 150) - 75) * 1024);
            codes.push_back(encoded(x.back(), first.codes));
        }
        Doubles right(x.begin(), x.end());
        for (const ConvPair &pair : chain_.pairs)
            right = result(pair, right);
        std::vector<float> out(right.size());
        std::vector<std::uint8_t> out_codes(right.size());
        chain_.dot = dot;
        chain_.pictures = 1;
        chain_.x = from_codes ? nullptr : x.data();
        chain_.x_codes = from_codes ? codes.data() : nullptr;
        chain_.encoding = {0x1p-12F, 50};
        for (const bool floats_too : {true, false}) {
            chain_.out = floats_too ? out.data() : nullptr;
            chain_.codes = out_codes.data();
            run_pairs(kernel, chain_, threads, scratch_);
            for (std::size_t i = 0; i < right.size(); ++i) {
                if (floats_too) {
                    ASSERT_EQ(out[i], right[i]) << kernel.name << " at " << i;
                }
                ASSERT_EQ(out_codes[i], encoded(right[i], chain_.encoding)) << i;
            }
        }
    }
    void check_all(bool from_codes) {
        for (const auto &[dot, bits] : kernels())
            for (const PairKernel *kernel : {&pairs_portable(), pairs_avx2(), pairs_avx512()})
                for (const int threads : {1, 3})
                    if (kernel != nullptr && bits == bits_)
                        check(*kernel, dot, threads, from_codes);
    }

    int bits_ = 7; ///< of a weight
    std::mt19937 random_{5};
    PairChain chain_;
    std::vector<std::vector<float>> floats_;
    std::vector<float> scratch_;
};

TEST_F(DotPairs, OnePairFromCodesToCodes) {
    for (bits_ = 7; bits_ <= 8; ++bits_) {
        chain_.pairs = {pair(9, 7, 32, 48, true)};
        check_all(true);
    }
}

TEST_F(DotPairs, AChainTakesEachInItsPrecision) {
    for (bits_ = 7; bits_ <= 8; ++bits_) {
        chain_.pairs = {pair(28, 10, 16, 32, true, true), pair(14, 5, 32, 16, true),
                        pair(14, 5, 16, 16, false), pair(14, 5, 16, 32, true)};
        check_all(false);
    }
}

TEST(BestDot, IsWhatThisCpuHas) {
    if (best_dot() == nullptr)
        return;
    const bool vnni = cpu_extensions().avx512_vnni;
    EXPECT_EQ(best_dot(), vnni ? dot_vnni() : dot_avx2());
    EXPECT_STREQ(best_dot()->name, vnni ? "sphere avx512 vnni" : "sphere avx2");
}

} // namespace
} // namespace sphere::onednn
