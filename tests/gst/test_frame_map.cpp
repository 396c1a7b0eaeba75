// SPDX-License-Identifier: MIT
// Where faces go with the picture: scaling, crops, borders, mirrors, turns and perspective.
#include "gst/meta/frame_map.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

using namespace sphere_meta;

namespace {

constexpr double kWidth = 200, kHeight = 100;

GstSphereFace a_face() {
    GstSphereFace face;
    face.x = 20;
    face.y = 30;
    face.width = 40;
    face.height = 50;
    face.landmarks = {30, 40, 50, 40, 41, 50, 32, 60, 48, 60};
    face.dense = std::make_shared<const std::vector<gfloat>>(std::vector<gfloat>{1, 2, 3, 4});
    face.eye_roll_deg = 10;
    face.quality = Quality{0.5, 0.5, 0.5, 20, 15, 5, 10};
    return face;
}

FrameMap from(const FrameMap::Matrix &matrix) {
    return FrameMap::between(matrix, 0, 0, 0, 0);
}

void expect_box(const GstSphereFace &face, double x, double y, double width, double height) {
    EXPECT_NEAR(face.x, x, 1e-9);
    EXPECT_NEAR(face.y, y, 1e-9);
    EXPECT_NEAR(face.width, width, 1e-9);
    EXPECT_NEAR(face.height, height, 1e-9);
}

void expect_landmarks(const GstSphereFace &face, const std::array<double, 10> &expected) {
    ASSERT_TRUE(face.landmarks.has_value());
    for (std::size_t i = 0; i < expected.size(); ++i)
        EXPECT_NEAR((*face.landmarks)[i], expected[i], 1e-4) << i;
}

TEST(FrameMap, ScalingKeepsPixelCentres) {
    GstSphereFace face = a_face();
    ASSERT_TRUE(FrameMap::scaling(2, 2).apply(face));
    expect_box(face, 40, 60, 80, 100);
    // Pixel 30 becomes the pixels 60 and 61: its centre lies between theirs.
    EXPECT_FLOAT_EQ((*face.landmarks)[0], 60.5F);
    EXPECT_FLOAT_EQ((*face.dense)[1], 4.5F);
    EXPECT_NEAR(face.quality->eye_distance_px, 40, 1e-9);
    EXPECT_NEAR(face.quality->roll_deg, 10, 1e-9);
    EXPECT_NEAR(*face.eye_roll_deg, 10, 1e-9);
    EXPECT_EQ(face.quality->yaw_deg, 15);
}

TEST(FrameMap, UnevenScalingTurnsTheEyes) {
    GstSphereFace face = a_face();
    ASSERT_TRUE(FrameMap::scaling(1, 2).apply(face));
    const double tilt = std::tan(10 * std::numbers::pi / 180);
    EXPECT_NEAR(face.quality->roll_deg, std::atan(2 * tilt) * 180 / std::numbers::pi, 1e-9);
    EXPECT_NEAR(face.quality->eye_distance_px,
                20 * std::hypot(1, 2 * tilt) / std::hypot(1, tilt), 1e-9);
}

TEST(FrameMap, CropThenBorders) {
    // The right half of the frame, shown at half size in the middle of borders.
    GstSphereFace face = a_face();
    face.x = 120;
    const auto map = FrameMap::between({{{0.5, 0, 0}, {0, 0.5, 0}, {0, 0, 1}}}, 100, 0, 30, 10);
    ASSERT_TRUE(map.apply(face));
    expect_box(face, 40, 25, 20, 25);
}

TEST(FrameMap, AMirrorPairsLandmarksAnew) {
    GstSphereFace face = a_face();
    ASSERT_TRUE(from({{{-1, 0, kWidth}, {0, 1, 0}, {0, 0, 1}}}).apply(face));
    expect_box(face, 140, 30, 40, 50);
    // Pixel x becomes pixel width - 1 - x.
    expect_landmarks(face, {149, 40, 169, 40, 158, 50, 151, 60, 167, 60});
    EXPECT_NEAR(face.quality->roll_deg, -10, 1e-9);
    EXPECT_NEAR(*face.eye_roll_deg, -10, 1e-9);
    EXPECT_EQ(face.quality->yaw_deg, -15);
    EXPECT_EQ(face.quality->pitch_deg, 5);
    EXPECT_EQ(face.dense, nullptr);
    // Twice is as before, but for what a mirror takes.
    ASSERT_TRUE(from({{{-1, 0, kWidth}, {0, 1, 0}, {0, 0, 1}}}).apply(face));
    expect_box(face, 20, 30, 40, 50);
    expect_landmarks(face, {30, 40, 50, 40, 41, 50, 32, 60, 48, 60});
}

TEST(FrameMap, ATurnKeepsPairs) {
    GstSphereFace face = a_face();
    // A quarter clockwise: (x, y) -> (height - y, x).
    ASSERT_TRUE(from({{{0, -1, kHeight}, {1, 0, 0}, {0, 0, 1}}}).apply(face));
    expect_box(face, 20, 20, 50, 40);
    expect_landmarks(face, {59, 30, 59, 50, 49, 41, 39, 32, 39, 48});
    EXPECT_NEAR(face.quality->roll_deg, 100, 1e-9);
    EXPECT_NEAR(face.quality->eye_distance_px, 20, 1e-9);
    EXPECT_EQ(face.quality->yaw_deg, 15);
    EXPECT_NE(face.dense, nullptr);
}

TEST(FrameMap, Perspective) {
    GstSphereFace face = a_face();
    ASSERT_TRUE(from({{{1, 0, 0}, {0, 1, 0}, {0.01, 0, 1}}}).apply(face));
    // Corners: x' = x / (1 + x / 100), y' = y / (1 + x / 100).
    expect_box(face, 20 / 1.2, 30 / 1.6, 60 / 1.6 - 20 / 1.2, 80 / 1.2 - 30 / 1.6);
    EXPECT_NEAR((*face.landmarks)[0], 30.5 / 1.305 - 0.5, 1e-4);
}

TEST(FrameMap, BehindTheHorizonIsNothing) {
    GstSphereFace face = a_face();
    const GstSphereFace before = face;
    EXPECT_FALSE(from({{{1, 0, 0}, {0, 1, 0}, {-0.025, 0, 1}}}).apply(face));
    EXPECT_FALSE(from({{{1, 0, 0}, {0, 1, 0}, {0, 0, 0}}}).apply(face));
    EXPECT_FALSE(from({{{NAN, 0, 0}, {0, 1, 0}, {0, 0, 1}}}).apply(face));
    expect_box(face, before.x, before.y, before.width, before.height);
    EXPECT_EQ(face.landmarks, before.landmarks);
}

} // namespace
