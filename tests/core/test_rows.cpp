// SPDX-License-Identifier: MIT
// The pass between two convolutions: each kernel gives what plain arithmetic gives.
#include "core/engine/onednn/rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace sphere::onednn {
namespace {

struct Shape {
    std::int64_t pictures, rows, pixels, channels, groups;
};

class Rows : public testing::TestWithParam<Shape> {
  protected:
    void SetUp() override {
        const Shape &s = GetParam();
        pass_.pictures = s.pictures;
        pass_.rows = s.rows;
        pass_.pixels = s.pixels;
        pass_.channels = s.channels;
        pass_.slope_groups = s.groups;
        std::mt19937 random(3);
        std::uniform_real_distribution<float> values(-3, 3);
        const auto fill = [&](std::vector<float> &v, std::int64_t n) {
            v.resize(static_cast<std::size_t>(n));
            for (float &x : v)
                x = values(random);
        };
        const std::int64_t n = s.pictures * s.rows * s.pixels * s.channels;
        fill(x_, n);
        fill(addend_, n);
        fill(slopes_, s.channels * s.groups);
        pass_.inverse_scale = 40;
        pass_.zero = 100;
        pass_.top = 1;
        pass_.left = 2;
        pass_.right = 1;
    }
    float expected(std::size_t i) const {
        const auto c = static_cast<std::size_t>(pass_.channels);
        const std::size_t picture = i / static_cast<std::size_t>(pass_.rows * pass_.pixels) / c;
        const std::size_t group = picture % static_cast<std::size_t>(pass_.slope_groups);
        float y = x_[i];
        if (pass_.slopes != nullptr && y < 0)
            y *= slopes_[group * c + i % c];
        return pass_.addend != nullptr ? y + addend_[i] : y;
    }
    void check(RowKernel kernel, bool slopes, bool addend, bool out, bool codes) {
        std::vector<float> y(x_.size(), 77.0F);
        std::vector<std::uint8_t> q(
            static_cast<std::size_t>(pass_.pictures * pass_.code_picture()) + 64, 7);
        pass_.x = x_.data();
        pass_.slopes = slopes ? slopes_.data() : nullptr;
        pass_.addend = addend ? addend_.data() : nullptr;
        pass_.out = out ? y.data() : nullptr;
        pass_.codes = codes ? q.data() : nullptr;
        run_rows_with(kernel, pass_);
        for (std::size_t i = 0; out && i < y.size(); ++i)
            ASSERT_FLOAT_EQ(y[i], expected(i)) << i;
        if (codes)
            check_codes(q);
    }
    void check_codes(const std::vector<std::uint8_t> &q) const {
        std::size_t at = 0, i = 0;
        for (std::int64_t n = 0; n < pass_.pictures; ++n)
            for (std::int64_t y = -pass_.top; y < pass_.rows + pass_.bottom; ++y)
                for (std::int64_t x = -pass_.left; x < pass_.pixels + pass_.right; ++x)
                    for (std::int64_t c = 0; c < pass_.channels; ++c, ++at) {
                        const bool inside =
                            y >= 0 && y < pass_.rows && x >= 0 && x < pass_.pixels;
                        double want = pass_.zero;
                        if (inside)
                            want += expected(i++) * pass_.inverse_scale;
                        want = std::min(255.0, std::max(0.0, want));
                        ASSERT_NEAR(q[at], want, inside ? 0.51 : 0) << n << y << x << c;
                    }
        for (; at < q.size(); ++at)
            ASSERT_EQ(q[at], 7) << "written past the end";
    }
    RowPass pass_;
    std::vector<float> x_, addend_, slopes_;
};

TEST_P(Rows, EachKernelIsRight) {
    for (const RowKernel kernel : {&row_portable, row_avx2(), row_avx512()}) {
        if (kernel == nullptr)
            continue; // this CPU's
        for (int bits = 0; bits < 16; ++bits) {
            const bool out = (bits & 4) != 0, codes = (bits & 8) != 0;
            if (out || codes)
                check(kernel, (bits & 1) != 0, (bits & 2) != 0, out, codes);
        }
    }
}

TEST_P(Rows, InPlace) {
    std::vector<float> want(x_.size());
    pass_.slopes = slopes_.data();
    pass_.addend = addend_.data();
    for (std::size_t i = 0; i < want.size(); ++i)
        want[i] = expected(i);
    pass_.x = pass_.out = x_.data();
    run_rows(pass_);
    for (std::size_t i = 0; i < want.size(); ++i)
        ASSERT_FLOAT_EQ(x_[i], want[i]) << i;
}

TEST(RowCodes, HugeAndUndefinedNumbersAreCut) {
    const float values[] = {1e30F, -1e30F, INFINITY, -INFINITY, NAN};
    for (const RowKernel kernel : {&row_portable, row_avx2(), row_avx512()}) {
        if (kernel == nullptr)
            continue;
        std::uint8_t codes[5] = {};
        RowPass pass;
        pass.x = values;
        pass.codes = codes;
        pass.pictures = pass.rows = 1;
        pass.pixels = 1;
        pass.channels = 5;
        run_rows_with(kernel, pass);
        EXPECT_EQ(codes[0], 255);
        EXPECT_EQ(codes[1], 0);
        EXPECT_EQ(codes[2], 255);
        EXPECT_EQ(codes[3], 0);
        EXPECT_EQ(codes[4], 255);
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Rows,
                         testing::Values(Shape{1, 3, 5, 16, 1}, Shape{2, 4, 3, 64, 1},
                                         Shape{4, 2, 7, 16, 2}, Shape{6, 2, 7, 8, 3},
                                         Shape{1, 5, 4, 13, 1}, Shape{2, 1, 1, 3, 1}));

} // namespace
} // namespace sphere::onednn
