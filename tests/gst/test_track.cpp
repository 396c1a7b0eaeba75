// SPDX-License-Identifier: MIT
// spheretrack by itself: ids on faces of made buffers, carried faces, resets; and the store
// that it hands downstream.
#include "gst/base/track_store.h"
#include "tests/gst/element_support.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>

using namespace sphere_test;

namespace {

constexpr Size kSize{640, 480};
constexpr GstClockTime kStep = 40 * GST_MSECOND;

struct Rect {
    double x, y, w, h;
};

// The faces that a detector found in a frame; nothing: it did not look.
using Found = std::optional<std::vector<Rect>>;

GstBuffer *frame_with(const Found &found, GstClockTime pts) {
    GstBuffer *buffer = make_frame("I420", kSize, 0, pts);
    if (!found)
        return buffer;
    GstSphereFaceMeta *meta =
        gst_buffer_add_sphere_face_meta(buffer, kSize.width, kSize.height);
    for (const Rect &r : *found) {
        GstSphereFace *face = gst_sphere_face_new(r.x, r.y, r.w, r.h, 0.9);
        const gfloat left = static_cast<gfloat>(r.x), top = static_cast<gfloat>(r.y);
        const gfloat points[] = {left + 15, top + 20,  left + 35, top + 20,  left + 25,
                                 top + 35,  left + 18, top + 45,  left + 32, top + 45};
        gst_sphere_face_set_landmarks(face, points, 10);
        gst_sphere_face_meta_add_face(meta, face);
        gst_sphere_face_free(face);
    }
    return buffer;
}

struct Seen {
    gint64 track = -1;
    bool carried = false;
    Rect box{};
    double score = 0;
};

class TrackElement {
  public:
    explicit TrackElement(const std::string &description = "spheretrack")
        : harness(gst_harness_new_parse(description.c_str())) {
        gst_harness_set_src_caps_str(harness.get(), caps_of("I420", kSize).c_str());
    }

    std::vector<Seen> push(const Found &found, GstClockTime pts) {
        return push_buffer(frame_with(found, pts));
    }

    std::vector<Seen> push_buffer(GstBuffer *buffer) {
        GstBuffer *out = gst_harness_push_and_pull(harness.get(), buffer);
        EXPECT_NE(out, nullptr);
        std::vector<Seen> faces;
        const GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(out);
        has_meta = meta != nullptr;
        store = meta != nullptr ? gst_sphere_face_meta_get_tracks(meta) : nullptr;
        for (guint i = 0; meta != nullptr && i < gst_sphere_face_meta_get_n_faces(meta); ++i) {
            const GstSphereFace *face = gst_sphere_face_meta_peek_face(meta, i);
            Seen seen;
            seen.track = gst_sphere_face_get_track_id(face);
            seen.carried = gst_sphere_face_get_carried(face) != FALSE;
            seen.score = gst_sphere_face_get_score(face);
            gst_sphere_face_get_box(face, &seen.box.x, &seen.box.y, &seen.box.w, &seen.box.h);
            gsize n = 0;
            EXPECT_NE(gst_sphere_face_get_landmarks(face, &n), nullptr);
            faces.push_back(seen);
        }
        check_mirror(out, faces);
        gst_buffer_unref(out);
        return faces;
    }

    Harness harness;
    bool has_meta = false;
    GObject *store = nullptr; ///< lives as long as the element runs

