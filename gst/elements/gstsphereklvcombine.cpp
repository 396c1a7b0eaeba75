// SPDX-License-Identifier: MIT
/**
 * SECTION:element-sphereklvcombine
 * @title: sphereklvcombine
 *
 * Puts the faces of a KLV stream back on the video's frames: attaches a #GstSphereFaceMeta to
 * each frame that has a record of its time. The counterpart of sphereklvextract, behind a
 * demuxer. Without a link to its pad `klv` it passes video on.
 *
 * |[
 * gst-launch-1.0 filesrc location=people.ts ! tsdemux name=demux demux. ! queue ! h264parse !
 * avdec_h264 ! sphereklvcombine name=faces ! sphereoverlay ! videoconvert ! autovideosink
 * demux. ! meta/x-klv ! queue ! faces.klv
 * ]|
 */
#include "core/publish/klv.h"
#include "core/publish/record_reader.h"
#include "gst/base/guard.h"
#include "gst/base/record_convert.h"
#include "gst/base/stats.h"
#include "gst/elements/elements.h"

#include <gst/base/gstaggregator.h>

#include <chrono>
#include <cstring>

#define GST_CAT_DEFAULT gst_sphere_debug

using namespace sphere;

enum { PROP_0, PROP_STATS };

namespace {

constexpr std::size_t kMaxFrameRecords = 256; ///< of one frame; more are an error

struct KlvCombineState {
    sphere::gst::Stats stats;

    GstVideoInfo info{};                     ///< streaming thread, as all below
    GstClockTime time = GST_CLOCK_TIME_NONE; ///< running time of the frame that waits
    std::vector<FrameRecord> records;        ///< of it
    std::size_t faces = 0;                   ///< in them
    sphere::gst::OncePerSecond log_fault;
};

} // namespace

typedef struct {
    GstAggregator parent;
    GstAggregatorPad *video_pad; ///< owned by the element, as the next
    GstAggregatorPad *klv_pad;   ///< null until requested; GST_OBJECT_LOCK
    KlvCombineState *state;
} GstSphereKlvCombine;
typedef struct {
    GstAggregatorClass parent_class;
} GstSphereKlvCombineClass;

GType gst_sphere_klv_combine_get_type(void);
G_DEFINE_TYPE(GstSphereKlvCombine, gst_sphere_klv_combine, GST_TYPE_AGGREGATOR)
GST_ELEMENT_REGISTER_DEFINE(sphereklvcombine, "sphereklvcombine", GST_RANK_NONE,
                            gst_sphere_klv_combine_get_type())
#define SELF(obj) (reinterpret_cast<GstSphereKlvCombine *>(obj))
#define STATE(obj) (SELF(obj)->state)
#define parent_class gst_sphere_klv_combine_parent_class

static void forget_frame(KlvCombineState &state) {
    state.records.clear();
    state.faces = 0;
}

static void count_fault(GstSphereKlvCombine *self, const char *what) {
    KlvCombineState &state = *self->state;
    state.stats.add_error();
    if (state.log_fault())
        GST_WARNING_OBJECT(self, "%s", what);
}

// Records of a buffer join those of the frame that waits; what cannot be read costs itself
// alone.
static void collect(GstSphereKlvCombine *self, GstBuffer *buffer) {
    KlvCombineState &state = *self->state;
    GstMapInfo map;
    if (!gst_buffer_map(buffer, &map, GST_MAP_READ)) {
        count_fault(self, "a KLV buffer cannot be mapped");
        return;
    }
    KlvReader reader({reinterpret_cast<const char *>(map.data), map.size});
    for (;;) {
        auto record = reader.next();
        if (!record) {
            count_fault(self, record.error().message.c_str());
            continue; // after a broken packet comes the end
        }
        if (!*record)
            break;
        if (state.records.size() >= kMaxFrameRecords ||
            state.faces + (*record)->faces.size() > kMaxRecordFaces) {
            count_fault(self, "a frame has more records or faces than are read");
            break;
        }
        state.faces += (*record)->faces.size();
        state.records.push_back(std::move(**record));
    }
    gst_buffer_unmap(buffer, &map);
}

