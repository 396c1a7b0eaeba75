// SPDX-License-Identifier: MIT
#include "pipelines/camera/live_view.h"

#include "pipelines/camera/elements.h"
#include "pipelines/camera/gst_ptr.h"

#include <gst/app/gstappsink.h>

#include <array>
#include <vector>

namespace sphere::camera {
namespace {

GstPadProbeReturn pass_if_watched(GstPad *, GstPadProbeInfo *, gpointer stream) {
    return static_cast<StreamState *>(stream)->watched() ? GST_PAD_PROBE_OK
                                                         : GST_PAD_PROBE_DROP;
}

GstFlowReturn take_picture(GstAppSink *sink, gpointer stream) {
    const SamplePtr sample(gst_app_sink_pull_sample(sink));
    if (!sample)
        return GST_FLOW_OK;
    GstBuffer *buffer = gst_sample_get_buffer(sample.get());
    std::vector<std::uint8_t> bytes(gst_buffer_get_size(buffer));
    gst_buffer_extract(buffer, 0, bytes.data(), bytes.size());
    int width = 0, height = 0;
    if (GstCaps *caps = gst_sample_get_caps(sample.get())) {
        const GstStructure *structure = gst_caps_get_structure(caps, 0);
        gst_structure_get_int(structure, "width", &width);
        gst_structure_get_int(structure, "height", &height);
    }
    static_cast<StreamState *>(stream)->set_jpeg(std::move(bytes), width, height);
    return GST_FLOW_OK;
}

struct Step {
    const char *factory, *name;
};
constexpr std::array<Step, 8> kSteps = {{{"queue", "live-queue"},
                                         {"videorate", "live-rate"},
                                         {"videoscale", "live-scale"},
                                         {"capsfilter", "live-size"},
                                         {"sphereoverlay", "live-overlay"},
                                         {"videoconvert", "live-convert"},
                                         {"jpegenc", "live-jpeg"},
                                         {"appsink", "live-sink"}}};

void set_up(GstBin *bin, const CameraConfig &config, StreamState &stream) {
    const auto named = [bin](const char *name) {
        return GstPtr<GstElement>(gst_bin_get_by_name(bin, name));
    };
    const auto queue = named("live-queue"), sink = named("live-sink");
    g_object_set(queue.get(), "max-size-buffers", 1U, "max-size-bytes", 0U, "max-size-time",
                 G_GUINT64_CONSTANT(0), nullptr);
    gst_util_set_object_arg(G_OBJECT(queue.get()), "leaky", "downstream");
    const GstPtr<GstPad> in(gst_element_get_static_pad(queue.get(), "sink"));
    gst_pad_add_probe(in.get(), GST_PAD_PROBE_TYPE_BUFFER, pass_if_watched, &stream, nullptr);
    g_object_set(named("live-rate").get(), "drop-only", TRUE, "max-rate",
                 static_cast<gint>(config.live_fps), nullptr);
    const CapsPtr caps(gst_caps_new_simple(
        "video/x-raw", "width", GST_TYPE_INT_RANGE, 1, static_cast<gint>(config.live_width),
        "pixel-aspect-ratio", GST_TYPE_FRACTION, 1, 1, nullptr));
    g_object_set(named("live-size").get(), "caps", caps.get(), nullptr);
    g_object_set(named("live-jpeg").get(), "quality", static_cast<gint>(config.jpeg_quality),
                 nullptr);
    g_object_set(sink.get(), "sync", FALSE, "async", FALSE, "max-buffers", 1U, "drop", TRUE,
                 "enable-last-sample", FALSE, nullptr);
    GstAppSinkCallbacks callbacks{};
    callbacks.new_sample = take_picture;
    gst_app_sink_set_callbacks(GST_APP_SINK(sink.get()), &callbacks, &stream, nullptr);
}

} // namespace

Result<void> add_live_view(GstBin *bin, GstElement *tee, const CameraConfig &config,
                           StreamState &stream) {
    GstElement *last = tee;
    for (const Step &step : kSteps) {
        auto element = add_element(bin, step.factory, step.name);
        if (!element)
            return std::move(element).error();
        if (gst_element_link(last, *element) == FALSE)
            return fail(Errc::Internal, "live view: ", step.name, " cannot be linked");
        last = *element;
    }
    set_up(bin, config, stream);
    return {};
}

} // namespace sphere::camera
