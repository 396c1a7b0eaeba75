// SPDX-License-Identifier: MIT
// spherematch, spherepublish and sphereoverlay: states on the faces, messages on the bus,
// records, and pixels inside the frame only.
#include "tests/gst/match_support.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sys/stat.h>

using namespace sphere_test;

namespace {

namespace fs = std::filesystem;

TEST(Match, FacesWithoutColoursAreToldAndHaveAThresholdOfTheirOwn) {
    const TempDir dir;
    const Probe probe = probe_of_test_frame();
    enrol(dir / "people.db", "ada", probe.values,
          *sphere::EmbeddingStamp::from_string(probe.stamp));
    for (const std::string format : {"GRAY8", "BGR"}) {
        SCOPED_TRACE(format);
        const bool grey = format == "GRAY8";
        const Harness harness(gst_harness_new_parse(
            (std::string(kRoad) +
             " ! spherematch threshold=0.5 monochrome-threshold=0.25 gallery=" +
             (dir / "people.db"))
                .c_str()));
        gst_harness_set_src_caps_str(harness.get(), caps_of(format, {96, 96}).c_str());
        GstBuffer *in = make_frame(format, {96, 96}, 0);
        if (!grey) { // a patch of another hue
            GstMapInfo map;
            ASSERT_TRUE(gst_buffer_map(in, &map, GST_MAP_WRITE));
            for (gsize i = 2; i < map.size / 2; i += 3)
                map.data[i] = 255;
            gst_buffer_unmap(in, &map);
        }
        GstBuffer *out = gst_harness_push_and_pull(harness.get(), in);
        ASSERT_NE(out, nullptr);
        const GstSphereFace *face =
            gst_sphere_face_meta_peek_face(gst_buffer_get_sphere_face_meta(out), 0);
        EXPECT_EQ(gst_sphere_face_get_monochrome(face) != FALSE, grey);
        gdouble threshold = 0;
        ASSERT_TRUE(gst_sphere_face_get_match_info(face, nullptr, &threshold, nullptr));
        EXPECT_DOUBLE_EQ(threshold, grey ? 0.25 : 0.5);
        gst_buffer_unref(out);
    }
}

TEST(Match, StatesCandidatesAndEvents) {
    const TempDir dir;
    const Probe probe = probe_of_test_frame();
    ASSERT_FALSE(probe.values.empty());
    const auto stamp = *sphere::EmbeddingStamp::from_string(probe.stamp);
    const std::string gallery = dir / "people.db";
    enrol(gallery, "ada", probe.values, stamp);
    enrol(gallery, "bob", other_person(probe.values), stamp);

    MatchElement element(gallery);
    GstBuffer *out = element.push();
    ASSERT_NE(out, nullptr);
    const GstSphereFace *face =
        gst_sphere_face_meta_peek_face(gst_buffer_get_sphere_face_meta(out), 0);
    EXPECT_EQ(gst_sphere_face_get_state(face), GST_SPHERE_FACE_STATE_KNOWN);
    EXPECT_STREQ(gst_sphere_face_get_match_id(face), "ada");
    EXPECT_STREQ(gst_sphere_face_get_match_label(face), "ada");
    gdouble distance = 1, similarity = 0;
    ASSERT_TRUE(
        gst_sphere_face_get_candidate(face, 0, nullptr, nullptr, &distance, &similarity));
    EXPECT_NEAR(distance, 0, 1e-5);
    EXPECT_NEAR(similarity, 1, 1e-5);
    const auto *roi = reinterpret_cast<GstVideoRegionOfInterestMeta *>(
        gst_buffer_get_meta(out, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE));
    ASSERT_NE(roi, nullptr) << "no mirror";
    const GstStructure *match = gst_video_region_of_interest_meta_get_param(
        const_cast<GstVideoRegionOfInterestMeta *>(roi), "match");
    ASSERT_NE(match, nullptr);
    EXPECT_STREQ(gst_structure_get_string(match, "id"), "ada");
    EXPECT_STREQ(gst_structure_get_string(match, "state"), "known");
    gst_buffer_unref(out);

    // Appeared and identified once, however many frames; left after the time-out or at the end.
    for (int i = 1; i < 5; ++i)
        gst_buffer_unref(element.push(i * 40 * GST_MSECOND));
    auto messages = element.bus.messages(GST_MESSAGE_ELEMENT);
    ASSERT_EQ(messages.size(), 2U);
    EXPECT_NE(messages[0].find("event=(string)appeared"), std::string::npos) << messages[0];
    EXPECT_NE(messages[1].find("event=(string)identified"), std::string::npos) << messages[1];
    EXPECT_NE(messages[1].find("id=(string)ada"), std::string::npos) << messages[1];
    gst_harness_push_event(element.harness.get(), gst_event_new_eos());
    messages = element.bus.messages(GST_MESSAGE_ELEMENT);
    ASSERT_EQ(messages.size(), 1U);
    EXPECT_NE(messages[0].find("event=(string)left"), std::string::npos) << messages[0];
}

TEST(Match, PresenceTimesOut) {
    const TempDir dir;
    const Probe probe = probe_of_test_frame();
    const std::string gallery = dir / "people.db";
    enrol(gallery, "ada", probe.values, *sphere::EmbeddingStamp::from_string(probe.stamp));
    MatchElement element(gallery);
    gst_buffer_unref(element.push(0));
    element.bus.messages(GST_MESSAGE_ELEMENT);
    gst_harness_set_src_caps_str(element.harness.get(), caps_of("BGR", {4, 4}).c_str());
    for (const GstClockTime pts : {1900 * GST_MSECOND, 2100 * GST_MSECOND}) { // no face at 4x4
        EXPECT_TRUE(element.bus.messages(GST_MESSAGE_ELEMENT).empty());
        gst_harness_push(element.harness.get(), make_frame("BGR", {4, 4}, 0, pts));
    }
    const auto messages = element.bus.messages(GST_MESSAGE_ELEMENT);
    ASSERT_EQ(messages.size(), 1U);
    EXPECT_NE(messages[0].find("event=(string)left"), std::string::npos);
}

TEST(Match, UnknownAndReloadWhileRunning) {
    const TempDir dir;
    const Probe probe = probe_of_test_frame();
    const auto stamp = *sphere::EmbeddingStamp::from_string(probe.stamp);
    const std::string gallery = dir / "people.db";
    enrol(gallery, "bob", other_person(probe.values), stamp);
    MatchElement element(gallery);
    GstBuffer *out = element.push();
    const GstSphereFace *face =
        gst_sphere_face_meta_peek_face(gst_buffer_get_sphere_face_meta(out), 0);
    EXPECT_EQ(gst_sphere_face_get_state(face), GST_SPHERE_FACE_STATE_UNKNOWN);
    EXPECT_EQ(gst_sphere_face_get_reason(face), GST_SPHERE_FACE_REASON_BELOW_THRESHOLD);
    EXPECT_EQ(gst_sphere_face_get_match_id(face), nullptr);
    EXPECT_STREQ(gst_sphere_face_get_unknown_label(face), "unknown");
    gst_buffer_unref(out);

    enrol(gallery, "ada", probe.values, stamp);
    bool known = false;
    const gint64 deadline = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
    while (!known && g_get_monotonic_time() < deadline) {
        g_usleep(50000);
        out = element.push();
        known = gst_sphere_face_get_state(gst_sphere_face_meta_peek_face(
                    gst_buffer_get_sphere_face_meta(out), 0)) == GST_SPHERE_FACE_STATE_KNOWN;
        gst_buffer_unref(out);
    }
    EXPECT_TRUE(known) << "the new person was not picked up";
}

TEST(Match, WrongModelIsUnusable) {
    const TempDir dir;
    const Probe probe = probe_of_test_frame();
    auto stamp = *sphere::EmbeddingStamp::from_string(probe.stamp);
    stamp.sha256 = std::string(64, '0');
    const std::string gallery = dir / "people.db";
    enrol(gallery, "ada", probe.values, stamp);
    MatchElement element(gallery);
    GstBuffer *out = element.push();
    const GstSphereFace *face =
        gst_sphere_face_meta_peek_face(gst_buffer_get_sphere_face_meta(out), 0);
    EXPECT_EQ(gst_sphere_face_get_state(face), GST_SPHERE_FACE_STATE_UNUSABLE);
    EXPECT_EQ(gst_sphere_face_get_reason(face), GST_SPHERE_FACE_REASON_WRONG_MODEL);
    gst_buffer_unref(out);
}

TEST(Match, NoGalleryIsOneErrorThatSaysHowToEnrol) {
    const TempDir dir;
    fs::create_directory(dir / "folder");
    std::ofstream(dir / "text.db") << "this is no database, whatever its name says. ";
    for (const std::string &gallery :
         {std::string(), dir / "missing.db", dir / "folder", dir / "text.db"}) {
        SCOPED_TRACE(gallery);
        GstElement *match = gst_element_factory_make("spherematch", nullptr);
        gst_object_ref_sink(match);
        ElementOnBus element(match);
        if (!gallery.empty())
            g_object_set(match, "gallery", gallery.c_str(), nullptr);
        EXPECT_EQ(gst_element_set_state(match, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
        const auto errors = element.messages(GST_MESSAGE_ERROR);
        ASSERT_EQ(errors.size(), 1U);
        EXPECT_NE(errors[0].find(gallery), std::string::npos) << errors[0];
        const bool is_a_file = gallery == dir / "text.db"; // enrolling would not mend that
        EXPECT_TRUE(is_a_file || errors[0].find("spherectl enrol") != std::string::npos)
            << errors[0];
    }
}

TEST(Publish, OneLineAFrameInOrderWithPts) {
    const TempDir dir;
    const std::string path = dir / "faces.jsonl";
    {
        const std::string road =
            std::string(kRoad) + " ! spherepublish stream=cam1 location=" + path;
        const Harness harness(gst_harness_new_parse(road.c_str()));
        gst_harness_set_src_caps_str(harness.get(), caps_of("NV12", {96, 96}).c_str());
        for (int i = 0; i < 10; ++i)
            gst_harness_push(harness.get(),
                             make_frame("NV12", {96, 96}, 0, i * 40 * GST_MSECOND));
    }
    std::ifstream file(path);
    std::string line;
    int n = 0;
    for (; std::getline(file, line); ++n) {
        EXPECT_NE(line.find("\"schema\":\"sphere.frame/1\",\"stream\":\"cam1\",\"pts\":" +
                            std::to_string(n * 40 * GST_MSECOND) + ","),
                  std::string::npos)
            << line;
        EXPECT_EQ(line.find("\"embedding\""), std::string::npos)
            << "biometric data unasked for";
    }
    EXPECT_EQ(n, 10);
    struct stat info {};
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST(Publish, WallClockTimesComeFromTheSource) {
    const TempDir dir;
    const std::string path = dir / "faces.jsonl";
    {
        const std::string road =
            "spheredetect model=fake-detect ! spherepublish location=" + path;
        const Harness harness(gst_harness_new_parse(road.c_str()));
        gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {64, 48}).c_str());
        const std::pair<const char *, guint64> times[] = {
            // 2026-01-02T03:04:05.000000006Z, since 1970 and since 1900.
            {"timestamp/x-unix", G_GUINT64_CONSTANT(1767323045) * GST_SECOND + 6},
            {"timestamp/x-ntp", G_GUINT64_CONSTANT(3976311845) * GST_SECOND + 6},
            {"timestamp/x-other", 6}};
        for (const auto &[name, time] : times) {
            GstBuffer *frame = make_frame("I420", {64, 48}, 0);
            GstCaps *caps = gst_caps_new_empty_simple(name);
            gst_buffer_add_reference_timestamp_meta(frame, caps, time, GST_CLOCK_TIME_NONE);
            gst_caps_unref(caps);
            gst_harness_push(harness.get(), frame);
        }
        GstBuffer *timeless = make_frame("I420", {64, 48}, 0);
        GST_BUFFER_PTS(timeless) = GST_CLOCK_TIME_NONE;
        gst_harness_push(harness.get(), timeless);
    }
    std::ifstream file(path);
    std::string line;
    for (const char *expected : {"\"time\":\"2026-01-02T03:04:05.000000006Z\"",
                                 "\"time\":\"2026-01-02T03:04:05.000000006Z\"", "\"time\":null",
                                 "\"pts\":null,\"stream_time\":null"}) {
        ASSERT_TRUE(std::getline(file, line));
        EXPECT_NE(line.find(expected), std::string::npos) << line;
    }
}

TEST(Publish, FullDiskAndMissingFolderAreErrors) {
    GstElement *publish = gst_element_factory_make("spherepublish", nullptr);
    gst_object_ref_sink(publish);
    ElementOnBus element(publish);
    g_object_set(publish, "location", "/no/such/folder/faces.jsonl", nullptr);
    EXPECT_EQ(gst_element_set_state(publish, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    EXPECT_EQ(element.messages(GST_MESSAGE_ERROR).size(), 1U);
    gst_element_set_state(publish, GST_STATE_NULL);

    g_object_set(publish, "location", "/dev/full", nullptr);
    {
        const Harness harness(gst_harness_new_with_element(publish, "sink", "src"));
        gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {64, 48}).c_str());
        EXPECT_EQ(gst_harness_push(harness.get(), make_frame("I420", {64, 48}, 0)),
                  GST_FLOW_ERROR);
        const auto errors = element.messages(GST_MESSAGE_ERROR);
        ASSERT_EQ(errors.size(), 1U);
        EXPECT_NE(errors[0].find("/dev/full"), std::string::npos) << errors[0];
    }
}

class Overlay : public testing::TestWithParam<std::string> {};

// Padding must keep its bytes, pixels away from the face too, and the box must show.
TEST_P(Overlay, DrawsInsideTheFrameOnly) {
    const std::string format = GetParam();
    for (const Size size : {Size{321, 243}, Size{64, 48}, Size{9, 9}, Size{1, 1}}) {
        SCOPED_TRACE(format + " " + std::to_string(size.width) + "x" +
                     std::to_string(size.height));
        constexpr int kPad = 13;
        const Harness harness(
            gst_harness_new_parse("spheredetect model=fake-detect ! sphereoverlay"));
        gst_harness_set_src_caps_str(harness.get(), caps_of(format, size).c_str());
        GstBuffer *in = make_frame(format, size, kPad);
        const auto before = bytes_of(in);
        GstBuffer *out = gst_harness_push_and_pull(harness.get(), in);
        const auto after = bytes_of(out);
        ASSERT_EQ(before.size(), after.size());
        const bool has_face = std::min(size.width, size.height) >= 8;
        EXPECT_EQ(has_face, before != after) << "drawn or not drawn";
        const GstVideoMeta *meta = gst_buffer_get_video_meta(out);
        GstVideoInfo info;
        gst_video_info_init(&info);
        gst_video_info_set_format(&info, gst_video_format_from_string(format.c_str()),
                                  static_cast<guint>(size.width),
                                  static_cast<guint>(size.height));
        for (guint p = 0; p < meta->n_planes; ++p) {
            const gsize end = p + 1 < meta->n_planes ? meta->offset[p + 1] : after.size();
            for (gsize row = meta->offset[p]; row < end; row += meta->stride[p])
                for (int i = meta->stride[p] - kPad; i < meta->stride[p]; ++i)
                    ASSERT_EQ(after[row + i], kPadding) << "padding written";
        }
        gst_buffer_unref(out);
    }
}

INSTANTIATE_TEST_SUITE_P(Formats, Overlay, testing::ValuesIn(kFormats));

TEST(OverlayBoxes, AbsurdBoxesAreClipped) {
    const Harness harness(gst_harness_new("sphereoverlay"));
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {64, 48}).c_str());
    GstBuffer *in = make_frame("I420", {64, 48}, 0);
    GstSphereFaceMeta *meta = gst_buffer_add_sphere_face_meta(in, 64, 48);
    const double boxes[][4] = {{-1e9, -1e9, 2e9, 2e9},
                               {60, 40, 1e6, 1e6},
                               {-50, 10, 20, 5},
                               {1e30, 1e30, 1, 1},
                               {5, 5, 0, 0}};
    for (const auto &box : boxes) {
        GstSphereFace *face = gst_sphere_face_new(box[0], box[1], box[2], box[3], 0.5);
        gst_sphere_face_set_state(face, GST_SPHERE_FACE_STATE_UNKNOWN,
                                  GST_SPHERE_FACE_REASON_BELOW_THRESHOLD);
        gst_sphere_face_meta_add_face(meta, face);
        gst_sphere_face_free(face);
    }
    GstBuffer *out = gst_harness_push_and_pull(harness.get(), in);
    ASSERT_NE(out, nullptr);
    gst_buffer_unref(out);
}

} // namespace
