// SPDX-License-Identifier: MIT
/**
 * SECTION:element-spherepublish
 * @title: spherepublish
 *
 * Writes one JSON record a frame (schema sphere.frame/1) to a file or to standard output.
 *
 * |[
 * gst-launch-1.0 filesrc location=people.mp4 ! decodebin ! spheredetect ! spherepublish
 * location=faces.jsonl ! fakesink
 * ]|
 */
#include "core/publish/publisher.h"
#include "gst/base/face_convert.h"
#include "gst/base/model_properties.h"
#include "gst/base/spherefilter.h"
#include "gst/base/timestamps.h"
#include "gst/elements/elements.h"

#define GST_CAT_DEFAULT gst_sphere_debug

using namespace sphere;

enum { PROP_0, PROP_LOCATION, PROP_STREAM, PROP_EMBEDDINGS };

namespace {

struct PublishState {
    std::mutex mutex; ///< guards options and stream
    PublishOptions options;
    std::string stream;

    std::unique_ptr<Publisher> publisher; ///< streaming thread
    FrameRecord record;
};

} // namespace

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
    const std::lock_guard lock(state.mutex);
    auto publisher = make_publisher(state.options);
    if (!publisher)
        return std::move(publisher).error();
    state.publisher = std::move(*publisher);
    return {};
}

static void gst_sphere_publish_close(GstSphereFilter *filter) {
    PublishState &state = *STATE(filter);
    if (state.publisher)
        if (const Result<void> flushed = state.publisher->flush(); !flushed)
            sphere::gst::post_error(GST_ELEMENT_CAST(filter), flushed.error());
    state.publisher.reset();
}

static GstFlowReturn gst_sphere_publish_process(GstSphereFilter *filter, GstBuffer *buffer) {
    PublishState &state = *STATE(filter);
    unsigned parts = sphere::gst::kQuality | sphere::gst::kMatch | sphere::gst::kAttributes;
    FrameRecord &record = state.record;
    {
        const std::lock_guard lock(state.mutex);
        record.stream = state.stream;
        if (state.options.embeddings)
            parts |= sphere::gst::kEmbedding;
    }
    record.pts_ns = sphere::gst::pts_of(buffer);
    record.stream_time_ns =
        sphere::gst::stream_time_of(&GST_BASE_TRANSFORM(filter)->segment, buffer);
    record.time_utc = sphere::gst::utc_of(buffer);
    record.width = filter->info.width;
    record.height = filter->info.height;
    record.faces.clear();
    if (const GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer)) {
        const guint n = gst_sphere_face_meta_get_n_faces(meta);
        for (guint i = 0; i < n; ++i)
            record.faces.push_back(
                sphere::gst::face_from_meta(gst_sphere_face_meta_peek_face(meta, i), parts));
        filter->stats->add_faces(n);
    }
    if (const Result<void> published = state.publisher->publish(record); !published) {
        filter->stats->add_error();
        sphere::gst::post_error(GST_ELEMENT_CAST(filter), published.error());
        return GST_FLOW_ERROR;
    }
    return GST_FLOW_OK;
}

static void gst_sphere_publish_set_property(GObject *object, guint id, const GValue *value,
                                            GParamSpec *pspec) {
    PublishState &state = *STATE(object);
    sphere::gst::guarded_void(object, [&] {
        const std::lock_guard lock(state.mutex);
        switch (id) {
        case PROP_LOCATION:
            state.options.location = sphere::gst::string_from(value);
            break;
        case PROP_STREAM:
            state.stream = sphere::gst::string_from(value);
            break;
        case PROP_EMBEDDINGS:
            state.options.embeddings = g_value_get_boolean(value) != FALSE;
            break;
        default:
            G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
        }
    });
}

static void gst_sphere_publish_get_property(GObject *object, guint id, GValue *value,
                                            GParamSpec *pspec) {
    PublishState &state = *STATE(object);
    const std::lock_guard lock(state.mutex);
    switch (id) {
    case PROP_LOCATION:
        g_value_set_string(value, state.options.location.c_str());
        break;
    case PROP_STREAM:
        g_value_set_string(value, state.stream.c_str());
        break;
    case PROP_EMBEDDINGS:
        g_value_set_boolean(value, state.options.embeddings);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    }
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
    filter_class->open = gst_sphere_publish_open;
    filter_class->close = gst_sphere_publish_close;
    filter_class->process = gst_sphere_publish_process;

    constexpr auto ready = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                    GST_PARAM_MUTABLE_READY);
    g_object_class_install_property(
        object_class, PROP_LOCATION,
        g_param_spec_string("location", "Location",
                            "Where records go: a file's path (replaced if it exists), or - for "
                            "standard output",
                            "-", ready));
    g_object_class_install_property(object_class, PROP_STREAM,
                                    g_param_spec_string("stream", "Stream",
                                                        "Name of the stream in the records", "",
                                                        ready));
    g_object_class_install_property(
        object_class, PROP_EMBEDDINGS,
        g_param_spec_boolean("embeddings", "Embeddings",
                             "Put embeddings (biometric data) into the records", FALSE, ready));
    gst_element_class_set_static_metadata(
        element_class, "Face record publisher", "Filter/Analyzer/Video",
        "One JSON record a frame to a file or standard output", "the gst-sphere authors");
    gst_sphere_filter_class_add_pads(element_class, TRUE);
}

static void gst_sphere_publish_init(GstSpherePublish *self) {
    self->state = new PublishState;
}
