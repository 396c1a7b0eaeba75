// SPDX-License-Identifier: MIT
// What the element tests share: frames of every format with padded strides, and bus messages.
#pragma once

#include <gst/check/gstharness.h>
#include <gst/sphere/gstspheremeta.h>
#include <gst/video/video.h>

#include <memory>
#include <string>
#include <vector>

namespace sphere_test {

struct HarnessDelete {
    void operator()(GstHarness *harness) const { gst_harness_teardown(harness); }
};
using Harness = std::unique_ptr<GstHarness, HarnessDelete>;

inline const std::vector<std::string> kFormats = {"I420", "NV12", "YV12", "YUY2", "BGR",  "RGB",
                                                  "BGRx", "RGBx", "BGRA", "RGBA", "GRAY8"};

struct Size {
    int width;
    int height;
};

inline std::string caps_of(const std::string &format, Size size) {
    return "video/x-raw,format=" + format + ",width=" + std::to_string(size.width) +
           ",height=" + std::to_string(size.height) + ",framerate=25/1";
}

/// Bytes between and after rows hold this, so that a stray write shows.
inline constexpr guint8 kPadding = 0xA5;

/// A frame with a smooth picture (gradients, so that formats agree after conversion). With
/// `pad_bytes` its strides are larger than GStreamer's and a GstVideoMeta says so.
inline GstBuffer *make_frame(const std::string &format, Size size, int pad_bytes,
                             GstClockTime pts = 0) {
    GstVideoInfo info;
    gst_video_info_init(&info);
    gst_video_info_set_format(&info, gst_video_format_from_string(format.c_str()),
                              static_cast<guint>(size.width), static_cast<guint>(size.height));
    gsize offsets[GST_VIDEO_MAX_PLANES] = {};
    gint strides[GST_VIDEO_MAX_PLANES] = {};
    gsize total = 0;
    for (guint p = 0; p < GST_VIDEO_INFO_N_PLANES(&info); ++p) {
        gint component[GST_VIDEO_MAX_COMPONENTS];
        gst_video_format_info_component(info.finfo, p, component);
        const int rows =
            GST_VIDEO_FORMAT_INFO_SCALE_HEIGHT(info.finfo, component[0], size.height);
        offsets[p] = total;
        strides[p] = GST_VIDEO_INFO_PLANE_STRIDE(&info, p) + pad_bytes;
        total += static_cast<gsize>(strides[p]) * static_cast<gsize>(rows);
    }
    GstBuffer *buffer = gst_buffer_new_allocate(nullptr, total, nullptr);
    gst_buffer_memset(buffer, 0, kPadding, total);
    gst_buffer_add_video_meta_full(buffer, GST_VIDEO_FRAME_FLAG_NONE,
                                   GST_VIDEO_INFO_FORMAT(&info), info.width, info.height,
                                   GST_VIDEO_INFO_N_PLANES(&info), offsets, strides);
    GstVideoFrame frame;
    gst_video_frame_map(&frame, &info, buffer, GST_MAP_WRITE);
    for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS(&frame); ++c) {
        auto *data = static_cast<guint8 *>(GST_VIDEO_FRAME_COMP_DATA(&frame, c));
        const int w = GST_VIDEO_FRAME_COMP_WIDTH(&frame, c);
        const int h = GST_VIDEO_FRAME_COMP_HEIGHT(&frame, c);
        for (int y = 0; y < h; ++y)
            for (int x = 0; x < w; ++x) {
                // Grey, so that every format holds the same picture; 235 is full alpha enough.
                const bool chroma = GST_VIDEO_INFO_IS_YUV(&info) && c > 0;
                const int ramp = 40 + 150 * (x + y) / (w + h);
                data[y * GST_VIDEO_FRAME_COMP_STRIDE(&frame, c) +
                     x * GST_VIDEO_FRAME_COMP_PSTRIDE(&frame, c)] =
                    static_cast<guint8>(chroma ? 128 : ramp);
            }
    }
    gst_video_frame_unmap(&frame);
    GST_BUFFER_PTS(buffer) = pts;
    GST_BUFFER_DURATION(buffer) = 40 * GST_MSECOND;
    return buffer;
}

inline std::vector<guint8> bytes_of(GstBuffer *buffer) {
    std::vector<guint8> bytes(gst_buffer_get_size(buffer));
    gst_buffer_extract(buffer, 0, bytes.data(), bytes.size());
    return bytes;
}

/// Address of the first memory's bytes: equal addresses mean that nobody copied the picture.
inline const void *address_of(GstBuffer *buffer) {
    GstMapInfo map;
    if (!gst_buffer_map(buffer, &map, GST_MAP_READ))
        return nullptr;
    const void *address = map.data;
    gst_buffer_unmap(buffer, &map);
    return address;
}

/// The embedding of face `i`, or empty.
inline std::vector<float> embedding_of(GstBuffer *buffer, guint i = 0) {
    const GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer);
    if (meta == nullptr || i >= gst_sphere_face_meta_get_n_faces(meta))
        return {};
    gsize n = 0;
    const gfloat *values =
        gst_sphere_face_get_embedding(gst_sphere_face_meta_peek_face(meta, i), &n);
    return values != nullptr ? std::vector<float>(values, values + n) : std::vector<float>();
}

/// An element with a bus of its own, outside a pipeline.
class ElementOnBus {
  public:
    explicit ElementOnBus(GstElement *element) : element_(element), bus_(gst_bus_new()) {
        gst_element_set_bus(element_, bus_);
    }
    ~ElementOnBus() {
        gst_element_set_state(element_, GST_STATE_NULL);
        gst_element_set_bus(element_, nullptr);
        gst_object_unref(bus_);
        gst_object_unref(element_);
    }
    GstElement *get() const { return element_; }

    /// All messages of `type` so far; an error's or warning's text, else the structure's.
    std::vector<std::string> messages(GstMessageType type) {
        std::vector<std::string> texts;
        while (GstMessage *message = gst_bus_pop_filtered(bus_, type)) {
            GError *error = nullptr;
            if (type == GST_MESSAGE_ERROR)
                gst_message_parse_error(message, &error, nullptr);
            else if (type == GST_MESSAGE_WARNING)
                gst_message_parse_warning(message, &error, nullptr);
            if (error != nullptr) {
                texts.emplace_back(error->message);
                g_error_free(error);
            } else {
                gchar *text = gst_structure_to_string(gst_message_get_structure(message));
                texts.emplace_back(text);
                g_free(text);
            }
            gst_message_unref(message);
        }
        return texts;
    }

  private:
    GstElement *element_;
    GstBus *bus_;
};

} // namespace sphere_test
