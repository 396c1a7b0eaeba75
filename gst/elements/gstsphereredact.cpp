// SPDX-License-Identifier: MIT
/**
 * SECTION:element-sphereredact
 * @title: sphereredact
 *
 * Makes faces unrecognisable, in the frame's own pixel format: all, those that are not known,
 * those that are, or a list of people. Faces that spheretrack carries over frames in which they
 * were not found are covered where they are expected and where they were last seen.
 *
 * |[
 * gst-launch-1.0 filesrc location=people.mp4 ! decodebin ! spheredetect ! spheretrack !
 * sphereredact method=pixelate ! videoconvert ! autovideosink
 * ]|
 */
#include "gst/base/enums.h"
#include "gst/base/frame.h"
#include "gst/base/model_properties.h"
#include "gst/base/spherefilter.h"
#include "gst/base/timestamps.h"
#include "gst/elements/cover_image.h"
#include "gst/elements/elements.h"
#include "gst/elements/redactor.h"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#define GST_CAT_DEFAULT gst_sphere_debug

using sphere::gst::RedactArea;

enum {
    PROP_0,
    PROP_WHO,
    PROP_METHOD,
    PROP_SHAPE,
    PROP_MARGIN,
    PROP_CELLS,
    PROP_COLOR,
    PROP_IMAGE,
    PROP_HOLD,
};

namespace {

constexpr float kDefaultMargin = 0.25F;
constexpr guint kDefaultCells = 6;
constexpr guint kDefaultHoldMs = 1000;
constexpr guint64 kForgetFrames = 300;
// A face that was not found may have gone any way: its area grows on each side by this share of
// its size a second (a head that turns to run picks up some four heads a second), up to a
// limit.
constexpr double kGrowthPerS = 2.5;
constexpr double kMostGrowth = 0.5;

/// Whose faces are covered.
struct Selection {
    enum class Kind : std::uint8_t { All, Unknown, Known, Listed, NotListed };
    Kind kind = Kind::All;
    std::vector<std::string> ids;

    bool covers(const GstSphereFace *face) const {
        const bool known = gst_sphere_face_get_state(face) == GST_SPHERE_FACE_STATE_KNOWN;
        const gchar *id = known ? gst_sphere_face_get_match_id(face) : nullptr;
        const bool listed = id != nullptr && std::find(ids.begin(), ids.end(), id) != ids.end();
        switch (kind) {
        case Kind::Unknown:
            return !known;
        case Kind::Known:
            return known;
        case Kind::Listed:
            return listed;
        case Kind::NotListed:
            return !listed;
        case Kind::All:
            break;
        }
        return true;
    }
};

Selection parse_who(const std::string &who) {
    using Kind = Selection::Kind;
    if (who == "all" || who.empty())
        return {Kind::All, {}};
    if (who == "unknown")
        return {Kind::Unknown, {}};
    if (who == "known")
        return {Kind::Known, {}};
    Selection selection{who.front() == '!' ? Kind::NotListed : Kind::Listed, {}};
    std::size_t begin = selection.kind == Kind::NotListed ? 1 : 0;
    while (begin <= who.size()) {
        const std::size_t end = std::min(who.find(',', begin), who.size());
        if (end > begin)
            selection.ids.push_back(who.substr(begin, end - begin));
        begin = end + 1;
    }
    return selection;
}

struct RedactSettings {
    std::string who = "all";
    Selection selection;
    sphere::gst::RedactStyle style;
    std::string image;
    float margin = kDefaultMargin;
    guint hold_ms = kDefaultHoldMs;
};

struct SeenFace {
    RedactArea area;
    guint64 seen_ns = 0;
    guint64 frame = 0; ///< in which it was last needed
};

struct RedactState {
    std::mutex mutex; ///< guards settings
    RedactSettings settings;

