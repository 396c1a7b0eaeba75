// SPDX-License-Identifier: MIT
// What pipelines do to the faces: what is guaranteed, and what other elements are known to do.
#include "tests/gst/meta_support.h"

#include <gtest/gtest.h>

#include <atomic>
#include <ostream>

using namespace sphere_test;

namespace {

// What pipelines do to it: the face's box after `middle`, with a 200x100 frame in front. The
// fake detector's face is 75, 25, 50, 50.
struct Outcome {
    std::string middle;
    bool there;
    std::array<double, 4> box;
};

// For GoogleTest's messages.
void PrintTo(const Outcome &outcome, std::ostream *out) {
    *out << outcome.middle;
}

class Pipelines : public testing::TestWithParam<Outcome> {};

TEST_P(Pipelines, BoxAfterwards) {
    const Outcome &outcome = GetParam();
    const std::string road = "spheredetect model=fake-detect ! " + outcome.middle;
    const Harness harness(gst_harness_new_parse(road.c_str()));
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {200, 100}).c_str());
    gst_harness_push(harness.get(), make_frame("I420", {200, 100}, 0));
    gst_harness_push_event(harness.get(), gst_event_new_eos()); // videorate holds a frame back
    const Buffer out(gst_harness_pull(harness.get()));
    ASSERT_NE(out, nullptr);
    const GstSphereFace *face = first_face(out.get());
    ASSERT_EQ(face != nullptr, outcome.there);
    if (face == nullptr)
        return;
    for (std::size_t i = 0; i < 4; ++i)
        EXPECT_NEAR(box_of(face)[i], outcome.box[i], 1e-6);
}

// What an encoder's own ROI support would read arrives at its input.
TEST(Encoders, SeeFacesAndMirrors) {
    const Harness harness(
        gst_harness_new_parse("spheredetect model=fake-detect ! queue ! jpegenc name=encoder"));
    GstElement *encoder = gst_bin_get_by_name(GST_BIN(harness->element), "encoder");
    ASSERT_NE(encoder, nullptr);
    GstPad *pad = gst_element_get_static_pad(encoder, "sink");
    std::vector<std::pair<bool, std::size_t>> seen;
    gst_pad_add_probe(
        pad, GST_PAD_PROBE_TYPE_BUFFER,
        [](GstPad *, GstPadProbeInfo *info, gpointer data) {
            GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER(info);
            static_cast<decltype(seen) *>(data)->emplace_back(first_face(buffer) != nullptr,
                                                              rois_of(buffer).size());
            return GST_PAD_PROBE_OK;
        },
        &seen, nullptr);
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {200, 100}).c_str());
    gst_harness_push(harness.get(), make_frame("I420", {200, 100}, 0));
    const Buffer out(gst_harness_pull(harness.get()));
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0], (std::pair<bool, std::size_t>{true, 1}));
    gst_object_unref(pad);
    gst_object_unref(encoder);
}

// One branch goes on working at the faces; the other's stay as they were at the tee.
TEST(Tee, BranchesHaveFacesOfTheirOwn) {
    const Harness harness(gst_harness_new_parse(
        "spheredetect model=fake-detect ! tee name=t ! queue ! spherealign ! sphereembed "
        "model=fake-embed ! fakesink name=other async=false sync=false signal-handoffs=true "
        "t. ! queue name=out"));
    struct Other {
        std::atomic<int> frames{0};
        std::atomic<bool> embedded{false};
    } other;
    GstElement *sink = gst_bin_get_by_name(GST_BIN(harness->element), "other");
    g_signal_connect(sink, "handoff",
                     G_CALLBACK(+[](GstElement *, GstBuffer *buffer, GstPad *, Other *seen) {
                         seen->embedded = !embedding_of(buffer).empty();
                         ++seen->frames;
                     }),
                     &other);
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {200, 100}).c_str());
    gst_harness_push(harness.get(), make_frame("I420", {200, 100}, 0));
    const Buffer out(gst_harness_pull(harness.get()));
    for (int i = 0; i < 500 && other.frames == 0; ++i)
        g_usleep(10000);
    EXPECT_EQ(other.frames, 1);
    EXPECT_TRUE(other.embedded);
    ASSERT_NE(first_face(out.get()), nullptr);
    EXPECT_TRUE(embedding_of(out.get()).empty()) << "the other branch's embedding";
    EXPECT_EQ(gst_sphere_face_get_crop(first_face(out.get())), nullptr);
    EXPECT_EQ(rois_of(out.get()).size(), 1U);
    gst_object_unref(sink);
}

