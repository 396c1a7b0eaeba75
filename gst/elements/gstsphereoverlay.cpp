// SPDX-License-Identifier: MIT
/**
 * SECTION:element-sphereoverlay
 * @title: sphereoverlay
 *
 * Draws the faces of a buffer's #GstSphereFaceMeta onto the picture, in its own pixel format.
 * Green: known, orange: unknown, yellow: ambiguous, grey: unusable, white: not matched.
 *
 * |[
 * gst-launch-1.0 filesrc location=people.mp4 ! decodebin ! spheredetect ! sphereoverlay !
 * videoconvert ! autovideosink
 * ]|
 */
#include "gst/base/frame.h"
#include "gst/base/model_properties.h"
#include "gst/base/spherefilter.h"
#include "gst/elements/elements.h"
#include "gst/elements/overlay_painter.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <mutex>

#define GST_CAT_DEFAULT gst_sphere_debug

using sphere::gst::Painter;
using sphere::gst::Rgb;

enum {
    PROP_0,
    PROP_DRAW_LABELS,
    PROP_DRAW_LANDMARKS,
    PROP_DRAW_DISTANCE,
    PROP_FONT_SIZE,
    PROP_LINE_WIDTH,
};

namespace {

struct OverlaySettings {
    bool labels = true;
    bool landmarks = true;
    bool distance = true;
    guint font_size_px = 0;  ///< 0 = by the frame's height
    guint line_width_px = 0; ///< 0 = by the frame's height
};

struct OverlayState {
    std::mutex mutex; ///< guards settings
    OverlaySettings settings;
    sphere::gst::TextRenderer renderer; ///< streaming thread
};

// Text a thirtieth of the height is read at arm's length on any screen; 14 px is the least that
// stays legible.
int font_size_px(const OverlaySettings &settings, int frame_height) {
    if (settings.font_size_px > 0)
        return static_cast<int>(settings.font_size_px);
    return std::clamp(frame_height / 28, 14, 120);
}

int line_width_px(const OverlaySettings &settings, int frame_height) {
    if (settings.line_width_px > 0)
        return static_cast<int>(settings.line_width_px);
    return std::clamp(frame_height / 270, 2, 16);
}

Rgb color_of(GstSphereFaceState state) {
    switch (state) {
    case GST_SPHERE_FACE_STATE_KNOWN:
        return {46, 204, 64};
    case GST_SPHERE_FACE_STATE_UNKNOWN:
        return {255, 133, 27};
    case GST_SPHERE_FACE_STATE_AMBIGUOUS:
        return {255, 220, 0};
    case GST_SPHERE_FACE_STATE_UNUSABLE:
        return {150, 150, 150};
    case GST_SPHERE_FACE_STATE_UNDECIDED:
        break;
    }
    return {255, 255, 255};
}

// The name for known faces, else the state and what there is to say of it.
std::string label_of(const GstSphereFace *face, const OverlaySettings &settings) {
    const GstSphereFaceState state = gst_sphere_face_get_state(face);
    std::string label;
    if (state == GST_SPHERE_FACE_STATE_KNOWN) {
        const gchar *name = gst_sphere_face_get_match_label(face);
        label = name != nullptr ? name : "";
        gdouble distance = 0;
        if (settings.distance &&
            gst_sphere_face_get_candidate(face, 0, nullptr, nullptr, &distance, nullptr)) {
            char text[32];
            std::snprintf(text, sizeof text, " %.2f", distance);
            label += text;
        }
    } else if (state == GST_SPHERE_FACE_STATE_UNKNOWN) {
        const gchar *unknown = gst_sphere_face_get_unknown_label(face);
        label = unknown != nullptr ? unknown : gst_sphere_face_state_to_string(state);
    } else if (state != GST_SPHERE_FACE_STATE_UNDECIDED) {
        label = gst_sphere_face_state_to_string(state);
        const GstSphereFaceReason reason = gst_sphere_face_get_reason(face);
        if (state == GST_SPHERE_FACE_STATE_UNUSABLE && reason != GST_SPHERE_FACE_REASON_NONE)
            label = gst_sphere_face_reason_to_string(reason);
    }
    return label;
}

void draw_landmarks(Painter &painter, const GstSphereFace *face, Rgb color, int line_px) {
    gsize n = 0;
    const gfloat *points = gst_sphere_face_get_landmarks(face, &n);
    for (gsize i = 0; points != nullptr && i + 1 < n; i += 2)
        painter.disc(points[i], points[i + 1], static_cast<float>(line_px), color);
}

// Above the box where there is room, else just inside its top edge.
void draw_label(Painter &painter, const sphere::gst::TextMask &mask, double box_x, double box_y,
                Rgb color, int line_px) {
    const int padding = std::max(2, line_px);
    const int height = mask.height + padding;
    const int width = mask.width + 2 * padding;
    int y = static_cast<int>(std::lround(std::clamp(box_y, -1e5, 1e5))) - height - line_px / 2;
    if (y < 0)
        y = std::max(0, y + height + line_px);
    int x = static_cast<int>(std::lround(std::clamp(box_x, -1e5, 1e5))) - line_px / 2;
    x = std::max(0, std::min(x, painter.width() - width));
    painter.fill(x, y, x + width, y + height, color, 0.85F);
    painter.text(x + padding, y + padding / 2, mask, {0, 0, 0});
}

void draw_face(Painter &painter, sphere::gst::TextRenderer &renderer, const GstSphereFace *face,
               const OverlaySettings &settings) {
    gdouble x = 0, y = 0, w = 0, h = 0;
    gst_sphere_face_get_box(face, &x, &y, &w, &h);
    const Rgb color = color_of(gst_sphere_face_get_state(face));
    const int line_px = line_width_px(settings, painter.height());
    painter.outline(static_cast<float>(x), static_cast<float>(y), static_cast<float>(w),
                    static_cast<float>(h), line_px, color);
    if (settings.landmarks)
        draw_landmarks(painter, face, color, line_px);
    if (const std::string label = settings.labels ? label_of(face, settings) : std::string();
        !label.empty())
        draw_label(painter, renderer.render(label, font_size_px(settings, painter.height())), x,
                   y, color, line_px);
}

} // namespace

