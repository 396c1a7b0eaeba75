// SPDX-License-Identifier: MIT
// spheresidecar: what spherepublish wrote is on the frames again, by their time.
#include "tests/gst/meta_support.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <fstream>

using namespace sphere_test;

namespace {

class Sidecar : public testing::Test {
  protected:
    // Frames of 200x100 at 25 a second whose first has `first_pts`, through the road into a
    // file.
    void record(GstClockTime first_pts, const char *options = "") {
        const std::string road = "spheredetect model=fake-detect inference-interval=2 ! "
                                 "spheretrack ! spherealign ! sphereembed model=fake-embed ! "
                                 "spherepublish location=" +
                                 path_ + " " + options;
        const Harness harness(gst_harness_new_parse(road.c_str()));
        gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {200, 100}).c_str());
        for (guint i = 0; i < 6; ++i)
            recorded_.emplace_back(gst_harness_push_and_pull(
                harness.get(),
                make_frame("I420", {200, 100}, 0, first_pts + i * 40 * GST_MSECOND)));
    }

    std::string road(const char *options = "") const {
        return "spheresidecar location=" + path_ + " " + options;
    }

    Buffer play(GstHarness *harness, GstClockTime pts, Size size = {200, 100}) const {
        return Buffer(gst_harness_push_and_pull(harness, make_frame("I420", size, 0, pts)));
    }

    sphere::testing_support::TemporaryDirectory directory_;
    std::string path_ = directory_.path() + "/faces.jsonl";
    std::vector<Buffer> recorded_;
};

std::size_t n_faces(const Buffer &buffer) {
    const GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer.get());
    return meta != nullptr ? gst_sphere_face_meta_get_n_faces(meta) : 0;
}

guint64 stat(GstHarness *harness, const char *name) {
    GstElement *sidecar = gst_harness_find_element(harness, "spheresidecar");
    GstStructure *stats = nullptr;
    g_object_get(sidecar, "stats", &stats, nullptr);
    guint64 value = 0;
    gst_structure_get_uint64(stats, name, &value);
    gst_structure_free(stats);
    gst_object_unref(sidecar);
    return value;
}

TEST_F(Sidecar, FacesComeBackAsTheyWere) {
    record(0, "embeddings=true");
    const Harness harness(gst_harness_new_parse(road().c_str()));
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {200, 100}).c_str());
    for (std::size_t i = 0; i < recorded_.size(); ++i) {
        const Buffer out = play(harness.get(), i * 40 * GST_MSECOND);
        ASSERT_EQ(n_faces(out), 1U);
        const GstSphereFace *was = first_face(recorded_[i].get()), *is = first_face(out.get());
        for (std::size_t k = 0; k < 4; ++k)
            EXPECT_NEAR(box_of(is)[k], box_of(was)[k], 1e-4);
        EXPECT_EQ(gst_sphere_face_get_track_id(is), 1);
        EXPECT_EQ(gst_sphere_face_get_carried(is), gst_sphere_face_get_carried(was));
        EXPECT_EQ(embedding_of(out.get()), embedding_of(recorded_[i].get()));
        EXPECT_STREQ(gst_sphere_face_get_embedding_stamp(is),
                     gst_sphere_face_get_embedding_stamp(was));
        gdouble quality = 0, wanted = 0;
        EXPECT_EQ(gst_sphere_face_get_quality(is, &quality, nullptr, nullptr, nullptr),
                  gst_sphere_face_get_quality(was, &wanted, nullptr, nullptr, nullptr));
        EXPECT_NEAR(quality, wanted, 1e-6);
        EXPECT_EQ(rois_of(out.get()).size(), 1U);
    }
    EXPECT_EQ(stat(harness.get(), "faces"), 6U);
}

// A muxer lets a recording begin at 0 whatever the camera's clock said.
TEST_F(Sidecar, TimesCountFromTheStartUnlessTheyAreTheFramesOwn) {
    record(7 * GST_SECOND);
    const Harness from_start(gst_harness_new_parse(road().c_str()));
    gst_harness_set_src_caps_str(from_start.get(), caps_of("I420", {200, 100}).c_str());
    EXPECT_EQ(n_faces(play(from_start.get(), 0)), 1U);
    EXPECT_EQ(n_faces(play(from_start.get(), 200 * GST_MSECOND)), 1U);
    const Harness own(gst_harness_new_parse(road("from-start=false").c_str()));
    gst_harness_set_src_caps_str(own.get(), caps_of("I420", {200, 100}).c_str());
    EXPECT_EQ(n_faces(play(own.get(), 0)), 0U);
    EXPECT_EQ(n_faces(play(own.get(), 7 * GST_SECOND)), 1U);
    const Harness moved(gst_harness_new_parse(road("offset=-1000").c_str()));
    gst_harness_set_src_caps_str(moved.get(), caps_of("I420", {200, 100}).c_str());
    EXPECT_EQ(n_faces(play(moved.get(), 0)), 0U);
    EXPECT_EQ(n_faces(play(moved.get(), GST_SECOND)), 1U);
}