    // Streaming thread.
    sphere::gst::Redactor redactor;
    std::unique_ptr<sphere::gst::CoverImage> image; ///< null: none, or one that cannot be read
    std::optional<std::string> image_path;          ///< that was tried last
    std::map<gint64, SeenFace> seen;                ///< last detection of each track
    std::vector<RedactArea> areas; ///< of the last frame with faces known or sought
    guint64 areas_ns = 0;
    guint64 frame_number = 0;
};

RedactArea grown(const RedactArea &area, double share) {
    return {area.x - area.width * share, area.y - area.height * share,
            area.width * (1 + 2 * share), area.height * (1 + 2 * share)};
}

RedactArea area_of(const GstSphereFace *face, double margin) {
    RedactArea area;
    gst_sphere_face_get_box(face, &area.x, &area.y, &area.width, &area.height);
    return grown(area, margin);
}

double growth_since(guint64 seen_ns, guint64 now_ns) {
    const double age_s = now_ns > seen_ns ? static_cast<double>(now_ns - seen_ns) / 1e9 : 0;
    return std::min(kMostGrowth, kGrowthPerS * age_s);
}

void gather_areas(RedactState &state, const RedactSettings &settings,
                  const GstSphereFaceMeta *meta, guint64 now_ns) {
    state.areas.clear();
    const guint n = gst_sphere_face_meta_get_n_faces(meta);
    for (guint i = 0; i < n; ++i) {
        const GstSphereFace *face = gst_sphere_face_meta_peek_face(meta, i);
        const RedactArea area = area_of(face, settings.margin);
        const gint64 track = gst_sphere_face_get_track_id(face);
        const bool carried = gst_sphere_face_get_carried(face) != FALSE;
        if (track >= 0 && !carried)
            state.seen[track] = {area, now_ns, state.frame_number};
        if (!settings.selection.covers(face))
            continue;
        const auto seen = state.seen.find(track);
        if (!carried || seen == state.seen.end()) {
            state.areas.push_back(area);
            continue;
        }
        // It may have stayed where it was as well as have gone on.
        const double growth = growth_since(seen->second.seen_ns, now_ns);
        seen->second.frame = state.frame_number;
        state.areas.push_back(grown(area, growth));
        state.areas.push_back(grown(seen->second.area, growth));
    }
    std::erase_if(state.seen, [&state](const auto &item) {
        return item.second.frame + kForgetFrames < state.frame_number;
    });
}

} // namespace

typedef struct {
    GstSphereFilter parent;
    RedactState *state;
} GstSphereRedact;
typedef struct {
    GstSphereFilterClass parent_class;
} GstSphereRedactClass;

GType gst_sphere_redact_get_type(void);
G_DEFINE_TYPE(GstSphereRedact, gst_sphere_redact, GST_TYPE_SPHERE_FILTER)
GST_ELEMENT_REGISTER_DEFINE(sphereredact, "sphereredact", GST_RANK_NONE,
                            gst_sphere_redact_get_type())
#define STATE(obj) (reinterpret_cast<GstSphereRedact *>(obj)->state)

static void forget(RedactState &state) {
    state.seen.clear();
    state.areas.clear();
}

static sphere::Result<void> gst_sphere_redact_set_info(GstSphereFilter *filter,
                                                       const GstVideoInfo *) {
    forget(*STATE(filter));
    return {};
}

static void gst_sphere_redact_flush(GstSphereFilter *filter, GstEvent *event) {
    if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP)
        forget(*STATE(filter));
}

// Reads the picture if it is wanted and was not tried yet: an error comes once.
static sphere::Result<void> load_image(RedactState &state, const RedactSettings &settings) {
    if (settings.style.method != sphere::gst::RedactMethod::Image ||
        state.image_path == settings.image)
        return {};
    state.image.reset();
    state.image_path = settings.image;
    auto image = sphere::gst::CoverImage::load(settings.image);
    if (!image)
        return image.error();
    state.image = std::move(*image);
    return {};
}

static sphere::Result<void> gst_sphere_redact_open(GstSphereFilter *filter) {
    RedactState &state = *STATE(filter);
    state.image_path.reset();
    const std::lock_guard lock(state.mutex);
    return load_image(state, state.settings);
}

