// SPDX-License-Identifier: MIT
/**
 * SECTION:element-sphereattributes
 * @title: sphereattributes
 *
 * Estimates attributes of each face of the buffer's #GstSphereFaceMeta: age, gender,
 * expression, pose, eyes, liveness, as the models allow. They are smoothed over a face's track
 * where it has one. Nothing else in the plugin computes them: without this element there are
 * none.
 *
 * |[
 * gst-launch-1.0 filesrc location=people.mp4 ! decodebin ! spheredetect ! spheretrack !
 * sphereattributes model=fr_age,fr_expression ! spherepublish location=- ! fakesink
 * ]|
 */
#include "core/face/attributes.h"
#include "gst/base/face_convert.h"
#include "gst/base/frame.h"
#include "gst/base/model_properties.h"
#include "gst/base/spherefilter.h"
#include "gst/elements/elements.h"

#define GST_CAT_DEFAULT gst_sphere_debug

using namespace sphere;
using sphere::gst::ModelProperties;

enum {
    PROP_MODEL = 1,
    PROP_SMOOTHING = PROP_MODEL + ModelProperties::kCount,
    PROP_INTERVAL,
};

namespace {

constexpr int kDefaultSmoothing = 25;

struct AttributesState {
    ModelProperties model;
    std::mutex mutex; ///< guards what follows up to the blank line
    int smoothing = kDefaultSmoothing;
    int interval = 1;

    // Streaming thread, or while it does not run.
    std::vector<std::shared_ptr<AttributeFinder>> finders;
    AttributeSmoother smoother;
};

} // namespace

typedef struct {
    GstSphereFilter parent;
    AttributesState *state;
} GstSphereAttributes;
typedef struct {
    GstSphereFilterClass parent_class;
} GstSphereAttributesClass;

GType gst_sphere_attributes_get_type(void);
G_DEFINE_TYPE(GstSphereAttributes, gst_sphere_attributes, GST_TYPE_SPHERE_FILTER)
GST_ELEMENT_REGISTER_DEFINE(sphereattributes, "sphereattributes", GST_RANK_NONE,
                            gst_sphere_attributes_get_type())
#define STATE(obj) (reinterpret_cast<GstSphereAttributes *>(obj)->state)

static Result<void> gst_sphere_attributes_open(GstSphereFilter *filter) {
    AttributesState &state = *STATE(filter);
    auto finders = make_attribute_finders(ModelStore::from_environment(), state.model.model(),
                                          state.model.engine_options());
    if (!finders)
        return std::move(finders).error();
    state.finders = std::move(*finders);
    state.smoother.clear();
    return {};
}

static void gst_sphere_attributes_close(GstSphereFilter *filter) {
    STATE(filter)->finders.clear();
    STATE(filter)->smoother.clear();
}

// Tracks of another stretch of the stream are other people's, whatever their numbers.
static void gst_sphere_attributes_flush(GstSphereFilter *filter, GstEvent *event) {
    if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP)
        STATE(filter)->smoother.clear();
}

static Result<void> analyze_one(AttributesState &state, const ImageView &view,
                                GstSphereFaceMeta *meta, guint i, int interval,
                                DetectTiming &timing) {
    GstSphereFace *target = gst_sphere_face_meta_get_face(meta, i);
    gsize n = 0;
    Face face = sphere::gst::face_from_meta(target, sphere::gst::kGeometry);
    if (const gfloat *points = gst_sphere_face_get_dense_landmarks(target, &n))
        for (gsize k = 0; k + 1 < n; k += 2)
            face.dense_landmarks.push_back({points[k], points[k + 1]});
    Result<void> result;
    if (!state.smoother.reuse(face, interval)) {
        for (const auto &finder : state.finders)
            if (result)
                result = finder->find(view, face, &timing);
        if (result)
            state.smoother.smooth(face);
    }
    if (result) {
        sphere::gst::set_attributes(target, face.attributes);
        gst_sphere_face_meta_set_face(meta, i, target);
    }
    gst_sphere_face_free(target);
    return result;
}

