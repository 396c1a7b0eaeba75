// SPDX-License-Identifier: MIT
// Faces that others' elements found: spheredetect from-meta=TYPE takes them from regions of
// interest (and, in test_analytics.cpp, from GstAnalytics), and never its own mirrors.
#include "tests/gst/meta_support.h"

#include <gtest/gtest.h>

using namespace sphere_test;

namespace {

constexpr std::array<double, 10> kLandmarks{30, 30, 50, 30, 40, 42, 32, 52, 48, 52};

GstStructure *landmarks_param() {
    GstStructure *structure = gst_structure_new_empty("landmarks");
    GValue points = G_VALUE_INIT;
    g_value_init(&points, GST_TYPE_ARRAY);
    for (const double number : kLandmarks) {
        GValue value = G_VALUE_INIT;
        g_value_init(&value, G_TYPE_DOUBLE);
        g_value_set_double(&value, number);
        gst_value_array_append_and_take_value(&points, &value);
    }
    gst_structure_take_value(structure, "points", &points);
    return structure;
}

// As a detector of somebody else's writes it.
GstVideoRegionOfInterestMeta *add_roi(GstBuffer *buffer, const char *type, guint x, guint y,
                                      guint side, double confidence) {
    GstVideoRegionOfInterestMeta *roi =
        gst_buffer_add_video_region_of_interest_meta(buffer, type, x, y, side, side);
    if (confidence >= 0)
        gst_video_region_of_interest_meta_add_param(
            roi, gst_structure_new("detection", "confidence", G_TYPE_DOUBLE, confidence,
                                   "label_id", G_TYPE_INT, 1, nullptr));
    return roi;
}

Buffer through(const char *road, GstBuffer *frame) {
    const Harness harness(gst_harness_new_parse(road));
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {200, 100}).c_str());
    return Buffer(gst_harness_push_and_pull(harness.get(), frame));
}

std::vector<std::array<double, 4>> boxes_of(GstBuffer *buffer) {
    const GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer);
    std::vector<std::array<double, 4>> boxes;
    for (guint i = 0; meta != nullptr && i < gst_sphere_face_meta_get_n_faces(meta); ++i)
        boxes.push_back(box_of(gst_sphere_face_meta_peek_face(meta, i)));
    return boxes;
}

using Boxes = std::vector<std::array<double, 4>>;

constexpr const char *kImport = "spheredetect from-meta=face landmark-model=none";

TEST(Import, RegionsOfTheTypeBecomeFacesBestScoreFirst) {
    GstBuffer *frame = make_frame("I420", {200, 100}, 16);
    add_roi(frame, "face", 10, 20, 40, 0.5);
    add_roi(frame, "face", 100, 20, 40, 0.75);
    add_roi(frame, "person", 0, 0, 90, 0.9);
    const Buffer out = through(kImport, frame);
    ASSERT_EQ(boxes_of(out.get()), (Boxes{{100, 20, 40, 40}, {10, 20, 40, 40}}));
    EXPECT_DOUBLE_EQ(gst_sphere_face_get_score(first_face(out.get())), 0.75);
    EXPECT_EQ(rois_of(out.get()).size(), 5U) << "three of others and two mirrors";
}

TEST(Import, AnotherTypeIsTakenWhereItIsAskedFor) {
    GstBuffer *frame = make_frame("I420", {200, 100}, 0);
    add_roi(frame, "head", 10, 20, 40, -1);
    add_roi(frame, "face", 100, 20, 40, 0.75);
    const Buffer out = through("spheredetect from-meta=head landmark-model=none", frame);
    ASSERT_EQ(boxes_of(out.get()), (Boxes{{10, 20, 40, 40}}));
    EXPECT_DOUBLE_EQ(gst_sphere_face_get_score(first_face(out.get())), 1);
}

TEST(Import, LandmarksComeAlong) {
    GstBuffer *frame = make_frame("I420", {200, 100}, 0);
    gst_video_region_of_interest_meta_add_param(add_roi(frame, "face", 20, 20, 40, 0.9),
                                                landmarks_param());
    const Buffer out = through(kImport, frame);
    gsize n = 0;
    const gfloat *points = gst_sphere_face_get_landmarks(first_face(out.get()), &n);
    ASSERT_EQ(n, kLandmarks.size());
    EXPECT_TRUE(std::equal(kLandmarks.begin(), kLandmarks.end(), points));
}

