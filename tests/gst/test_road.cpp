// SPDX-License-Identifier: MIT
// The road detect, align, embed over every format, odd sizes and padded strides; nothing is
// copied, nothing is written, events pass.
#include "tests/gst/element_support.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

using namespace sphere_test;

namespace {

constexpr const char *kRoad =
    "spheredetect model=fake-detect ! spherealign ! sphereembed model=fake-embed";

double cosine(const std::vector<float> &a, const std::vector<float> &b) {
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
        ab += double{a[i]} * b[i];
        aa += double{a[i]} * a[i];
        bb += double{b[i]} * b[i];
    }
    return ab / std::sqrt(aa * bb);
}

std::vector<float> reference_embedding(Size size) {
    const Harness harness(gst_harness_new_parse(kRoad));
    gst_harness_set_src_caps_str(harness.get(), caps_of("BGR", size).c_str());
    GstBuffer *out = gst_harness_push_and_pull(harness.get(), make_frame("BGR", size, 0));
    const auto values = embedding_of(out);
    gst_buffer_unref(out);
    return values;
}

class Road : public testing::TestWithParam<std::string> {};

TEST_P(Road, EveryFormatSizeAndStrideGivesTheSameFaces) {
    const std::string format = GetParam();
    for (const Size size : {Size{1, 1}, Size{2, 2}, Size{3, 1}, Size{33, 17}, Size{64, 48},
                            Size{101, 203}, Size{641, 363}}) {
        for (const int pad : {0, 1, 16, 61}) {
            SCOPED_TRACE(format + " " + std::to_string(size.width) + "x" +
                         std::to_string(size.height) + " pad " + std::to_string(pad));
            const Harness harness(gst_harness_new_parse(kRoad));
            gst_harness_set_src_caps_str(harness.get(), caps_of(format, size).c_str());
            GstBuffer *in = make_frame(format, size, pad, 80 * GST_MSECOND);
            const auto before = bytes_of(in);
            const void *address = address_of(in);
            GstBuffer *out = gst_harness_push_and_pull(harness.get(), in);
            ASSERT_NE(out, nullptr);
            EXPECT_EQ(address_of(out), address) << "the picture was copied";
            EXPECT_EQ(bytes_of(out), before) << "the picture was changed";
            EXPECT_EQ(GST_BUFFER_PTS(out), 80 * GST_MSECOND);
            EXPECT_EQ(GST_BUFFER_DURATION(out), 40 * GST_MSECOND);
            const GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(out);
            ASSERT_NE(meta, nullptr);
            const bool large_enough = std::min(size.width, size.height) >= 8;
            ASSERT_EQ(gst_sphere_face_meta_get_n_faces(meta), large_enough ? 1U : 0U);
            if (large_enough) {
                // YUV is limited range: the same grey ramp is a little darker or lighter, so
                // the direction is compared, not the values.
                const auto values = embedding_of(out);
                ASSERT_EQ(values.size(), 128U);
                EXPECT_GT(cosine(values, reference_embedding(size)), 0.9);
            }
            gst_buffer_unref(out);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Formats, Road, testing::ValuesIn(kFormats));

// The fake detector finds one face in the middle of what it is shown.
TEST(RoadStream, ARegionIsAllThatTheDetectorSees) {
    const Harness harness(
        gst_harness_new_parse("spheredetect model=fake-detect region=0,0,100,100"));
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {400, 300}).c_str());
    GstElement *detect = gst_harness_find_element(harness.get(), "spheredetect");
    const auto centre_x = [&](GstClockTime pts) {
        GstBuffer *out =
            gst_harness_push_and_pull(harness.get(), make_frame("I420", {400, 300}, 7, pts));
        const GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(out);
        gdouble x = 0, y = 0, w = 0, h = 0;
        if (meta != nullptr && gst_sphere_face_meta_get_n_faces(meta) == 1)
            gst_sphere_face_get_box(gst_sphere_face_meta_peek_face(meta, 0), &x, &y, &w, &h);
        gst_buffer_unref(out);
        return x + w / 2;
    };
    EXPECT_NEAR(centre_x(0), 50, 1);
    g_object_set(detect, "region", "300,100,100,100", nullptr); // while it runs
    EXPECT_NEAR(centre_x(40 * GST_MSECOND), 350, 1);
    g_object_set(detect, "region", "nonsense", nullptr); // the one before stays
    EXPECT_NEAR(centre_x(80 * GST_MSECOND), 350, 1);
    gst_object_unref(detect);
}