static GstFlowReturn gst_sphere_redact_process(GstSphereFilter *filter, GstBuffer *buffer) {
    RedactState &state = *STATE(filter);
    RedactSettings settings;
    {
        const std::lock_guard lock(state.mutex);
        settings = state.settings;
    }
    if (const auto loaded = load_image(state, settings); !loaded)
        sphere::gst::post_warning(GST_ELEMENT_CAST(filter), loaded.error()); // it fills
    ++state.frame_number;
    const guint64 now_ns = sphere::gst::pts_of(buffer).value_or(state.areas_ns);
    if (const GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer)) {
        gather_areas(state, settings, meta, now_ns);
        state.areas_ns = now_ns;
    } else if (now_ns < state.areas_ns ||
               now_ns - state.areas_ns > settings.hold_ms * GST_MSECOND) {
        state.areas.clear(); // too old to say anything of this frame
    }
    if (state.areas.empty())
        return GST_FLOW_OK; // the frame stays unmapped and shared
    auto frame = sphere::gst::MappedFrame::map(filter->info, buffer, GST_MAP_READWRITE);
    if (!frame) {
        sphere::gst::post_error(GST_ELEMENT_CAST(filter), frame.error());
        return GST_FLOW_ERROR;
    }
    const double growth = growth_since(state.areas_ns, now_ns); // of areas that are held
    for (const RedactArea &area : state.areas)
        state.redactor.redact(frame->frame(), grown(area, growth), settings.style);
    if (settings.style.method == sphere::gst::RedactMethod::Image && state.image)
        for (const RedactArea &area : state.areas)
            state.image->draw(frame->frame(), grown(area, growth));
    filter->stats->add_faces(state.areas.size());
    return GST_FLOW_OK;
}

static void gst_sphere_redact_set_property(GObject *object, guint id, const GValue *value,
                                           GParamSpec *pspec) {
    RedactState &state = *STATE(object);
    sphere::gst::guarded_void(object, [&] {
        const std::lock_guard lock(state.mutex);
        RedactSettings &settings = state.settings;
        switch (id) {
        case PROP_WHO:
            settings.who = sphere::gst::string_from(value);
            settings.selection = parse_who(settings.who);
            break;
        case PROP_METHOD: // same order in both
            settings.style.method =
                static_cast<sphere::gst::RedactMethod>(g_value_get_enum(value));
            break;
        case PROP_SHAPE:
            settings.style.shape =
                static_cast<sphere::gst::RedactShape>(g_value_get_enum(value));
            break;
        case PROP_MARGIN:
            settings.margin = g_value_get_float(value);
            break;
        case PROP_CELLS:
            settings.style.cells = static_cast<int>(g_value_get_uint(value));
            break;
        case PROP_COLOR: {
            const guint color = g_value_get_uint(value);
            settings.style.fill_rgb = {static_cast<guint8>(color >> 16 & 0xFF),
                                       static_cast<guint8>(color >> 8 & 0xFF),
                                       static_cast<guint8>(color & 0xFF)};
            break;
        }
        case PROP_IMAGE:
            settings.image = sphere::gst::string_from(value);
            break;
        case PROP_HOLD:
            settings.hold_ms = g_value_get_uint(value);
            break;
        default:
            G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
        }
    });
}

static void gst_sphere_redact_get_property(GObject *object, guint id, GValue *value,
                                           GParamSpec *pspec) {
    RedactState &state = *STATE(object);
    const std::lock_guard lock(state.mutex);
    const RedactSettings &settings = state.settings;
    switch (id) {
    case PROP_WHO:
        g_value_set_string(value, settings.who.c_str());
        break;
    case PROP_METHOD:
        g_value_set_enum(value, static_cast<gint>(settings.style.method));
        break;
    case PROP_SHAPE:
        g_value_set_enum(value, static_cast<gint>(settings.style.shape));
        break;
    case PROP_MARGIN:
        g_value_set_float(value, settings.margin);
        break;
    case PROP_CELLS:
        g_value_set_uint(value, static_cast<guint>(settings.style.cells));
        break;
    case PROP_COLOR: {
        const auto &rgb = settings.style.fill_rgb;
        g_value_set_uint(value, static_cast<guint>(rgb[0]) << 16 |
                                    static_cast<guint>(rgb[1]) << 8 | rgb[2]);
        break;
    }
    case PROP_IMAGE:
        g_value_set_string(value, settings.image.c_str());
        break;
    case PROP_HOLD:
        g_value_set_uint(value, settings.hold_ms);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    }
}

