// SPDX-License-Identifier: MIT
#include "pipelines/camera/camera_pipeline.h"

#include "pipelines/camera/elements.h"
#include "pipelines/camera/live_view.h"
#include "pipelines/camera/uri.h"

#include <gst/app/gstappsink.h>

#include <array>
#include <utility>

namespace sphere::camera {
namespace {

// Where a warning posted in this thread goes, while an action signal is emitted by it.
thread_local std::string *captured_warning = nullptr;

std::string text_of(GstMessage *message) {
    GError *error = nullptr;
    gchar *details = nullptr;
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR)
        gst_message_parse_error(message, &error, &details);
    else
        gst_message_parse_warning(message, &error, &details);
    std::string text = error != nullptr ? error->message : "unknown error";
    // The first message is often no more than "Could not read from resource."
    if (details != nullptr) {
        std::string_view last(details);
        while (last.ends_with('\n'))
            last.remove_suffix(1);
        last.remove_prefix(last.rfind('\n') + 1);
        if (last.find(".c(") == std::string_view::npos &&
            last.find(".cpp(") == std::string_view::npos && !last.empty())
            text += " (" + std::string(last) + ")";
    }
    g_clear_error(&error);
    g_free(details);
    return text;
}

// Only what poll() looks at waits on the bus.
GstBusSyncReply sort_message(GstBus *, GstMessage *message, gpointer) {
    switch (GST_MESSAGE_TYPE(message)) {
    case GST_MESSAGE_WARNING:
        if (captured_warning != nullptr) {
            *captured_warning = text_of(message);
            break;
        }
        return GST_BUS_PASS;
    case GST_MESSAGE_ERROR:
    case GST_MESSAGE_EOS:
        return GST_BUS_PASS;
    default:
        break;
    }
    gst_message_unref(message);
    return GST_BUS_DROP;
}

GstPadProbeReturn see_decoded(GstPad *pad, GstPadProbeInfo *info, gpointer stream) {
    GstElement *queue = gst_pad_get_parent_element(pad);
    if (queue == nullptr)
        return GST_PAD_PROBE_OK;
    guint held = 0, most = 0;
    gint leaky = 0;
    g_object_get(queue, "current-level-buffers", &held, "max-size-buffers", &most, "leaky",
                 &leaky, nullptr);
    gst_object_unref(queue);
    static_cast<StreamState *>(stream)->add_decoded(
        GST_BUFFER_PTS(GST_PAD_PROBE_INFO_BUFFER(info)), leaky != 0 && held >= most);
    return GST_PAD_PROBE_OK;
}

GstPadProbeReturn see_analysed(GstPad *, GstPadProbeInfo *info, gpointer user) {
    auto &observer = *static_cast<FrameObserver *>(user);
    if (GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_BUFFER) {
        observer.see_frame(GST_PAD_PROBE_INFO_BUFFER(info));
        return GST_PAD_PROBE_OK;
    }
    GstEvent *event = GST_PAD_PROBE_INFO_EVENT(info);
    if (GST_EVENT_TYPE(event) == GST_EVENT_CAPS) {
        GstCaps *caps = nullptr;
        gst_event_parse_caps(event, &caps);
        observer.set_caps(caps);
    } else if (GST_EVENT_TYPE(event) == GST_EVENT_EOS) {
        observer.flush_events();
    }
    return GST_PAD_PROBE_OK;
}

void see_match(GstElement *, GstStructure *event, gpointer observer) {
    static_cast<FrameObserver *>(observer)->see_event(event);
}

// One video stream of the camera's; sound and metadata are not asked for.
gboolean select_stream(GstElement *, guint, GstCaps *caps, gpointer) {
    const char *media = gst_structure_get_string(gst_caps_get_structure(caps, 0), "media");
    return media == nullptr || g_str_equal(media, "video");
}

void link_source(GstElement *, GstPad *pad, gpointer parser) {
    GstPad *sink = gst_element_get_static_pad(static_cast<GstElement *>(parser), "sink");
    if (gst_pad_is_linked(sink) == FALSE)
        gst_pad_link(pad, sink);
    gst_object_unref(sink);
}

void parser_pad_added(GstElement *, GstPad *pad, gpointer pipeline) {
    static_cast<CameraPipeline *>(pipeline)->add_pad(pad);
}

void parser_no_more_pads(GstElement *, gpointer pipeline) {
    static_cast<CameraPipeline *>(pipeline)->no_more_pads();
}

void link_decoded(GstElement *, GstPad *pad, gpointer queue) {
    GstPad *sink = gst_element_get_static_pad(static_cast<GstElement *>(queue), "sink");
    if (gst_pad_is_linked(sink) == FALSE)
        gst_pad_link(pad, sink);
    gst_object_unref(sink);
}

GstFlowReturn take_encoded(GstAppSink *sink, gpointer pipeline) {
    const SamplePtr sample(gst_app_sink_pull_sample(sink));
    if (sample)
        static_cast<CameraPipeline *>(pipeline)->see_encoded(sample.get());
    return GST_FLOW_OK;
}

std::string media_of(GstPad *pad) {
    CapsPtr caps(gst_pad_get_current_caps(pad));
    if (!caps)
        caps.reset(gst_pad_query_caps(pad, nullptr));
    if (!caps || gst_caps_is_any(caps.get()) || gst_caps_is_empty(caps.get()))
        return {};
    return gst_structure_get_name(gst_caps_get_structure(caps.get(), 0));
}

void limit(GstElement *queue, guint buffers, bool leaky) {
    g_object_set(queue, "max-size-buffers", buffers, "max-size-bytes", 0U, "max-size-time",
                 G_GUINT64_CONSTANT(0), nullptr);
    if (leaky)
        gst_util_set_object_arg(G_OBJECT(queue), "leaky", "downstream");
}

gboolean add_numbers(GQuark field, const GValue *value, gpointer user) {
    auto &numbers = *static_cast<std::map<std::string, double> *>(user);
    GValue number = G_VALUE_INIT;
    g_value_init(&number, G_TYPE_DOUBLE);
    if (g_value_type_transformable(G_VALUE_TYPE(value), G_TYPE_DOUBLE) != FALSE &&
        g_value_transform(value, &number) != FALSE)
        numbers[g_quark_to_string(field)] = g_value_get_double(&number);
    g_value_unset(&number);
    return TRUE;
}

} // namespace