TEST(RoadStream, BadRegionsAndTilesAreErrorsAtTheStart) {
    for (const auto &[property, value] :
         {std::pair{"region", "1,2,3"}, std::pair{"tile", "10x10"}}) {
        const ElementOnBus detect(gst_element_factory_make("spheredetect", nullptr));
        g_object_set(detect.get(), "model", "fake-detect", property, value, nullptr);
        EXPECT_EQ(gst_element_set_state(detect.get(), GST_STATE_PAUSED),
                  GST_STATE_CHANGE_FAILURE);
    }
}

TEST(RoadStream, AnAdaptiveIntervalLooksAtEveryFrameOfAFile) {
    const Harness harness(
        gst_harness_new_parse("spheredetect model=fake-detect inference-interval=0"));
    gst_harness_set_src_caps_str(harness.get(), caps_of("GRAY8", {64, 48}).c_str());
    for (int i = 0; i < 20; ++i) {
        GstBuffer *out = gst_harness_push_and_pull(
            harness.get(), make_frame("GRAY8", {64, 48}, 0, i * 40 * GST_MSECOND));
        EXPECT_NE(gst_buffer_get_sphere_face_meta(out), nullptr);
        gst_buffer_unref(out);
    }
    GstElement *detect = gst_harness_find_element(harness.get(), "spheredetect");
    GstStructure *stats = nullptr;
    g_object_get(detect, "stats", &stats, nullptr);
    guint64 skipped = 1;
    EXPECT_TRUE(gst_structure_get_uint64(stats, "skipped", &skipped));
    EXPECT_EQ(skipped, 0U);
    gst_structure_free(stats);
    g_object_set(detect, "inference-interval", 4U, nullptr);
    for (int i = 20; i < 40; ++i)
        gst_buffer_unref(gst_harness_push_and_pull(
            harness.get(), make_frame("GRAY8", {64, 48}, 0, i * 40 * GST_MSECOND)));
    g_object_get(detect, "stats", &stats, nullptr);
    EXPECT_TRUE(gst_structure_get_uint64(stats, "skipped-interval", &skipped));
    EXPECT_EQ(skipped, 15U);
    gst_structure_free(stats);
    gst_object_unref(detect);
}

TEST(RoadStream, StreamsThatShareABatchGetTheirOwnFaces) {
    const std::string road = std::string(kRoad) + " batch-timeout=10";
    const auto wanted = reference_embedding({64, 48});
    std::vector<std::thread> streams;
    for (int s = 0; s < 3; ++s)
        streams.emplace_back([&] {
            const Harness harness(gst_harness_new_parse(road.c_str()));
            gst_harness_set_src_caps_str(harness.get(), caps_of("BGR", {64, 48}).c_str());
            for (int i = 0; i < 10; ++i) {
                GstBuffer *out = gst_harness_push_and_pull(
                    harness.get(), make_frame("BGR", {64, 48}, 0, i * 40 * GST_MSECOND));
                ASSERT_NE(out, nullptr);
                EXPECT_EQ(embedding_of(out), wanted);
                gst_buffer_unref(out);
            }
        });
    for (std::thread &stream : streams)
        stream.join();
}

TEST(RoadStream, CapsChangeMidStream) {
    const Harness harness(gst_harness_new_parse(kRoad));
    for (const auto &[format, size] :
         {std::pair{"I420", Size{64, 48}}, std::pair{"RGBA", Size{99, 35}},
          std::pair{"NV12", Size{320, 240}}, std::pair{"GRAY8", Size{7, 7}}}) {
        gst_harness_set_src_caps_str(harness.get(), caps_of(format, size).c_str());
        GstBuffer *out = gst_harness_push_and_pull(harness.get(), make_frame(format, size, 5));
        ASSERT_NE(out, nullptr);
        const GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(out);
        ASSERT_NE(meta, nullptr);
        if (std::min(size.width, size.height) >= 8) {
            ASSERT_EQ(gst_sphere_face_meta_get_n_faces(meta), 1U);
            gdouble x = 0, y = 0, w = 0, h = 0;
            gst_sphere_face_get_box(gst_sphere_face_meta_peek_face(meta, 0), &x, &y, &w, &h);
            EXPECT_NEAR(x + w / 2, size.width / 2.0, 2) << "the face of the frame before";
        }
        gst_buffer_unref(out);
    }
}