  private:
    static void check_mirror(GstBuffer *buffer, const std::vector<Seen> &faces) {
        std::multiset<gint64> expected, found;
        for (const Seen &face : faces)
            expected.insert(face.track);
        gpointer state = nullptr;
        while (GstMeta *meta = gst_buffer_iterate_meta_filtered(
                   buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)) {
            const GstStructure *object = gst_video_region_of_interest_meta_get_param(
                reinterpret_cast<GstVideoRegionOfInterestMeta *>(meta), "object_id");
            gint id = -1;
            if (object != nullptr)
                gst_structure_get_int(object, "id", &id);
            found.insert(id);
        }
        EXPECT_EQ(found, expected);
    }
};

TEST(Track, IdsStayAndSkippedFramesGetCarriedFaces) {
    TrackElement track;
    GstClockTime pts = 0;
    for (int i = 0; i < 12; ++i, pts += kStep) {
        const double x = 100 + 4 * i;
        const bool looked = i % 3 == 0;
        const auto faces =
            looked ? track.push({{{x, 100, 50, 60}, {400 - x / 2, 200, 50, 60}}}, pts)
                   : track.push(std::nullopt, pts);
        ASSERT_EQ(faces.size(), 2U) << "frame " << i;
        for (const Seen &face : faces)
            EXPECT_EQ(face.carried, !looked);
        EXPECT_EQ(faces[0].track, 1);
        EXPECT_EQ(faces[1].track, 2);
        if (i > 6) {
            EXPECT_NEAR(faces[0].box.x, x, 3) << "not moved along";
        }
    }
}

TEST(Track, AFrameThatWasLookedAtWithoutFacesIsNoSkippedOne) {
    TrackElement track;
    GstClockTime pts = 0;
    for (int i = 0; i < 5; ++i, pts += kStep)
        track.push({{{100, 100, 50, 60}}}, pts);
    // Looked at: the track is lost, carried, fades and ends.
    double score = 1;
    int carried = 0;
    for (int i = 0; i < 40; ++i, pts += kStep) {
        const auto faces = track.push(std::vector<Rect>{}, pts);
        EXPECT_TRUE(track.has_meta);
        if (faces.empty())
            break;
        EXPECT_TRUE(faces[0].carried);
        EXPECT_LT(faces[0].score, score);
        score = faces[0].score;
        ++carried;
    }
    EXPECT_NEAR(carried, 25, 1) << "max-lost is a second";
    track.push(std::nullopt, pts + kStep);
    EXPECT_FALSE(track.has_meta) << "a skipped frame without tracks stays as it is";
}

TEST(Track, CarryOffLeavesFramesAsTheyAre) {
    TrackElement track("spheretrack carry=false");
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ(track.push({{{100, 100, 50, 60}}}, kStep * i)[0].track, 1);
    EXPECT_TRUE(track.push(std::nullopt, kStep * 5).empty());
    EXPECT_FALSE(track.has_meta);
    EXPECT_TRUE(track.push(std::vector<Rect>{}, kStep * 6).empty());
}

TEST(Track, CarriedFacesThatLeftTheFrameAreGone) {
    TrackElement track;
    GstClockTime pts = 0;
    for (int i = 0; i < 10; ++i, pts += kStep)
        track.push({{{500 + 14.0 * i, 100, 50, 60}}}, pts);
    std::size_t left = 1;
    for (int i = 0; i < 20 && left > 0; ++i, pts += kStep)
        left = track.push(std::vector<Rect>{}, pts).size();
    EXPECT_EQ(left, 0U);
}

TEST(Track, FlushCapsAndJumpsBeginAnew) {
    TrackElement track;
    const Found man{{{100, 100, 50, 60}}};
    EXPECT_EQ(track.push(man, 0)[0].track, 1);
    EXPECT_EQ(track.push(man, kStep)[0].track, 1);

    gst_harness_push_event(track.harness.get(), gst_event_new_flush_start());
    gst_harness_push_event(track.harness.get(), gst_event_new_flush_stop(TRUE));
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    gst_harness_push_event(track.harness.get(), gst_event_new_segment(&segment));
    auto faces = track.push(man, 2 * kStep);
    ASSERT_EQ(faces.size(), 1U);
    EXPECT_EQ(faces[0].track, 2) << "flush";

    gst_harness_set_src_caps_str(track.harness.get(),
                                 "video/x-raw,format=I420,width=640,height=480,framerate=30/1");
    faces = track.push(man, 3 * kStep);
    ASSERT_EQ(faces.size(), 1U);
    EXPECT_EQ(faces[0].track, 3) << "caps";

    // A dropped frame is marked as a discontinuity too: that ends nothing.
    GstBuffer *buffer = frame_with(man, 5 * kStep);
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DISCONT);
    EXPECT_EQ(track.push_buffer(buffer)[0].track, 3);
    buffer = frame_with(man, 5 * kStep + 700 * GST_MSECOND);
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DISCONT);
    EXPECT_EQ(track.push_buffer(buffer)[0].track, 4) << "discontinuity in time";
    EXPECT_EQ(track.push(man, 0)[0].track, 5) << "time went back";
    EXPECT_EQ(track.push(man, GST_CLOCK_TIME_NONE)[0].track, 5) << "no time";
    EXPECT_EQ(track.push(man, GST_CLOCK_TIME_NONE)[0].track, 5) << "no time";
}

// Grey stripes, so that the picture has a pattern.
GstBuffer *striped(const Found &found, GstClockTime pts, bool across, int brightness) {
    GstBuffer *buffer = frame_with(found, pts);
    GstVideoInfo info;
    gst_video_info_set_format(&info, GST_VIDEO_FORMAT_I420, kSize.width, kSize.height);
    GstVideoFrame frame;
    gst_video_frame_map(&frame, &info, buffer, GST_MAP_WRITE);
    auto *luma = static_cast<guint8 *>(GST_VIDEO_FRAME_PLANE_DATA(&frame, 0));
    for (int y = 0; y < kSize.height; ++y)
        for (int x = 0; x < kSize.width; ++x)
            luma[y * GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0) + x] =
                static_cast<guint8>(brightness + ((across ? y : x) / 80 % 2 ? 60 : 0));
    gst_video_frame_unmap(&frame);
    return buffer;
}