typedef struct {
    GstSphereFilter parent;
    OverlayState *state;
} GstSphereOverlay;
typedef struct {
    GstSphereFilterClass parent_class;
} GstSphereOverlayClass;

GType gst_sphere_overlay_get_type(void);
G_DEFINE_TYPE(GstSphereOverlay, gst_sphere_overlay, GST_TYPE_SPHERE_FILTER)
GST_ELEMENT_REGISTER_DEFINE(sphereoverlay, "sphereoverlay", GST_RANK_NONE,
                            gst_sphere_overlay_get_type())
#define STATE(obj) (reinterpret_cast<GstSphereOverlay *>(obj)->state)

static GstFlowReturn gst_sphere_overlay_process(GstSphereFilter *filter, GstBuffer *buffer) {
    OverlayState &state = *STATE(filter);
    const GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer);
    const guint n = meta != nullptr ? gst_sphere_face_meta_get_n_faces(meta) : 0;
    if (n == 0)
        return GST_FLOW_OK; // the frame stays unmapped and shared
    OverlaySettings settings;
    {
        const std::lock_guard lock(state.mutex);
        settings = state.settings;
    }
    auto frame = sphere::gst::MappedFrame::map(filter->info, buffer, GST_MAP_READWRITE);
    if (!frame) {
        sphere::gst::post_error(GST_ELEMENT_CAST(filter), frame.error());
        return GST_FLOW_ERROR;
    }
    Painter painter(frame->frame());
    for (guint i = 0; i < n; ++i)
        draw_face(painter, state.renderer, gst_sphere_face_meta_peek_face(meta, i), settings);
    filter->stats->add_faces(n);
    return GST_FLOW_OK;
}

