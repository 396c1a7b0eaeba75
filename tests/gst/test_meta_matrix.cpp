// SPDX-License-Identifier: MIT
// From GStreamer 1.28 elements say by a matrix how they move the picture: what becomes of a
// face.
#include "tests/gst/meta_support.h"

#include <gtest/gtest.h>

#include <ostream>

using namespace sphere_test;

namespace {

using Points = std::array<gfloat, 10>;

constexpr std::array<double, 4> kBox{60, 25, 50, 40};
constexpr Points kPoints{70, 40, 90, 40, 81, 50, 72, 60, 88, 60};

// A frame of 200x100 with a face at kBox that looks to the image's right by 20 degrees.
GstBuffer *frame_with_face() {
    GstBuffer *buffer = make_frame("I420", {200, 100}, 0);
    GstSphereFaceMeta *meta = gst_buffer_add_sphere_face_meta(buffer, 200, 100);
    const FacePtr face(gst_sphere_face_new(kBox[0], kBox[1], kBox[2], kBox[3], 0.75));
    gst_sphere_face_set_landmarks(face.get(), kPoints.data(), kPoints.size());
    gst_sphere_face_set_quality(face.get(), 0.5, 0.5, 0.5, 20, 20, 0, 0);
    gst_sphere_face_meta_add_face(meta, face.get());
    gst_sphere_face_meta_sync(meta, buffer);
    return buffer;
}

Buffer after(const std::string &road) {
    const Harness harness(gst_harness_new_parse(road.c_str()));
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {200, 100}).c_str());
    gst_harness_push(harness.get(), frame_with_face());
    return Buffer(gst_harness_pull(harness.get()));
}

struct Move {
    const char *road;
    std::array<double, 4> box;
    Points points;
    double yaw_deg;
};

// For GoogleTest's messages.
void PrintTo(const Move &move, std::ostream *out) {
    *out << move.road;
}

class Moved : public testing::TestWithParam<Move> {};

TEST_P(Moved, FaceAndMirrorFollow) {
    const Move &move = GetParam();
    Buffer out = after(move.road);
    ASSERT_NE(out, nullptr);
    const GstSphereFace *face = first_face(out.get());
    ASSERT_NE(face, nullptr);
    for (std::size_t i = 0; i < 4; ++i)
        EXPECT_NEAR(box_of(face)[i], move.box[i], 1e-4) << i;
    gsize n = 0;
    const gfloat *points = gst_sphere_face_get_landmarks(face, &n);
    ASSERT_EQ(n, 10U);
    for (gsize i = 0; i < n; ++i)
        EXPECT_NEAR(points[i], move.points[i], 1e-3) << i;
    gdouble yaw_deg = 0;
    gst_sphere_face_get_pose(face, &yaw_deg, nullptr, nullptr);
    EXPECT_EQ(yaw_deg, move.yaw_deg);
    // A sync afterwards finds the mirror that was written before the picture moved.
    out.reset(gst_buffer_make_writable(out.release()));
    gst_sphere_face_meta_sync(gst_buffer_get_sphere_face_meta(out.get()), out.get());
    const auto rois = rois_of(out.get());
    ASSERT_EQ(rois.size(), 1U);
    EXPECT_NEAR(rois[0]->x, move.box[0], 0.5);
    EXPECT_NEAR(rois[0]->w, move.box[2], 0.5);
}

INSTANTIATE_TEST_SUITE_P(
    Elements, Moved,
    testing::Values(
        Move{"videocrop left=50 top=10",
             {10, 15, 50, 40},
             {20, 30, 40, 30, 31, 40, 22, 50, 38, 50},
             20},
        // Pixel x becomes pixel 199 - x; pairs are named anew.
        Move{"videoflip method=horizontal-flip",
             {90, 25, 50, 40},
             {109, 40, 129, 40, 118, 50, 111, 60, 127, 60},
             -20},
        Move{"videocrop left=50 ! videoflip method=horizontal-flip",
             {90, 25, 50, 40},
             {109, 40, 129, 40, 118, 50, 111, 60, 127, 60},
             -20},
        Move{"videoflip method=rotate-180",
             {90, 35, 50, 40},
             {129, 59, 109, 59, 118, 49, 127, 39, 111, 39},
             20},
        // (x, y) becomes (99 - y, x).
        Move{"videoflip method=clockwise",
             {35, 60, 40, 50},
             {59, 70, 59, 90, 49, 81, 39, 72, 39, 88},
             20},
        // Half the size, 25 rows of border above and below.
        Move{"videoscale add-borders=true ! "
             "capsfilter caps=video/x-raw,width=100,height=100,pixel-aspect-ratio=1/1",
             {30, 37.5, 25, 20},
             {34.75, 44.75, 44.75, 44.75, 40.25, 49.75, 35.75, 54.75, 43.75, 54.75},
             20}));

TEST(Crop, AFaceOutsideTheCropIsGone) {
    const Buffer out = after("videocrop left=110");
    ASSERT_NE(gst_buffer_get_sphere_face_meta(out.get()), nullptr);
    EXPECT_EQ(first_face(out.get()), nullptr);
    const Buffer edge = after("videocrop left=109");
    ASSERT_NE(first_face(edge.get()), nullptr);
    EXPECT_EQ(box_of(first_face(edge.get()))[0], -49);
}

} // namespace
