// SPDX-License-Identifier: MIT
// The mirror as GstAnalyticsRelationMeta, for GStreamer 1.24 and newer: a detection a face, its
// track and its person, one set however often it is written, and nobody else's items lost.
#include "tests/gst/element_support.h"

#include <gst/analytics/analytics.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

using namespace sphere_test;

namespace {

template <auto function> struct Call {
    template <typename T> void operator()(T *pointer) const { function(pointer); }
};
using Buffer = std::unique_ptr<GstBuffer, Call<gst_buffer_unref>>;
using FacePtr = std::unique_ptr<GstSphereFace, Call<gst_sphere_face_free>>;

struct Seen {
    std::string type;
    std::array<gint, 4> box{};
    gfloat score = 0;
    std::optional<guint64> track;
    std::string person;
    gfloat similarity = 0;
};

GstAnalyticsRelationMeta *relations_of(GstBuffer *buffer) {
    return gst_buffer_get_analytics_relation_meta(buffer);
}

std::size_t items_of(GstBuffer *buffer) {
    const auto *relations = relations_of(buffer);
    return relations != nullptr ? gst_analytics_relation_get_length(relations) : 0;
}

// What code that knows nothing of ours reads: detections and what they are related to.
std::vector<Seen> read(GstBuffer *buffer) {
    std::vector<Seen> all;
    GstAnalyticsRelationMeta *relations = relations_of(buffer);
    if (relations == nullptr)
        return all;
    gpointer state = nullptr;
    GstAnalyticsMtd item;
    while (gst_analytics_relation_meta_iterate(relations, &state,
                                               gst_analytics_od_mtd_get_mtd_type(), &item)) {
        Seen seen;
        seen.type = g_quark_to_string(gst_analytics_od_mtd_get_obj_type(&item));
        EXPECT_TRUE(gst_analytics_od_mtd_get_location(&item, &seen.box[0], &seen.box[1],
                                                      &seen.box[2], &seen.box[3], &seen.score));
        const auto related = [&](GstAnalyticsMtdType type, GstAnalyticsMtd *to) {
            gpointer place = nullptr;
            return gst_analytics_relation_meta_get_direct_related(
                       relations, item.id, GST_ANALYTICS_REL_TYPE_RELATE_TO, type, &place,
                       to) &&
                   gst_analytics_relation_meta_get_relation(relations, to->id, item.id) ==
                       GST_ANALYTICS_REL_TYPE_RELATE_TO;
        };
        GstAnalyticsMtd track, person;
        guint64 id = 0;
        GstClockTime first = 0, last = 0;
        gboolean lost = TRUE;
        if (related(gst_analytics_tracking_mtd_get_mtd_type(), &track) &&
            gst_analytics_tracking_mtd_get_info(&track, &id, &first, &last, &lost)) {
            seen.track = id;
            EXPECT_FALSE(lost);
        }
        if (related(gst_analytics_cls_mtd_get_mtd_type(), &person)) {
            EXPECT_EQ(gst_analytics_cls_mtd_get_length(&person), 1U);
            seen.person = g_quark_to_string(gst_analytics_cls_mtd_get_quark(&person, 0));
            seen.similarity = gst_analytics_cls_mtd_get_level(&person, 0);
        }
        all.push_back(seen);
    }
    return all;
}

FacePtr known_face(const char *person, gint64 track) {
    FacePtr face(gst_sphere_face_new(10.4, 20.6, 30, 40, 0.75));
    gst_sphere_face_set_track_id(face.get(), track);
    gst_sphere_face_add_candidate(face.get(), person, "A name", 0.25, 0.75);
    gst_sphere_face_set_state(face.get(), GST_SPHERE_FACE_STATE_KNOWN,
                              GST_SPHERE_FACE_REASON_NONE);
    return face;
}

GstSphereFaceMeta *meta_of(const Buffer &buffer) {
    return gst_buffer_get_sphere_face_meta(buffer.get());
}

void sync(const Buffer &buffer) {
    gst_sphere_face_meta_sync(meta_of(buffer), buffer.get());
}

// A frame with three faces: known and tracked, unknown and tracked, and just detected.
Buffer three_faces() {
    Buffer buffer(gst_buffer_new());
    GST_BUFFER_PTS(buffer.get()) = GST_SECOND;
    GstSphereFaceMeta *meta = gst_buffer_add_sphere_face_meta(buffer.get(), 200, 100);
    const FacePtr known = known_face("ada", 7);
    const FacePtr unknown = known_face("bob", 8);
    gst_sphere_face_set_state(unknown.get(), GST_SPHERE_FACE_STATE_UNKNOWN,
                              GST_SPHERE_FACE_REASON_BELOW_THRESHOLD);
    const FacePtr plain(gst_sphere_face_new(-5, 90, 20, 20, 0.5));
    for (const FacePtr *face : {&known, &unknown, &plain})
        gst_sphere_face_meta_add_face(meta, face->get());
    gst_sphere_face_meta_sync(meta, buffer.get());
    return buffer;
}

constexpr std::size_t kItems = 3 + 2 + 1; // detections, trackings, a classification

void expect_three(const Buffer &buffer) {
    const auto faces = read(buffer.get());
    ASSERT_EQ(faces.size(), 3U);
    EXPECT_EQ(items_of(buffer.get()), kItems);
    for (const Seen &face : faces)
        EXPECT_EQ(face.type, "face");
    EXPECT_EQ(faces[0].box, (std::array<gint, 4>{10, 21, 30, 40}));
    EXPECT_FLOAT_EQ(faces[0].score, 0.75F);
    EXPECT_EQ(faces[0].track, 7U);
    EXPECT_EQ(faces[0].person, "ada");
    EXPECT_FLOAT_EQ(faces[0].similarity, 0.75F);
    EXPECT_EQ(faces[1].track, 8U);
    EXPECT_EQ(faces[1].person, "") << "a person for a face that is not known";
    EXPECT_EQ(faces[2].box, (std::array<gint, 4>{-5, 90, 20, 20}));
    EXPECT_EQ(faces[2].track, std::nullopt);
    EXPECT_EQ(faces[2].person, "");
}

TEST(Analytics, DetectionTrackAndPersonAreRelated) {
    expect_three(three_faces());
}

TEST(Analytics, TrackIsSeenAtTheFramesTime) {
    const Buffer buffer = three_faces();
    gpointer state = nullptr;
    GstAnalyticsMtd track;
    ASSERT_TRUE(gst_analytics_relation_meta_iterate(
        relations_of(buffer.get()), &state, gst_analytics_tracking_mtd_get_mtd_type(), &track));
    guint64 id = 0;
    GstClockTime first = 0, last = 0;
    gboolean lost = TRUE;
    ASSERT_TRUE(gst_analytics_tracking_mtd_get_info(&track, &id, &first, &last, &lost));
    EXPECT_EQ(last, GST_SECOND);
}

TEST(Analytics, WrittenTwiceIsOneSet) {
    const Buffer buffer = three_faces();
    sync(buffer);
    sync(buffer);
    expect_three(buffer);
}

TEST(Analytics, WrittenAgainOnACopyIsOneSet) {
    const Buffer buffer = three_faces();
    const Buffer copy(gst_buffer_copy(buffer.get()));
    expect_three(copy);
    sync(copy);
    expect_three(copy);
    const Buffer again(gst_buffer_copy_deep(copy.get()));
    sync(again);
    expect_three(again);
    expect_three(buffer);
}

TEST(Analytics, FollowsChanges) {
    const Buffer buffer = three_faces();
    const FacePtr face(gst_sphere_face_meta_get_face(meta_of(buffer), 2));
    gst_sphere_face_set_box(face.get(), 1, 2, 3, 4);
    gst_sphere_face_set_track_id(face.get(), 9);
    gst_sphere_face_meta_set_face(meta_of(buffer), 2, face.get());
    sync(buffer);
    const auto faces = read(buffer.get());
    ASSERT_EQ(faces.size(), 3U);
    EXPECT_EQ(faces[2].box, (std::array<gint, 4>{1, 2, 3, 4}));
    EXPECT_EQ(faces[2].track, 9U);
    gst_sphere_face_meta_clear(meta_of(buffer));
    sync(buffer);
    EXPECT_EQ(items_of(buffer.get()), 0U);
}

TEST(Analytics, NoFacesNoRelations) {
    const Buffer buffer(gst_buffer_new());
    gst_buffer_add_sphere_face_meta(buffer.get(), 200, 100);
    sync(buffer);
    EXPECT_EQ(relations_of(buffer.get()), nullptr);
}

GstAnalyticsMtd add_car(GstBuffer *buffer) {
    GstAnalyticsMtd car;
    EXPECT_TRUE(gst_analytics_relation_meta_add_od_mtd(
        gst_buffer_add_analytics_relation_meta(buffer), g_quark_from_static_string("car"), 1, 2,
        3, 4, 0.5F, &car));
    return car;
}

std::size_t count(const std::vector<Seen> &all, const char *type) {
    return static_cast<std::size_t>(std::count_if(
        all.begin(), all.end(), [type](const Seen &seen) { return seen.type == type; }));
}

TEST(Analytics, OthersItemsStayAndOursAreOneSet) {
    for (const bool before : {true, false}) {
        SCOPED_TRACE(before ? "a car before the faces" : "a car after the faces");
        const Buffer buffer(gst_buffer_new());
        if (before)
            add_car(buffer.get());
        GstSphereFaceMeta *meta = gst_buffer_add_sphere_face_meta(buffer.get(), 200, 100);
        gst_sphere_face_meta_add_face(meta, known_face("ada", 7).get());
        sync(buffer);
        if (!before)
            add_car(buffer.get());
        for (int i = 0; i < 2; ++i) {
            sync(buffer);
            const auto all = read(buffer.get());
            EXPECT_EQ(all.size(), 2U);
            EXPECT_EQ(count(all, "car"), 1U);
            EXPECT_EQ(count(all, "face"), 1U);
            EXPECT_EQ(items_of(buffer.get()), 4U);
        }
        const Buffer copy(gst_buffer_copy(buffer.get()));
        sync(copy);
        EXPECT_EQ(items_of(copy.get()), 4U);
        // What becomes known later is added to the face that is there.
        gst_sphere_face_meta_add_face(meta_of(copy), known_face("bob", 8).get());
        sync(copy);
        const auto all = read(copy.get());
        EXPECT_EQ(count(all, "face"), 2U);
        EXPECT_EQ(count(all, "car"), 1U);
        EXPECT_EQ(all.back().person, "bob");
    }
}

// As many items as we wrote need not be ours: somebody may have dropped the meta and begun
// anew.
TEST(Analytics, ANewMetaOfOthersStays) {
    const Buffer buffer(gst_buffer_new());
    GstSphereFaceMeta *meta = gst_buffer_add_sphere_face_meta(buffer.get(), 200, 100);
    const FacePtr face(gst_sphere_face_new(1, 2, 3, 4, 0.5));
    gst_sphere_face_meta_add_face(meta, face.get());
    sync(buffer);
    ASSERT_EQ(items_of(buffer.get()), 1U);
    gst_buffer_remove_meta(buffer.get(),
                           reinterpret_cast<GstMeta *>(relations_of(buffer.get())));
    add_car(buffer.get());
    for (int i = 0; i < 2; ++i) {
        sync(buffer);
        const auto all = read(buffer.get());
        EXPECT_EQ(all.size(), 2U);
        EXPECT_EQ(count(all, "car"), 1U);
        EXPECT_EQ(count(all, "face"), 1U);
    }
}

TEST(Analytics, BoxesBeyondItsIntegersAreClipped) {
    const Buffer buffer(gst_buffer_new());
    GstSphereFaceMeta *meta = gst_buffer_add_sphere_face_meta(buffer.get(), 200, 100);
    const FacePtr face(gst_sphere_face_new(-1e300, 1e12, 1e300, 5e9, 0.5));
    gst_sphere_face_meta_add_face(meta, face.get());
    sync(buffer);
    const auto all = read(buffer.get());
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].box, (std::array<gint, 4>{G_MININT, G_MAXINT, G_MAXINT, G_MAXINT}));
}

