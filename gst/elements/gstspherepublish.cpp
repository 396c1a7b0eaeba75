// SPDX-License-Identifier: MIT
/**
 * SECTION:element-spherepublish
 * @title: spherepublish
 *
 * Publishes what was found: a JSON record a frame (schema sphere.frame/1), or with mode=events
 * one when somebody appears, is identified, is renamed or leaves (sphere.event/1), as
 * spherematch tells the application.
 *
 * A destination that may be away has a queue and a thread of its own: the stream never waits
 * for it. One warning message with details (event "lost", location, reason) says that it is
 * away, one info message (event "found") that it is back. In `stats`: queued, sent, dropped,
 * failed, spilled (to disk so far), spill-waiting (on disk now), away (1 while that lasts).
 *
 * |[
 * gst-launch-1.0 filesrc location=people.mp4 ! decodebin ! spheredetect ! spherepublish
 * location=faces.jsonl ! fakesink
 * ]|
 */
#include "core/image/codec.h"
#include "gst/base/face_convert.h"
#include "gst/base/record_convert.h"
#include "gst/base/spherefilter.h"
#include "gst/base/timestamps.h"
#include "gst/base/tracks_object.h"
#include "gst/elements/elements.h"
#include "gst/elements/publish_state.h"

#define GST_CAT_DEFAULT gst_sphere_debug

using namespace sphere;
using sphere::gst::PublishMode;
using sphere::gst::PublishState;

typedef struct {
    GstSphereFilter parent;
    PublishState *state;
} GstSpherePublish;
typedef struct {
    GstSphereFilterClass parent_class;
} GstSpherePublishClass;

GType gst_sphere_publish_get_type(void);
G_DEFINE_TYPE(GstSpherePublish, gst_sphere_publish, GST_TYPE_SPHERE_FILTER)
GST_ELEMENT_REGISTER_DEFINE(spherepublish, "spherepublish", GST_RANK_NONE,
                            gst_sphere_publish_get_type())
#define STATE(obj) (reinterpret_cast<GstSpherePublish *>(obj)->state)

static Result<void> gst_sphere_publish_open(GstSphereFilter *filter) {
    PublishState &state = *STATE(filter);
    sphere::gst::PublishSettings settings;
    {
        const std::lock_guard lock(state.mutex);
        settings = state.settings;
    }
    state.mode = settings.mode;
    state.sent = 0;
    state.presence.reset();
    state.events.clear();
    state.shots.clear();
    // Now rather than at the first event, which would wait for it.
    if (settings.mode == PublishMode::Events && settings.best_shot)
        if (const Result<void> loaded = load_picture_coder(); !loaded)
            sphere::gst::post_warning(GST_ELEMENT_CAST(filter), loaded.error());
    return sphere::gst::open_publisher(GST_ELEMENT_CAST(filter), state, settings);
}

static void gst_sphere_publish_close(GstSphereFilter *filter) {
    PublishState &state = *STATE(filter);
    if (state.publisher)
        if (const Result<void> flushed = state.publisher->flush(); !flushed)
            sphere::gst::post_error(GST_ELEMENT_CAST(filter), flushed.error());
    if (state.queue)
        if (const Result<void> closed = state.queue->close(); !closed)
            sphere::gst::post_warning(GST_ELEMENT_CAST(filter), closed.error());
    state.publisher.reset();
    state.queue.reset();
    state.shots.clear();
}

template <typename Record>
static Result<void> publish(GstSphereFilter *filter, PublishState &state,
                            const Record &record) {
    if (state.queue)
        return state.queue->publish(record);
    SPHERE_TRY(state.publisher->publish(record));
    filter->stats->set_gauge("sent", ++state.sent);
    return {};
}

static Result<void> publish_frame(GstSphereFilter *filter, PublishState &state,
                                  GstBuffer *buffer) {
    unsigned parts = sphere::gst::kQuality | sphere::gst::kMatch | sphere::gst::kAttributes;
    FrameRecord &record = state.record;
    {
        const std::lock_guard lock(state.mutex);
        record.stream = state.settings.options.stream;
        if (state.settings.options.embeddings)
            parts |= sphere::gst::kEmbedding;
    }
    sphere::gst::fill_record(record, buffer, GST_BASE_TRANSFORM(filter)->segment, filter->info,
                             parts);
    return publish(filter, state, record);
}

// `buffer` is null at the end of the stream.
static Result<void> publish_events(GstSphereFilter *filter, PublishState &state,
                                   GstBuffer *buffer) {
    EventRecord record;
    {
        const std::lock_guard lock(state.mutex);
        record.stream = state.settings.options.stream;
        record.with_best_shot = state.settings.best_shot;
    }
    if (buffer != nullptr) {
        record.pts_ns = sphere::gst::pts_of(buffer);
        record.stream_time_ns =
            sphere::gst::stream_time_of(&GST_BASE_TRANSFORM(filter)->segment, buffer);
        record.time_utc = sphere::gst::utc_of(buffer);
    }
    const auto events = std::exchange(state.events, {});
    for (const sphere::gst::PresenceEvent &event : events) {
        record.event = event.event;
        record.id = event.id;
        record.label = event.label;
        record.track = event.track;
        record.state = event.state;
        record.distance = event.distance;
        record.known_in_view = event.known_in_view;
        record.best_shot = record.with_best_shot ? state.shots.of(event) : nullptr;
        SPHERE_TRY(publish(filter, state, record));
        if (record.event == "left")
            state.shots.forget(event);
    }
    return {};
}

