// SPDX-License-Identifier: MIT
// sphereredact: what it changes and what it leaves, in every format; whom it covers.
#include "tests/gst/element_support.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

using namespace sphere_test;

namespace {

constexpr Size kSize{160, 120};
struct Rect {
    double x, y, w, h;
};
constexpr Rect kFace{60, 40, 40, 50};

// A checkered picture: any averaging shows. Chroma is checkered too.
GstBuffer *checkered(const std::string &format, int pad, GstClockTime pts = 0) {
    GstBuffer *buffer = make_frame(format, kSize, pad, pts);
    GstVideoInfo info;
    gst_video_info_init(&info);
    gst_video_info_set_format(&info, gst_video_format_from_string(format.c_str()), kSize.width,
                              kSize.height);
    GstVideoFrame frame;
    gst_video_frame_map(&frame, &info, buffer, GST_MAP_WRITE);
    for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS(&frame); ++c)
        for (int y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT(&frame, c); ++y)
            for (int x = 0; x < GST_VIDEO_FRAME_COMP_WIDTH(&frame, c); ++x)
                static_cast<guint8 *>(GST_VIDEO_FRAME_COMP_DATA(
                    &frame, c))[y * GST_VIDEO_FRAME_COMP_STRIDE(&frame, c) +
                                x * GST_VIDEO_FRAME_COMP_PSTRIDE(&frame, c)] =
                    (x + y) % 2 ? 200 : 60;
    gst_video_frame_unmap(&frame);
    return buffer;
}

void add_face(GstBuffer *buffer, const Rect &box, gint64 track = -1, bool carried = false,
              const char *id = nullptr) {
    GstSphereFaceMeta *meta =
        gst_buffer_add_sphere_face_meta(buffer, kSize.width, kSize.height);
    GstSphereFace *face = gst_sphere_face_new(box.x, box.y, box.w, box.h, 0.9);
    gst_sphere_face_set_track_id(face, track);
    gst_sphere_face_set_carried(face, carried);
    if (id != nullptr) {
        gst_sphere_face_add_candidate(face, id, id, 0.2, 0.8);
        gst_sphere_face_set_state(face, GST_SPHERE_FACE_STATE_KNOWN,
                                  GST_SPHERE_FACE_REASON_NONE);
    }
    gst_sphere_face_meta_add_face(meta, face);
    gst_sphere_face_free(face);
}

class Redact {
  public:
    Redact(const std::string &options, const std::string &format)
        : format_(format),
          harness_(gst_harness_new_parse(("sphereredact " + options).c_str())) {
        gst_harness_set_src_caps_str(harness_.get(), caps_of(format, kSize).c_str());
    }
    GstBuffer *push(GstBuffer *buffer) {
        return gst_harness_push_and_pull(harness_.get(), buffer);
    }

    // Calls check(component, x, y, before, after) with coordinates of the frame.
    template <typename Check> void compare(GstBuffer *before, GstBuffer *after, Check &&check) {
        GstVideoInfo info;
        gst_video_info_set_format(&info, gst_video_format_from_string(format_.c_str()),
                                  kSize.width, kSize.height);
        GstVideoFrame a, b;
        ASSERT_TRUE(gst_video_frame_map(&a, &info, before, GST_MAP_READ));
        ASSERT_TRUE(gst_video_frame_map(&b, &info, after, GST_MAP_READ));
        for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS(&a); ++c) {
            const int step_x = 1 << GST_VIDEO_FORMAT_INFO_W_SUB(info.finfo, c);
            const int step_y = 1 << GST_VIDEO_FORMAT_INFO_H_SUB(info.finfo, c);
            for (int y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT(&a, c); ++y)
                for (int x = 0; x < GST_VIDEO_FRAME_COMP_WIDTH(&a, c); ++x) {
                    const auto value = [&](GstVideoFrame &frame) -> int {
                        return static_cast<guint8 *>(GST_VIDEO_FRAME_COMP_DATA(
                            &frame, c))[y * GST_VIDEO_FRAME_COMP_STRIDE(&frame, c) +
                                        x * GST_VIDEO_FRAME_COMP_PSTRIDE(&frame, c)];
                    };
                    check(c, (x + 0.5) * step_x, (y + 0.5) * step_y, value(a), value(b));
                }
        }
        gst_video_frame_unmap(&a);
        gst_video_frame_unmap(&b);
    }

  private:
    std::string format_;
    Harness harness_;
};