static void gst_sphere_redact_finalize(GObject *object) {
    delete STATE(object);
    G_OBJECT_CLASS(gst_sphere_redact_parent_class)->finalize(object);
}

static void gst_sphere_redact_install_properties(GObjectClass *klass) {
    constexpr auto playing = static_cast<GParamFlags>(
        G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);
    const auto install = [klass](guint id, GParamSpec *spec) {
        g_object_class_install_property(klass, id, spec);
    };
    install(PROP_WHO, g_param_spec_string(
                          "who", "Who",
                          "Whose faces: all, unknown (everybody who is not known), known, "
                          "a list of ids (ada,bob), or all but a list (!ada,bob)",
                          "all", playing));
    install(PROP_METHOD, g_param_spec_enum("method", "Method", "What becomes of the picture",
                                           gst_sphere_redact_method_get_type(),
                                           GST_SPHERE_REDACT_BLUR, playing));
    install(PROP_SHAPE, g_param_spec_enum("shape", "Shape", "Shape of the covered area",
                                          gst_sphere_redact_shape_get_type(),
                                          GST_SPHERE_REDACT_ELLIPSE, playing));
    install(PROP_MARGIN,
            g_param_spec_float("margin", "Margin",
                               "Share of its size that the face's box grows on each side", 0, 2,
                               kDefaultMargin, playing));
    install(PROP_CELLS,
            g_param_spec_uint("cells", "Cells",
                              "Blur and pixelate: patches along the longer side, all that is "
                              "left of the picture",
                              1, 64, kDefaultCells, playing));
    install(PROP_COLOR, g_param_spec_uint("color", "Colour", "Fill and image: 0xRRGGBB", 0,
                                          0xFFFFFF, 0, playing));
    install(PROP_IMAGE,
            g_param_spec_string("image", "Image",
                                "Image: a PNG file. It covers the area and keeps its shape; "
                                "what it leaves clear has the colour",
                                "", playing));
    install(PROP_HOLD,
            g_param_spec_uint("hold", "Hold",
                              "How long, in ms, the faces of the last frame that was looked at "
                              "stay covered in frames that were not (without spheretrack)",
                              0, 60000, kDefaultHoldMs, playing));
}

static void gst_sphere_redact_class_init(GstSphereRedactClass *klass) {
    auto *object_class = G_OBJECT_CLASS(klass);
    auto *filter_class = GST_SPHERE_FILTER_CLASS(klass);
    object_class->set_property = gst_sphere_redact_set_property;
    object_class->get_property = gst_sphere_redact_get_property;
    object_class->finalize = gst_sphere_redact_finalize;
    filter_class->open = gst_sphere_redact_open;
    filter_class->set_info = gst_sphere_redact_set_info;
    filter_class->process = gst_sphere_redact_process;
    filter_class->flush = gst_sphere_redact_flush;
    gst_sphere_redact_install_properties(object_class);
    gst_type_mark_as_plugin_api(gst_sphere_redact_method_get_type(),
                                static_cast<GstPluginAPIFlags>(0));
    gst_type_mark_as_plugin_api(gst_sphere_redact_shape_get_type(),
                                static_cast<GstPluginAPIFlags>(0));
    auto *element_class = GST_ELEMENT_CLASS(klass);
    gst_element_class_set_static_metadata(element_class, "Face redactor", "Filter/Effect/Video",
                                          "Blurs, pixelates, fills or hides faces behind a "
                                          "picture: all, unknown, known, or a list",
                                          "the gst-sphere authors");
    gst_sphere_filter_class_add_pads(element_class, FALSE);
}

static void gst_sphere_redact_init(GstSphereRedact *self) {
    self->state = new RedactState;
}
