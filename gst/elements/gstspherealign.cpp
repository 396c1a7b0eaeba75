// SPDX-License-Identifier: MIT
/**
 * SECTION:element-spherealign
 * @title: spherealign
 *
 * Warps each face of the buffer's #GstSphereFaceMeta to a recogniser's template and assesses
 * its quality. Faces that spheretrack carried over are left alone. With template=auto it asks
 * downstream (sphereembed) by the query "sphere-template".
 *
 * |[
 * gst-launch-1.0 filesrc location=people.mp4 ! decodebin ! spheredetect ! spherealign
 * min-eye-distance=20 ! sphereembed ! fakesink
 * ]|
 */
#include "core/face/aligner.h"
#include "gst/base/face_convert.h"
#include "gst/base/frame.h"
#include "gst/base/model_properties.h"
#include "gst/base/spherefilter.h"
#include "gst/base/tracks_object.h"
#include "gst/elements/elements.h"
#include "gst/elements/template_query.h"

#include <atomic>

#define GST_CAT_DEFAULT gst_sphere_debug

using namespace sphere;

enum {
    PROP_TEMPLATE = 1,
    PROP_CROP_MARGIN,
    PROP_MIN_QUALITY,
    PROP_MIN_EYE_DISTANCE,
};

namespace {

constexpr const char *kFallbackTemplate = "sphereface-112x96";

struct AlignState {
    std::mutex mutex; ///< guards what follows up to the blank line
    std::string template_name = "auto";
    AlignOptions options;

    std::atomic<bool> ask_again{true};     ///< downstream may have changed
    std::optional<AlignTemplate> resolved; ///< streaming thread
};

} // namespace

typedef struct {
    GstSphereFilter parent;
    AlignState *state;
} GstSphereAlign;
typedef struct {
    GstSphereFilterClass parent_class;
} GstSphereAlignClass;

GType gst_sphere_align_get_type(void);
G_DEFINE_TYPE(GstSphereAlign, gst_sphere_align, GST_TYPE_SPHERE_FILTER)
GST_ELEMENT_REGISTER_DEFINE(spherealign, "spherealign", GST_RANK_NONE,
                            gst_sphere_align_get_type())
#define STATE(obj) (reinterpret_cast<GstSphereAlign *>(obj)->state)

static std::string ask_downstream(GstSphereFilter *filter) {
    GstQuery *query = gst_query_new_custom(GST_QUERY_CUSTOM,
                                           gst_structure_new_empty(GST_SPHERE_TEMPLATE_QUERY));
    std::string name;
    if (gst_pad_peer_query(GST_BASE_TRANSFORM_SRC_PAD(filter), query))
        if (const gchar *answer =
                gst_structure_get_string(gst_query_get_structure(query), "template"))
            name = answer;
    gst_query_unref(query);
    return name;
}

static Result<AlignTemplate> resolve_template(GstSphereFilter *filter, std::string name) {
    if (name == "auto" || name.empty()) {
        name = ask_downstream(filter);
        if (name.empty())
            name = kFallbackTemplate;
        GST_INFO_OBJECT(filter, "template %s", name.c_str());
    }
    return find_template(name);
}

static Result<void> gst_sphere_align_open(GstSphereFilter *filter) {
    AlignState &state = *STATE(filter);
    state.ask_again = true;
    const std::lock_guard lock(state.mutex);
    if (state.template_name == "auto" || state.template_name.empty())
        return {};
    if (auto found = find_template(state.template_name); !found)
        return std::move(found).error();
    return {};
}

static Result<void> gst_sphere_align_set_info(GstSphereFilter *filter, const GstVideoInfo *) {
    STATE(filter)->ask_again = true;
    return {};
}

static void align_one(GstSphereFaceMeta *meta, guint i, const ImageView &view,
                      const AlignTemplate &tmpl, const AlignOptions &options,
                      sphere::gst::Stats &stats) {
    GstSphereFace *target = gst_sphere_face_meta_get_face(meta, i);
    Face face = sphere::gst::face_from_meta(target, sphere::gst::kGeometry);
    face.reason = FaceReason::None;
    align_face(view, tmpl, options, face);
    if (face.reason != FaceReason::None) {
        stats.add_reason(face.reason);
        stats.add_skipped();
    }
    sphere::gst::set_aligned(target, face);
    gst_sphere_face_meta_set_face(meta, i, target);
    gst_sphere_face_free(target);
}

static void offer_best_shot(sphere::gst::TrackStore &tracks, const GstSphereFace *face) {
    const gint64 track = gst_sphere_face_get_track_id(face);
    gdouble quality = 0;
    if (track < 0 || !gst_sphere_face_get_quality(face, &quality, nullptr, nullptr, nullptr))
        return;
    if (const auto crop = sphere::gst::crop_of(face))
        tracks.offer_shot(track, static_cast<float>(quality), crop);
}