TEST(RoadStream, GapFlushSegmentAndEosPass) {
    const Harness harness(gst_harness_new_parse(kRoad));
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {64, 48}).c_str());
    ASSERT_EQ(gst_harness_push(harness.get(), make_frame("I420", {64, 48}, 0)), GST_FLOW_OK);
    EXPECT_TRUE(gst_harness_push_event(harness.get(),
                                       gst_event_new_gap(40 * GST_MSECOND, 40 * GST_MSECOND)));
    EXPECT_TRUE(gst_harness_push_event(harness.get(), gst_event_new_flush_start()));
    EXPECT_TRUE(gst_harness_push_event(harness.get(), gst_event_new_flush_stop(TRUE)));
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    segment.start = GST_SECOND;
    EXPECT_TRUE(gst_harness_push_event(harness.get(), gst_event_new_segment(&segment)));
    ASSERT_EQ(gst_harness_push(harness.get(), make_frame("I420", {64, 48}, 0, GST_SECOND)),
              GST_FLOW_OK);
    EXPECT_TRUE(gst_harness_push_event(harness.get(), gst_event_new_eos()));
    EXPECT_EQ(gst_harness_buffers_received(harness.get()), 2U);
    bool eos = false, gap = false;
    while (GstEvent *event = gst_harness_try_pull_event(harness.get())) {
        eos |= GST_EVENT_TYPE(event) == GST_EVENT_EOS;
        gap |= GST_EVENT_TYPE(event) == GST_EVENT_GAP;
        gst_event_unref(event);
    }
    EXPECT_TRUE(eos);
    EXPECT_TRUE(gap);
}

TEST(RoadStream, SeekingAPipelineGivesTheFrameSoughtWithItsFaces) {
    const std::string description =
        std::string("videotestsrc ! video/x-raw,width=64,height=48,framerate=25/1 ! ") + kRoad +
        " ! fakesink name=end sync=false";
    GstElement *pipeline = gst_parse_launch(description.c_str(), nullptr);
    ASSERT_NE(pipeline, nullptr);
    gst_element_set_state(pipeline, GST_STATE_PAUSED);
    ASSERT_EQ(gst_element_get_state(pipeline, nullptr, nullptr, 30 * GST_SECOND),
              GST_STATE_CHANGE_SUCCESS);
    GstElement *end = gst_bin_get_by_name(GST_BIN(pipeline), "end");
    for (const GstClockTime target : {3 * GST_SECOND, GST_SECOND, 7 * GST_SECOND}) {
        ASSERT_TRUE(gst_element_seek_simple(
            pipeline, GST_FORMAT_TIME,
            static_cast<GstSeekFlags>(GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE),
            static_cast<gint64>(target)));
        ASSERT_EQ(gst_element_get_state(pipeline, nullptr, nullptr, 30 * GST_SECOND),
                  GST_STATE_CHANGE_SUCCESS);
        GstSample *sample = nullptr;
        g_object_get(end, "last-sample", &sample, nullptr);
        ASSERT_NE(sample, nullptr);
        GstBuffer *buffer = gst_sample_get_buffer(sample);
        EXPECT_EQ(GST_BUFFER_PTS(buffer), target);
        EXPECT_EQ(embedding_of(buffer).size(), 128U);
        gst_sample_unref(sample);
    }
    gst_object_unref(end);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}

TEST(RoadStream, SharedBufferIsNotCopiedAndKeepsItsMetaToItself) {
    const Harness harness(gst_harness_new_parse(kRoad));
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {64, 48}).c_str());
    GstBuffer *in = make_frame("I420", {64, 48}, 0);
    GstBuffer *kept = gst_buffer_ref(in); // as a tee's other branch would
    GstBuffer *out = gst_harness_push_and_pull(harness.get(), in);
    EXPECT_NE(out, kept);
    EXPECT_EQ(address_of(out), address_of(kept)) << "the picture was copied";
    EXPECT_EQ(gst_buffer_get_sphere_face_meta(kept), nullptr);
    EXPECT_NE(gst_buffer_get_sphere_face_meta(out), nullptr);
    gst_buffer_unref(out);
    gst_buffer_unref(kept);
}

TEST(RoadStream, BufferTooSmallForItsCapsIsOneErrorNotACrash) {
    GstElement *detect = gst_element_factory_make("spheredetect", nullptr);
    gst_object_ref_sink(detect);
    ElementOnBus element(detect);
    g_object_set(detect, "model", "fake-detect", nullptr);
    const Harness harness(gst_harness_new_with_element(detect, "sink", "src"));
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {640, 480}).c_str());
    EXPECT_EQ(gst_harness_push(harness.get(), gst_buffer_new_allocate(nullptr, 100, nullptr)),
              GST_FLOW_ERROR);
    EXPECT_EQ(element.messages(GST_MESSAGE_ERROR).size(), 1U);
}

