// SPDX-License-Identifier: MIT
/**
 * SECTION:element-sphereklvextract
 * @title: sphereklvextract
 *
 * Passes video on and gives its faces as a stream of timed metadata beside it, for a muxer: on
 * the pad `klv` a record (schema sphere.frame/1) as KLV a frame, with the frame's time. A queue
 * belongs behind each of its pads, as behind a tee's. sphereklvcombine puts the faces back.
 *
 * |[
 * gst-launch-1.0 filesrc location=people.mp4 ! decodebin ! spheredetect !
 * sphereklvextract name=faces ! queue ! x264enc tune=zerolatency ! mpegtsmux name=mux !
 * filesink location=people.ts faces.klv ! queue ! mux.
 * ]|
 */
#include "core/publish/klv.h"
#include "gst/base/face_convert.h"
#include "gst/base/model_properties.h"
#include "gst/base/record_convert.h"
#include "gst/base/spherefilter.h"
#include "gst/elements/elements.h"

#include <cstring>

#define GST_CAT_DEFAULT gst_sphere_debug

using namespace sphere;

enum { PROP_0, PROP_STREAM, PROP_EMBEDDINGS };

namespace {

constexpr const char *kKlvCaps = "meta/x-klv, parsed=(boolean)true";
constexpr std::size_t kMaxStreamBytes = 1024; ///< of the name: it is in each packet

struct KlvExtractState {
    std::mutex mutex; ///< guards what follows up to the blank line
    std::string stream;
    bool embeddings = false;

    FrameRecord record; ///< streaming thread, as below
    sphere::gst::OncePerSecond log_fault;
};

} // namespace

typedef struct {
    GstSphereFilter parent;
    GstPad *klv_pad; ///< owned by the element
    KlvExtractState *state;
} GstSphereKlvExtract;
typedef struct {
    GstSphereFilterClass parent_class;
} GstSphereKlvExtractClass;

GType gst_sphere_klv_extract_get_type(void);
G_DEFINE_TYPE(GstSphereKlvExtract, gst_sphere_klv_extract, GST_TYPE_SPHERE_FILTER)
GST_ELEMENT_REGISTER_DEFINE(sphereklvextract, "sphereklvextract", GST_RANK_NONE,
                            gst_sphere_klv_extract_get_type())
#define SELF(obj) (reinterpret_cast<GstSphereKlvExtract *>(obj))
#define STATE(obj) (SELF(obj)->state)

static Result<void> gst_sphere_klv_extract_open(GstSphereFilter *filter) {
    KlvExtractState &state = *STATE(filter);
    const std::lock_guard lock(state.mutex);
    if (state.stream.size() > kMaxStreamBytes)
        return fail(Errc::InvalidArgument, "stream has ", state.stream.size(),
                    " bytes: give a name of ", kMaxStreamBytes, " at most.");
    return {};
}

// Nobody has to want the metadata; what stops both streams stops this one.
static GstFlowReturn push_packets(GstSphereKlvExtract *self, const GstBuffer *frame,
                                  const std::vector<std::string> &packets) {
    for (const std::string &packet : packets) {
        GstBuffer *buffer = gst_buffer_new_memdup(packet.data(), packet.size());
        GST_BUFFER_PTS(buffer) = GST_BUFFER_PTS(frame);
        GST_BUFFER_DURATION(buffer) = GST_BUFFER_DURATION(frame);
        const GstFlowReturn flow = gst_pad_push(self->klv_pad, buffer);
        if (flow == GST_FLOW_NOT_LINKED || flow == GST_FLOW_EOS)
            return GST_FLOW_OK;
        if (flow != GST_FLOW_OK)
            return flow;
    }
    return GST_FLOW_OK;
}

static GstFlowReturn gst_sphere_klv_extract_process(GstSphereFilter *filter,
                                                    GstBuffer *buffer) {
    KlvExtractState &state = *STATE(filter);
    if (!GST_BUFFER_PTS_IS_VALID(buffer)) {
        filter->stats->add_skipped_for("skipped-no-time");
        return GST_FLOW_OK;
    }
    unsigned parts = sphere::gst::kQuality | sphere::gst::kMatch | sphere::gst::kAttributes;
    bool embeddings = false;
    {
        const std::lock_guard lock(state.mutex);
        state.record.stream = state.stream;
        embeddings = state.embeddings;
    }
    if (embeddings)
        parts |= sphere::gst::kEmbedding;
    sphere::gst::fill_record(state.record, buffer, GST_BASE_TRANSFORM(filter)->segment,
                             filter->info, parts);
    const KlvPackets klv = to_klv(state.record, embeddings);
    if (klv.reduced + klv.dropped > 0) {
        filter->stats->add_error();
        if (state.log_fault())
            GST_WARNING_OBJECT(filter,
                               "%zu faces without their embedding, %zu faces left out: longer "
                               "than a packet of %zu bytes",
                               klv.reduced, klv.dropped, kMaxKlvBytes);
    }
    filter->stats->add_faces(state.record.faces.size() - klv.dropped);
    return push_packets(SELF(filter), buffer, klv.packets);
}