// The same of the faces as spherematch saw them, so that its events are ours.
static Result<void> see_frame(GstSphereFilter *filter, PublishState &state, GstBuffer *buffer,
                              const GstSphereFaceMeta *meta) {
    guint64 timeout_ns = 0;
    bool shots = false;
    {
        const std::lock_guard lock(state.mutex);
        timeout_ns = state.settings.presence_timeout_ms * GST_MSECOND;
        shots = state.settings.best_shot;
    }
    const guint64 time_ns = sphere::gst::pts_of(buffer).value_or(
        static_cast<guint64>(g_get_monotonic_time()) * 1000);
    const unsigned parts =
        sphere::gst::kMatch | (shots ? sphere::gst::kCrop | sphere::gst::kQuality : 0U);
    if (shots)
        state.shots.set_tracks(sphere::gst::tracks_of(meta));
    const guint n = meta != nullptr ? gst_sphere_face_meta_get_n_faces(meta) : 0;
    for (guint i = 0; i < n; ++i) {
        const GstSphereFace *source = gst_sphere_face_meta_peek_face(meta, i);
        const Face face = sphere::gst::face_from_meta(source, parts);
        const gchar *unknown = gst_sphere_face_get_unknown_label(source);
        const auto sighting = sphere::gst::sighting_of(face, face.match.value_or(MatchResult{}),
                                                       unknown != nullptr ? unknown : "");
        state.presence.see_face(sighting, time_ns, state.events);
        state.shots.offer(face, sighting);
    }
    state.presence.expire(time_ns, timeout_ns, state.events);
    return publish_events(filter, state, buffer);
}

static GstFlowReturn gst_sphere_publish_process(GstSphereFilter *filter, GstBuffer *buffer) {
    PublishState &state = *STATE(filter);
    const GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer);
    if (meta != nullptr)
        filter->stats->add_faces(gst_sphere_face_meta_get_n_faces(meta));
    const Result<void> published = state.mode == PublishMode::Frames
                                       ? publish_frame(filter, state, buffer)
                                       : see_frame(filter, state, buffer, meta);
    if (!published) {
        filter->stats->add_error();
        sphere::gst::post_error(GST_ELEMENT_CAST(filter), published.error());
        return GST_FLOW_ERROR;
    }
    return GST_FLOW_OK;
}

static void gst_sphere_publish_flush(GstSphereFilter *filter, GstEvent *event) {
    PublishState &state = *STATE(filter);
    if (GST_EVENT_TYPE(event) == GST_EVENT_EOS) {
        state.presence.clear(state.events);
        if (const Result<void> published = publish_events(filter, state, nullptr); !published) {
            filter->stats->add_error();
            sphere::gst::post_error(GST_ELEMENT_CAST(filter), published.error());
        }
    } else if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP) {
        state.presence.reset();
        state.shots.clear();
    }
}

// A stream that waits for room in the queue must let go.
static gboolean gst_sphere_publish_sink_event(GstBaseTransform *base, GstEvent *event) {
    PublishState &state = *STATE(base);
    const GstEventType type = GST_EVENT_TYPE(event);
    if (state.queue && (type == GST_EVENT_FLUSH_START || type == GST_EVENT_FLUSH_STOP))
        state.queue->set_flushing(type == GST_EVENT_FLUSH_START);
    return GST_BASE_TRANSFORM_CLASS(gst_sphere_publish_parent_class)->sink_event(base, event);
}

static GstStateChangeReturn gst_sphere_publish_change_state(GstElement *element,
                                                            GstStateChange change) {
    PublishState &state = *STATE(element);
    if (change == GST_STATE_CHANGE_PAUSED_TO_READY && state.queue)
        state.queue->set_flushing(true);
    return GST_ELEMENT_CLASS(gst_sphere_publish_parent_class)->change_state(element, change);
}

static void gst_sphere_publish_set_property(GObject *object, guint id, const GValue *value,
                                            GParamSpec *pspec) {
    sphere::gst::set_publish_property(object, *STATE(object), id, value, pspec);
}

static void gst_sphere_publish_get_property(GObject *object, guint id, GValue *value,
                                            GParamSpec *pspec) {
    sphere::gst::get_publish_property(object, *STATE(object), id, value, pspec);
}

static void gst_sphere_publish_finalize(GObject *object) {
    delete STATE(object);
    G_OBJECT_CLASS(gst_sphere_publish_parent_class)->finalize(object);
}

static void gst_sphere_publish_class_init(GstSpherePublishClass *klass) {
    auto *object_class = G_OBJECT_CLASS(klass);
    auto *element_class = GST_ELEMENT_CLASS(klass);
    auto *filter_class = GST_SPHERE_FILTER_CLASS(klass);
    object_class->set_property = gst_sphere_publish_set_property;
    object_class->get_property = gst_sphere_publish_get_property;
    object_class->finalize = gst_sphere_publish_finalize;
    element_class->change_state = gst_sphere_publish_change_state;
    GST_BASE_TRANSFORM_CLASS(klass)->sink_event = gst_sphere_publish_sink_event;
    filter_class->open = gst_sphere_publish_open;
    filter_class->close = gst_sphere_publish_close;
    filter_class->process = gst_sphere_publish_process;
    filter_class->flush = gst_sphere_publish_flush;
    sphere::gst::install_publish_properties(object_class);
    gst_element_class_set_static_metadata(
        element_class, "Face record publisher", "Filter/Analyzer/Video",
        "A JSON record a frame or an event, to a file, stdout or a server",
        "the gst-sphere authors");
    gst_sphere_filter_class_add_pads(element_class, TRUE);
}

static void gst_sphere_publish_init(GstSpherePublish *self) {
    self->state = new PublishState;
}