CameraPipeline::CameraPipeline(const CameraConfig &config, StreamState &stream,
                               FrameObserver &observer, EncodedListener encoded)
    : config_(config), stream_(stream), observer_(observer), encoded_(std::move(encoded)) {}

CameraPipeline::~CameraPipeline() {
    stop();
}

Result<std::unique_ptr<CameraPipeline>> CameraPipeline::build(const CameraConfig &config,
                                                              StreamState &stream,
                                                              FrameObserver &observer,
                                                              EncodedListener encoded) {
    std::unique_ptr<CameraPipeline> pipeline(
        new CameraPipeline(config, stream, observer, std::move(encoded)));
    SPHERE_TRY(pipeline->assemble());
    return pipeline;
}

Result<void> CameraPipeline::assemble() {
    pipeline_.reset(GST_ELEMENT(gst_object_ref_sink(gst_pipeline_new(config_.name.c_str()))));
    const GstPtr<GstBus> bus(gst_element_get_bus(pipeline_.get()));
    gst_bus_set_sync_handler(bus.get(), sort_message, nullptr, nullptr);
    SPHERE_TRY(add_source());
    auto last = add_analysis();
    if (!last)
        return std::move(last).error();
    auto tee = add_element(GST_BIN(pipeline_.get()), "tee", "analysed");
    if (!tee)
        return std::move(tee).error();
    gst_element_link(*last, *tee);
    SPHERE_TRY(add_end(*tee));
    return add_live_view(GST_BIN(pipeline_.get()), *tee, config_, stream_);
}

Result<void> CameraPipeline::add_source() {
    GstBin *bin = GST_BIN(pipeline_.get());
    auto source = make_source(config_);
    if (!source)
        return std::move(source).error();
    live_ = source->live;
    GstElement *element = source->element;
    gst_bin_add(bin, element);
    auto parser = add_element(bin, "parsebin", "parser");
    if (!parser)
        return std::move(parser).error();
    parser_ = *parser;
    g_signal_connect(parser_, "pad-added", G_CALLBACK(parser_pad_added), this);
    g_signal_connect(parser_, "no-more-pads", G_CALLBACK(parser_no_more_pads), this);
    if (g_signal_lookup("select-stream", G_OBJECT_TYPE(element)) != 0)
        g_signal_connect(element, "select-stream", G_CALLBACK(select_stream), nullptr);
    const GstPtr<GstPad> pad(gst_element_get_static_pad(element, "src"));
    if (!pad) {
        g_signal_connect(element, "pad-added", G_CALLBACK(link_source), parser_);
        return {};
    }
    if (config_.width == 0 && config_.height == 0 && config_.framerate == 0) {
        gst_element_link(element, parser_);
        return {};
    }
    CapsPtr caps(gst_caps_new_empty_simple("video/x-raw"));
    if (config_.width > 0)
        gst_caps_set_simple(caps.get(), "width", G_TYPE_INT, config_.width, nullptr);
    if (config_.height > 0)
        gst_caps_set_simple(caps.get(), "height", G_TYPE_INT, config_.height, nullptr);
    if (config_.framerate > 0)
        gst_caps_set_simple(caps.get(), "framerate", GST_TYPE_FRACTION, config_.framerate, 1,
                            nullptr);
    GstCaps *jpeg = gst_caps_copy(caps.get()); // what many USB cameras send at full size
    gst_structure_set_name(gst_caps_get_structure(jpeg, 0), "image/jpeg");
    gst_caps_append(caps.get(), jpeg);
    gst_element_link_filtered(element, parser_, caps.get());
    return {};
}