static GstClockTime running_time_of(GstAggregatorPad *pad, const GstBuffer *buffer) {
    if (!GST_BUFFER_PTS_IS_VALID(buffer))
        return GST_CLOCK_TIME_NONE;
    return gst_segment_to_running_time(&pad->segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
}

// Takes the records up to the frame's end. False where more of them may come.
static bool collect_until(GstSphereKlvCombine *self, GstAggregatorPad *pad, GstClockTime time,
                          guint64 tolerance) {
    KlvCombineState &state = *self->state;
    while (GstBuffer *buffer = gst_aggregator_pad_peek_buffer(pad)) {
        const GstClockTime at = running_time_of(pad, buffer);
        const bool later = GST_CLOCK_TIME_IS_VALID(at) && at >= time + tolerance;
        if (!later) {
            if (GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_GAP)) {
                // nothing was recorded for so long
            } else if (GST_CLOCK_TIME_IS_VALID(at) && at + tolerance > time) {
                collect(self, buffer);
            } else {
                state.stats.add_skipped_for("skipped-no-frame");
            }
            gst_aggregator_pad_drop_buffer(pad);
        }
        gst_buffer_unref(buffer);
        if (later)
            return true;
    }
    return gst_aggregator_pad_is_eos(pad) != FALSE;
}

static GstFlowReturn finish(GstSphereKlvCombine *self, bool timed) {
    KlvCombineState &state = *self->state;
    GstBuffer *buffer =
        gst_buffer_make_writable(gst_aggregator_pad_pop_buffer(self->video_pad));
    if (!state.records.empty()) {
        sphere::gst::attach_records(buffer, state.info, state.records);
        state.stats.add_faces(state.faces);
    } else if (timed) {
        state.stats.add_skipped_for("skipped-no-record");
    }
    forget_frame(state);
    GST_AGGREGATOR_PAD(GST_AGGREGATOR(self)->srcpad)->segment.position = GST_BUFFER_PTS(buffer);
    return gst_aggregator_finish_buffer(GST_AGGREGATOR(self), buffer);
}

static GstFlowReturn gst_sphere_klv_combine_aggregate(GstAggregator *aggregator,
                                                      gboolean timeout) {
    auto *self = SELF(aggregator);
    return sphere::gst::guarded(self, GST_FLOW_ERROR, [&]() -> GstFlowReturn {
        GstBuffer *frame = gst_aggregator_pad_peek_buffer(self->video_pad);
        if (frame == nullptr)
            return gst_aggregator_pad_is_eos(self->video_pad) ? GST_FLOW_EOS
                                                              : GST_AGGREGATOR_FLOW_NEED_DATA;
        const auto begin = std::chrono::steady_clock::now();
        const GstClockTime time = running_time_of(self->video_pad, frame);
        const guint64 tolerance = sphere::gst::record_tolerance(self->state->info, frame);
        gst_buffer_unref(frame);
        if (time != self->state->time)
            forget_frame(*self->state); // it was flushed
        self->state->time = time;
        GST_OBJECT_LOCK(self);
        GstAggregatorPad *klv_pad = self->klv_pad;
        if (klv_pad != nullptr)
            gst_object_ref(klv_pad);
        GST_OBJECT_UNLOCK(self);
        bool complete = true;
        if (klv_pad != nullptr) {
            if (GST_CLOCK_TIME_IS_VALID(time))
                complete = collect_until(self, klv_pad, time, tolerance);
            gst_object_unref(klv_pad);
        }
        if (!complete && !timeout)
            return GST_AGGREGATOR_FLOW_NEED_DATA;
        self->state->stats.add_frame(std::chrono::steady_clock::now() - begin);
        return finish(self, klv_pad != nullptr);
    });
}

static gboolean set_caps(GstSphereKlvCombine *self, GstEvent *event) {
    GstCaps *caps = nullptr;
    gst_event_parse_caps(event, &caps);
    if (!gst_video_info_from_caps(&self->state->info, caps))
        return FALSE;
    // A record is taken when the next one shows that it was the frame's last.
    const GstVideoInfo &info = self->state->info;
    const GstClockTime frame =
        info.fps_n > 0 ? gst_util_uint64_scale_int(GST_SECOND, info.fps_d, info.fps_n)
                       : 40 * GST_MSECOND;
    gst_aggregator_set_latency(GST_AGGREGATOR(self), frame, frame);
    gst_aggregator_set_src_caps(GST_AGGREGATOR(self), caps);
    return TRUE;
}