class RedactFormat : public testing::TestWithParam<std::string> {};

TEST_P(RedactFormat, AveragesTheShapeAndNothingElse) {
    const std::string format = GetParam();
    const bool has_alpha =
        format == "BGRA" || format == "RGBA" || format == "BGRx" || format == "RGBx";
    for (const std::string method : {"blur", "pixelate", "fill"})
        for (const std::string shape : {"ellipse", "box"})
            for (const int pad : {0, 13}) {
                SCOPED_TRACE(format + " " + method + " " + shape + " pad " +
                             std::to_string(pad));
                Redact redact("margin=0 cells=4 color=0x808080 method=" + method +
                                  " shape=" + shape,
                              format);
                GstBuffer *in = checkered(format, pad);
                add_face(in, kFace);
                GstBuffer *before = gst_buffer_copy_deep(in);
                GstBuffer *out = redact.push(in);
                ASSERT_NE(out, nullptr);
                int inside = 0, unchanged_inside = 0, changed_outside = 0, alpha_changed = 0;
                redact.compare(before, out, [&](guint c, double x, double y, int a, int b) {
                    if (c == 3 && has_alpha) {
                        alpha_changed += a != b;
                        return;
                    }
                    const double u = (x - kFace.x) / kFace.w * 2 - 1;
                    const double v = (y - kFace.y) / kFace.h * 2 - 1;
                    const double r =
                        shape == "box" ? std::max(std::abs(u), std::abs(v)) : std::hypot(u, v);
                    if (r < 0.9) {
                        ++inside;
                        unchanged_inside += std::abs(a - b) < 30; // the checker's mean is 130
                    } else if (r > 1.2) {
                        changed_outside += a != b;
                    }
                });
                EXPECT_GT(inside, 800);
                EXPECT_EQ(unchanged_inside, 0);
                EXPECT_EQ(changed_outside, 0);
                EXPECT_EQ(alpha_changed, 0);
                // Nor is anything between and after the rows.
                const auto bytes_before = bytes_of(before), bytes_after = bytes_of(out);
                ASSERT_EQ(bytes_before.size(), bytes_after.size());
                for (std::size_t i = 0; i < bytes_before.size(); ++i)
                    if (bytes_before[i] == kPadding) {
                        ASSERT_EQ(bytes_after[i], kPadding);
                    }
                gst_buffer_unref(before);
                gst_buffer_unref(out);
            }
}

INSTANTIATE_TEST_SUITE_P(Formats, RedactFormat, testing::ValuesIn(kFormats));

// Share of the face's inner half that was changed.
double covered(const std::string &who, const char *id, const Rect &box = kFace) {
    Redact redact("method=fill color=0xff0000 who=" + who, "BGR");
    GstBuffer *in = checkered("BGR", 0);
    add_face(in, kFace, -1, false, id);
    GstBuffer *before = gst_buffer_copy_deep(in);
    GstBuffer *out = redact.push(in);
    int all = 0, changed = 0;
    redact.compare(before, out, [&](guint, double x, double y, int a, int b) {
        if (x > box.x + box.w / 4 && x < box.x + box.w * 3 / 4 && y > box.y + box.h / 4 &&
            y < box.y + box.h * 3 / 4) {
            ++all;
            changed += a != b;
        }
    });
    gst_buffer_unref(before);
    gst_buffer_unref(out);
    return all > 0 ? static_cast<double>(changed) / all : 0;
}

TEST(Redact, WhoIsCovered) {
    struct Case {
        const char *who;
        bool ada, bob, nobody;
    };
    for (const Case &c : {Case{"all", true, true, true}, Case{"known", true, true, false},
                          Case{"unknown", false, false, true}, Case{"ada", true, false, false},
                          Case{"eve,ada", true, false, false}, Case{"!ada", false, true, true},
                          Case{"!ada,bob", false, false, true}}) {
        SCOPED_TRACE(c.who);
        EXPECT_EQ(covered(c.who, "ada") == 1, c.ada);
        EXPECT_EQ(covered(c.who, "bob") == 1, c.bob);
        EXPECT_EQ(covered(c.who, nullptr) == 1, c.nobody);
        if (!c.ada) {
            EXPECT_EQ(covered(c.who, "ada"), 0);
        }
    }
}