// Landmarks follow the scale about the picture's corner, half a pixel before the first centre.
TEST(Scaling, MovesLandmarksAndKeepsCropAndEmbedding) {
    const auto embedded = [](const char *scale) {
        const std::string road = std::string("spheredetect model=fake-detect ! spherealign ! "
                                             "sphereembed model=fake-embed ! ") +
                                 scale;
        const Harness harness(gst_harness_new_parse(road.c_str()));
        gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {200, 100}).c_str());
        return Buffer(
            gst_harness_push_and_pull(harness.get(), make_frame("I420", {200, 100}, 0)));
    };
    const Buffer before = embedded("identity");
    const Buffer after = embedded(
        "videoscale add-borders=false ! capsfilter caps=video/x-raw,width=100,height=300");
    const GstSphereFace *was = first_face(before.get()), *is = first_face(after.get());
    ASSERT_TRUE(was != nullptr && is != nullptr);
    gsize n = 0;
    const gfloat *from = gst_sphere_face_get_landmarks(was, &n);
    ASSERT_EQ(n, 10U);
    const gfloat *to = gst_sphere_face_get_landmarks(is, &n);
    ASSERT_EQ(n, 10U);
    for (gsize i = 0; i < n; i += 2) {
        EXPECT_NEAR(to[i], (from[i] + 0.5F) * 0.5F - 0.5F, 1e-3);
        EXPECT_NEAR(to[i + 1], (from[i + 1] + 0.5F) * 3 - 0.5F, 1e-3);
    }
    EXPECT_EQ(bytes_of(gst_sphere_face_get_crop(is)), bytes_of(gst_sphere_face_get_crop(was)));
    EXPECT_EQ(embedding_of(after.get()), embedding_of(before.get()));
}

constexpr std::array<double, 4> kBox{75, 25, 50, 50};

const std::string kSquare = "capsfilter caps=video/x-raw,width=100,height=100";

INSTANTIATE_TEST_SUITE_P(
    Guaranteed, Pipelines,
    testing::Values(
        Outcome{"identity", true, kBox}, Outcome{"queue", true, kBox},
        Outcome{"tee ! queue", true, kBox}, Outcome{"videorate", true, kBox},
        Outcome{"videorate ! capsfilter caps=video/x-raw,framerate=10/1", true, kBox},
        Outcome{"valve", true, kBox}, Outcome{"capssetter caps=video/x-raw", true, kBox},
        Outcome{"videoconvert ! capsfilter caps=video/x-raw,format=RGB", true, kBox},
        Outcome{"videobalance saturation=0.5", true, kBox},
        Outcome{"queue ! tee name=t ! queue ! fakesink async=false t. ! queue ! identity", true,
                kBox},
        Outcome{"videoscale add-borders=false ! " + kSquare, true, {37.5, 25, 25, 50}},
        Outcome{"videoconvertscale add-borders=false ! capsfilter "
                "caps=video/x-raw,format=RGB,width=100,height=100",
                true,
                {37.5, 25, 25, 50}},
        Outcome{"videoscale add-borders=false ! capsfilter "
                "caps=video/x-raw,width=400,height=200 ! videoscale "
                "add-borders=false ! capsfilter caps=video/x-raw,width=200,height=100",
                true, kBox}));

#if !GST_CHECK_VERSION(1, 28, 0)
// Pinned, not promised: before GStreamer 1.28 what crops or composes drops the faces, and
// borders make them wrong. docs/metadata.md says to crop and flip before spheredetect.
INSTANTIATE_TEST_SUITE_P(
    Pinned, Pipelines,
    testing::Values(Outcome{"videocrop left=50", false, kBox},
                    Outcome{"aspectratiocrop aspect-ratio=1/1", false, kBox},
                    Outcome{"videobox left=-50", false, kBox},
                    Outcome{"compositor", false, kBox},
                    Outcome{"jpegenc ! jpegdec", true, kBox},
                    Outcome{"videoscale add-borders=true ! capsfilter "
                            "caps=video/x-raw,width=100,height=100,pixel-aspect-ratio=1/1",
                            true,
                            {37.5, 25, 25, 50}}));

// A flip leaves them where they were in 1.22, which is wrong, and drops them in 1.26.
#if !GST_CHECK_VERSION(1, 24, 0) || GST_CHECK_VERSION(1, 26, 0)
constexpr bool kFlipKeeps = !GST_CHECK_VERSION(1, 24, 0);
INSTANTIATE_TEST_SUITE_P(
    PinnedFlips, Pipelines,
    testing::Values(Outcome{"videoflip method=horizontal-flip", kFlipKeeps, kBox},
                    Outcome{"videoflip method=clockwise", kFlipKeeps, kBox}));
#endif
#endif

} // namespace