TEST(Track, AnotherSceneBeginsAnewAndAFlashDoesNot) {
    TrackElement track;
    const Found man{{{100, 100, 50, 60}}};
    EXPECT_EQ(track.push_buffer(striped(man, 0, false, 60))[0].track, 1);
    EXPECT_EQ(track.push_buffer(striped(man, kStep, false, 60))[0].track, 1);
    EXPECT_EQ(track.push_buffer(striped(man, 2 * kStep, false, 160))[0].track, 1) << "flash";
    EXPECT_EQ(track.push_buffer(striped(man, 3 * kStep, false, 60))[0].track, 1);
    EXPECT_EQ(track.push_buffer(striped(man, 4 * kStep, true, 60))[0].track, 2) << "cut";
    EXPECT_TRUE(track.push_buffer(striped(std::nullopt, 5 * kStep, false, 60)).empty())
        << "faces of the scene before were carried on";
    TrackElement off("spheretrack scene-cut=false");
    off.push_buffer(striped(man, 0, false, 60));
    EXPECT_EQ(off.push_buffer(striped(man, kStep, true, 60))[0].track, 1);
}

TEST(Track, TwoInstancesAreIndependent) {
    TrackElement a, b;
    const Found one{{{100, 100, 50, 60}}};
    const Found two{{{100, 100, 50, 60}, {300, 100, 50, 60}}};
    EXPECT_EQ(a.push(two, 0)[1].track, 2);
    EXPECT_EQ(b.push(one, 0)[0].track, 1);
    EXPECT_EQ(a.push(two, kStep)[1].track, 2);
    EXPECT_EQ(b.push(two, kStep)[1].track, 2);
    EXPECT_NE(a.store, b.store);
}

TEST(Track, TheStoreTravelsWithTheBuffersAndTheirCopies) {
    TrackElement track("spheretrack ! queue ! identity sleep-time=1");
    const Found man{{{100, 100, 50, 60}}};
    track.push(man, 0);
    GObject *store = track.store;
    ASSERT_NE(store, nullptr);
    track.push(man, kStep);
    EXPECT_EQ(track.store, store);

    GstBuffer *buffer = frame_with(man, 2 * kStep);
    GObject *object = G_OBJECT(gst_bus_new()); // any object
    gst_sphere_face_meta_set_tracks(gst_buffer_get_sphere_face_meta(buffer), object);
    GstBuffer *copy = gst_buffer_copy_deep(buffer);
    gst_buffer_unref(buffer);
    EXPECT_EQ(gst_sphere_face_meta_get_tracks(gst_buffer_get_sphere_face_meta(copy)), object);
    EXPECT_EQ(object->ref_count, 2U);
    gst_buffer_unref(copy);
    EXPECT_EQ(object->ref_count, 1U);
    g_object_unref(object);
}

guint64 stat_of(GstHarness *harness, const char *factory, const char *name) {
    GstElement *element = gst_harness_find_element(harness, factory);
    GstStructure *stats = nullptr;
    g_object_get(element, "stats", &stats, nullptr);
    guint64 value = 0;
    gst_structure_get_uint64(stats, name, &value);
    gst_structure_free(stats);
    gst_object_unref(element);
    return value;
}

TEST(TrackedRoad, EmbedsNewFacesAndThenTakesTheTracksEmbedding) {
    const Harness harness(gst_harness_new_parse(
        "spheredetect model=fake-detect ! spheretrack ! spherealign ! sphereembed "
        "model=fake-embed reembed-interval=20"));
    gst_harness_set_src_caps_str(harness.get(), caps_of("BGR", {96, 96}).c_str());
    std::vector<float> first;
    for (int i = 0; i < 60; ++i) {
        GstBuffer *out = gst_harness_push_and_pull(
            harness.get(), make_frame("BGR", {96, 96}, 0, static_cast<guint64>(i) * kStep));
        const auto values = embedding_of(out);
        if (i == 0)
            first = values;
        EXPECT_EQ(values, first) << "frame " << i;
        gst_buffer_unref(out);
    }
    EXPECT_FALSE(first.empty());
    // New; twice more soon, since nobody knows it; then by the interval.
    EXPECT_LE(stat_of(harness.get(), "sphereembed", "faces"), 5U);
    EXPECT_GE(stat_of(harness.get(), "sphereembed", "faces"), 4U);
    EXPECT_GE(stat_of(harness.get(), "sphereembed", "skipped-tracked"), 55U);
}

