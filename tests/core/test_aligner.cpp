// SPDX-License-Identifier: MIT
// Faces to crops: where landmarks land, what boxes become, what is passed over, and the
// measures of quality.
#include "core/face/aligner.h"

#include "core/image/resize.h"
#include "tests/support/test_pictures.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

namespace sphere {
namespace {

AlignTemplate named(const char *name) {
    auto tmpl = find_template(name);
    EXPECT_TRUE(tmpl.ok()) << name;
    return tmpl.ok() ? *tmpl : AlignTemplate{};
}

/// Fine checks and a slow gradient: sharp everywhere, other in each corner.
Image textured(int width, int height, int period_px = 4) {
    Image image(width, height);
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            for (int c = 0; c < 3; ++c)
                image.bgr[static_cast<std::size_t>(3 * (y * width + x) + c)] =
                    static_cast<std::uint8_t>((x / period_px + y / period_px) % 2 * 90 + 40 +
                                              (x * (c + 1) + 2 * y) * 80 /
                                                  (3 * width + 2 * height));
    return image;
}

Image flat(int width, int height, std::uint8_t level) {
    Image image(width, height);
    std::fill(image.bgr.begin(), image.bgr.end(), level);
    return image;
}

/// A face whose landmarks are the SphereFace points, turned, scaled and moved to `centre`.
Face upright_face(Point2f centre, double scale, double roll_deg = 0) {
    const double a = roll_deg * std::numbers::pi / 180;
    Face face;
    face.score = 0.9F;
    Landmarks5 points = named("sphereface-112x96").points;
    for (Point2f &p : points) {
        const double x = (p.x - 48) * scale, y = (p.y - 56) * scale;
        p = {static_cast<float>(centre.x + std::cos(a) * x - std::sin(a) * y),
             static_cast<float>(centre.y + std::sin(a) * x + std::cos(a) * y)};
    }
    face.landmarks = points;
    const auto w = static_cast<float>(96 * scale), h = static_cast<float>(112 * scale);
    face.box = {centre.x - w / 2, centre.y - h / 2, w, h};
    return face;
}

int largest_difference(const Image &a, const Image &b) {
    EXPECT_EQ(a.bgr.size(), b.bgr.size());
    int largest = 0;
    for (std::size_t i = 0; i < std::min(a.bgr.size(), b.bgr.size()); ++i)
        largest = std::max(largest, std::abs(int(a.bgr[i]) - int(b.bgr[i])));
    return largest;
}

TEST(Templates, NamesGiveHeightThenWidth) {
    const AlignTemplate sphereface = named("sphereface-112x96");
    EXPECT_EQ(sphereface.width, 96);
    EXPECT_EQ(sphereface.height, 112);
    EXPECT_FLOAT_EQ(sphereface.points[0].x, 30.2946F);
    EXPECT_FLOAT_EQ(sphereface.points[4].y, 92.2041F);
    const AlignTemplate arcface = named("arcface-112x112");
    EXPECT_EQ(arcface.width, 112);
    for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_FLOAT_EQ(arcface.points[i].x, sphereface.points[i].x + 8);
        EXPECT_FLOAT_EQ(arcface.points[i].y, sphereface.points[i].y);
    }
    const AlignTemplate box = named("box-96x112");
    EXPECT_EQ(box.width, 112);
    EXPECT_EQ(box.height, 96);
    EXPECT_FALSE(box.uses_landmarks);
    for (const std::string &name : template_names())
        EXPECT_EQ(named(name.c_str()).name, name);
}

TEST(Templates, OtherNamesAreErrorsThatListThem) {
    for (const char *name :
         {"", "sphereface", "box-", "box-96", "box-x", "box-96x", "box-7x96", "box-96x1025",
          "box-96x112x3", "box--96x112", "box-99999999999x8"}) {
        const auto tmpl = find_template(name);
        ASSERT_FALSE(tmpl.ok()) << name;
        EXPECT_EQ(tmpl.error().code, Errc::InvalidArgument);
        EXPECT_NE(tmpl.error().message.find("arcface-112x112"), std::string::npos);
    }
}

TEST(Transform, TakesLandmarksToTheTemplate) {
    for (const char *name : {"sphereface-112x96", "arcface-112x112"}) {
        const AlignTemplate tmpl = named(name);
        for (const double roll : {-70.0, 0.0, 25.0}) {
            const Face face = upright_face({200, 150}, 1.7, roll);
            const auto affine = crop_transform(face, tmpl, {});
            ASSERT_TRUE(affine.ok());
            for (std::size_t i = 0; i < 5; ++i) {
                const Point2f at = affine->apply((*face.landmarks)[i]);
                EXPECT_NEAR(at.x, tmpl.points[i].x, 1e-3);
                EXPECT_NEAR(at.y, tmpl.points[i].y, 1e-3);
            }
        }
    }
}

TEST(Transform, TakesTheBoxToTheCropsEdges) {
    Face face;
    face.box = {20, 30, 56, 48};
    const auto affine = crop_transform(face, named("box-96x112"), {});
    ASSERT_TRUE(affine.ok());
    // cv::resize: the corner (20, 30) of the first pixel's area, half a pixel before its
    // centre.
    const Point2f first = affine->apply({19.5F, 29.5F}), last = affine->apply({75.5F, 77.5F});
    EXPECT_NEAR(first.x, -0.5, 1e-4);
    EXPECT_NEAR(first.y, -0.5, 1e-4);
    EXPECT_NEAR(last.x, 111.5, 1e-4);
    EXPECT_NEAR(last.y, 95.5, 1e-4);

    AlignOptions margin;
    margin.crop_margin = 0.25F; // 14 px left and right, 12 above and below
    const auto wider = crop_transform(face, named("box-96x112"), margin);
    ASSERT_TRUE(wider.ok());
    EXPECT_NEAR(wider->apply({5.5F, 17.5F}).x, -0.5, 1e-4);
    EXPECT_NEAR(wider->apply({5.5F, 17.5F}).y, -0.5, 1e-4);
}

TEST(Transform, WhatCannotBeAlignedIsAnError) {
    Face face;
    face.box = {0, 0, 50, 50};
    const AlignTemplate sphereface = named("sphereface-112x96");
    const auto without = crop_transform(face, sphereface, {});
    ASSERT_FALSE(without.ok());
    EXPECT_EQ(without.error().code, Errc::NotFound);
    face.landmarks = Landmarks5{};
    const auto coinciding = crop_transform(face, sphereface, {});
    ASSERT_FALSE(coinciding.ok());
    EXPECT_EQ(coinciding.error().code, Errc::InvalidArgument);
    (*face.landmarks)[2].x = std::numeric_limits<float>::quiet_NaN();
    EXPECT_FALSE(crop_transform(face, sphereface, {}).ok());
    face.box = {};
    EXPECT_FALSE(crop_transform(face, named("box-112x96"), {}).ok());
}

TEST(Align, AnIdentityCopiesPixels) {
    const Image frame = textured(300, 200);
    // The crop's origin lies at (100, 40): pixel for pixel.
    Face face = upright_face({148, 96}, 1);
    const AlignTemplate tmpl = named("sphereface-112x96");
    align_face(frame.view(), tmpl, {}, face);
    ASSERT_TRUE(face.crop);
    EXPECT_EQ(face.crop_template, "sphereface-112x96");
    EXPECT_EQ(face.reason, FaceReason::None);
    ASSERT_TRUE(face.quality);
    Image wanted(96, 112);
    for (std::size_t y = 0; y < 112; ++y)
        std::copy_n(frame.bgr.data() + 3 * ((y + 40) * 300 + 100), 3 * 96,
                    wanted.bgr.data() + 3 * 96 * y);
    EXPECT_LE(largest_difference(*face.crop, wanted), 1);
}

TEST(Align, EveryMemoryLayoutGivesNearlyTheSameCrop) {
    const Image frame = textured(300, 200, 25);
    const AlignTemplate tmpl = named("arcface-112x112");
    Face wanted = upright_face({150, 100}, 0.9, 12);
    align_face(frame.view(), tmpl, {}, wanted);
    ASSERT_TRUE(wanted.crop);
    for (const PixelFormat format : testing_support::kAllFormats) {
        const testing_support::Frame other(frame, format);
        Face face = upright_face({150, 100}, 0.9, 12);
        align_face(other.view(), tmpl, {}, face);
        ASSERT_TRUE(face.crop);
        double sum = 0;
        for (std::size_t i = 0; i < face.crop->bgr.size(); ++i)
            sum += std::abs(int(face.crop->bgr[i]) - int(wanted.crop->bgr[i]));
        EXPECT_LT(sum / static_cast<double>(face.crop->bgr.size()),
                  format == PixelFormat::GRAY8 ? 30 : 3)
            << static_cast<int>(format);
    }
}

TEST(Align, AnUprightBoxIsResizedAsItStands) {
    const Image frame = textured(300, 200);
    Face face;
    face.box = {0, 37, 61, 83}; // at the frame's edge: nothing of the outside may bleed in
    face.eye_roll_deg = 0.0F;
    align_face(frame.view(), named("box-96x112"), {}, face);
    ASSERT_TRUE(face.crop);
    EXPECT_EQ(face.crop->width, 112);
    EXPECT_EQ(face.crop->height, 96);
    const auto wanted = resize_to_bgr(frame.view(), {0, 37, 61, 83}, 112, 96);
    ASSERT_TRUE(wanted.ok());
    EXPECT_EQ(face.crop->bgr, wanted->bgr);
}

TEST(Align, ABoxIsTurnedUntilTheEyesAreLevelAndShowsNothingAround) {
    // Two bright eyes in a grey box on a white frame, turned 20 degrees clockwise.
    Image frame = flat(300, 300, 255);
    for (int y = 100; y < 200; ++y)
        for (int x = 100; x < 200; ++x)
            std::fill_n(frame.bgr.data() + 3 * (y * 300 + x), 3, std::uint8_t{60});
    const double a = 20 * std::numbers::pi / 180;
    for (const double side : {-25.0, 25.0}) {
        const int cx = static_cast<int>(std::lround(149.5 + side * std::cos(a)));
        const int cy = static_cast<int>(std::lround(149.5 + side * std::sin(a)));
        for (int y = cy - 2; y <= cy + 2; ++y)
            for (int x = cx - 2; x <= cx + 2; ++x)
                std::fill_n(frame.bgr.data() + 3 * (y * 300 + x), 3, std::uint8_t{200});
    }
    Face face;
    face.box = {100, 100, 100, 100};
    face.eye_roll_deg = 20.0F;
    align_face(frame.view(), named("box-100x100"), {}, face);
    ASSERT_TRUE(face.crop);
    double left_y = 0, right_y = 0, left_n = 0, right_n = 0;
    int black = 0, white = 0;
    for (int y = 0; y < 100; ++y)
        for (int x = 0; x < 100; ++x) {
            const int v = face.crop->bgr[static_cast<std::size_t>(3 * (y * 100 + x))];
            black += v == 0;
            white += v > 220;
            if (v < 150)
                continue;
            (x < 50 ? left_y : right_y) += y;
            (x < 50 ? left_n : right_n) += 1;
        }
    ASSERT_GT(left_n, 5);
    ASSERT_GT(right_n, 5);
    EXPECT_NEAR(left_y / left_n, right_y / right_n, 1.0);
    EXPECT_EQ(white, 0);   // nothing of the frame outside the box
    EXPECT_GT(black, 500); // but its turned corners
}

TEST(PassedOver, TheReasonSaysWhy) {
    const Image frame = textured(400, 300);
    const AlignTemplate sphereface = named("sphereface-112x96");
    const auto reason = [&](Face face, const AlignOptions &options = {}) {
        face.crop = std::make_shared<const Image>(flat(8, 8, 1)); // of an earlier frame
        face.crop_template = "old";
        align_face(frame.view(), sphereface, options, face);
        EXPECT_EQ(face.crop == nullptr, face.reason != FaceReason::None);
        if (!face.crop) {
            EXPECT_EQ(face.crop_template, "");
        }
        return face.reason;
    };
    EXPECT_EQ(reason(upright_face({200, 150}, 1)), FaceReason::None);

    Face boxed;
    boxed.box = {10, 10, 50, 50};
    EXPECT_EQ(reason(boxed), FaceReason::NoLandmarks);

    AlignOptions far;
    far.min_eye_distance_px = 36; // at scale 1 the eyes are 35.24 px apart
    EXPECT_EQ(reason(upright_face({200, 150}, 1), far), FaceReason::TooSmall);
    EXPECT_EQ(reason(upright_face({200, 150}, 1.1), far), FaceReason::None);

    EXPECT_EQ(reason(upright_face({-5, 150}, 1)), FaceReason::Truncated);
    EXPECT_EQ(reason(upright_face({5, 150}, 1)), FaceReason::None);
    EXPECT_EQ(reason(upright_face({2000, 2000}, 1)), FaceReason::Truncated);
    Face nowhere = upright_face({200, 150}, 1);
    nowhere.landmarks = Landmarks5{};
    EXPECT_NE(reason(nowhere), FaceReason::None);
}

TEST(PassedOver, LowQualitySaysWhatIsWorst) {
    AlignOptions options;
    options.min_quality = 0.5F;
    const AlignTemplate sphereface = named("sphereface-112x96");
    Face sharp = upright_face({200, 150}, 1.2);
    align_face(textured(400, 300).view(), sphereface, options, sharp);
    EXPECT_EQ(sharp.reason, FaceReason::None);

    Face blurred = upright_face({200, 150}, 1.2);
    align_face(flat(400, 300, 128).view(), sphereface, options, blurred);
    EXPECT_EQ(blurred.reason, FaceReason::Blurred);
    EXPECT_FALSE(blurred.crop);
    ASSERT_TRUE(blurred.quality); // what was measured stays

    Face profile = upright_face({200, 150}, 1.2);
    (*profile.landmarks)[2].x += 40;
    align_face(textured(400, 300).view(), sphereface, options, profile);
    EXPECT_EQ(profile.reason, FaceReason::Profile);

    Face dark = upright_face({200, 150}, 1.2);
    Image night = textured(400, 300);
    for (std::uint8_t &byte : night.bgr)
        byte = static_cast<std::uint8_t>(byte / 6);
    align_face(night.view(), sphereface, options, dark);
    EXPECT_EQ(dark.reason, FaceReason::LowQuality);
}

TEST(Quality, FallsWithBlurAndDarkness) {
    const Face face = upright_face({150, 100}, 1);
    const Quality sharp = assess_quality(face, textured(96, 112, 4));
    const Quality soft = assess_quality(face, textured(96, 112, 40));
    const Quality none = assess_quality(face, flat(96, 112, 128));
    EXPECT_GT(sharp.sharpness, soft.sharpness);
    EXPECT_GT(soft.sharpness, none.sharpness);
    EXPECT_FLOAT_EQ(none.sharpness, 0);
    EXPECT_GT(sharp.score, soft.score);
    EXPECT_FLOAT_EQ(none.score, 0);
    EXPECT_NEAR(none.brightness, 128 / 255.0, 1e-3);
    EXPECT_NEAR(assess_quality(face, flat(96, 112, 255)).brightness, 1, 1e-3);
    EXPECT_FLOAT_EQ(assess_quality(face, flat(96, 112, 0)).brightness, 0);
    EXPECT_FLOAT_EQ(assess_quality(face, Image()).score, 0);
}

TEST(Quality, PoseFollowsThePoints) {
    const Image crop = textured(96, 112);
    const Quality level = assess_quality(upright_face({150, 100}, 2), crop);
    EXPECT_NEAR(level.yaw_deg, 0, 3);
    EXPECT_NEAR(level.pitch_deg, 0, 3);
    EXPECT_NEAR(level.roll_deg, 0, 1);
    EXPECT_NEAR(level.eye_distance_px, 2 * 35.238, 0.01);

    for (const double roll : {-30.0, 15.0, 60.0}) { // turned pose is the same pose
        const Quality turned = assess_quality(upright_face({150, 100}, 2, roll), crop);
        EXPECT_NEAR(turned.roll_deg, level.roll_deg + roll, 0.1);
        EXPECT_NEAR(turned.yaw_deg, level.yaw_deg, 0.1);
        EXPECT_NEAR(turned.pitch_deg, level.pitch_deg, 0.1);
        EXPECT_NEAR(turned.score, level.score, 0.01);
    }
    float last_yaw = level.yaw_deg, last_score = level.score + 1;
    for (const float shift : {8.0F, 20.0F, 40.0F}) { // the nose moves to the image's right
        Face face = upright_face({150, 100}, 2);
        (*face.landmarks)[2].x += shift;
        const Quality quality = assess_quality(face, crop);
        EXPECT_GT(quality.yaw_deg, last_yaw);
        EXPECT_LE(quality.score, last_score);
        last_yaw = quality.yaw_deg;
        last_score = quality.score;
        (*face.landmarks)[2].x -= 2 * shift;
        EXPECT_LT(assess_quality(face, crop).yaw_deg, 0);
    }
    EXPECT_GT(last_yaw, 30);
    EXPECT_LT(last_score, level.score);
    Face up = upright_face({150, 100}, 2), down = up;
    (*up.landmarks)[2].y -= 15;
    (*down.landmarks)[2].y += 15;
    EXPECT_GT(assess_quality(up, crop).pitch_deg, 5);
    EXPECT_LT(assess_quality(down, crop).pitch_deg, -5);
}

TEST(Quality, IsFiniteWhateverThePoints) {
    const Image crop = textured(96, 112);
    Face face = upright_face({150, 100}, 1);
    for (const Landmarks5 &points :
         {Landmarks5{}, Landmarks5{{{0, 0}, {10, 0}, {5, 0}, {0, 0}, {10, 0}}},
          Landmarks5{{{0, 50}, {10, 50}, {5, 30}, {0, 10}, {10, 10}}}}) {
        face.landmarks = points;
        const Quality q = assess_quality(face, crop);
        for (const float v : {q.score, q.yaw_deg, q.pitch_deg, q.roll_deg, q.eye_distance_px})
            EXPECT_TRUE(std::isfinite(v));
        EXPECT_GE(q.score, 0);
        EXPECT_LE(q.score, 1);
    }
}

} // namespace
} // namespace sphere
