// SPDX-License-Identifier: MIT
// Draws made faces by GStreamer's own objectdetectionoverlay (1.24), which knows nothing of
// ours:
//   overlay_faces OUT.ppm [plain]
// A frame of 320x240, grey; "plain" leaves the faces out. tests/system/test_debian13.py looks
// at the pixels.
#include <gst/sphere/gstspheremeta.h>
#include <gst/video/video.h>

#include <cstdio>
#include <cstring>

namespace {

void add_face(GstSphereFaceMeta *meta, const double (&box)[4], const char *person) {
    GstSphereFace *face = gst_sphere_face_new(box[0], box[1], box[2], box[3], 0.9);
    if (person != nullptr) {
        gst_sphere_face_set_track_id(face, 7);
        gst_sphere_face_add_candidate(face, person, person, 0.2, 0.8);
        gst_sphere_face_set_state(face, GST_SPHERE_FACE_STATE_KNOWN,
                                  GST_SPHERE_FACE_REASON_NONE);
    }
    gst_sphere_face_meta_add_face(meta, face);
    gst_sphere_face_free(face);
}

GstPadProbeReturn add_faces(GstPad *, GstPadProbeInfo *info, gpointer) {
    GstBuffer *buffer = gst_buffer_make_writable(GST_PAD_PROBE_INFO_BUFFER(info));
    GST_PAD_PROBE_INFO_DATA(info) = buffer;
    GstSphereFaceMeta *meta = gst_buffer_add_sphere_face_meta(buffer, 320, 240);
    add_face(meta, {40, 60, 80, 100}, "ada");
    add_face(meta, {200, 80, 60, 70}, nullptr);
    gst_sphere_face_meta_sync(meta, buffer);
    return GST_PAD_PROBE_OK;
}

bool write_ppm(const char *path, GstSample *sample) {
    GstVideoInfo info;
    GstVideoFrame frame;
    if (!gst_video_info_from_caps(&info, gst_sample_get_caps(sample)) ||
        !gst_video_frame_map(&frame, &info, gst_sample_get_buffer(sample), GST_MAP_READ))
        return false;
    FILE *out = std::fopen(path, "wb");
    if (out != nullptr) {
        std::fprintf(out, "P6\n%d %d\n255\n", info.width, info.height);
        const auto *pixels = static_cast<const guint8 *>(GST_VIDEO_FRAME_PLANE_DATA(&frame, 0));
        for (int y = 0; y < info.height; ++y)
            std::fwrite(pixels + y * GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0), 3,
                        static_cast<std::size_t>(info.width), out);
    }
    gst_video_frame_unmap(&frame);
    return out != nullptr && std::fclose(out) == 0;
}

} // namespace

int main(int argc, char **argv) {
    gst_init(&argc, &argv);
    if (argc < 2)
        return 2;
    GError *error = nullptr;
    GstElement *pipeline = gst_parse_launch(
        "videotestsrc num-buffers=1 pattern=solid-color foreground-color=0xff606060 ! "
        "video/x-raw,format=BGRx,width=320,height=240 ! identity name=faces ! "
        "objectdetectionoverlay object-detection-outline-color=0xffff0000 ! videoconvert ! "
        "video/x-raw,format=RGB ! fakesink name=sink",
        &error);
    if (pipeline == nullptr) {
        std::fprintf(stderr, "%s\n", error->message);
        return 1;
    }
    GstElement *faces = gst_bin_get_by_name(GST_BIN(pipeline), "faces");
    GstPad *pad = gst_element_get_static_pad(faces, "src");
    if (argc < 3 || std::strcmp(argv[2], "plain") != 0)
        gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, add_faces, nullptr, nullptr);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    GstBus *bus = gst_element_get_bus(pipeline);
    GstMessage *message = gst_bus_timed_pop_filtered(
        bus, 60 * GST_SECOND, static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
    GstElement *sink = gst_bin_get_by_name(GST_BIN(pipeline), "sink");
    GstSample *sample = nullptr;
    g_object_get(sink, "last-sample", &sample, nullptr);
    const bool done = message != nullptr && GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS &&
                      sample != nullptr && write_ppm(argv[1], sample);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    return done ? 0 : 1;
}
