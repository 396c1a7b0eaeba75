// SPDX-License-Identifier: MIT
// sphereklvextract and sphereklvcombine: faces become a stream of KLV beside the video, and are
// on the frames of their time again, whatever is broken in between.
#include "core/publish/klv.h"
#include "tests/gst/meta_support.h"

#include <gtest/gtest.h>

using namespace sphere_test;

namespace {

constexpr Size kSize{200, 100};
constexpr GstClockTime kFrame = 40 * GST_MSECOND;

guint64 stat_of(const Harness &harness, const char *element, const char *name) {
    GstElement *found = gst_harness_find_element(harness.get(), element);
    GstStructure *stats = nullptr;
    g_object_get(found, "stats", &stats, nullptr);
    guint64 value = 0;
    gst_structure_get_uint64(stats, name, &value);
    gst_structure_free(stats);
    gst_object_unref(found);
    return value;
}

std::size_t n_faces(const Buffer &buffer) {
    const GstSphereFaceMeta *meta =
        buffer ? gst_buffer_get_sphere_face_meta(buffer.get()) : nullptr;
    return meta != nullptr ? gst_sphere_face_meta_get_n_faces(meta) : 0;
}

/// A buffer of bytes at a time.
GstBuffer *klv_at(GstClockTime pts, const std::string &bytes) {
    GstBuffer *buffer =
        bytes.empty() ? gst_buffer_new() : gst_buffer_new_memdup(bytes.data(), bytes.size());
    GST_BUFFER_PTS(buffer) = pts;
    return buffer;
}

std::string packet_of(std::size_t faces) {
    sphere::FrameRecord record;
    record.width = kSize.width;
    record.height = kSize.height;
    for (std::size_t i = 0; i < faces; ++i) {
        sphere::Face face;
        face.box = {static_cast<float>(10 * i), 5, 20, 30};
        record.faces.push_back(face);
    }
    return sphere::to_klv(record, false).packets.at(0);
}

/// sphereklvcombine between two inputs and an output.
class Combine {
  public:
    explicit Combine(bool live = false)
        : video(gst_harness_new_with_padnames("sphereklvcombine", "sink", "src")),
          klv(gst_harness_new_with_element(video->element, "klv", nullptr)) {
        gst_harness_set_live(video.get(), live);
        gst_harness_set_live(klv.get(), live);
        if (live)
            gst_harness_use_testclock(video.get());
        gst_harness_set_src_caps_str(video.get(), caps_of("I420", kSize).c_str());
        gst_harness_set_src_caps_str(klv.get(), "meta/x-klv,parsed=true");
    }

    void push_frame(guint i) {
        gst_harness_push(video.get(), make_frame("I420", kSize, 0, i * kFrame));
    }
    void push_klv(GstClockTime pts, const std::string &bytes) {
        gst_harness_push(klv.get(), klv_at(pts, bytes));
    }
    Buffer pull() { return Buffer(gst_harness_pull(video.get())); }
    guint64 stat(const char *name) { return stat_of(video, "sphereklvcombine", name); }