static void gst_sphere_overlay_set_property(GObject *object, guint id, const GValue *value,
                                            GParamSpec *pspec) {
    OverlayState &state = *STATE(object);
    const std::lock_guard lock(state.mutex);
    switch (id) {
    case PROP_DRAW_LABELS:
        state.settings.labels = g_value_get_boolean(value) != FALSE;
        break;
    case PROP_DRAW_LANDMARKS:
        state.settings.landmarks = g_value_get_boolean(value) != FALSE;
        break;
    case PROP_DRAW_DISTANCE:
        state.settings.distance = g_value_get_boolean(value) != FALSE;
        break;
    case PROP_FONT_SIZE:
        state.settings.font_size_px = g_value_get_uint(value);
        break;
    case PROP_LINE_WIDTH:
        state.settings.line_width_px = g_value_get_uint(value);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    }
}

static void gst_sphere_overlay_get_property(GObject *object, guint id, GValue *value,
                                            GParamSpec *pspec) {
    OverlayState &state = *STATE(object);
    const std::lock_guard lock(state.mutex);
    switch (id) {
    case PROP_DRAW_LABELS:
        g_value_set_boolean(value, state.settings.labels);
        break;
    case PROP_DRAW_LANDMARKS:
        g_value_set_boolean(value, state.settings.landmarks);
        break;
    case PROP_DRAW_DISTANCE:
        g_value_set_boolean(value, state.settings.distance);
        break;
    case PROP_FONT_SIZE:
        g_value_set_uint(value, state.settings.font_size_px);
        break;
    case PROP_LINE_WIDTH:
        g_value_set_uint(value, state.settings.line_width_px);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    }
}

static void gst_sphere_overlay_finalize(GObject *object) {
    delete STATE(object);
    G_OBJECT_CLASS(gst_sphere_overlay_parent_class)->finalize(object);
}

static void gst_sphere_overlay_class_init(GstSphereOverlayClass *klass) {
    auto *object_class = G_OBJECT_CLASS(klass);
    auto *element_class = GST_ELEMENT_CLASS(klass);
    object_class->set_property = gst_sphere_overlay_set_property;
    object_class->get_property = gst_sphere_overlay_get_property;
    object_class->finalize = gst_sphere_overlay_finalize;
    GST_SPHERE_FILTER_CLASS(klass)->process = gst_sphere_overlay_process;

    constexpr auto playing = static_cast<GParamFlags>(
        G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);
    const auto install = [object_class](guint id, GParamSpec *spec) {
        g_object_class_install_property(object_class, id, spec);
    };
    install(PROP_DRAW_LABELS,
            g_param_spec_boolean("draw-labels", "Draw labels",
                                 "Names, or the state of faces without one", TRUE, playing));
    install(PROP_DRAW_LANDMARKS,
            g_param_spec_boolean("draw-landmarks", "Draw landmarks",
                                 "Dots on eyes, nose and mouth", TRUE, playing));
    install(PROP_DRAW_DISTANCE,
            g_param_spec_boolean("draw-distance", "Draw distance",
                                 "The distance after a known person's name", TRUE, playing));
    install(PROP_FONT_SIZE,
            g_param_spec_uint("font-size", "Font size",
                              "Height of text in pixels (0 = by the frame's height)", 0, 1000,
                              0, playing));
    install(PROP_LINE_WIDTH,
            g_param_spec_uint("line-width", "Line width",
                              "Width of lines in pixels (0 = by the frame's height)", 0, 100, 0,
                              playing));
    gst_element_class_set_static_metadata(element_class, "Face overlay", "Filter/Effect/Video",
                                          "Draws boxes, names and landmarks of faces",
                                          "the gst-sphere authors");
    gst_sphere_filter_class_add_pads(element_class, FALSE);
}

static void gst_sphere_overlay_init(GstSphereOverlay *self) {
    self->state = new OverlayState;
}