static GstFlowReturn gst_sphere_attributes_process(GstSphereFilter *filter, GstBuffer *buffer) {
    AttributesState &state = *STATE(filter);
    GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer);
    const guint n = meta != nullptr ? gst_sphere_face_meta_get_n_faces(meta) : 0;
    if (n == 0)
        return GST_FLOW_OK;
    int interval = 1;
    {
        const std::lock_guard lock(state.mutex);
        interval = state.interval;
        state.smoother.set_window(state.smoothing);
    }
    auto frame = sphere::gst::MappedFrame::map(filter->info, buffer);
    if (!frame) {
        sphere::gst::post_error(GST_ELEMENT_CAST(filter), frame.error());
        return GST_FLOW_ERROR;
    }
    DetectTiming timing;
    for (guint i = 0; i < n; ++i) {
        const Result<void> done = analyze_one(state, frame->view(), meta, i, interval, timing);
        if (!done) {
            filter->stats->add_error();
            sphere::gst::post_error(GST_ELEMENT_CAST(filter), done.error());
            return GST_FLOW_ERROR;
        }
    }
    filter->stats->add_faces(n);
    filter->stats->add_inference(timing.inference_ms);
    gst_sphere_face_meta_sync(meta, buffer);
    return GST_FLOW_OK;
}

static void gst_sphere_attributes_set_property(GObject *object, guint id, const GValue *value,
                                               GParamSpec *pspec) {
    AttributesState &state = *STATE(object);
    sphere::gst::guarded_void(object, [&] {
        if (state.model.set(id, PROP_MODEL, value))
            return;
        const std::lock_guard lock(state.mutex);
        if (id == PROP_SMOOTHING)
            state.smoothing = static_cast<int>(g_value_get_uint(value));
        else if (id == PROP_INTERVAL)
            state.interval = static_cast<int>(g_value_get_uint(value));
        else
            G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    });
}

static void gst_sphere_attributes_get_property(GObject *object, guint id, GValue *value,
                                               GParamSpec *pspec) {
    AttributesState &state = *STATE(object);
    if (state.model.get(id, PROP_MODEL, value))
        return;
    const std::lock_guard lock(state.mutex);
    if (id == PROP_SMOOTHING)
        g_value_set_uint(value, static_cast<guint>(state.smoothing));
    else if (id == PROP_INTERVAL)
        g_value_set_uint(value, static_cast<guint>(state.interval));
    else
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
}

static void gst_sphere_attributes_finalize(GObject *object) {
    delete STATE(object);
    G_OBJECT_CLASS(gst_sphere_attributes_parent_class)->finalize(object);
}

static void gst_sphere_attributes_class_init(GstSphereAttributesClass *klass) {
    auto *object_class = G_OBJECT_CLASS(klass);
    auto *element_class = GST_ELEMENT_CLASS(klass);
    auto *filter_class = GST_SPHERE_FILTER_CLASS(klass);
    object_class->set_property = gst_sphere_attributes_set_property;
    object_class->get_property = gst_sphere_attributes_get_property;
    object_class->finalize = gst_sphere_attributes_finalize;
    filter_class->open = gst_sphere_attributes_open;
    filter_class->close = gst_sphere_attributes_close;
    filter_class->process = gst_sphere_attributes_process;
    filter_class->flush = gst_sphere_attributes_flush;
    constexpr auto playing = static_cast<GParamFlags>(
        G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);
    ModelProperties::install(
        object_class, PROP_MODEL,
        "Attribute models, names or descriptors' paths, separated by commas (auto = those "
        "installed of fr_age, fr_gender, fr_expression, fr_pose, fr_eye, fr_liveness)");
    g_object_class_install_property(
        object_class, PROP_SMOOTHING,
        g_param_spec_uint("smoothing", "Smoothing",
                          "Results of a tracked face that are averaged (1 = none)", 1, 1000,
                          kDefaultSmoothing, playing));
    g_object_class_install_property(
        object_class, PROP_INTERVAL,
        g_param_spec_uint("interval", "Interval",
                          "Tracked faces are analysed each so many frames; in between they "
                          "keep what they had",
                          1, 1000, 1, playing));
    gst_element_class_set_static_metadata(
        element_class, "Face attributes", "Filter/Analyzer/Video",
        "Age, gender, expression, liveness, pose, as the model files allow",
        "the gst-sphere authors");
    gst_sphere_filter_class_add_pads(element_class, FALSE);
}

static void gst_sphere_attributes_init(GstSphereAttributes *self) {
    self->state = new AttributesState;
}