TEST(TrackedRoad, ALiveStreamThatFallsBehindKeepsTheEmbeddingItHas) {
    const Harness harness(gst_harness_new_parse(
        "spheredetect model=fake-detect ! spheretrack ! spherealign ! sphereembed "
        "model=fake-embed reembed-interval=1"));
    gst_harness_use_testclock(harness.get());
    gst_harness_set_src_caps_str(harness.get(), caps_of("BGR", {96, 96}).c_str());
    const auto push = [&](int i, GstClockTime late) {
        const GstClockTime pts = static_cast<guint64>(i) * kStep;
        gst_harness_set_time(harness.get(), pts + late);
        GstBuffer *out =
            gst_harness_push_and_pull(harness.get(), make_frame("BGR", {96, 96}, 0, pts));
        EXPECT_EQ(embedding_of(out).size(), 128U) << "frame " << i;
        gst_buffer_unref(out);
    };
    // The source's own latency is no load.
    for (int i = 0; i < 10; ++i)
        push(i, 300 * GST_MSECOND);
    EXPECT_EQ(stat_of(harness.get(), "sphereembed", "faces"), 10U);
    for (int i = 10; i < 20; ++i)
        push(i, 500 * GST_MSECOND);
    EXPECT_EQ(stat_of(harness.get(), "sphereembed", "faces"), 10U);
    EXPECT_EQ(stat_of(harness.get(), "sphereembed", "skipped-load"), 10U);
    for (int i = 30; i < 35; ++i)
        push(i, 310 * GST_MSECOND);
    EXPECT_EQ(stat_of(harness.get(), "sphereembed", "faces"), 15U);
}

TEST(TrackStore, KeepsTheBestShotAndForgetsEndedTracks) {
    sphere::gst::TrackStore store;
    const auto small = std::make_shared<const sphere::Image>(8, 8);
    const auto good = std::make_shared<const sphere::Image>(16, 16);
    store.offer_shot(1, 0.9F, good);
    EXPECT_EQ(store.best_shot(1), nullptr) << "a track that was never born";
    store.begin(1);
    store.offer_shot(1, 0.2F, small);
    store.offer_shot(1, 0.6F, good);
    store.offer_shot(1, 0.5F, small);
    EXPECT_EQ(store.best_shot(1), good);
    store.end(1);
    store.next_frame();
    EXPECT_EQ(store.best_shot(1), good) << "frames in a queue still need it";
    for (int i = 0; i < 400; ++i)
        store.next_frame();
    EXPECT_EQ(store.size(), 0U);
    for (int i = 0; i < 10000; ++i)
        store.begin(i);
    EXPECT_LE(store.size(), 4096U);
}

TEST(TrackStore, AsksForAnEmbeddingWhenItIsWorthIt) {
    sphere::gst::TrackStore store;
    const sphere::EmbeddingStamp stamp{"net", "00", "p", "t", "none", 2};
    const sphere::EmbeddingStamp other{"other", "00", "p", "t", "none", 2};
    const auto embedding = [&](float value) {
        return sphere::Embedding{std::make_shared<const sphere::EmbeddingStamp>(stamp),
                                 {value, 1}};
    };
    const sphere::gst::EmbedPolicy policy{60};
    store.begin(7);
    EXPECT_TRUE(store.wants_embedding(7, stamp, 0.3F, 0, policy));
    store.set_embedding(7, embedding(1), 0.3F, 0);
    store.set_decision(7, sphere::FaceState::Known);
    EXPECT_TRUE(store.wants_embedding(7, other, 0.3F, 1, policy)) << "another network";
    EXPECT_FALSE(store.wants_embedding(7, stamp, 0.3F, 20, policy));
    EXPECT_FALSE(store.wants_embedding(7, stamp, 0.9F, 2, policy)) << "just now";
    EXPECT_TRUE(store.wants_embedding(7, stamp, 0.5F, 20, policy)) << "clearly better";
    EXPECT_TRUE(store.wants_embedding(7, stamp, 0.1F, 60, policy)) << "old";
    EXPECT_FALSE(store.wants_embedding(7, stamp, 0.1F, 60, {0})) << "0 = quality alone";
    store.set_decision(7, sphere::FaceState::Unknown);
    EXPECT_TRUE(store.wants_embedding(7, stamp, 0.3F, 20, policy)) << "nobody knows it yet";
    store.set_embedding(7, embedding(2), 0.1F, 60);
    ASSERT_NE(store.embedding(7, stamp), nullptr);
    EXPECT_EQ(store.embedding(7, stamp)->values[0], 1) << "the better one";
    EXPECT_EQ(store.embedding(7, other), nullptr);
    store.set_embedding(7, embedding(3), 0.8F, 70);
    EXPECT_EQ(store.embedding(7, stamp)->values[0], 3);
}

} // namespace