// The metadata's own beginning, which goes ahead of the video's: stream-start and caps; the
// rest is the video's.
static void tell_klv_pad(GstSphereKlvExtract *self, GstEvent *event) {
    switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_STREAM_START: {
        gchar *id = gst_pad_create_stream_id(self->klv_pad, GST_ELEMENT(self), "klv");
        GstEvent *start = gst_event_new_stream_start(id);
        g_free(id);
        guint group = 0;
        if (gst_event_parse_group_id(event, &group))
            gst_event_set_group_id(start, group);
        gst_event_set_stream_flags(start, GST_STREAM_FLAG_SPARSE);
        gst_event_set_seqnum(start, gst_event_get_seqnum(event));
        gst_pad_push_event(self->klv_pad, start);
        GstCaps *caps = gst_caps_from_string(kKlvCaps);
        gst_pad_push_event(self->klv_pad, gst_event_new_caps(caps));
        gst_caps_unref(caps);
        break;
    }
    case GST_EVENT_SEGMENT:
    case GST_EVENT_GAP:
    case GST_EVENT_EOS:
    case GST_EVENT_FLUSH_START:
    case GST_EVENT_FLUSH_STOP:
        gst_pad_push_event(self->klv_pad, gst_event_ref(event));
        break;
    default:
        break;
    }
}

static gboolean gst_sphere_klv_extract_sink_event(GstBaseTransform *base, GstEvent *event) {
    tell_klv_pad(SELF(base), event);
    return GST_BASE_TRANSFORM_CLASS(gst_sphere_klv_extract_parent_class)
        ->sink_event(base, event);
}

static void gst_sphere_klv_extract_set_property(GObject *object, guint id, const GValue *value,
                                                GParamSpec *pspec) {
    KlvExtractState &state = *STATE(object);
    sphere::gst::guarded_void(object, [&] {
        const std::lock_guard lock(state.mutex);
        switch (id) {
        case PROP_STREAM:
            state.stream = sphere::gst::string_from(value);
            break;
        case PROP_EMBEDDINGS:
            state.embeddings = g_value_get_boolean(value) != FALSE;
            break;
        default:
            G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
        }
    });
}

static void gst_sphere_klv_extract_get_property(GObject *object, guint id, GValue *value,
                                                GParamSpec *pspec) {
    KlvExtractState &state = *STATE(object);
    const std::lock_guard lock(state.mutex);
    switch (id) {
    case PROP_STREAM:
        g_value_set_string(value, state.stream.c_str());
        break;
    case PROP_EMBEDDINGS:
        g_value_set_boolean(value, state.embeddings);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    }
}

static void gst_sphere_klv_extract_finalize(GObject *object) {
    delete STATE(object);
    G_OBJECT_CLASS(gst_sphere_klv_extract_parent_class)->finalize(object);
}

static void gst_sphere_klv_extract_class_init(GstSphereKlvExtractClass *klass) {
    auto *object_class = G_OBJECT_CLASS(klass);
    auto *element_class = GST_ELEMENT_CLASS(klass);
    auto *filter_class = GST_SPHERE_FILTER_CLASS(klass);
    object_class->set_property = gst_sphere_klv_extract_set_property;
    object_class->get_property = gst_sphere_klv_extract_get_property;
    object_class->finalize = gst_sphere_klv_extract_finalize;
    GST_BASE_TRANSFORM_CLASS(klass)->sink_event = gst_sphere_klv_extract_sink_event;
    filter_class->open = gst_sphere_klv_extract_open;
    filter_class->process = gst_sphere_klv_extract_process;

    g_object_class_install_property(
        object_class, PROP_STREAM,
        g_param_spec_string("stream", "Stream", "A name in the records", "",
                            static_cast<GParamFlags>(G_PARAM_READWRITE |
                                                     G_PARAM_STATIC_STRINGS |
                                                     GST_PARAM_MUTABLE_READY)));
    g_object_class_install_property(
        object_class, PROP_EMBEDDINGS,
        g_param_spec_boolean("embeddings", "Embeddings",
                             "Faces' embeddings in the records (biometric data)", FALSE,
                             static_cast<GParamFlags>(G_PARAM_READWRITE |
                                                      G_PARAM_STATIC_STRINGS |
                                                      GST_PARAM_MUTABLE_PLAYING)));
    gst_element_class_set_static_metadata(
        element_class, "Faces to KLV", "Filter/Metadata/Video",
        "Gives the video's faces as a stream of KLV metadata beside it",
        "the gst-sphere authors");
    gst_sphere_filter_class_add_pads(element_class, TRUE);
    GstCaps *caps = gst_caps_from_string(kKlvCaps);
    gst_element_class_add_pad_template(
        element_class, gst_pad_template_new("klv", GST_PAD_SRC, GST_PAD_ALWAYS, caps));
    gst_caps_unref(caps);
}

static void gst_sphere_klv_extract_init(GstSphereKlvExtract *self) {
    self->state = new KlvExtractState;
    self->klv_pad = gst_pad_new_from_template(
        gst_element_class_get_pad_template(GST_ELEMENT_GET_CLASS(self), "klv"), "klv");
    gst_pad_use_fixed_caps(self->klv_pad);
    gst_element_add_pad(GST_ELEMENT_CAST(self), self->klv_pad);
}