// GStreamer keeps a square table of relations: many faces must not take minutes or gigabytes.
TEST(Analytics, TenThousandFacesTakeSeconds) {
    const Buffer buffer(gst_buffer_new());
    GstSphereFaceMeta *meta = gst_buffer_add_sphere_face_meta(buffer.get(), 200, 100);
    for (int i = 0; i < 10000; ++i)
        gst_sphere_face_meta_add_face(meta, known_face("ada", i).get());
    const auto start = std::chrono::steady_clock::now();
    sync(buffer);
    sync(buffer);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
    EXPECT_GE(read(buffer.get()).size(), 1000U);
}

// A face detector that is not ours: its detections become faces, its cars and our own mirrors
// do not.
TEST(Analytics, OthersDetectionsAreImportedAndOursAreNot) {
    const Buffer buffer(gst_buffer_new());
    GstAnalyticsRelationMeta *relations = gst_buffer_add_analytics_relation_meta(buffer.get());
    GstAnalyticsODMtd detection;
    ASSERT_TRUE(gst_analytics_relation_meta_add_od_mtd(relations, g_quark_from_string("face"),
                                                       10, 20, 30, 40, 0.875F, &detection));
    add_car(buffer.get());
    GstSphereFaceMeta *meta = gst_buffer_add_sphere_face_meta(buffer.get(), 200, 100);
    for (int i = 0; i < 3; ++i) {
        gst_sphere_face_meta_clear(meta);
        ASSERT_EQ(gst_sphere_face_meta_import_faces(meta, buffer.get(), "face"), 1U) << i;
        const GstSphereFace *face = gst_sphere_face_meta_peek_face(meta, 0);
        gdouble x = 0, y = 0, width = 0, height = 0;
        gst_sphere_face_get_box(face, &x, &y, &width, &height);
        EXPECT_EQ((std::array<gdouble, 4>{x, y, width, height}),
                  (std::array<gdouble, 4>{10, 20, 30, 40}));
        EXPECT_EQ(gst_sphere_face_get_score(face), 0.875);
        sync(buffer);
    }
    EXPECT_EQ(gst_sphere_face_meta_import_faces(meta, buffer.get(), "no such type"), 0U);
    EXPECT_EQ(gst_sphere_face_meta_import_faces(meta, buffer.get(), "car"), 1U);
}

TEST(Analytics, ElementsWriteOneSetAndScalingKeepsIt) {
    const Harness harness(gst_harness_new_parse(
        "spheredetect model=fake-detect ! queue ! spherealign ! sphereembed model=fake-embed ! "
        "videoscale add-borders=false ! capsfilter caps=video/x-raw,width=100,height=100"));
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {200, 100}).c_str());
    const Buffer out(gst_buffer_make_writable(
        gst_harness_push_and_pull(harness.get(), make_frame("I420", {200, 100}, 0))));
    ASSERT_NE(meta_of(out), nullptr);
    sync(out);
    const auto faces = read(out.get());
    ASSERT_EQ(faces.size(), 1U);
    EXPECT_EQ(faces[0].type, "face");
    EXPECT_EQ(faces[0].box, (std::array<gint, 4>{38, 25, 25, 50})); // 37.5 rounded
}

} // namespace