    Harness video, klv;
};

/// Frames of the fake road, with the KLV that was made of them.
struct Recorded {
    std::vector<Buffer> frames;
    std::vector<Buffer> klv;
};

Recorded record(guint n) {
    const Harness video(gst_harness_new_parse(
        "spheredetect model=fake-detect inference-interval=2 ! spheretrack ! spherealign ! "
        "sphereembed model=fake-embed ! sphereklvextract embeddings=true stream=door"));
    GstElement *extract = gst_harness_find_element(video.get(), "sphereklvextract");
    const Harness klv(gst_harness_new_with_element(extract, nullptr, "klv"));
    gst_object_unref(extract);
    gst_harness_set_src_caps_str(video.get(), caps_of("I420", kSize).c_str());
    Recorded recorded;
    for (guint i = 0; i < n; ++i) {
        recorded.frames.emplace_back(gst_harness_push_and_pull(
            video.get(), make_frame("I420", kSize, 0, GST_SECOND + i * kFrame)));
        recorded.klv.emplace_back(gst_harness_pull(klv.get()));
    }
    GstCaps *caps = gst_pad_get_current_caps(klv->sinkpad);
    EXPECT_TRUE(gst_structure_has_name(gst_caps_get_structure(caps, 0), "meta/x-klv"));
    gst_caps_unref(caps);
    EXPECT_EQ(stat_of(video, "sphereklvextract", "faces"), n);
    return recorded;
}

TEST(Klv, FacesComeBackOnTheirFramesAsTheyWere) {
    const Recorded recorded = record(6);
    Combine combine;
    for (guint i = 0; i < 6; ++i) {
        const GstBuffer *klv = recorded.klv[i].get();
        EXPECT_EQ(GST_BUFFER_PTS(klv), GST_SECOND + i * kFrame);
        EXPECT_EQ(GST_BUFFER_DURATION(klv), kFrame);
    }
    const auto push_klv = [&](guint i) {
        GstBuffer *copy = gst_buffer_copy(recorded.klv[i].get());
        GST_BUFFER_PTS(copy) = i * kFrame; // a muxer lets its recording begin at 0
        gst_harness_push(combine.klv.get(), copy);
    };
    for (guint i = 0; i < 6; ++i) {
        GstBuffer *frame = make_frame("I420", kSize, 0, i * kFrame);
        const void *address = address_of(frame);
        gst_harness_push(combine.video.get(), frame);
        if (i == 0)
            push_klv(0);
        if (i < 5)
            push_klv(i + 1);
        else
            gst_harness_push_event(combine.klv.get(), gst_event_new_eos());
        const Buffer out = combine.pull();
        ASSERT_EQ(n_faces(out), 1U) << i;
        EXPECT_EQ(GST_BUFFER_PTS(out.get()), i * kFrame);
        EXPECT_EQ(address_of(out.get()), address) << "the picture was copied";
        const GstSphereFace *was = first_face(recorded.frames[i].get());
        const GstSphereFace *is = first_face(out.get());
        for (std::size_t k = 0; k < 4; ++k)
            EXPECT_NEAR(box_of(is)[k], box_of(was)[k], 1e-4);
        EXPECT_EQ(gst_sphere_face_get_track_id(is), gst_sphere_face_get_track_id(was));
        EXPECT_EQ(gst_sphere_face_get_carried(is), gst_sphere_face_get_carried(was));
        EXPECT_EQ(gst_sphere_face_get_monochrome(is), gst_sphere_face_get_monochrome(was));
        EXPECT_EQ(embedding_of(out.get()), embedding_of(recorded.frames[i].get()));
        EXPECT_EQ(rois_of(out.get()).size(), 1U);
    }
    EXPECT_EQ(combine.stat("faces"), 6U);
    EXPECT_EQ(combine.stat("frames"), 6U);
}

TEST(Klv, AFrameTakesTheRecordsOfItsTimeAlone) {
    Combine combine;
    combine.push_frame(0);
    combine.push_klv(0, packet_of(1));
    combine.push_klv(0, packet_of(2) + packet_of(1)); // several: all are its own
    combine.push_klv(GST_SECOND, packet_of(1));
    EXPECT_EQ(n_faces(combine.pull()), 4U);
    combine.push_frame(24); // 960 ms: 40 ms before the record
    EXPECT_EQ(gst_buffer_get_sphere_face_meta(combine.pull().get()), nullptr);
    combine.push_frame(26); // that record's frame was not there
    combine.push_klv(26 * kFrame + 19 * GST_MSECOND, packet_of(0));
    combine.push_klv(27 * kFrame - 19 * GST_MSECOND, packet_of(3));
    const Buffer empty = combine.pull();
    EXPECT_NE(gst_buffer_get_sphere_face_meta(empty.get()), nullptr)
        << "it was looked at, and nobody was in it";
    EXPECT_EQ(n_faces(empty), 0U);
    combine.push_frame(27);
    gst_harness_push_event(combine.klv.get(), gst_event_new_eos());
    EXPECT_EQ(n_faces(combine.pull()), 3U);
    EXPECT_EQ(combine.stat("skipped-no-record"), 1U);
    EXPECT_EQ(combine.stat("skipped-no-frame"), 1U);
    EXPECT_EQ(combine.stat("errors"), 0U);
}

TEST(Klv, WhatIsBrokenCostsItsOwnFrameAlone) {
    const std::string whole = packet_of(1);
    const std::string pieces[] = {whole, whole.substr(0, 60), std::string(500, 'x'), "", whole};
    Combine combine;
    std::vector<std::size_t> faces;
    for (guint i = 0; i < 5; ++i) {
        combine.push_frame(i);
        if (i == 0)
            combine.push_klv(0, pieces[0]);
        if (i < 4)
            combine.push_klv((i + 1) * kFrame, pieces[i + 1]);
        else
            gst_harness_push_event(combine.klv.get(), gst_event_new_eos());
        faces.push_back(n_faces(combine.pull()));
    }
    EXPECT_EQ(faces, (std::vector<std::size_t>{1, 0, 0, 0, 1}));
    EXPECT_EQ(combine.stat("errors"), 2U);
}

TEST(Klv, AFloodOfRecordsIsBounded) {
    Combine combine;
    std::string flood;
    for (int i = 0; i < 1000; ++i)
        flood += packet_of(1);
    combine.push_frame(0);
    combine.push_klv(0, flood);
    gst_harness_push_event(combine.klv.get(), gst_event_new_eos());
    EXPECT_EQ(n_faces(combine.pull()), 256U);
    EXPECT_EQ(combine.stat("errors"), 1U);
}

TEST(Klv, WithoutMetadataVideoGoesOn) {
    const Harness alone(gst_harness_new_with_padnames("sphereklvcombine", "sink", "src"));
    gst_harness_set_live(alone.get(), FALSE);
    gst_harness_set_src_caps_str(alone.get(), caps_of("I420", kSize).c_str());
    const Buffer out(
        gst_harness_push_and_pull(alone.get(), make_frame("I420", kSize, 0, kFrame)));
    EXPECT_EQ(GST_BUFFER_PTS(out.get()), kFrame);
    EXPECT_EQ(n_faces(out), 0U);

    Combine gaps; // nothing was recorded for two seconds
    gaps.push_frame(0);
    gst_harness_push_event(gaps.klv.get(), gst_event_new_gap(0, 2 * GST_SECOND));
    gst_harness_push_event(gaps.klv.get(), gst_event_new_gap(2 * GST_SECOND, GST_SECOND));
    EXPECT_EQ(n_faces(gaps.pull()), 0U);
}

// A live picture is not held up by records that do not come.
TEST(Klv, ALiveFrameWaitsAFrameAtMost) {
    Combine combine(true);
    combine.push_frame(0);
    ASSERT_TRUE(gst_harness_crank_single_clock_wait(combine.video.get()));
    EXPECT_EQ(n_faces(combine.pull()), 0U);
    EXPECT_EQ(gst_harness_query_latency(combine.video.get()), kFrame);
}

TEST(Klv, AFlushForgetsWhatWaits) {
    Combine combine;
    combine.push_frame(0);
    combine.push_klv(0, packet_of(1));
    GstEvent *start = gst_event_new_flush_start(); // of one seek: the same number on both
    GstEvent *stop = gst_event_new_flush_stop(TRUE);
    gst_event_set_seqnum(stop, gst_event_get_seqnum(start));
    for (const Harness *harness : {&combine.video, &combine.klv})
        gst_harness_push_event(harness->get(), gst_event_ref(start));
    for (const Harness *harness : {&combine.video, &combine.klv}) {
        gst_harness_push_event(harness->get(), gst_event_ref(stop));
        GstSegment segment;
        gst_segment_init(&segment, GST_FORMAT_TIME);
        gst_harness_push_event(harness->get(), gst_event_new_segment(&segment));
    }
    gst_event_unref(start);
    gst_event_unref(stop);
    combine.push_frame(0);
    gst_harness_push_event(combine.klv.get(), gst_event_new_eos());
    EXPECT_EQ(n_faces(combine.pull()), 0U);
}

TEST(Klv, BothEndsOfTheStreamEnd) {
    Combine combine;
    combine.push_frame(0);
    gst_harness_push_event(combine.klv.get(), gst_event_new_eos());
    gst_harness_push_event(combine.video.get(), gst_event_new_eos());
    const Buffer out = combine.pull();
    for (GstEventType type = GST_EVENT_UNKNOWN; type != GST_EVENT_EOS;) {
        GstEvent *event = gst_harness_pull_event(combine.video.get());
        ASSERT_NE(event, nullptr);
        type = GST_EVENT_TYPE(event);
        gst_event_unref(event);
    }
}

TEST(Klv, ThePadForMetadataCanBeGivenBackAndTakenAgain) {
    ElementOnBus combine(gst_element_factory_make("sphereklvcombine", nullptr));
    GstPad *first = gst_element_request_pad_simple(combine.get(), "klv");
    ASSERT_NE(first, nullptr);
    gst_element_release_request_pad(combine.get(), first);
    gst_object_unref(first);
    GstPad *again = gst_element_request_pad_simple(combine.get(), "klv");
    EXPECT_NE(again, nullptr);
    gst_object_unref(again);
}

TEST(Klv, FramesWithoutATimeAndNamesWithoutEndAreTold) {
    const Harness harness(gst_harness_new_with_padnames("sphereklvextract", "sink", "src"));
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", kSize).c_str());
    const Buffer out(gst_harness_push_and_pull(
        harness.get(), make_frame("I420", kSize, 0, GST_CLOCK_TIME_NONE)));
    EXPECT_NE(out, nullptr);
    EXPECT_EQ(stat_of(harness, "sphereklvextract", "skipped-no-time"), 1U);

    ElementOnBus extract(gst_element_factory_make("sphereklvextract", nullptr));
    g_object_set(extract.get(), "stream", std::string(2000, 'x').c_str(), nullptr);
    EXPECT_EQ(gst_element_set_state(extract.get(), GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    const auto errors = extract.messages(GST_MESSAGE_ERROR);
    ASSERT_EQ(errors.size(), 1U);
    EXPECT_NE(errors[0].find("stream"), std::string::npos);
}

} // namespace
