// SPDX-License-Identifier: MIT
// Prints the faces of a video file, from C++: pulls frames from an appsink and borrows their
// faces without copies. usage: read_faces_cpp FILE [GALLERY]
// build: c++ -std=c++17 read_faces.cpp $(pkg-config --cflags --libs gst-sphere-meta-1.0
//        gstreamer-app-1.0) -o read_faces_cpp
#include <gst/app/gstappsink.h>
#include <gst/sphere/gstspheremeta.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <string>

namespace {

template <auto function> struct Call {
    template <typename T> void operator()(T *pointer) const { function(pointer); }
};
using Object = std::unique_ptr<GstElement, Call<gst_object_unref>>;
using Sample = std::unique_ptr<GstSample, Call<gst_sample_unref>>;

double length_of(const GstSphereFace *face) {
    gsize n = 0;
    const gfloat *values = gst_sphere_face_get_embedding(face, &n);
    double sum = 0;
    for (gsize i = 0; i < n; ++i)
        sum += static_cast<double>(values[i]) * values[i];
    return std::sqrt(sum);
}

void print_faces(GstBuffer *buffer) {
    const GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer);
    if (meta == nullptr)
        return; // no detector looked at this frame
    for (guint i = 0; i < gst_sphere_face_meta_get_n_faces(meta); ++i) {
        // Borrowed: valid while the sample is held and nobody changes its meta.
        const GstSphereFace *face = gst_sphere_face_meta_peek_face(meta, i);
        double x = 0, y = 0, w = 0, h = 0;
        gst_sphere_face_get_box(face, &x, &y, &w, &h);
        std::printf("%.3f %.0f,%.0f %.0fx%.0f",
                    static_cast<double>(GST_BUFFER_PTS(buffer)) / GST_SECOND, x, y, w, h);
        if (gst_sphere_face_get_embedding(face, nullptr) != nullptr)
            std::printf(" |embedding| %.3f", length_of(face));
        if (const char *label = gst_sphere_face_get_match_label(face)) // null unless known
            std::printf(" %s", label);
        else
            std::printf(" %s",
                        gst_sphere_face_state_to_string(gst_sphere_face_get_state(face)));
        std::printf("\n");
    }
}

bool failed(GstBus *bus) {
    GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
    if (message == nullptr)
        return false;
    GError *error = nullptr;
    gst_message_parse_error(message, &error, nullptr);
    std::fprintf(stderr, "%s\n", error->message);
    g_error_free(error);
    gst_message_unref(message);
    return true;
}

} // namespace

int main(int argc, char **argv) {
    gst_init(&argc, &argv);
    if (argc < 2) {
        std::fprintf(stderr, "usage: read_faces_cpp FILE [GALLERY]\n");
        return 2;
    }
    std::string road = "filesrc name=source ! decodebin ! spheredetect ! ";
    if (argc > 2)
        road += "spherealign ! sphereembed ! spherematch name=match ! ";
    road += "appsink name=end sync=false max-buffers=4";
    const Object pipeline(gst_parse_launch(road.c_str(), nullptr));
    if (!pipeline) {
        std::fprintf(stderr, "GStreamer does not find the elements: set GST_PLUGIN_PATH\n");
        return 1;
    }
    const auto child = [&](const char *name) {
        return Object(gst_bin_get_by_name(GST_BIN(pipeline.get()), name));
    };
    g_object_set(child("source").get(), "location", argv[1], nullptr);
    if (argc > 2)
        g_object_set(child("match").get(), "gallery", argv[2], nullptr);

    const std::unique_ptr<GstBus, Call<gst_object_unref>> bus(
        gst_element_get_bus(pipeline.get()));
    const Object end = child("end");
    auto *sink = GST_APP_SINK(end.get());
    gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
    bool error = false;
    while (!error && !gst_app_sink_is_eos(sink)) {
        // With a timeout, because after an error no sample and no end may ever come.
        if (const Sample sample{gst_app_sink_try_pull_sample(sink, 100 * GST_MSECOND)})
            print_faces(gst_sample_get_buffer(sample.get()));
        error = failed(bus.get());
    }
    gst_element_set_state(pipeline.get(), GST_STATE_NULL);
    return error ? 1 : 0;
}