TEST(Import, LimitsAndRegionsHold) {
    for (const auto &[limit, wanted] : std::vector<std::pair<std::string, Boxes>>{
             {"threshold=0.6", {{100, 20, 40, 40}}},
             {"min-face-size=50", {}},
             {"max-faces=1", {{100, 20, 40, 40}}},
             {"region=0,0,50%,100%", {{10, 20, 40, 40}}}}) {
        GstBuffer *frame = make_frame("I420", {200, 100}, 0);
        add_roi(frame, "face", 10, 20, 40, 0.5);
        add_roi(frame, "face", 100, 20, 40, 0.75);
        add_roi(frame, "face", 101, 21, 40, 0.7); // the same, told twice
        const Buffer out = through((std::string(kImport) + " " + limit).c_str(), frame);
        EXPECT_EQ(boxes_of(out.get()), wanted) << limit;
    }
}

TEST(Import, NobodyThereIsAnEmptyMeta) {
    const Buffer out = through(kImport, make_frame("I420", {200, 100}, 0));
    ASSERT_NE(gst_buffer_get_sphere_face_meta(out.get()), nullptr);
    EXPECT_EQ(boxes_of(out.get()), Boxes{});
}

TEST(Import, OurOwnMirrorsAreNotTaken) {
    GstBuffer *frame = make_frame("I420", {200, 100}, 0);
    add_roi(frame, "face", 10, 20, 40, 0.5);
    const Buffer out = through("spheredetect model=fake-detect ! spheredetect from-meta=face "
                               "landmark-model=none ! spheredetect from-meta=face "
                               "landmark-model=none",
                               frame);
    EXPECT_EQ(boxes_of(out.get()), (Boxes{{10, 20, 40, 40}}));
    EXPECT_EQ(rois_of(out.get()).size(), 2U) << "the other's and its mirror";
}

// Without landmarks a template that needs them passes the face over with a reason; box
// templates do without.
TEST(Import, AlignsWithLandmarksOrByTheBox) {
    const auto aligned = [](const char *align, bool landmarks) {
        GstBuffer *frame = make_frame("I420", {200, 100}, 0);
        GstVideoRegionOfInterestMeta *roi = add_roi(frame, "face", 20, 20, 40, 0.9);
        if (landmarks)
            gst_video_region_of_interest_meta_add_param(roi, landmarks_param());
        return through((std::string(kImport) + " ! spherealign template=" + align).c_str(),
                       frame);
    };
    const Buffer with = aligned("sphereface-112x96", true);
    EXPECT_NE(gst_sphere_face_get_crop(first_face(with.get())), nullptr);
    const Buffer without = aligned("sphereface-112x96", false);
    EXPECT_EQ(gst_sphere_face_get_crop(first_face(without.get())), nullptr);
    EXPECT_EQ(gst_sphere_face_get_reason(first_face(without.get())),
              GST_SPHERE_FACE_REASON_NO_LANDMARKS);
    const Buffer box = aligned("box-112x96", false);
    EXPECT_NE(gst_sphere_face_get_crop(first_face(box.get())), nullptr);
}

TEST(Import, TracksAndEmbedsWhatOthersFound) {
    const Harness harness(gst_harness_new_parse(
        "spheredetect from-meta=face landmark-model=none ! spheretrack ! spherealign "
        "template=box-112x96 ! identity"));
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {200, 100}).c_str());
    for (guint i = 0; i < 5; ++i) {
        GstBuffer *frame = make_frame("I420", {200, 100}, 0, i * 40 * GST_MSECOND);
        if (i != 3) // missed once: the track carries it
            add_roi(frame, "face", 20 + i, 20, 40, 0.9);
        const Buffer out(gst_harness_push_and_pull(harness.get(), frame));
        const GstSphereFace *face = first_face(out.get());
        ASSERT_NE(face, nullptr) << i;
        EXPECT_EQ(gst_sphere_face_get_track_id(face), 1);
        EXPECT_EQ(gst_sphere_face_get_carried(face), i == 3);
    }
}

TEST(Import, ALandmarkModelThatIsNotThereIsAnErrorThatNamesIt) {
    ElementOnBus detect(gst_element_factory_make("spheredetect", nullptr));
    g_object_set(detect.get(), "from-meta", "face", "landmark-model", "no-such-model", nullptr);
    EXPECT_EQ(gst_element_set_state(detect.get(), GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    const auto errors = detect.messages(GST_MESSAGE_ERROR);
    ASSERT_EQ(errors.size(), 1U);
    EXPECT_NE(errors[0].find("no-such-model"), std::string::npos) << errors[0];
}

} // namespace