static GstFlowReturn gst_sphere_align_process(GstSphereFilter *filter, GstBuffer *buffer) {
    AlignState &state = *STATE(filter);
    GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer);
    const guint n = meta != nullptr ? gst_sphere_face_meta_get_n_faces(meta) : 0;
    if (n == 0)
        return GST_FLOW_OK;
    AlignOptions options;
    std::string template_name;
    {
        const std::lock_guard lock(state.mutex);
        options = state.options;
        template_name = state.template_name;
    }
    if (state.ask_again.exchange(false) || !state.resolved) {
        auto found = resolve_template(filter, template_name);
        if (!found) {
            sphere::gst::post_error(GST_ELEMENT_CAST(filter), found.error());
            return GST_FLOW_ERROR;
        }
        state.resolved = std::move(*found);
    }
    auto frame = sphere::gst::MappedFrame::map(filter->info, buffer);
    if (!frame) {
        sphere::gst::post_error(GST_ELEMENT_CAST(filter), frame.error());
        return GST_FLOW_ERROR;
    }
    const ImageView view = frame->view();
    const auto tracks = sphere::gst::tracks_of(meta);
    guint aligned = 0;
    for (guint i = 0; i < n; ++i) {
        // Where a carried face lies is a guess: a crop of it would be worth nothing.
        if (gst_sphere_face_get_carried(gst_sphere_face_meta_peek_face(meta, i)))
            continue;
        align_one(meta, i, view, *state.resolved, options, *filter->stats);
        if (tracks)
            offer_best_shot(*tracks, gst_sphere_face_meta_peek_face(meta, i));
        ++aligned;
    }
    filter->stats->add_faces(aligned);
    return GST_FLOW_OK;
}

static gboolean gst_sphere_align_src_event(GstBaseTransform *base, GstEvent *event) {
    if (GST_EVENT_TYPE(event) == GST_EVENT_RECONFIGURE) // a new peer may want another template
        STATE(base)->ask_again = true;
    return GST_BASE_TRANSFORM_CLASS(gst_sphere_align_parent_class)->src_event(base, event);
}

static void gst_sphere_align_set_property(GObject *object, guint id, const GValue *value,
                                          GParamSpec *pspec) {
    AlignState &state = *STATE(object);
    sphere::gst::guarded_void(object, [&] {
        const std::lock_guard lock(state.mutex);
        switch (id) {
        case PROP_TEMPLATE:
            state.template_name = sphere::gst::string_from(value);
            break;
        case PROP_CROP_MARGIN:
            state.options.crop_margin = g_value_get_float(value);
            break;
        case PROP_MIN_QUALITY:
            state.options.min_quality = g_value_get_float(value);
            break;
        case PROP_MIN_EYE_DISTANCE:
            state.options.min_eye_distance_px = g_value_get_float(value);
            break;
        default:
            G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
        }
    });
}

static void gst_sphere_align_get_property(GObject *object, guint id, GValue *value,
                                          GParamSpec *pspec) {
    AlignState &state = *STATE(object);
    const std::lock_guard lock(state.mutex);
    switch (id) {
    case PROP_TEMPLATE:
        g_value_set_string(value, state.template_name.c_str());
        break;
    case PROP_CROP_MARGIN:
        g_value_set_float(value, state.options.crop_margin);
        break;
    case PROP_MIN_QUALITY:
        g_value_set_float(value, state.options.min_quality);
        break;
    case PROP_MIN_EYE_DISTANCE:
        g_value_set_float(value, state.options.min_eye_distance_px);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    }
}

static void gst_sphere_align_finalize(GObject *object) {
    delete STATE(object);
    G_OBJECT_CLASS(gst_sphere_align_parent_class)->finalize(object);
}

static void gst_sphere_align_install_properties(GObjectClass *klass) {
    constexpr auto ready = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                    GST_PARAM_MUTABLE_READY);
    constexpr auto playing = static_cast<GParamFlags>(
        G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);
    g_object_class_install_property(
        klass, PROP_TEMPLATE,
        g_param_spec_string("template", "Template",
                            "auto (ask downstream), sphereface-112x96, arcface-112x112, "
                            "openface-96x96, or "
                            "box-HEIGHTxWIDTH",
                            "auto", ready));
    g_object_class_install_property(
        klass, PROP_CROP_MARGIN,
        g_param_spec_float("crop-margin", "Crop margin",
                           "Box templates: share of its size that the box grows on each side",
                           0, 2, 0, playing));
    g_object_class_install_property(
        klass, PROP_MIN_QUALITY,
        g_param_spec_float("min-quality", "Least quality",
                           "Faces of lower quality are passed over, with a reason", 0, 1, 0,
                           playing));
    g_object_class_install_property(
        klass, PROP_MIN_EYE_DISTANCE,
        g_param_spec_float("min-eye-distance", "Least eye distance",
                           "Faces with nearer eyes are passed over, in pixels of the frame", 0,
                           65535, 0, playing));
}

static void gst_sphere_align_class_init(GstSphereAlignClass *klass) {
    auto *object_class = G_OBJECT_CLASS(klass);
    auto *element_class = GST_ELEMENT_CLASS(klass);
    auto *filter_class = GST_SPHERE_FILTER_CLASS(klass);
    object_class->set_property = gst_sphere_align_set_property;
    object_class->get_property = gst_sphere_align_get_property;
    object_class->finalize = gst_sphere_align_finalize;
    GST_BASE_TRANSFORM_CLASS(klass)->src_event = gst_sphere_align_src_event;
    filter_class->open = gst_sphere_align_open;
    filter_class->set_info = gst_sphere_align_set_info;
    filter_class->process = gst_sphere_align_process;
    gst_sphere_align_install_properties(object_class);
    gst_element_class_set_static_metadata(
        element_class, "Face aligner", "Filter/Analyzer/Video",
        "Warps each face to its template; measures quality", "the gst-sphere authors");
    gst_sphere_filter_class_add_pads(element_class, FALSE);
}

static void gst_sphere_align_init(GstSphereAlign *self) {
    self->state = new AlignState;
}
