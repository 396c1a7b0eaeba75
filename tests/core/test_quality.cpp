// SPDX-License-Identifier: MIT
// Measures of quality against values worked out by hand and against a turned head in space.
#include "core/face/aligner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <random>

namespace sphere {
namespace {

constexpr double kRadians = std::numbers::pi / 180;

/// A crop all of one colour.
Image plain(int width, int height, std::uint8_t b, std::uint8_t g, std::uint8_t r) {
    Image image(width, height);
    for (std::size_t i = 0; i < image.bgr.size(); i += 3) {
        image.bgr[i] = b;
        image.bgr[i + 1] = g;
        image.bgr[i + 2] = r;
    }
    return image;
}

Image noise(int width, int height, unsigned seed) {
    std::mt19937 random(seed);
    Image image(width, height);
    for (std::uint8_t &byte : image.bgr)
        byte = static_cast<std::uint8_t>(random() >> 24);
    return image;
}

/// `grey` with each channel times a factor, and `noise_levels` either way added to each byte.
Image tinted(const Image &grey, std::array<double, 3> factors, int noise_levels) {
    std::mt19937 random(7);
    Image image = grey;
    for (std::size_t i = 0; i < image.bgr.size(); ++i) {
        const double value = grey.bgr[i - i % 3] * factors[i % 3];
        const int spread = 2 * noise_levels + 1;
        const int noise_here = static_cast<int>(random() % spread) - noise_levels;
        image.bgr[i] = static_cast<std::uint8_t>(
            std::clamp(static_cast<int>(std::lround(value)) + noise_here, 0, 255));
    }
    return image;
}

/// Mean of each pixel's 3x3 neighbours, edges repeated.
Image blurred(const Image &image) {
    Image out(image.width, image.height);
    for (int y = 0; y < image.height; ++y)
        for (int x = 0; x < image.width; ++x)
            for (int c = 0; c < 3; ++c) {
                int sum = 0;
                for (int j = -1; j <= 1; ++j)
                    for (int i = -1; i <= 1; ++i)
                        sum += image.bgr[static_cast<std::size_t>(
                            3 * (std::clamp(y + j, 0, image.height - 1) * image.width +
                                 std::clamp(x + i, 0, image.width - 1)) +
                            c)];
                out.bgr[static_cast<std::size_t>(3 * (y * image.width + x) + c)] =
                    static_cast<std::uint8_t>((sum + 4) / 9);
            }
    return out;
}

struct Pose {
    double yaw_deg = 0, pitch_deg = 0, roll_deg = 0;
};

/// Landmarks of a head in space, seen from far away: eyes and mouth on a plane, mouth corners
/// 1.155 eye distances below the eyes, the nose tip 0.495 of the way down and half an eye
/// distance in front. Turned to the image's right, then up, then clockwise.
Face head(const Pose &pose, double eye_distance_px = 60, Point2f at = {200, 150}) {
    constexpr double kPoints[5][3] = {
        {-0.5, 0, 0}, {0.5, 0, 0}, {0, 0.495 * 1.155, 0.5}, {-0.4, 1.155, 0}, {0.4, 1.155, 0}};
    const double yaw = pose.yaw_deg * kRadians, pitch = pose.pitch_deg * kRadians,
                 roll = pose.roll_deg * kRadians;
    Landmarks5 points;
    for (std::size_t i = 0; i < points.size(); ++i) {
        const auto &p = kPoints[i];
        const double x = p[0] * std::cos(yaw) + p[2] * std::sin(yaw);
        const double z = -p[0] * std::sin(yaw) + p[2] * std::cos(yaw);
        const double y = p[1] * std::cos(pitch) - z * std::sin(pitch);
        points[i] = {static_cast<float>(at.x + eye_distance_px *
                                                   (x * std::cos(roll) - y * std::sin(roll))),
                     static_cast<float>(at.y + eye_distance_px *
                                                   (x * std::sin(roll) + y * std::cos(roll)))};
    }
    Face face;
    face.landmarks = points;
    return face;
}

/// As a mirrored picture of `width` px shows it.
Face mirrored(Face face, float width) {
    for (Point2f &p : *face.landmarks)
        p.x = width - 1 - p.x;
    order_landmarks(*face.landmarks);
    return face;
}

TEST(Monochrome, GreyTintedAndNoisyPicturesAre) {
    const Image grey = noise(96, 112, 3);
    EXPECT_TRUE(is_monochrome(tinted(grey, {1, 1, 1}, 0)));
    EXPECT_TRUE(is_monochrome(tinted(grey, {0.9, 1, 0.8}, 0))) << "a camera's green night";
    EXPECT_TRUE(is_monochrome(tinted(grey, {1, 1, 1}, 1))) << "what a codec adds";
    EXPECT_TRUE(is_monochrome(plain(96, 112, 90, 90, 90)));
}

TEST(Monochrome, PicturesOfTwoHuesAreNot) {
    EXPECT_FALSE(is_monochrome(noise(96, 112, 3)));
    Image two = tinted(noise(96, 112, 5), {1, 1, 1}, 0);
    for (std::size_t i = 0; i < two.bgr.size() / 4; ++i) // a red patch, lips and cheeks say
        if (i % 3 == 2)
            two.bgr[i] = static_cast<std::uint8_t>(std::min(255, two.bgr[i] + 12));
    EXPECT_FALSE(is_monochrome(two));
    EXPECT_FALSE(is_monochrome(Image()));
}

TEST(Sharpness, IsTheLaplaciansVariance) {
    // One white pixel in the middle of 5x5 black ones: of the nine Laplacians inside one is
    // -4 x 255, four are 255, their mean is 0; the variance is 20/9 x 255^2.
    Image dot = plain(5, 5, 0, 0, 0);
    for (std::size_t c = 0; c < 3; ++c)
        dot.bgr[3 * 12 + c] = 255;
    const double variance = 20.0 / 9 * 255 * 255;
    EXPECT_NEAR(assess_quality(Face(), dot).sharpness, variance / (variance + 100), 1e-6);
    // An edge of 20 levels across the middle of 6x6: the two columns at it give +20 and -20,
    // the other two 0; the variance is 200.
    Image edge = plain(6, 6, 100, 100, 100);
    for (std::size_t i = 0; i < edge.bgr.size(); ++i)
        if (i / 3 % 6 >= 3)
            edge.bgr[i] = 120;
    EXPECT_NEAR(assess_quality(Face(), edge).sharpness, 200.0 / 300, 1e-5);
    // A slope has no Laplacian, however steep.
    Image slope(40, 40);
    for (std::size_t i = 0; i < slope.bgr.size(); ++i)
        slope.bgr[i] = static_cast<std::uint8_t>(i / 3 % 40 * 6);
    EXPECT_NEAR(assess_quality(Face(), slope).sharpness, 0, 1e-6);
}

TEST(Sharpness, EachBlurLowersItAndTheScore) {
    const Face face = head({});
    Image crop = noise(96, 112, 3);
    Quality last = assess_quality(face, crop);
    EXPECT_GT(last.score, 0.9F); // frontal, near, well lit and sharp
    for (int i = 0; i < 6; ++i) {
        crop = blurred(crop);
        const Quality quality = assess_quality(face, crop);
        EXPECT_LT(quality.sharpness, last.sharpness) << i;
        EXPECT_LT(quality.score, last.score) << i;
        last = quality;
    }
    EXPECT_LT(last.sharpness, 0.4F);
}

TEST(Brightness, IsTheMeanLuma) {
    const auto of = [](std::uint8_t b, std::uint8_t g, std::uint8_t r) {
        return assess_quality(Face(), plain(9, 7, b, g, r)).brightness;
    };
    EXPECT_NEAR(of(255, 0, 0), 0.114, 1e-6); // BT.601
    EXPECT_NEAR(of(0, 255, 0), 0.587, 1e-6);
    EXPECT_NEAR(of(0, 0, 255), 0.299, 1e-6);
    EXPECT_NEAR(of(51, 51, 51), 0.2, 1e-6);
    EXPECT_NEAR(of(255, 255, 255), 1, 1e-6);
    EXPECT_EQ(of(0, 0, 0), 0);
}

TEST(Brightness, TooDarkAndTooBrightLowerTheScore) {
    const Face face = head({});
    const auto lit = [&face](int level) { // the same fine pattern about another level
        Image crop(96, 112);
        for (std::size_t i = 0; i < crop.bgr.size(); ++i)
            crop.bgr[i] = static_cast<std::uint8_t>(level + (i / 3 % 2 == 0 ? 12 : -12));
        return assess_quality(face, crop);
    };
    float last = 0;
    for (const int level : {12, 25, 38, 51}) {
        EXPECT_GT(lit(level).score, last) << level;
        last = lit(level).score;
        EXPECT_NEAR(lit(level).brightness, level / 255.0, 1e-5);
        EXPECT_NEAR(lit(level).sharpness, lit(128).sharpness, 1e-5);
    }
    EXPECT_NEAR(lit(128).score, last, 0.01); // 0.2 to 0.8 is all the same
    for (const int level : {204, 220, 243}) {
        EXPECT_LE(lit(level).score, last + 1e-5F) << level;
        last = lit(level).score;
    }
    EXPECT_LT(last, 0.5F * lit(128).score);
}

TEST(PoseOfAHead, IsFoundAgain) {
    const Image crop = noise(96, 112, 1);
    for (int degrees = -60; degrees <= 60; degrees += 15) {
        const Quality turned = assess_quality(head({.yaw_deg = double(degrees)}), crop);
        EXPECT_NEAR(turned.yaw_deg, degrees, 0.1);
        EXPECT_NEAR(turned.pitch_deg, 0, 0.1);
        EXPECT_NEAR(turned.roll_deg, 0, 0.1);
        const Quality raised = assess_quality(head({.pitch_deg = double(degrees)}), crop);
        EXPECT_NEAR(raised.yaw_deg, 0, 0.1);
        EXPECT_NEAR(raised.pitch_deg, degrees, 0.1);
        EXPECT_NEAR(raised.roll_deg, 0, 0.1);
        const Quality tilted = assess_quality(head({.roll_deg = double(degrees)}), crop);
        EXPECT_NEAR(tilted.yaw_deg, 0, 0.1);
        EXPECT_NEAR(tilted.pitch_deg, 0, 0.1);
        EXPECT_NEAR(tilted.roll_deg, degrees, 0.1);
    }
    EXPECT_NEAR(assess_quality(head({}, 47), crop).eye_distance_px, 47, 1e-3);
}

TEST(PoseOfAHead, IsTheSameTurnedMovedAndFarAway) {
    const Image crop = noise(96, 112, 1);
    const Quality near = assess_quality(head({20, -15, 0}, 60), crop);
    for (const double roll : {-75.0, -20.0, 5.0, 90.0})
        for (const double eye_distance : {12.0, 60.0, 400.0}) {
            const Quality other =
                assess_quality(head({20, -15, roll}, eye_distance, {-30, 777}), crop);
            EXPECT_NEAR(other.yaw_deg, near.yaw_deg, 0.05);
            EXPECT_NEAR(other.pitch_deg, near.pitch_deg, 0.05);
            EXPECT_NEAR(other.roll_deg, near.roll_deg + roll, 0.05);
            EXPECT_NEAR(other.eye_distance_px / near.eye_distance_px, eye_distance / 60, 1e-4);
        }
}

TEST(PoseOfAHead, MirroringTurnsYawAndRollRound) {
    const Image crop = noise(96, 112, 1);
    for (const Pose &pose : {Pose{30, 0, 0}, Pose{-45, 10, 12}, Pose{5, -20, -33}}) {
        const Quality straight = assess_quality(head(pose), crop);
        const Quality reflected = assess_quality(mirrored(head(pose), 640), crop);
        EXPECT_NEAR(reflected.yaw_deg, -straight.yaw_deg, 0.01);
        EXPECT_NEAR(reflected.roll_deg, -straight.roll_deg, 0.01);
        EXPECT_NEAR(reflected.pitch_deg, straight.pitch_deg, 0.01);
        EXPECT_NEAR(reflected.score, straight.score, 1e-3);
    }
}

TEST(Score, FallsAsTheHeadTurnsAndAsItGoesAway) {
    const Image crop = noise(96, 112, 1);
    float last = 1;
    for (const double yaw : {25.0, 40.0, 55.0, 70.0, 80.0}) {
        const float score = assess_quality(head({.yaw_deg = yaw}), crop).score;
        EXPECT_LT(score, last) << yaw;
        EXPECT_NEAR(score, assess_quality(head({.yaw_deg = -yaw}), crop).score, 1e-3);
        last = score;
    }
    EXPECT_EQ(last, 0); // a profile
    last = 1;
    for (const double eye_distance : {35.0, 20.0, 10.0, 6.0, 4.0}) {
        const float score = assess_quality(head({}, eye_distance), crop).score;
        EXPECT_LT(score, last) << eye_distance;
        last = score;
    }
    EXPECT_EQ(last, 0);
    EXPECT_FLOAT_EQ(assess_quality(head({}, 40), crop).score,
                    assess_quality(head({}, 400), crop).score);
}

TEST(Score, WithoutLandmarksIsThePicturesAlone) {
    const Image crop = noise(96, 112, 1);
    const Quality with = assess_quality(head({}, 100), crop);
    const Quality without = assess_quality(Face(), crop);
    EXPECT_FLOAT_EQ(without.score, with.score); // neither pose nor size takes from it
    EXPECT_EQ(without.sharpness, with.sharpness);
    EXPECT_EQ(without.yaw_deg, 0);
    EXPECT_EQ(without.pitch_deg, 0);
    EXPECT_EQ(without.roll_deg, 0);
    EXPECT_EQ(without.eye_distance_px, 0);
}

TEST(Score, IsNoneWhereAPointIsNoNumber) {
    const Image crop = noise(96, 112, 1);
    for (const float odd :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
        for (std::size_t i = 0; i < 10; ++i) {
            Face face = head({});
            Point2f &point = (*face.landmarks)[i / 2];
            (i % 2 == 0 ? point.x : point.y) = odd;
            const Quality q = assess_quality(face, crop);
            EXPECT_EQ(q.score, 0) << i;
            for (const float v : {q.yaw_deg, q.pitch_deg, q.roll_deg, q.eye_distance_px})
                EXPECT_TRUE(std::isfinite(v)) << i;
        }
}

TEST(Score, IsAShareWhateverThePointsAndThePicture) {
    std::mt19937 random(5);
    std::uniform_real_distribution<float> coordinate(-500, 500);
    for (int i = 0; i < 2000; ++i) {
        Face face;
        Landmarks5 points;
        for (Point2f &p : points)
            p = i % 3 == 0 ? Point2f{std::round(coordinate(random) / 300), 0}
                           : Point2f{coordinate(random), coordinate(random)};
        face.landmarks = points;
        const Image crop = noise(i % 7, i % 5, static_cast<unsigned>(i));
        const Quality q = assess_quality(face, crop);
        for (const float share : {q.score, q.sharpness, q.brightness}) {
            EXPECT_GE(share, 0);
            EXPECT_LE(share, 1);
        }
        EXPECT_LE(std::abs(q.yaw_deg), 90);
        EXPECT_LE(std::abs(q.pitch_deg), 90);
        EXPECT_LE(std::abs(q.roll_deg), 180);
        EXPECT_GE(q.eye_distance_px, 0);
    }
}

} // namespace
} // namespace sphere