TEST(RoadStream, StatsCount) {
    // gst_harness_new() starts the element at once: the model must be set before.
    const Harness harness(gst_harness_new_parse("spheredetect model=fake-detect"));
    gst_harness_set_src_caps_str(harness.get(), caps_of("I420", {64, 48}).c_str());
    for (int i = 0; i < 5; ++i)
        gst_harness_push(harness.get(), make_frame("I420", {64, 48}, 0));
    GstStructure *stats = nullptr;
    GstElement *detect = gst_harness_find_element(harness.get(), "spheredetect");
    g_object_get(detect, "stats", &stats, nullptr);
    gst_object_unref(detect);
    guint64 frames = 0, faces = 0, mean_ns = 0, p99_ns = 0;
    EXPECT_TRUE(gst_structure_get(stats, "frames", G_TYPE_UINT64, &frames, "faces",
                                  G_TYPE_UINT64, &faces, "time-mean-ns", G_TYPE_UINT64,
                                  &mean_ns, "time-p99-ns", G_TYPE_UINT64, &p99_ns, nullptr));
    EXPECT_EQ(frames, 5U);
    EXPECT_EQ(faces, 5U);
    EXPECT_GT(mean_ns, 0U);
    EXPECT_GE(p99_ns, mean_ns / 2);
    gst_structure_free(stats);
}

TEST(Template, AutoAsksDownstream) {
    for (const auto &[model, width, height] :
         {std::tuple{"fake-embed", 96, 112}, std::tuple{"fake-embed-112", 112, 112}}) {
        const std::string road =
            std::string("spheredetect model=fake-detect ! queue ! spherealign ! queue ! "
                        "sphereembed model=") +
            model;
        const Harness harness(gst_harness_new_parse(road.c_str()));
        gst_harness_set_src_caps_str(harness.get(), caps_of("BGR", {200, 200}).c_str());
        GstBuffer *out =
            gst_harness_push_and_pull(harness.get(), make_frame("BGR", {200, 200}, 0));
        const GstSphereFace *face =
            gst_sphere_face_meta_peek_face(gst_buffer_get_sphere_face_meta(out), 0);
        const GstStructure *caps =
            gst_caps_get_structure(gst_sphere_face_get_crop_caps(face), 0);
        int w = 0, h = 0;
        EXPECT_TRUE(gst_structure_get(caps, "width", G_TYPE_INT, &w, "height", G_TYPE_INT, &h,
                                      nullptr));
        EXPECT_EQ(w, width);
        EXPECT_EQ(h, height);
        EXPECT_EQ(gst_buffer_get_size(gst_sphere_face_get_crop(face)),
                  static_cast<gsize>(3 * width * height));
        EXPECT_EQ(embedding_of(out).size(), 128U);
        gst_buffer_unref(out);
    }
}

TEST(Template, WrongTemplateIsSaidOnceAndTheStreamGoesOn) {
    GstElement *bin = gst_parse_bin_from_description(
        "spheredetect model=fake-detect ! spherealign template=box-64x64 ! sphereembed "
        "model=fake-embed",
        TRUE, nullptr);
    gst_object_ref_sink(bin);
    ElementOnBus element(bin);
    {
        const Harness harness(gst_harness_new_with_element(bin, "sink", "src"));
        gst_harness_set_src_caps_str(harness.get(), caps_of("BGR", {200, 200}).c_str());
        for (int i = 0; i < 3; ++i) {
            GstBuffer *out =
                gst_harness_push_and_pull(harness.get(), make_frame("BGR", {200, 200}, 0));
            ASSERT_NE(out, nullptr);
            EXPECT_TRUE(embedding_of(out).empty());
            EXPECT_EQ(gst_sphere_face_get_reason(gst_sphere_face_meta_peek_face(
                          gst_buffer_get_sphere_face_meta(out), 0)),
                      GST_SPHERE_FACE_REASON_NOT_EMBEDDED);
            gst_buffer_unref(out);
        }
        const auto warnings = element.messages(GST_MESSAGE_WARNING);
        ASSERT_EQ(warnings.size(), 1U);
        EXPECT_NE(warnings[0].find("sphereface-112x96"), std::string::npos) << warnings[0];
    }
}

