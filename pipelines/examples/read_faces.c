/* SPDX-License-Identifier: MIT
 * Prints the faces of a video file, from C. usage: read_faces FILE [GALLERY]
 * build: cc read_faces.c -o read_faces \
 *        $(pkg-config --cflags --libs gst-sphere-meta-1.0 gstreamer-1.0) */
#include <gst/gst.h>
#include <gst/sphere/gstspheremeta.h>

static GstPadProbeReturn print_faces(GstPad *pad, GstPadProbeInfo *info, gpointer data) {
    GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER(info);
    GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer);
    guint n = meta != NULL ? gst_sphere_face_meta_get_n_faces(meta) : 0;
    (void)pad;
    (void)data;
    for (guint i = 0; i < n; ++i) {
        GstSphereFace *face = gst_sphere_face_meta_get_face(meta, i);
        gdouble x, y, w, h;
        gst_sphere_face_get_box(face, &x, &y, &w, &h);
        const gchar *label = gst_sphere_face_get_match_label(face);
        g_print("%" GST_TIME_FORMAT " %.0f,%.0f %.0fx%.0f %s\n",
                GST_TIME_ARGS(GST_BUFFER_PTS(buffer)), x, y, w, h,
                label != NULL
                    ? label
                    : gst_sphere_face_state_to_string(gst_sphere_face_get_state(face)));
        gst_sphere_face_free(face);
    }
    return GST_PAD_PROBE_OK;
}

int main(int argc, char **argv) {
    gst_init(&argc, &argv);
    if (argc < 2) {
        g_printerr("usage: read_faces FILE [GALLERY]\n");
        return 2;
    }
    GstElement *pipeline = gst_parse_launch(
        argc > 2
            ? "filesrc name=source ! decodebin ! spheredetect ! spherealign ! sphereembed ! "
              "spherematch name=match ! fakesink name=end"
            : "filesrc name=source ! decodebin ! spheredetect ! fakesink name=end",
        NULL);
    if (pipeline == NULL) {
        g_printerr("GStreamer does not find the sphere elements: set GST_PLUGIN_PATH\n");
        return 1;
    }
    GstElement *source = gst_bin_get_by_name(GST_BIN(pipeline), "source");
    g_object_set(source, "location", argv[1], NULL);
    gst_object_unref(source);
    if (argc > 2) {
        GstElement *match = gst_bin_get_by_name(GST_BIN(pipeline), "match");
        g_object_set(match, "gallery", argv[2], NULL);
        gst_object_unref(match);
    }
    GstElement *end = gst_bin_get_by_name(GST_BIN(pipeline), "end");
    GstPad *pad = gst_element_get_static_pad(end, "sink");
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, print_faces, NULL, NULL);
    gst_object_unref(pad);
    gst_object_unref(end);

    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    GstBus *bus = gst_element_get_bus(pipeline);
    GstMessage *message = gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE,
                                                     GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    int result = 0;
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
        GError *error = NULL;
        gst_message_parse_error(message, &error, NULL);
        g_printerr("%s\n", error->message);
        g_error_free(error);
        result = 1;
    }
    gst_message_unref(message);
    gst_object_unref(bus);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    return result;
}
