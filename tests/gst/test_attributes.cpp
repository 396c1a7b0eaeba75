// SPDX-License-Identifier: MIT
// sphereattributes: what it leaves in the meta, the ROI mirror and the records; tracks;
// formats.
#include "tests/gst/element_support.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace sphere_test;

namespace {

constexpr Size kSize{160, 120};

const GstSphereFace *first_face(GstBuffer *buffer) {
    const GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer);
    return meta != nullptr && gst_sphere_face_meta_get_n_faces(meta) > 0
               ? gst_sphere_face_meta_peek_face(meta, 0)
               : nullptr;
}

/// The mood's score, or NAN.
double mood_score(GstBuffer *buffer) {
    const GstSphereFace *face = first_face(buffer);
    const GstStructure *attributes =
        face != nullptr ? gst_sphere_face_get_attributes(face) : nullptr;
    gdouble score = NAN;
    if (attributes != nullptr && gst_structure_get_string(attributes, "mood") != nullptr)
        gst_structure_get_double(attributes, "mood_score", &score);
    return score;
}

/// A frame with one face of a track, somewhere in the picture.
GstBuffer *frame_with_face(double x, gint64 track, const std::string &format = "BGR") {
    GstBuffer *buffer = make_frame(format, kSize, 0);
    GstSphereFaceMeta *meta =
        gst_buffer_add_sphere_face_meta(buffer, kSize.width, kSize.height);
    GstSphereFace *face = gst_sphere_face_new(x, 20, 40, 50, 0.9);
    gst_sphere_face_set_track_id(face, track);
    gst_sphere_face_meta_add_face(meta, face);
    gst_sphere_face_free(face);
    return buffer;
}

Harness harness_of(const char *launch, const std::string &format = "BGR") {
    Harness harness(gst_harness_new_parse(launch));
    gst_harness_set_src_caps_str(harness.get(), caps_of(format, kSize).c_str());
    return harness;
}

double push(const Harness &harness, double x, gint64 track) {
    GstBuffer *out = gst_harness_push_and_pull(harness.get(), frame_with_face(x, track));
    const double score = mood_score(out);
    gst_buffer_unref(out);
    return score;
}

TEST(Attributes, AreInTheMetaAndTheRoiMirror) {
    const Harness harness = harness_of("sphereattributes model=fake-attribute");
    GstBuffer *out = gst_harness_push_and_pull(harness.get(), frame_with_face(30, -1));
    const double score = mood_score(out);
    EXPECT_GE(score, 0.5);
    EXPECT_LE(score, 1);
    auto *roi = gst_buffer_get_video_region_of_interest_meta_id(
        out, static_cast<gint>(gst_sphere_face_get_id(first_face(out))));
    ASSERT_NE(roi, nullptr);
    const GstStructure *mirrored =
        gst_video_region_of_interest_meta_get_param(roi, "attributes");
    ASSERT_NE(mirrored, nullptr);
    EXPECT_TRUE(
        gst_structure_is_equal(mirrored, gst_sphere_face_get_attributes(first_face(out))));
    gst_buffer_unref(out);
}

TEST(Attributes, EveryFormatGivesTheSame) {
    double wanted = NAN;
    for (const std::string &format : kFormats) {
        const Harness harness = harness_of("sphereattributes model=fake-attribute", format);
        GstBuffer *out =
            gst_harness_push_and_pull(harness.get(), frame_with_face(30, -1, format));
        const double score = mood_score(out);
        gst_buffer_unref(out);
        if (std::isnan(wanted))
            wanted = score;
        EXPECT_NEAR(score, wanted, 0.05) << format;
    }
}

TEST(Attributes, ATracksResultsAreAveraged) {
    const Harness plain = harness_of("sphereattributes model=fake-attribute smoothing=1");
    const Harness smooth = harness_of("sphereattributes model=fake-attribute smoothing=10");
    const double a = push(plain, 10, 5), b = push(plain, 70, 5);
    ASSERT_GT(std::abs(a - b), 1e-4) << "the test needs two answers";
    EXPECT_DOUBLE_EQ(push(smooth, 10, 5), a);
    EXPECT_NEAR(push(smooth, 70, 5), (a + b) / 2, 1e-6);
    EXPECT_NEAR(push(smooth, 70, 6), b, 1e-6) << "another person";
    EXPECT_NEAR(push(smooth, 70, -1), b, 1e-6) << "no track";
}

TEST(Attributes, AnIntervalKeepsWhatATrackHad) {
    const Harness harness = harness_of("sphereattributes model=fake-attribute interval=3");
    const double first = push(harness, 10, 5);
    EXPECT_EQ(push(harness, 70, 5), first);
    EXPECT_EQ(push(harness, 70, 5), first);
    EXPECT_NE(push(harness, 70, 5), first);
}

TEST(Attributes, FramesWithoutFacesPassUntouched) {
    const Harness harness = harness_of("sphereattributes model=fake-attribute");
    GstBuffer *in = make_frame("BGR", kSize, 0);
    const void *address = address_of(in);
    GstBuffer *out = gst_harness_push_and_pull(harness.get(), in);
    EXPECT_EQ(address_of(out), address);
    EXPECT_EQ(gst_buffer_get_sphere_face_meta(out), nullptr);
    gst_buffer_unref(out);
}

TEST(Attributes, AreInTheRecords) {
    const auto path = std::filesystem::temp_directory_path() / "sphere-attributes.jsonl";
    std::filesystem::remove(path);
    {
        const Harness harness = harness_of(
            ("sphereattributes model=fake-attribute ! spherepublish location=" + path.string())
                .c_str());
        gst_buffer_unref(gst_harness_push_and_pull(harness.get(), frame_with_face(30, -1)));
        gst_harness_push_event(harness.get(), gst_event_new_eos());
    }
    std::ifstream in(path);
    std::string line;
    std::getline(in, line);
    EXPECT_NE(line.find("\"attributes\":{\"mood\":\""), std::string::npos) << line;
    EXPECT_NE(line.find("\"mood_score\":"), std::string::npos) << line;
    std::filesystem::remove(path);
}

TEST(Attributes, AModelOfAnotherTaskIsAnErrorAtTheStart) {
    ElementOnBus element(gst_element_factory_make("sphereattributes", nullptr));
    g_object_set(element.get(), "model", "fake-detect", nullptr);
    EXPECT_EQ(gst_element_set_state(element.get(), GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    const auto errors = element.messages(GST_MESSAGE_ERROR);
    ASSERT_EQ(errors.size(), 1U);
    EXPECT_NE(errors[0].find("fake-detect"), std::string::npos) << errors[0];
}

} // namespace