Result<GstElement *> CameraPipeline::add_analysis() {
    GstBin *bin = GST_BIN(pipeline_.get());
    auto queue = add_element(bin, "queue", "decoded");
    if (!queue)
        return queue;
    decoded_ = *queue;
    // Live: what the analysis has no time for is left out here, the newest stays.
    limit(decoded_, 2, live_);
    const GstPtr<GstPad> in(gst_element_get_static_pad(decoded_, "sink"));
    gst_pad_add_probe(in.get(), GST_PAD_PROBE_TYPE_BUFFER, see_decoded, &stream_, nullptr);
    auto convert = add_element(bin, "videoconvert", "convert");
    if (!convert)
        return convert;
    gst_element_link(decoded_, *convert);
    return add_recogniser(*convert);
}

Result<GstElement *> CameraPipeline::add_recogniser(GstElement *before) {
    GstBin *bin = GST_BIN(pipeline_.get());
    auto element = add_element(bin, "spherebin", "recogniser");
    if (!element)
        return element;
    recogniser_ = *element;
    if (!config_.gallery.empty())
        g_object_set(recogniser_, "gallery", config_.gallery.c_str(), nullptr);
    g_object_set(recogniser_, "stream", config_.name.c_str(), nullptr);
    for (const auto &[property, value] : config_.recognition)
        SPHERE_TRY(set_property(recogniser_, property, value));
    g_signal_connect(recogniser_, "match", G_CALLBACK(see_match), &observer_);
    const GstPtr<GstPad> out(gst_element_get_static_pad(recogniser_, "src"));
    gst_pad_add_probe(out.get(),
                      static_cast<GstPadProbeType>(GST_PAD_PROBE_TYPE_BUFFER |
                                                   GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM),
                      see_analysed, &observer_, nullptr);
    gst_element_link(before, recogniser_);
    GstElement *last = recogniser_;
    for (const auto &properties : config_.publish) {
        auto publish = add_element(bin, "spherepublish", nullptr);
        if (!publish)
            return publish;
        g_object_set(*publish, "stream", config_.name.c_str(), nullptr);
        for (const auto &[property, value] : properties)
            SPHERE_TRY(set_property(*publish, property, value));
        gst_element_link(last, *publish);
        last = *publish;
    }
    return last;
}

Result<void> CameraPipeline::add_end(GstElement *tee) {
    auto sink = add_element(GST_BIN(pipeline_.get()), "fakesink", "end");
    if (!sink)
        return std::move(sink).error();
    g_object_set(*sink, "sync", static_cast<gboolean>(!live_ && config_.realtime),
                 "enable-last-sample", FALSE, nullptr);
    gst_element_link(tee, *sink);
    return {};
}

// Called once the kind of stream is known; its elements come before data flows.
Result<GstElement *> CameraPipeline::add_decoder() {
    GstBin *bin = GST_BIN(pipeline_.get());
    auto tee = add_element(bin, "tee", "encoded");
    auto queue = add_element(bin, "queue", "to-decode");
    auto decoder = add_element(bin, "decodebin", "decoder");
    for (const auto *element : {&tee, &queue, &decoder})
        if (!element->ok())
            return *element;
    g_signal_connect(*decoder, "pad-added", G_CALLBACK(link_decoded), decoded_);
    gst_element_link_many(*tee, *queue, *decoder, nullptr);
    for (GstElement *element : {*decoder, *queue, *tee})
        gst_element_sync_state_with_parent(element);
    return tee;
}

Result<void> CameraPipeline::add_encoded_branch(GstElement *tee, const std::string &media) {
    const bool h264 = media == "video/x-h264";
    if (!h264 && media != "video/x-h265")
        return fail(Errc::Unsupported, "only H.264 and H.265 can be recorded, this is ", media);
    GstBin *bin = GST_BIN(pipeline_.get());
    auto queue = add_element(bin, "queue", "to-record");
    auto parse = add_element(bin, h264 ? "h264parse" : "h265parse", "record-parse");
    auto sink = add_element(bin, "appsink", "record");
    for (const auto *element : {&queue, &parse, &sink})
        if (!element->ok())
            return element->error();
    limit(*queue, 100, true);
    // Parameter sets before each key frame: a recording can begin at any of them.
    g_object_set(*parse, "config-interval", -1, nullptr);
    const CapsPtr caps(gst_caps_new_simple(media.c_str(), "stream-format", G_TYPE_STRING,
                                           "byte-stream", "alignment", G_TYPE_STRING, "au",
                                           nullptr));
    g_object_set(*sink, "caps", caps.get(), "sync", FALSE, "async", FALSE, "max-buffers", 4U,
                 "enable-last-sample", FALSE, nullptr);
    GstAppSinkCallbacks callbacks{};
    callbacks.new_sample = take_encoded;
    gst_app_sink_set_callbacks(GST_APP_SINK(*sink), &callbacks, this, nullptr);
    gst_element_link_many(tee, *queue, *parse, *sink, nullptr);
    for (GstElement *element : {*sink, *parse, *queue})
        gst_element_sync_state_with_parent(element);
    return {};
}

