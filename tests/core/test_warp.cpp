// SPDX-License-Identifier: MIT
// The affine warp against the double-precision reference.
#include "core/image/warp.h"

#include "tests/core/pixel_reference.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace sphere {
namespace {

using reference::Frame;
using reference::kTolerance;
using reference::random_frame;
using reference::Rng;
using reference::uniform;
using reference::worst_difference;

double real(Rng &rng, double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(rng);
}

/// Takes a random point of the frame to the middle of the crop, turned, scaled and sheared.
Affine random_transform(Rng &rng, int width, int height, int crop_width, int crop_height) {
    const double angle = real(rng, -3.2, 3.2), scale = std::exp(real(rng, -1.5, 1.5));
    const double shear = real(rng, -0.2, 0.2);
    Affine t;
    t.m = {scale * std::cos(angle), -scale * std::sin(angle) + shear, 0,
           scale * std::sin(angle), scale * std::cos(angle),          0};
    const double x = real(rng, -0.2, 1.2) * width, y = real(rng, -0.2, 1.2) * height;
    t.m[2] = crop_width / 2.0 - (t.m[0] * x + t.m[1] * y);
    t.m[5] = crop_height / 2.0 - (t.m[3] * x + t.m[4] * y);
    return t;
}

/// The inverse by Cramer's rule, here so that the reference shares nothing with the code.
std::array<double, 6> invert(const Affine &t) {
    const auto &m = t.m;
    const double det = m[0] * m[4] - m[1] * m[3];
    return {m[4] / det,  -m[1] / det, (m[1] * m[5] - m[4] * m[2]) / det,
            -m[3] / det, m[0] / det,  (m[3] * m[2] - m[0] * m[5]) / det};
}

void expect_warped(const Frame &frame, const Affine &transform, int width, int height,
                   const std::optional<RectI> &limit = std::nullopt) {
    SCOPED_TRACE(std::to_string(frame.view.width) + "x" + std::to_string(frame.view.height) +
                 " to " + std::to_string(width) + "x" + std::to_string(height));
    const Result<Image> image = warp_affine(frame.view, transform, width, height, limit);
    ASSERT_TRUE(image.ok()) << image.error().message;
    ASSERT_EQ(image->width, width);
    ASSERT_EQ(image->height, height);
    EXPECT_LE(worst_difference(
                  *image, reference::warp(frame.view, invert(transform), width, height, limit)),
              kTolerance);
}

class WarpFormats : public testing::TestWithParam<PixelFormat> {};

TEST_P(WarpFormats, RandomFramesAndTransforms) {
    Rng rng(21);
    for (int i = 0; i < 250 && !HasFailure(); ++i) {
        const int width = uniform(rng, 1, 60), height = uniform(rng, 1, 50);
        const int crop_width = uniform(rng, 1, 40), crop_height = uniform(rng, 1, 40);
        const Frame frame = random_frame(rng, GetParam(), width, height);
        const Affine t = random_transform(rng, width, height, crop_width, crop_height);
        std::optional<RectI> limit;
        if (uniform(rng, 0, 1) == 1)
            limit = RectI{uniform(rng, -9, width), uniform(rng, -9, height),
                          uniform(rng, 0, width + 9), uniform(rng, 0, height + 9)};
        expect_warped(frame, t, crop_width, crop_height, limit);
    }
}

TEST_P(WarpFormats, ExtremeShapes) {
    Rng rng(22);
    constexpr int kSizes[][2] = {{1, 1}, {1, 2}, {2, 1}, {3, 4000}, {4000, 3}};
    for (const auto &[width, height] : kSizes) {
        const Frame frame = random_frame(rng, GetParam(), width, height);
        for (int i = 0; i < 4; ++i)
            expect_warped(frame, random_transform(rng, width, height, 24, 20), 24, 20);
    }
}

TEST_P(WarpFormats, IdentityIsTheFrameOnBlack) {
    Rng rng(23);
    const Frame frame = random_frame(rng, GetParam(), 21, 15);
    const Result<Image> image = warp_affine(frame.view, Affine{}, 25, 18);
    ASSERT_TRUE(image.ok());
    const auto converted = reference::convert(frame.view);
    for (int y = 0; y < 18; ++y)
        for (int x = 0; x < 25; ++x)
            for (std::size_t c = 0; c < 3; ++c) {
                const auto value = image->bgr[static_cast<std::size_t>(y * 25 + x) * 3 + c];
                if (x < 21 && y < 15)
                    ASSERT_NEAR(value, converted[static_cast<std::size_t>(y * 21 + x)][c],
                                kTolerance);
                else
                    ASSERT_EQ(value, 0);
            }
}

INSTANTIATE_TEST_SUITE_P(All, WarpFormats, testing::ValuesIn(kAllFormats),
                         [](const auto &info) { return format_name(info.param); });

TEST(Warp, FarAwayIsBlack) {
    Rng rng(24);
    const Frame frame = random_frame(rng, PixelFormat::I420, 20, 20);
    for (const double far : {1e3, -1e3, 3e9, -3e9, 1e300}) {
        Affine t;
        t.m[2] = far;
        const Result<Image> image = warp_affine(frame.view, t, 9, 9);
        ASSERT_TRUE(image.ok());
        EXPECT_EQ(image->bgr, std::vector<std::uint8_t>(9 * 9 * 3, 0));
    }
}

TEST(Warp, LimitThatMissesTheFrameGivesBlack) {
    const Image white = [] {
        Image image(8, 8);
        std::ranges::fill(image.bgr, std::uint8_t{255});
        return image;
    }();
    constexpr int kMax = std::numeric_limits<int>::max();
    const std::vector<std::uint8_t> black(8 * 8 * 3, 0);
    for (const RectI limit : {RectI{8, 0, 4, 4},
                              {0, 0, 0, 8},
                              {0, 0, 8, -5},
                              {-9, -9, 9, 9},
                              {kMax, kMax, kMax, kMax}})
        EXPECT_EQ(warp_affine(white.view(), Affine{}, 8, 8, limit)->bgr, black);
    EXPECT_EQ(warp_affine(white.view(), Affine{}, 8, 8, RectI{0, 0, kMax, kMax})->bgr,
              white.bgr);
}

TEST(Warp, RefusesWhatItCannotDo) {
    const Image image(8, 6);
    const auto code = [](const Result<Image> &result) {
        return result.ok() ? "ok" : errc_name(result.error().code);
    };
    Affine flat;
    flat.m = {1, 2, 0, 2, 4, 0};
    Affine no_number;
    no_number.m[2] = std::numeric_limits<double>::quiet_NaN();
    Affine endless;
    endless.m[0] = std::numeric_limits<double>::infinity();
    for (const Affine &t : {flat, no_number, endless})
        EXPECT_STREQ(code(warp_affine(image.view(), t, 4, 4)), "invalid argument");
    EXPECT_STREQ(code(warp_affine(image.view(), Affine{}, 0, 4)), "invalid argument");
    EXPECT_STREQ(code(warp_affine(image.view(), Affine{}, 4, 1 << 20)), "invalid argument");
    EXPECT_STREQ(code(warp_affine(ImageView{}, Affine{}, 4, 4)), "invalid argument");
}

} // namespace
} // namespace sphere