TEST_F(Sidecar, MatchesWithinHalfAFrame) {
    record(0);
    const Harness harness(gst_harness_new_parse(road().c_str()));
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {200, 100}).c_str());
    EXPECT_EQ(n_faces(play(harness.get(), 59 * GST_MSECOND)), 1U);
    EXPECT_EQ(n_faces(play(harness.get(), 219 * GST_MSECOND)), 1U);
    EXPECT_EQ(n_faces(play(harness.get(), 221 * GST_MSECOND)), 0U);
    EXPECT_EQ(n_faces(play(harness.get(), 40 * GST_MSECOND)), 1U) << "after a seek backwards";
    EXPECT_EQ(stat(harness.get(), "skipped-no-record"), 1U);
}

TEST_F(Sidecar, BoxesFollowTheSizeInWhichItIsPlayed) {
    record(0);
    const Harness harness(gst_harness_new_parse(road().c_str()));
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {100, 200}).c_str());
    const Buffer out = play(harness.get(), 0, {100, 200});
    ASSERT_EQ(n_faces(out), 1U);
    const auto was = box_of(first_face(recorded_[0].get()));
    const auto is = box_of(first_face(out.get()));
    for (std::size_t k = 0; k < 4; ++k)
        EXPECT_NEAR(is[k], was[k] * (k % 2 == 0 ? 0.5 : 2), 1e-4);
}

// What is cut off at its end plays as far as it goes; a record in the middle that is broken
// costs its own frame's faces alone.
TEST_F(Sidecar, ABrokenRecordNeverStopsTheStream) {
    record(0);
    std::ifstream file(path_);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);)
        lines.push_back(line);
    ASSERT_EQ(lines.size(), 6U);
    std::ofstream(path_) << lines[0] << '\n'
                         << lines[1].substr(0, 200) << '\n'
                         << lines[2] << '\n'
                         << lines[3].substr(0, 100);
    const Harness harness(gst_harness_new_parse(road().c_str()));
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {200, 100}).c_str());
    std::vector<std::size_t> faces;
    for (guint i = 0; i < 4; ++i)
        faces.push_back(n_faces(play(harness.get(), i * 40 * GST_MSECOND)));
    EXPECT_EQ(faces, (std::vector<std::size_t>{1, 0, 1, 0}));
    EXPECT_EQ(stat(harness.get(), "errors"), 1U);
}

std::string start_error(const char *location) {
    ElementOnBus sidecar(gst_element_factory_make("spheresidecar", nullptr));
    g_object_set(sidecar.get(), "location", location, nullptr);
    EXPECT_EQ(gst_element_set_state(sidecar.get(), GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    const auto errors = sidecar.messages(GST_MESSAGE_ERROR);
    return errors.size() == 1 ? errors[0] : "";
}

TEST_F(Sidecar, AFileThatIsNoneIsRefusedAtTheStart) {
    EXPECT_NE(start_error("").find("location"), std::string::npos);
    EXPECT_NE(start_error((directory_.path() + "/absent").c_str()).find("absent"),
              std::string::npos);
    std::ofstream(path_) << "no record\n";
    EXPECT_NE(start_error(path_.c_str()).find(path_ + ":1"), std::string::npos);
}

TEST_F(Sidecar, WarnsOfASidecarOfAnotherRecording) {
    record(0);
    const Harness harness(gst_harness_new_parse(road("from-start=false").c_str()));
    GstBus *bus = gst_bus_new();
    gst_element_set_bus(harness->element, bus);
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {200, 100}).c_str());
    const Buffer out = play(harness.get(), 50 * GST_SECOND);
    gst_harness_push_event(harness.get(), gst_event_new_eos());
    GstMessage *warning = gst_bus_timed_pop_filtered(bus, 0, GST_MESSAGE_WARNING);
    EXPECT_NE(warning, nullptr);
    if (warning != nullptr)
        gst_message_unref(warning);
    gst_element_set_bus(harness->element, nullptr);
    gst_object_unref(bus);
}

} // namespace