static gboolean set_segment(GstSphereKlvCombine *self, GstEvent *event) {
    const GstSegment *segment = nullptr;
    gst_event_parse_segment(event, &segment);
    if (segment->format != GST_FORMAT_TIME) {
        sphere::gst::post_error(GST_ELEMENT_CAST(self),
                                fail(Errc::InvalidArgument,
                                     "The video has no times, by which its records are found: "
                                     "put what gives it some "
                                     "(a parser or demuxer) in front."));
        return FALSE;
    }
    gst_aggregator_update_segment(GST_AGGREGATOR(self), segment);
    return TRUE;
}

// What is told of the video is told downstream; the metadata's own events end here. tsdemux
// tells of a gap before it has told of times.
static gboolean gst_sphere_klv_combine_sink_event(GstAggregator *aggregator,
                                                  GstAggregatorPad *pad, GstEvent *event) {
    auto *self = SELF(aggregator);
    const GstEventType type = GST_EVENT_TYPE(event);
    const bool video = pad == self->video_pad;
    gboolean handled = TRUE;
    if (video && type == GST_EVENT_CAPS)
        handled = set_caps(self, event);
    else if (video && type == GST_EVENT_SEGMENT && !set_segment(self, event))
        handled = FALSE;
    else if (video || !(type == GST_EVENT_TAG || type == GST_EVENT_CAPS ||
                        (type == GST_EVENT_GAP && pad->segment.format != GST_FORMAT_TIME)))
        return GST_AGGREGATOR_CLASS(parent_class)->sink_event(aggregator, pad, event);
    gst_event_unref(event);
    return handled;
}

// Whoever is downstream decides about the video: its caps, its memory.
static gboolean gst_sphere_klv_combine_sink_query(GstAggregator *aggregator,
                                                  GstAggregatorPad *pad, GstQuery *query) {
    if (pad == SELF(aggregator)->video_pad)
        switch (GST_QUERY_TYPE(query)) {
        case GST_QUERY_CAPS:
        case GST_QUERY_ACCEPT_CAPS:
        case GST_QUERY_ALLOCATION:
        case GST_QUERY_POSITION:
        case GST_QUERY_DURATION:
            return gst_pad_peer_query(aggregator->srcpad, query);
        default:
            break;
        }
    return GST_AGGREGATOR_CLASS(parent_class)->sink_query(aggregator, pad, query);
}

static gboolean gst_sphere_klv_combine_src_query(GstAggregator *aggregator, GstQuery *query) {
    switch (GST_QUERY_TYPE(query)) {
    case GST_QUERY_CAPS:
    case GST_QUERY_POSITION:
    case GST_QUERY_DURATION:
        return gst_pad_peer_query(GST_PAD(SELF(aggregator)->video_pad), query);
    default:
        return GST_AGGREGATOR_CLASS(parent_class)->src_query(aggregator, query);
    }
}

static GstFlowReturn gst_sphere_klv_combine_flush(GstAggregator *aggregator) {
    forget_frame(*STATE(aggregator));
    return GST_FLOW_OK;
}

static gboolean gst_sphere_klv_combine_start(GstAggregator *aggregator) {
    STATE(aggregator)->stats.reset();
    gst_sphere_klv_combine_flush(aggregator);
    return TRUE;
}

static GstAggregatorPad *new_pad(GstPadTemplate *pad_template, const char *name) {
    return GST_AGGREGATOR_PAD(g_object_new(GST_TYPE_AGGREGATOR_PAD, "name", name, "direction",
                                           GST_PAD_SINK, "template", pad_template, nullptr));
}

static GstAggregatorPad *gst_sphere_klv_combine_create_new_pad(GstAggregator *aggregator,
                                                               GstPadTemplate *pad_template,
                                                               const gchar *, const GstCaps *) {
    auto *self = SELF(aggregator);
    GST_OBJECT_LOCK(self);
    GstAggregatorPad *pad = nullptr;
    if (self->klv_pad == nullptr)
        pad = self->klv_pad = new_pad(pad_template, "klv");
    GST_OBJECT_UNLOCK(self);
    if (pad == nullptr)
        GST_WARNING_OBJECT(self, "there is one pad klv, and it is taken");
    return pad;
}

