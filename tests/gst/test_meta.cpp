// SPDX-License-Identifier: MIT
// GstSphereFaceMeta: fields, copies, transforms, mirrors. test_meta_pipelines.cpp has what
// pipelines do to it.
#include "tests/gst/meta_support.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <thread>

using namespace sphere_test;

namespace {

constexpr std::array<gfloat, 10> kPoints{30, 40, 50, 40, 40, 50, 32, 60, 48, 60};

FacePtr full_face() {
    FacePtr face(gst_sphere_face_new(20, 30, 40, 50, 0.75));
    gst_sphere_face_set_landmarks(face.get(), kPoints.data(), kPoints.size());
    const std::array<gfloat, 4> dense{1, 2, 3, 4};
    gst_sphere_face_set_dense_landmarks(face.get(), dense.data(), dense.size());
    gst_sphere_face_set_track_id(face.get(), 7);
    gst_sphere_face_set_quality(face.get(), 0.5, 0.6, 0.7, 20, 1, 2, 3);
    const std::array<gfloat, 3> embedding{0.25F, -1, 2};
    gst_sphere_face_set_embedding(face.get(), embedding.data(), embedding.size(),
                                  "m|aa|p|t|none|3");
    gst_sphere_face_set_state(face.get(), GST_SPHERE_FACE_STATE_KNOWN,
                              GST_SPHERE_FACE_REASON_NONE);
    gst_sphere_face_add_candidate(face.get(), "ada", "Ada L.", 0.2, 0.8);
    gst_sphere_face_add_candidate(face.get(), "bob", "Bob", 0.6, 0.4);
    gst_sphere_face_set_match_info(face.get(), "cosine", 0.5, 0.4);
    return face;
}

Buffer buffer_with_face(guint width = 200, guint height = 100) {
    Buffer buffer(gst_buffer_new_allocate(nullptr, 64, nullptr));
    GstSphereFaceMeta *meta = gst_buffer_add_sphere_face_meta(buffer.get(), width, height);
    gst_sphere_face_meta_add_face(meta, full_face().get());
    gst_sphere_face_meta_sync(meta, buffer.get());
    return buffer;
}

void expect_full(const GstSphereFace *face) {
    ASSERT_NE(face, nullptr);
    EXPECT_EQ(box_of(face), (std::array<double, 4>{20, 30, 40, 50}));
    EXPECT_EQ(gst_sphere_face_get_score(face), 0.75);
    gsize n = 0;
    const gfloat *points = gst_sphere_face_get_landmarks(face, &n);
    ASSERT_EQ(n, 10U);
    EXPECT_TRUE(std::equal(kPoints.begin(), kPoints.end(), points));
    gst_sphere_face_get_dense_landmarks(face, &n);
    EXPECT_EQ(n, 4U);
    EXPECT_EQ(gst_sphere_face_get_track_id(face), 7);
    gdouble score = 0, sharpness = 0, brightness = 0, eyes = 0, yaw = 0, pitch = 0, roll = 0;
    EXPECT_TRUE(gst_sphere_face_get_quality(face, &score, &sharpness, &brightness, &eyes));
    EXPECT_TRUE(gst_sphere_face_get_pose(face, &yaw, &pitch, &roll));
    EXPECT_EQ((std::array<double, 7>{score, sharpness, brightness, eyes, yaw, pitch, roll}),
              (std::array<double, 7>{0.5, 0.6, 0.7, 20, 1, 2, 3}));
    const gfloat *embedding = gst_sphere_face_get_embedding(face, &n);
    ASSERT_EQ(n, 3U);
    EXPECT_EQ(embedding[0], 0.25F);
    EXPECT_STREQ(gst_sphere_face_get_embedding_stamp(face), "m|aa|p|t|none|3");
    gchar *model = gst_sphere_face_dup_embedding_model(face);
    EXPECT_STREQ(model, "m");
    g_free(model);
    EXPECT_EQ(gst_sphere_face_get_state(face), GST_SPHERE_FACE_STATE_KNOWN);
    EXPECT_STREQ(gst_sphere_face_get_match_id(face), "ada");
    EXPECT_STREQ(gst_sphere_face_get_match_label(face), "Ada L.");
    const gchar *metric = nullptr;
    gdouble threshold = 0, margin = 0;
    EXPECT_TRUE(gst_sphere_face_get_match_info(face, &metric, &threshold, &margin));
    EXPECT_STREQ(metric, "cosine");
    EXPECT_EQ(threshold, 0.5);
    EXPECT_EQ(margin, 0.4);
    ASSERT_EQ(gst_sphere_face_get_n_candidates(face), 2U);
    const gchar *id = nullptr, *label = nullptr;
    gdouble distance = 0, similarity = 0;
    EXPECT_TRUE(gst_sphere_face_get_candidate(face, 1, &id, &label, &distance, &similarity));
    EXPECT_STREQ(id, "bob");
    EXPECT_EQ(similarity, 0.4);
    EXPECT_FALSE(gst_sphere_face_get_candidate(face, 2, &id, nullptr, nullptr, nullptr));
}

TEST(Face, HoldsWhatIsSet) {
    expect_full(full_face().get());
}

TEST(Face, NewOnesAreEmpty) {
    const FacePtr face(gst_sphere_face_new(1, 2, 3, 4, 0.5));
    gsize n = 9;
    EXPECT_EQ(gst_sphere_face_get_landmarks(face.get(), &n), nullptr);
    EXPECT_EQ(n, 0U);
    EXPECT_EQ(gst_sphere_face_get_embedding(face.get(), nullptr), nullptr);
    EXPECT_EQ(gst_sphere_face_get_embedding_stamp(face.get()), nullptr);
    EXPECT_EQ(gst_sphere_face_get_crop(face.get()), nullptr);
    EXPECT_EQ(gst_sphere_face_get_crop_caps(face.get()), nullptr);
    EXPECT_EQ(gst_sphere_face_get_track_id(face.get()), -1);
    EXPECT_FALSE(gst_sphere_face_get_quality(face.get(), nullptr, nullptr, nullptr, nullptr));
    EXPECT_FALSE(gst_sphere_face_get_eye_roll(face.get(), nullptr));
    EXPECT_FALSE(gst_sphere_face_get_match_info(face.get(), nullptr, nullptr, nullptr));
    EXPECT_EQ(gst_sphere_face_get_match_id(face.get()), nullptr);
    EXPECT_EQ(gst_sphere_face_get_attributes(face.get()), nullptr);
    EXPECT_EQ(gst_sphere_face_get_state(face.get()), GST_SPHERE_FACE_STATE_UNDECIDED);
    const FacePtr other(gst_sphere_face_new(1, 2, 3, 4, 0.5));
    EXPECT_NE(gst_sphere_face_get_id(face.get()), gst_sphere_face_get_id(other.get()));
}

TEST(Face, CopiesAreIndependent) {
    const FacePtr face = full_face();
    const FacePtr copy(gst_sphere_face_copy(face.get()));
    EXPECT_EQ(gst_sphere_face_get_id(copy.get()), gst_sphere_face_get_id(face.get()));
    gst_sphere_face_set_box(copy.get(), 1, 1, 1, 1);
    gst_sphere_face_set_landmarks(copy.get(), nullptr, 0);
    gst_sphere_face_set_embedding(copy.get(), nullptr, 0, nullptr);
    gst_sphere_face_clear_candidates(copy.get());
    expect_full(face.get());
    EXPECT_EQ(gst_sphere_face_get_embedding(copy.get(), nullptr), nullptr);
}

TEST(Face, CropAndAttributesAreReferenced) {
    const FacePtr face = full_face();
    GstBuffer *crop = gst_buffer_new_allocate(nullptr, 12, nullptr);
    GstCaps *caps = gst_caps_from_string("video/x-raw,format=BGR,width=2,height=2");
    GstStructure *attributes = gst_structure_new("attributes", "age", G_TYPE_INT, 42, nullptr);
    gst_sphere_face_set_crop(face.get(), crop, caps, "box-2x2");
    gst_sphere_face_set_attributes(face.get(), attributes);
    gst_buffer_unref(crop);
    gst_caps_unref(caps);
    gst_structure_free(attributes);
    const FacePtr copy(gst_sphere_face_copy(face.get()));
    EXPECT_EQ(gst_buffer_get_size(gst_sphere_face_get_crop(copy.get())), 12U);
    EXPECT_TRUE(gst_caps_is_fixed(gst_sphere_face_get_crop_caps(copy.get())));
    EXPECT_STREQ(gst_sphere_face_get_crop_template(copy.get()), "box-2x2");
    gint age = 0;
    EXPECT_TRUE(gst_structure_get_int(gst_sphere_face_get_attributes(copy.get()), "age", &age));
    EXPECT_EQ(age, 42);
}

TEST(Face, TakesItsOwnPartsBack) {
    const FacePtr face = full_face();
    GstBuffer *crop = gst_buffer_new_allocate(nullptr, 12, nullptr);
    GstStructure *attributes = gst_structure_new("attributes", "age", G_TYPE_INT, 42, nullptr);
    gst_sphere_face_set_crop(face.get(), crop, nullptr, "box-2x2");
    gst_sphere_face_set_attributes(face.get(), attributes);
    gst_buffer_unref(crop);
    gst_structure_free(attributes);
    gsize n = 0;
    const gfloat *values = gst_sphere_face_get_embedding(face.get(), &n);
    gst_sphere_face_set_embedding(face.get(), values, n,
                                  gst_sphere_face_get_embedding_stamp(face.get()));
    values = gst_sphere_face_get_dense_landmarks(face.get(), &n);
    gst_sphere_face_set_dense_landmarks(face.get(), values, n);
    values = gst_sphere_face_get_landmarks(face.get(), &n);
    gst_sphere_face_set_landmarks(face.get(), values, n);
    gst_sphere_face_set_crop(face.get(), gst_sphere_face_get_crop(face.get()), nullptr,
                             gst_sphere_face_get_crop_template(face.get()));
    gst_sphere_face_set_attributes(face.get(), gst_sphere_face_get_attributes(face.get()));
    expect_full(face.get());
    EXPECT_EQ(gst_buffer_get_size(gst_sphere_face_get_crop(face.get())), 12U);
    EXPECT_STREQ(gst_sphere_face_get_crop_template(face.get()), "box-2x2");
    EXPECT_TRUE(gst_structure_has_field(gst_sphere_face_get_attributes(face.get()), "age"));
}

TEST(Face, MatchIsOfKnownFacesOnly) {
    const FacePtr face = full_face();
    gst_sphere_face_set_state(face.get(), GST_SPHERE_FACE_STATE_UNKNOWN,
                              GST_SPHERE_FACE_REASON_BELOW_THRESHOLD);
    EXPECT_EQ(gst_sphere_face_get_match_id(face.get()), nullptr);
    EXPECT_EQ(gst_sphere_face_get_n_candidates(face.get()), 2U);
}

// Criticals are counted instead of being fatal, for the tests of refused arguments.
class Criticals {
  public:
    Criticals() {
        flags_ = g_log_set_always_fatal(static_cast<GLogLevelFlags>(G_LOG_FATAL_MASK));
        handler_ =
            g_log_set_default_handler([](const gchar *, GLogLevelFlags, const gchar *,
                                         gpointer count) { ++*static_cast<int *>(count); },
                                      &count_);
    }
    ~Criticals() {
        g_log_set_default_handler(handler_, nullptr);
        g_log_set_always_fatal(flags_);
    }
    int count() const { return count_; }