void CameraPipeline::add_pad(GstPad *pad) {
    const std::string media = media_of(pad);
    if (!(media.starts_with("video/") || media == "image/jpeg") || has_video_.exchange(true))
        return;
    if (media == "video/x-raw") {
        link_decoded(nullptr, pad, decoded_);
        if (encoded_) {
            const std::lock_guard lock(encoded_error_mutex_);
            encoded_error_ = "only H.264 and H.265 can be recorded, the camera sends raw video";
        }
        return;
    }
    const auto tee = add_decoder();
    if (!tee) {
        GST_ELEMENT_ERROR(parser_, CORE, MISSING_PLUGIN, ("%s", tee.error().message.c_str()),
                          (nullptr));
        return;
    }
    if (encoded_)
        if (const auto added = add_encoded_branch(*tee, media); !added) {
            const std::lock_guard lock(encoded_error_mutex_);
            encoded_error_ = added.error().message;
        }
    const GstPtr<GstPad> sink(gst_element_get_static_pad(*tee, "sink"));
    gst_pad_link(pad, sink.get());
}

void CameraPipeline::no_more_pads() {
    if (!has_video_)
        GST_ELEMENT_ERROR(parser_, STREAM, WRONG_TYPE, ("The stream has no video in it."),
                          (nullptr));
}

Result<void> CameraPipeline::start() {
    if (gst_element_set_state(pipeline_.get(), GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE)
        return {};
    Report report;
    do
        report = poll(std::chrono::milliseconds(0));
    while (report.news == News::Warning);
    return fail(Errc::Io, report.text.empty() ? "the pipeline did not start" : report.text);
}

CameraPipeline::Report CameraPipeline::report_of(GstMessage *message) const {
    switch (GST_MESSAGE_TYPE(message)) {
    case GST_MESSAGE_ERROR:
        return {News::Error, without_secrets(text_of(message), config_.password)};
    case GST_MESSAGE_WARNING:
        return {News::Warning, without_secrets(text_of(message), config_.password)};
    case GST_MESSAGE_EOS:
        return {News::End, "the stream ended"};
    default:
        return {};
    }
}

CameraPipeline::Report CameraPipeline::poll(std::chrono::milliseconds wait) {
    const GstPtr<GstBus> bus(gst_element_get_bus(pipeline_.get()));
    const MessagePtr message(
        gst_bus_timed_pop(bus.get(), static_cast<GstClockTime>(wait.count()) * GST_MSECOND));
    return message ? report_of(message.get()) : Report{};
}

void CameraPipeline::stop() {
    if (pipeline_)
        gst_element_set_state(pipeline_.get(), GST_STATE_NULL);
}

std::string CameraPipeline::encoded_error() const {
    const std::lock_guard lock(encoded_error_mutex_);
    return encoded_error_;
}

Result<void> CameraPipeline::enrol(const std::string &person, std::int64_t track) {
    std::string warning;
    gboolean done = FALSE;
    captured_warning = &warning;
    g_signal_emit_by_name(recogniser_, "enrol", person.c_str(), static_cast<gint64>(track),
                          &done);
    captured_warning = nullptr;
    if (done != FALSE)
        return {};
    return fail(Errc::InvalidArgument,
                warning.empty() ? "the gallery was not changed" : without_secrets(warning));
}

std::map<std::string, std::map<std::string, double>> CameraPipeline::element_stats() const {
    std::map<std::string, std::map<std::string, double>> stats;
    for (const char *name : {"detect", "track", "align", "embed", "match"}) {
        const GstPtr<GstElement> child(gst_bin_get_by_name(GST_BIN(recogniser_), name));
        if (!child)
            continue;
        GstStructure *structure = nullptr;
        g_object_get(child.get(), "stats", &structure, nullptr);
        if (structure == nullptr)
            continue;
        gst_structure_foreach(structure, add_numbers, &stats[name]);
        gst_structure_free(structure);
    }
    return stats;
}

} // namespace sphere::camera