static void gst_sphere_klv_combine_release_pad(GstElement *element, GstPad *pad) {
    GST_OBJECT_LOCK(element);
    if (GST_PAD(SELF(element)->klv_pad) == pad)
        SELF(element)->klv_pad = nullptr;
    GST_OBJECT_UNLOCK(element);
    GST_ELEMENT_CLASS(parent_class)->release_pad(element, pad);
}

static void gst_sphere_klv_combine_get_property(GObject *object, guint id, GValue *value,
                                                GParamSpec *pspec) {
    if (id == PROP_STATS)
        g_value_take_boxed(value, STATE(object)->stats.to_structure());
    else
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
}

static void gst_sphere_klv_combine_finalize(GObject *object) {
    delete STATE(object);
    G_OBJECT_CLASS(parent_class)->finalize(object);
}

static void add_template(GstElementClass *klass, const char *name, GstPadDirection direction,
                         GstPadPresence presence, const char *caps_text) {
    GstCaps *caps = gst_caps_from_string(caps_text);
    gst_element_class_add_pad_template(
        klass, gst_pad_template_new_with_gtype(name, direction, presence, caps,
                                               GST_TYPE_AGGREGATOR_PAD));
    gst_caps_unref(caps);
}

static void gst_sphere_klv_combine_class_init(GstSphereKlvCombineClass *klass) {
    auto *object_class = G_OBJECT_CLASS(klass);
    auto *element_class = GST_ELEMENT_CLASS(klass);
    auto *aggregator_class = GST_AGGREGATOR_CLASS(klass);
    object_class->get_property = gst_sphere_klv_combine_get_property;
    object_class->finalize = gst_sphere_klv_combine_finalize;
    element_class->release_pad = gst_sphere_klv_combine_release_pad;
    aggregator_class->aggregate = gst_sphere_klv_combine_aggregate;
    aggregator_class->sink_event = gst_sphere_klv_combine_sink_event;
    aggregator_class->sink_query = gst_sphere_klv_combine_sink_query;
    aggregator_class->src_query = gst_sphere_klv_combine_src_query;
    aggregator_class->flush = gst_sphere_klv_combine_flush;
    aggregator_class->start = gst_sphere_klv_combine_start;
    aggregator_class->create_new_pad = gst_sphere_klv_combine_create_new_pad;
    aggregator_class->get_next_time = gst_aggregator_simple_get_next_time;
    aggregator_class->negotiate = nullptr; // the caps are the video's

    g_object_class_install_property(
        object_class, PROP_STATS,
        g_param_spec_boxed(
            "stats", "Statistics",
            "frames, faces, skipped, errors, time-mean-ns, time-p99-ns, and a count for each "
            "reason",
            GST_TYPE_STRUCTURE,
            static_cast<GParamFlags>(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
    gst_element_class_set_static_metadata(
        element_class, "Faces from KLV", "Filter/Metadata/Video",
        "Puts the faces of a stream of KLV metadata back on the video's frames",
        "the gst-sphere authors");
    add_template(element_class, "sink", GST_PAD_SINK, GST_PAD_ALWAYS, "video/x-raw(ANY)");
    add_template(element_class, "klv", GST_PAD_SINK, GST_PAD_REQUEST,
                 "meta/x-klv, parsed=(boolean)true");
    add_template(element_class, "src", GST_PAD_SRC, GST_PAD_ALWAYS, "video/x-raw(ANY)");
}

static void gst_sphere_klv_combine_init(GstSphereKlvCombine *self) {
    self->state = new KlvCombineState;
    gst_video_info_init(&self->state->info);
    self->klv_pad = nullptr;
    self->video_pad = new_pad(
        gst_element_class_get_pad_template(GST_ELEMENT_GET_CLASS(self), "sink"), "sink");
    gst_element_add_pad(GST_ELEMENT_CAST(self), GST_PAD_CAST(self->video_pad));
}