  private:
    int count_ = 0;
    GLogLevelFlags flags_;
    GLogFunc handler_;
};

TEST(Face, NumbersThatAreNoneAreRefused) {
    const Criticals criticals;
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const double infinite = std::numeric_limits<double>::infinity();
    EXPECT_EQ(gst_sphere_face_new(nan, 0, 1, 1, 1), nullptr);
    EXPECT_EQ(gst_sphere_face_new(0, 0, infinite, 1, 1), nullptr);
    EXPECT_EQ(gst_sphere_face_new(0, 0, -1, 1, 1), nullptr);
    EXPECT_EQ(gst_sphere_face_copy(nullptr), nullptr);
    const FacePtr face = full_face();
    gst_sphere_face_set_box(face.get(), nan, 0, 1, 1);
    gst_sphere_face_set_landmarks(face.get(), kPoints.data(), 9);
    const std::array<gfloat, 10> bad{static_cast<gfloat>(nan)};
    gst_sphere_face_set_landmarks(face.get(), bad.data(), bad.size());
    gst_sphere_face_set_dense_landmarks(face.get(), bad.data(), bad.size());
    gst_sphere_face_set_dense_landmarks(face.get(), kPoints.data(), 3);
    gst_sphere_face_set_score(face.get(), nan);
    gst_sphere_face_set_state(face.get(), static_cast<GstSphereFaceState>(99),
                              GST_SPHERE_FACE_REASON_NONE);
    EXPECT_EQ(gst_sphere_face_new(0, 0, 1, 1, nan), nullptr);
    EXPECT_EQ(criticals.count(), 12);
    expect_full(face.get());
}

TEST(Face, NamesAreTheContracts) {
    EXPECT_STREQ(gst_sphere_face_state_to_string(GST_SPHERE_FACE_STATE_AMBIGUOUS), "ambiguous");
    EXPECT_STREQ(gst_sphere_face_state_to_string(GST_SPHERE_FACE_STATE_UNDECIDED), "");
    EXPECT_STREQ(gst_sphere_face_reason_to_string(GST_SPHERE_FACE_REASON_TOO_SMALL),
                 "too-small");
    EXPECT_STREQ(gst_sphere_face_reason_to_string(GST_SPHERE_FACE_REASON_WRONG_MODEL),
                 "wrong-model");
    EXPECT_STREQ(gst_sphere_face_reason_to_string(static_cast<GstSphereFaceReason>(99)), "");
    auto *reasons = static_cast<GEnumClass *>(g_type_class_ref(GST_TYPE_SPHERE_FACE_REASON));
    EXPECT_STREQ(g_enum_get_value(reasons, GST_SPHERE_FACE_REASON_BELOW_THRESHOLD)->value_nick,
                 "below-threshold");
    g_type_class_unref(reasons);
}

TEST(Meta, TravelsWithCopies) {
    const Buffer buffer = buffer_with_face();
    const Buffer copy(gst_buffer_copy(buffer.get()));
    const Buffer again(gst_buffer_copy_deep(copy.get()));
    expect_full(first_face(again.get()));
    EXPECT_EQ(gst_buffer_get_n_meta(again.get(), GST_SPHERE_FACE_META_API_TYPE), 1U);
    gst_sphere_face_meta_clear(gst_buffer_get_sphere_face_meta(again.get()));
    expect_full(first_face(buffer.get()));
}

TEST(Meta, PartOfTheBytesIsNoPicture) {
    const Buffer buffer = buffer_with_face();
    const Buffer part(gst_buffer_copy_region(
        buffer.get(), static_cast<GstBufferCopyFlags>(GST_BUFFER_COPY_ALL), 8, 16));
    EXPECT_EQ(first_face(part.get()), nullptr);
}

TEST(Meta, AllOfTheBytesIsThePicture) {
    const Buffer buffer = buffer_with_face();
    const Buffer whole(gst_buffer_copy_region(
        buffer.get(), static_cast<GstBufferCopyFlags>(GST_BUFFER_COPY_ALL), 0,
        static_cast<gsize>(-1)));
    expect_full(first_face(whole.get()));
}

// A tee's branches read the same buffer at once, and copy it to write.
TEST(Meta, IsReadAndCopiedFromManyThreads) {
    const Buffer buffer = buffer_with_face();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&buffer] {
            for (int i = 0; i < 200; ++i) {
                const Buffer copy(gst_buffer_copy(buffer.get()));
                GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(copy.get());
                const FacePtr face(gst_sphere_face_meta_get_face(meta, 0));
                gst_sphere_face_set_embedding(face.get(), kPoints.data(), 2, "other");
                gst_sphere_face_meta_set_face(meta, 0, face.get());
                gst_sphere_face_meta_sync(meta, copy.get());
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    expect_full(first_face(buffer.get()));
}

TEST(Meta, AddGivesTheOneThatIsThere) {
    const Buffer buffer = buffer_with_face();
    EXPECT_EQ(gst_buffer_add_sphere_face_meta(buffer.get(), 1, 1),
              gst_buffer_get_sphere_face_meta(buffer.get()));
    EXPECT_EQ(gst_buffer_get_n_meta(buffer.get(), GST_SPHERE_FACE_META_API_TYPE), 1U);
}

gboolean transform(GstBuffer *from, GstBuffer *to, Size in, Size out, GQuark type) {
    GstVideoInfo in_info, out_info;
    gst_video_info_set_format(&in_info, GST_VIDEO_FORMAT_I420, static_cast<guint>(in.width),
                              static_cast<guint>(in.height));
    gst_video_info_set_format(&out_info, GST_VIDEO_FORMAT_I420, static_cast<guint>(out.width),
                              static_cast<guint>(out.height));
    GstVideoMetaTransform data{&in_info, &out_info};
    auto *meta = reinterpret_cast<GstMeta *>(gst_buffer_get_sphere_face_meta(from));
    return GST_SPHERE_FACE_META_INFO->transform_func(to, meta, from, type, &data);
}

TEST(Meta, FollowsScalingTwiceInARow) {
    const Buffer buffer = buffer_with_face();
    const Buffer half(gst_buffer_new()), wide(gst_buffer_new());
    const GQuark scale = gst_video_meta_transform_scale_get_quark();
    ASSERT_TRUE(transform(buffer.get(), half.get(), {200, 100}, {100, 50}, scale));
    EXPECT_EQ(box_of(first_face(half.get())), (std::array<double, 4>{10, 15, 20, 25}));
    ASSERT_TRUE(transform(half.get(), wide.get(), {100, 50}, {300, 50}, scale));
    const GstSphereFace *face = first_face(wide.get());
    EXPECT_EQ(box_of(face), (std::array<double, 4>{30, 15, 60, 25}));
    gsize n = 0;
    const gfloat *points = gst_sphere_face_get_landmarks(face, &n);
    for (gsize i = 0; i < n; ++i)
        EXPECT_NEAR(points[i], (kPoints[i] + 0.5F) * (i % 2 == 0 ? 1.5F : 0.5F) - 0.5F, 1e-4);
    EXPECT_STREQ(gst_sphere_face_get_match_id(face), "ada");
    gst_sphere_face_get_embedding(face, &n);
    EXPECT_EQ(n, 3U);
    expect_full(first_face(buffer.get()));
}

TEST(Meta, TransformsOntoOneThatIsThere) {
    const Buffer buffer = buffer_with_face(), other = buffer_with_face();
    const GQuark scale = gst_video_meta_transform_scale_get_quark();
    ASSERT_TRUE(transform(buffer.get(), other.get(), {200, 100}, {100, 50}, scale));
    EXPECT_EQ(gst_buffer_get_n_meta(other.get(), GST_SPHERE_FACE_META_API_TYPE), 1U);
    EXPECT_EQ(gst_sphere_face_meta_get_n_faces(gst_buffer_get_sphere_face_meta(other.get())),
              1U);
    EXPECT_EQ(box_of(first_face(other.get())), (std::array<double, 4>{10, 15, 20, 25}));
    GstMetaTransformCopy copy{FALSE, 0, static_cast<gsize>(-1)};
    auto *meta = reinterpret_cast<GstMeta *>(gst_buffer_get_sphere_face_meta(buffer.get()));
    ASSERT_TRUE(GST_SPHERE_FACE_META_INFO->transform_func(
        other.get(), meta, buffer.get(), g_quark_from_static_string("gst-copy"), &copy));
    EXPECT_EQ(gst_buffer_get_n_meta(other.get(), GST_SPHERE_FACE_META_API_TYPE), 1U);
    expect_full(first_face(other.get()));
}

TEST(Meta, WritableCopiesAreIndependent) {
    Buffer shared = buffer_with_face();
    GstBuffer *writable = gst_buffer_make_writable(gst_buffer_ref(shared.get()));
    const Buffer mine(writable);
    ASSERT_NE(mine.get(), shared.get());
    gst_sphere_face_meta_clear(gst_buffer_get_sphere_face_meta(mine.get()));
    expect_full(first_face(shared.get()));
}

TEST(Meta, UnknownTransformsAreRefused) {
    const Buffer buffer = buffer_with_face(), out(gst_buffer_new());
    EXPECT_FALSE(transform(buffer.get(), out.get(), {200, 100}, {100, 50},
                           g_quark_from_static_string("no-such-transform")));
    EXPECT_EQ(first_face(out.get()), nullptr);
}

TEST(Meta, PooledBuffersComeBackWithoutIt) {
    GstBufferPool *pool = gst_buffer_pool_new();
    GstStructure *config = gst_buffer_pool_get_config(pool);
    gst_buffer_pool_config_set_params(config, nullptr, 64, 1, 1);
    gst_buffer_pool_set_config(pool, config);
    gst_buffer_pool_set_active(pool, TRUE);
    for (int i = 0; i < 3; ++i) {
        GstBuffer *buffer = nullptr;
        ASSERT_EQ(gst_buffer_pool_acquire_buffer(pool, &buffer, nullptr), GST_FLOW_OK);
        EXPECT_EQ(first_face(buffer), nullptr);
        GstSphereFaceMeta *meta = gst_buffer_add_sphere_face_meta(buffer, 10, 10);
        gst_sphere_face_meta_add_face(meta, full_face().get());
        gst_buffer_unref(buffer);
    }
    gst_buffer_pool_set_active(pool, FALSE);
    gst_object_unref(pool);
}

TEST(RoiMirror, HasTheLayoutOfTheContract) {
    const Buffer buffer = buffer_with_face();
    const auto rois = rois_of(buffer.get());
    ASSERT_EQ(rois.size(), 1U);
    auto *roi = const_cast<GstVideoRegionOfInterestMeta *>(rois[0]);
    EXPECT_STREQ(g_quark_to_string(roi->roi_type), "face");
    EXPECT_EQ((std::array<guint, 4>{roi->x, roi->y, roi->w, roi->h}),
              (std::array<guint, 4>{20, 30, 40, 50}));
    EXPECT_EQ(roi->id, gst_sphere_face_get_id(first_face(buffer.get())));
    const auto param = [roi](const char *name) {
        return gst_video_region_of_interest_meta_get_param(roi, name);
    };
    gdouble x_min = 0, x_max = 0, y_min = 0, y_max = 0, confidence = 0;
    gint label_id = -1;
    ASSERT_TRUE(gst_structure_get(param("detection"), "x_min", G_TYPE_DOUBLE, &x_min, "x_max",
                                  G_TYPE_DOUBLE, &x_max, "y_min", G_TYPE_DOUBLE, &y_min,
                                  "y_max", G_TYPE_DOUBLE, &y_max, "confidence", G_TYPE_DOUBLE,
                                  &confidence, "label_id", G_TYPE_INT, &label_id, nullptr));
    EXPECT_EQ((std::array<double, 5>{x_min, x_max, y_min, y_max, confidence}),
              (std::array<double, 5>{0.1, 0.3, 0.3, 0.8, 0.75}));
    EXPECT_EQ(label_id, 0);
    const GValue *points = gst_structure_get_value(param("landmarks"), "points");
    ASSERT_EQ(gst_value_array_get_size(points), 10U);
    EXPECT_EQ(g_value_get_double(gst_value_array_get_value(points, 2)), 50);
    const gchar *model = gst_structure_get_string(param("embedding"), "model");
    EXPECT_STREQ(model, "m");
    gint dims = 0, track = 0;
    EXPECT_TRUE(gst_structure_get_int(param("embedding"), "dims", &dims));
    EXPECT_EQ(dims, 3);
    const GValue *data = gst_structure_get_value(param("embedding"), "data");
    ASSERT_EQ(gst_value_array_get_size(data), 3U);
    EXPECT_EQ(g_value_get_float(gst_value_array_get_value(data, 0)), 0.25F);
    EXPECT_STREQ(gst_structure_get_string(param("match"), "id"), "ada");
    EXPECT_STREQ(gst_structure_get_string(param("match"), "label"), "Ada L.");
    EXPECT_STREQ(gst_structure_get_string(param("match"), "state"), "known");
    EXPECT_TRUE(gst_structure_get_int(param("object_id"), "id", &track));
    EXPECT_EQ(track, 7);
}

TEST(RoiMirror, IsClippedReplacedAndLeavesOthersAlone) {
    const Buffer buffer(gst_buffer_new());
    gst_buffer_add_video_region_of_interest_meta(buffer.get(), "face", 1, 2, 3, 4);
    gst_buffer_add_video_region_of_interest_meta(buffer.get(), "car", 5, 6, 7, 8);
    GstSphereFaceMeta *meta = gst_buffer_add_sphere_face_meta(buffer.get(), 100, 100);
    const FacePtr face(gst_sphere_face_new(-10, 90, 30, 30, 0.5));
    gst_sphere_face_meta_add_face(meta, face.get());
    for (int i = 0; i < 3; ++i)
        gst_sphere_face_meta_sync(meta, buffer.get());
    auto rois = rois_of(buffer.get());
    ASSERT_EQ(rois.size(), 3U);
    EXPECT_EQ((std::array<guint, 4>{rois[2]->x, rois[2]->y, rois[2]->w, rois[2]->h}),
              (std::array<guint, 4>{0, 90, 20, 10}));
    // Also through a copy, as the next element's buffer may be one.
    const Buffer copy(gst_buffer_copy(buffer.get()));
    gst_sphere_face_meta_clear(gst_buffer_get_sphere_face_meta(copy.get()));
    gst_sphere_face_meta_sync(gst_buffer_get_sphere_face_meta(copy.get()), copy.get());
    rois = rois_of(copy.get());
    ASSERT_EQ(rois.size(), 2U);
    EXPECT_EQ(rois[0]->x, 1U);
    EXPECT_EQ(rois[1]->x, 5U);
}

// Another detector may number its faces from 1 as well.
TEST(RoiMirror, OthersWithOurIdStay) {
    const Buffer buffer = buffer_with_face();
    GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer.get());
    auto *foreign =
        gst_buffer_add_video_region_of_interest_meta(buffer.get(), "face", 1, 2, 3, 4);
    foreign->id = static_cast<gint>(gst_sphere_face_get_id(first_face(buffer.get())));
    gst_sphere_face_meta_clear(meta);
    gst_sphere_face_meta_sync(meta, buffer.get());
    const auto rois = rois_of(buffer.get());
    ASSERT_EQ(rois.size(), 1U);
    EXPECT_EQ(rois[0]->x, 1U);
}

TEST(RoiMirror, OfScaledFramesIsReplaced) {
    const std::string road = "spheredetect model=fake-detect ! videoscale add-borders=false ! "
                             "capsfilter caps=video/x-raw,width=66,height=34";
    const Harness harness(gst_harness_new_parse(road.c_str()));
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {200, 100}).c_str());
    gst_harness_push(harness.get(), make_frame("I420", {200, 100}, 0));
    const Buffer out(gst_buffer_make_writable(gst_harness_pull(harness.get())));
    ASSERT_EQ(rois_of(out.get()).size(), 1U);
    gst_sphere_face_meta_sync(gst_buffer_get_sphere_face_meta(out.get()), out.get());
    const auto rois = rois_of(out.get());
    ASSERT_EQ(rois.size(), 1U);
    EXPECT_NE(rois[0]->params, nullptr); // GStreamer 1.22 had lost them
    EXPECT_EQ((std::array<guint, 4>{rois[0]->x, rois[0]->y, rois[0]->w, rois[0]->h}),
              (std::array<guint, 4>{25, 9, 16, 17}));
}

TEST(Meta, TenThousandFaces) {
    const Buffer buffer(gst_buffer_new());
    GstSphereFaceMeta *meta = gst_buffer_add_sphere_face_meta(buffer.get(), 100, 100);
    for (int i = 0; i < 10000; ++i)
        gst_sphere_face_meta_add_face(meta, full_face().get());
    for (int i = 0; i < 2; ++i) {
        gst_sphere_face_meta_sync(meta, buffer.get());
        EXPECT_EQ(rois_of(buffer.get()).size(), 10000U);
    }
    const Buffer copy(gst_buffer_copy(buffer.get()));
    EXPECT_EQ(gst_sphere_face_meta_get_n_faces(gst_buffer_get_sphere_face_meta(copy.get())),
              10000U);
    EXPECT_EQ(gst_sphere_face_meta_get_face(meta, 10000), nullptr);
}

} // namespace