bool is_covered(Redact &redact, GstBuffer *in, double px, double py) {
    GstBuffer *before = gst_buffer_copy_deep(in);
    GstBuffer *out = redact.push(in);
    bool changed = false;
    redact.compare(before, out, [&](guint, double x, double y, int a, int b) {
        if (std::abs(x - px) < 1 && std::abs(y - py) < 1)
            changed |= a != b;
    });
    gst_buffer_unref(before);
    gst_buffer_unref(out);
    return changed;
}

// A PNG file of one colour, 0xAARRGGBB, that is kept to the end of the tests.
std::string png_of(const std::string &argb) {
    static const sphere::testing_support::TemporaryDirectory directory;
    const std::string path = directory.path() + "/" + argb + ".png";
    GstElement *pipeline = gst_parse_launch(
        ("videotestsrc num-buffers=1 pattern=solid-color foreground-color=" + argb +
         " ! video/x-raw,format=RGBA,width=30,height=30 ! pngenc ! filesink "
         "location=" +
         path)
            .c_str(),
        nullptr);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    GstMessage *message = gst_bus_timed_pop_filtered(
        GST_ELEMENT_BUS(pipeline), 10 * GST_SECOND,
        static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
    EXPECT_TRUE(message != nullptr && GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS);
    gst_clear_message(&message);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    return path;
}

// The frame with the face covered so.
GstBuffer *covered_by(const std::string &options, const std::string &format) {
    Redact redact("margin=0 shape=box " + options, format);
    GstBuffer *in = checkered(format, 0);
    add_face(in, kFace);
    return redact.push(in);
}

TEST_P(RedactFormat, AnOpaqueImageOfOneColourIsThatColour) {
    const std::string format = GetParam();
    GstBuffer *filled = covered_by("method=fill color=0x2060c0", format);
    GstBuffer *drawn = covered_by("method=image image=" + png_of("0xff2060c0"), format);
    Redact("", format).compare(filled, drawn, [&](guint c, double x, double y, int a, int b) {
        if (x > kFace.x + 2 && x < kFace.x + kFace.w - 2 && y > kFace.y + 2 &&
            y < kFace.y + kFace.h - 2) {
            ASSERT_NEAR(a, b, 1) << "component " << c << " at " << x << "," << y;
        }
    });
    gst_buffer_unref(filled);
    gst_buffer_unref(drawn);
}

TEST(Redact, NothingShowsThroughAClearImage) {
    GstBuffer *drawn =
        covered_by("method=image color=0x0000ff image=" + png_of("0x80ff0000"), "RGB");
    GstBuffer *half = covered_by("method=fill color=0x80007f", "RGB");
    Redact("", "RGB").compare(half, drawn, [&](guint, double x, double y, int a, int b) {
        if (x > kFace.x && x < kFace.x + kFace.w && y > kFace.y && y < kFace.y + kFace.h) {
            ASSERT_NEAR(a, b, 2) << x << "," << y;
        }
    });
    gst_buffer_unref(half);
    gst_buffer_unref(drawn);
}

TEST(Redact, AnImageThatCannotBeReadIsAnErrorAtTheStart) {
    const sphere::testing_support::TemporaryDirectory directory;
    const std::string text = directory.path() + "/text.png",
                      huge = directory.path() + "/huge.png";
    std::ofstream(text) << "this is no picture, however long the line is";
    std::string header("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0", 24);
    std::ofstream(huge, std::ios::binary) << header;
    for (const std::string &path :
         {std::string("/nowhere/face.png"), text, huge, std::string()}) {
        SCOPED_TRACE(path);
        GstElement *element = gst_element_factory_make("sphereredact", nullptr);
        gst_util_set_object_arg(G_OBJECT(element), "method", "image");
        g_object_set(element, "image", path.c_str(), nullptr);
        GstBus *bus = gst_bus_new();
        gst_element_set_bus(element, bus);
        EXPECT_EQ(gst_element_set_state(element, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
        GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
        ASSERT_NE(message, nullptr);
        GError *error = nullptr;
        gst_message_parse_error(message, &error, nullptr);
        EXPECT_NE(std::string(error->message).find("image="), std::string::npos)
            << error->message;
        g_clear_error(&error);
        gst_message_unref(message);
        gst_element_set_state(element, GST_STATE_NULL);
        gst_element_set_bus(element, nullptr);
        gst_object_unref(bus);
        gst_object_unref(element);
    }
}

TEST(Redact, ACarriedFaceIsCoveredWhereItIsExpectedAndWhereItWasSeen) {
    Redact redact("method=fill color=0xff0000", "BGR");
    GstBuffer *in = checkered("BGR", 0);
    add_face(in, {20, 40, 30, 30}, 5);
    EXPECT_TRUE(is_covered(redact, in, 35, 55));
    for (const double px : {35.0, 95.0}) {
        in = checkered("BGR", 0, 40 * GST_MSECOND);
        add_face(in, {80, 40, 30, 30}, 5, true);
        EXPECT_TRUE(is_covered(redact, in, px, 55)) << px;
    }
    in = checkered("BGR", 0, 80 * GST_MSECOND);
    add_face(in, {80, 40, 30, 30}, 5);
    EXPECT_FALSE(is_covered(redact, in, 35, 55)) << "it was found elsewhere since";
}

TEST(Redact, WithoutATrackerSkippedFramesKeepTheLastFaces) {
    Redact redact("method=fill color=0xff0000 hold=200", "BGR");
    EXPECT_FALSE(is_covered(redact, checkered("BGR", 0), 80, 65));
    GstBuffer *in = checkered("BGR", 0, 40 * GST_MSECOND);
    add_face(in, kFace);
    EXPECT_TRUE(is_covered(redact, in, 80, 65));
    EXPECT_TRUE(is_covered(redact, checkered("BGR", 0, 80 * GST_MSECOND), 80, 65));
    EXPECT_FALSE(is_covered(redact, checkered("BGR", 0, 300 * GST_MSECOND), 80, 65));
    in = checkered("BGR", 0, 340 * GST_MSECOND);
    add_face(in, kFace);
    EXPECT_TRUE(is_covered(redact, in, 80, 65));
    in = checkered("BGR", 0, 380 * GST_MSECOND);
    gst_buffer_add_sphere_face_meta(in, kSize.width, kSize.height); // looked at: nobody
    EXPECT_FALSE(is_covered(redact, in, 80, 65));
}

TEST(Redact, BoxesBeyondTheFrameAndAbsurdOnesDoNoHarm) {
    const std::string picture = "image image=" + png_of("0xffff0000");
    for (const std::string &method :
         {std::string("blur"), std::string("pixelate"), std::string("fill"), picture})
        for (const Rect &box :
             {Rect{-20, -20, 60, 60}, Rect{140, 100, 60, 60}, Rect{-500, -500, 2000, 2000},
              Rect{1e7, 1e7, 10, 10}, Rect{-1e9, 0, 2e9, 10}, Rect{50, 50, 0, 0},
              Rect{50, 50, 1e-9, 1}})
            for (const std::string format : {"I420", "YUY2", "RGB"}) {
                Redact redact("method=" + method, format);
                GstBuffer *in = checkered(format, 3);
                add_face(in, box);
                GstBuffer *out = redact.push(in);
                ASSERT_NE(out, nullptr);
                gst_buffer_unref(out);
            }
}

TEST(Redact, NobodyToCoverLeavesTheBufferShared) {
    Redact redact("who=known", "I420");
    GstBuffer *in = checkered("I420", 0);
    add_face(in, kFace);
    const void *address = address_of(in);
    GstBuffer *kept = gst_buffer_ref(in);
    GstBuffer *out = redact.push(in);
    EXPECT_EQ(address_of(out), address) << "the picture was copied";
    gst_buffer_unref(kept);
    gst_buffer_unref(out);
}

} // namespace