TEST(MissingModel, IsOneErrorThatNamesTheRemedyAtReadyToPaused) {
    for (const char *factory : {"spheredetect", "sphereembed"}) {
        GstElement *made = gst_element_factory_make(factory, nullptr);
        gst_object_ref_sink(made);
        ElementOnBus element(made);
        g_object_set(element.get(), "model", "no-such-model", nullptr);
        EXPECT_EQ(gst_element_set_state(element.get(), GST_STATE_READY),
                  GST_STATE_CHANGE_SUCCESS);
        EXPECT_EQ(gst_element_set_state(element.get(), GST_STATE_PAUSED),
                  GST_STATE_CHANGE_FAILURE);
        const auto errors = element.messages(GST_MESSAGE_ERROR);
        ASSERT_EQ(errors.size(), 1U);
        EXPECT_NE(errors[0].find("no-such-model"), std::string::npos) << errors[0];
        EXPECT_NE(errors[0].find("spherectl models"), std::string::npos) << errors[0];
    }
}

// What READY began to load is only taken where it is still what is asked for.
TEST(Preload, ModelsSetInReadyAreTheOnesThatRun) {
    GstElement *bin = gst_parse_bin_from_description(
        "spheredetect name=detect model=no-such-model ! spherealign ! sphereembed name=embed "
        "model=fake-embed",
        TRUE, nullptr);
    gst_object_ref_sink(bin);
    ElementOnBus element(bin);
    ASSERT_EQ(gst_element_set_state(bin, GST_STATE_READY), GST_STATE_CHANGE_SUCCESS);
    for (const auto &[name, model] :
         {std::pair{"detect", "fake-detect"}, std::pair{"embed", "fake-embed-112"}}) {
        GstElement *child = gst_bin_get_by_name(GST_BIN(bin), name);
        g_object_set(child, "model", model, nullptr);
        gst_object_unref(child);
    }
    const Harness harness(gst_harness_new_with_element(bin, "sink", "src"));
    gst_harness_set_src_caps_str(harness.get(), caps_of("BGR", {200, 200}).c_str());
    GstBuffer *out = gst_harness_push_and_pull(harness.get(), make_frame("BGR", {200, 200}, 0));
    ASSERT_NE(out, nullptr);
    EXPECT_EQ(embedding_of(out).size(), 128U);
    EXPECT_STREQ(gst_sphere_face_get_crop_template(
                     gst_sphere_face_meta_peek_face(gst_buffer_get_sphere_face_meta(out), 0)),
                 "arcface-112x112");
    gst_buffer_unref(out);
    EXPECT_TRUE(element.messages(GST_MESSAGE_ERROR).empty());
}

// Nobody asks for what was begun.
TEST(Preload, ReadyAndBackLeavesNothingBehind) {
    for (const char *model : {"fake-embed", "no-such-model"}) {
        GstElement *made = gst_element_factory_make("sphereembed", nullptr);
        gst_object_ref_sink(made);
        ElementOnBus element(made);
        g_object_set(made, "model", model, nullptr);
        for (int i = 0; i < 3; ++i) {
            EXPECT_EQ(gst_element_set_state(made, GST_STATE_READY), GST_STATE_CHANGE_SUCCESS);
            EXPECT_EQ(gst_element_set_state(made, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
        }
        EXPECT_TRUE(element.messages(GST_MESSAGE_ERROR).empty());
    }
}

TEST(Properties, EveryOneHasBlurbDefaultAndWorksBothWays) {
    for (const char *factory : {"spheredetect", "spherealign", "sphereembed", "spherematch",
                                "sphereoverlay", "spherepublish", "sphereattributes"}) {
        GstElement *element = gst_element_factory_make(factory, nullptr);
        ASSERT_NE(element, nullptr) << factory;
        gst_object_ref_sink(element);
        guint n = 0;
        GParamSpec **specs = g_object_class_list_properties(G_OBJECT_GET_CLASS(element), &n);
        for (guint i = 0; i < n; ++i) {
            SCOPED_TRACE(std::string(factory) + "." + specs[i]->name);
            const char *blurb = g_param_spec_get_blurb(specs[i]);
            ASSERT_NE(blurb, nullptr);
            EXPECT_GT(std::string(blurb).size(), 8U);
            if (std::string(g_type_name(specs[i]->owner_type)).rfind("GstSphere", 0) != 0)
                continue;
            GValue value = G_VALUE_INIT;
            g_value_init(&value, specs[i]->value_type);
            g_object_get_property(G_OBJECT(element), specs[i]->name, &value);
            if ((specs[i]->flags & G_PARAM_WRITABLE) != 0) {
                EXPECT_TRUE(g_param_value_defaults(specs[i], &value))
                    << "not its default at first";
                g_object_set_property(G_OBJECT(element), specs[i]->name, &value);
            }
            g_value_unset(&value);
        }
        g_free(specs);
        gst_object_unref(element);
    }
}

} // namespace
