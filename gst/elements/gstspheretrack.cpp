// SPDX-License-Identifier: MIT
/**
 * SECTION:element-spheretrack
 * @title: spheretrack
 *
 * Gives the faces of a stream ids that stay: through missed detections, occlusion and crossing
 * people. In frames that spheredetect skipped (inference-interval) or in which a face was not
 * found it adds the face where it is expected, marked as carried.
 *
 * |[
 * gst-launch-1.0 filesrc location=people.mp4 ! decodebin ! spheredetect inference-interval=3 !
 * spheretrack ! sphereoverlay ! videoconvert ! autovideosink
 * ]|
 */
#include "core/face/tracker.h"
#include "gst/base/face_convert.h"
#include "gst/base/frame.h"
#include "gst/base/scene_cut.h"
#include "gst/base/spherefilter.h"
#include "gst/base/timestamps.h"
#include "gst/base/tracks_object.h"
#include "gst/elements/elements.h"

#include <mutex>

#define GST_CAT_DEFAULT gst_sphere_debug

using namespace sphere;

enum {
    PROP_HIGH_SCORE = 1,
    PROP_MIN_OVERLAP,
    PROP_CONFIRM_COUNT,
    PROP_MAX_LOST,
    PROP_CARRY,
    PROP_SCENE_CUT,
};

namespace {

constexpr double kNsPerS = 1e9;
constexpr guint64 kFallbackFrameNs = 40 * GST_MSECOND; ///< without times and frame rate

struct TrackSettings {
    TrackerOptions options;
    bool carry = true;
    bool scene_cut = true;
};

struct TrackElementState {
    std::mutex mutex; ///< guards settings
    TrackSettings settings;

    // Streaming thread.
    Tracker tracker;
    sphere::gst::SceneCut scene_cut;
    std::shared_ptr<sphere::gst::TrackStore> store;
    GObject *store_object = nullptr;
    std::optional<guint64> last_ns;
    std::vector<Detection> detections;
    std::vector<guint> face_indices; ///< of each detection
};

} // namespace

typedef struct {
    GstSphereFilter parent;
    TrackElementState *state;
} GstSphereTrack;
typedef struct {
    GstSphereFilterClass parent_class;
} GstSphereTrackClass;

GType gst_sphere_track_get_type(void);
G_DEFINE_TYPE(GstSphereTrack, gst_sphere_track, GST_TYPE_SPHERE_FILTER)
GST_ELEMENT_REGISTER_DEFINE(spheretrack, "spheretrack", GST_RANK_NONE,
                            gst_sphere_track_get_type())
#define STATE(obj) (reinterpret_cast<GstSphereTrack *>(obj)->state)

static void end_all_tracks(TrackElementState &state) {
    state.tracker.reset();
    if (state.store)
        state.store->end_all();
}

static Result<void> gst_sphere_track_open(GstSphereFilter *filter) {
    TrackElementState &state = *STATE(filter);
    state.tracker = Tracker();
    state.scene_cut.reset();
    state.last_ns.reset();
    state.store = std::make_shared<sphere::gst::TrackStore>();
    state.store_object = sphere::gst::new_tracks_object(state.store);
    return {};
}

static void gst_sphere_track_close(GstSphereFilter *filter) {
    TrackElementState &state = *STATE(filter);
    g_clear_object(&state.store_object);
    state.store.reset();
}

static Result<void> gst_sphere_track_set_info(GstSphereFilter *filter, const GstVideoInfo *) {
    TrackElementState &state = *STATE(filter);
    end_all_tracks(state);
    state.scene_cut.reset();
    return {};
}

static void gst_sphere_track_flush(GstSphereFilter *filter, GstEvent *event) {
    TrackElementState &state = *STATE(filter);
    if (GST_EVENT_TYPE(event) != GST_EVENT_FLUSH_STOP)
        return;
    end_all_tracks(state);
    state.scene_cut.reset();
    state.last_ns.reset();
}

// A discontinuity that only marks a dropped frame (a leaky queue, a lost packet) ends nothing;
// one with a jump in time does.
static bool is_jump(const TrackElementState &state, const GstBuffer *buffer, guint64 now_ns,
                    double max_lost_s) {
    if (!GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DISCONT) || !state.last_ns)
        return false;
    return now_ns < *state.last_ns ||
           static_cast<double>(now_ns - *state.last_ns) > max_lost_s / 2 * kNsPerS;
}

static guint64 time_of(const GstSphereFilter *filter, const TrackElementState &state,
                       const GstBuffer *buffer) {
    if (const auto pts = sphere::gst::pts_of(buffer))
        return *pts;
    const GstVideoInfo &info = filter->info;
    const guint64 step =
        info.fps_n > 0 && info.fps_d > 0
            ? gst_util_uint64_scale(GST_SECOND, static_cast<guint64>(info.fps_d),
                                    static_cast<guint64>(info.fps_n))
            : kFallbackFrameNs;
    return state.last_ns.value_or(0) + step;
}

static void gather_detections(TrackElementState &state, const GstSphereFaceMeta *meta) {
    state.detections.clear();
    state.face_indices.clear();
    const guint n = gst_sphere_face_meta_get_n_faces(meta);
    for (guint i = 0; i < n; ++i) {
        const GstSphereFace *source = gst_sphere_face_meta_peek_face(meta, i);
        if (gst_sphere_face_get_carried(source))
            continue; // another tracker's guess is no detection
        const Face face = sphere::gst::face_from_meta(source, sphere::gst::kGeometry);
        gsize n_values = 0;
        const gfloat *values = gst_sphere_face_get_embedding(source, &n_values);
        state.detections.push_back(
            {face.box, face.score, face.landmarks,
             values != nullptr ? std::span(values, n_values) : std::span<const float>()});
        state.face_indices.push_back(i);
    }
}

static bool is_in_frame(const Box &box, const GstVideoInfo &info) {
    return box.x < static_cast<float>(info.width) && box.y < static_cast<float>(info.height) &&
           box.x + box.w > 0 && box.y + box.h > 0;
}

static GstSphereFaceMeta *add_carried(GstSphereFilter *filter, GstBuffer *buffer,
                                      GstSphereFaceMeta *meta, const Track &track) {
    if (!is_in_frame(track.box, filter->info))
        return meta;
    if (meta == nullptr)
        meta = gst_buffer_add_sphere_face_meta(buffer, static_cast<guint>(filter->info.width),
                                               static_cast<guint>(filter->info.height));
    Face face;
    face.box = track.box;
    face.score = track.score;
    face.landmarks = track.landmarks;
    face.track_id = track.id;
    face.carried = true;
    GstSphereFace *target = sphere::gst::new_meta_face(face);
    gst_sphere_face_meta_add_face(meta, target);
    gst_sphere_face_free(target);
    filter->stats->add_skipped();
    return meta;
}

static void set_track(GstSphereFaceMeta *meta, guint index, const Track &track) {
    GstSphereFace *face = gst_sphere_face_meta_get_face(meta, index);
    gst_sphere_face_set_track_id(face, track.id);
    gst_sphere_face_meta_set_face(meta, index, face);
    gst_sphere_face_free(face);
}

static GstSphereFaceMeta *apply_tracks(GstSphereFilter *filter, GstBuffer *buffer,
                                       GstSphereFaceMeta *meta, std::span<const Track> tracks,
                                       bool carry) {
    TrackElementState &state = *STATE(filter);
    for (const Track &track : tracks) {
        if (track.state == TrackState::Removed) {
            state.store->end(track.id);
        } else if (track.detection >= 0) {
            state.store->begin(track.id);
            set_track(meta, state.face_indices[static_cast<std::size_t>(track.detection)],
                      track);
        } else if (carry) {
            meta = add_carried(filter, buffer, meta, track);
        }
    }
    return meta;
}

static GstFlowReturn gst_sphere_track_process(GstSphereFilter *filter, GstBuffer *buffer) {
    TrackElementState &state = *STATE(filter);
    TrackSettings settings;
    {
        const std::lock_guard lock(state.mutex);
        settings = state.settings;
    }
    const guint64 now_ns = time_of(filter, state, buffer);
    state.tracker.set_options(settings.options);
    if (is_jump(state, buffer, now_ns, settings.options.max_lost_s))
        end_all_tracks(state);
    state.last_ns = now_ns;
    if (settings.scene_cut) {
        auto frame = sphere::gst::MappedFrame::map(filter->info, buffer);
        if (!frame) {
            sphere::gst::post_error(GST_ELEMENT_CAST(filter), frame.error());
            return GST_FLOW_ERROR;
        }
        if (state.scene_cut.next(frame->frame())) {
            GST_DEBUG_OBJECT(filter, "another scene at %" GST_TIME_FORMAT,
                             GST_TIME_ARGS(now_ns));
            end_all_tracks(state);
        }
    }
    state.store->next_frame();
    // A frame that was looked at has the meta, even without faces; a skipped one has none.
    GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer);
    const double now_s = static_cast<double>(now_ns) / kNsPerS;
    std::span<const Track> tracks;
    if (meta != nullptr) {
        gather_detections(state, meta);
        tracks = state.tracker.update(state.detections, now_s);
    } else {
        tracks = state.tracker.predict(now_s);
    }
    meta = apply_tracks(filter, buffer, meta, tracks, settings.carry);
    if (meta == nullptr)
        return GST_FLOW_OK;
    filter->stats->add_faces(gst_sphere_face_meta_get_n_faces(meta));
    gst_sphere_face_meta_set_tracks(meta, state.store_object);
    gst_sphere_face_meta_sync(meta, buffer);
    return GST_FLOW_OK;
}

static void gst_sphere_track_set_property(GObject *object, guint id, const GValue *value,
                                          GParamSpec *pspec) {
    TrackElementState &state = *STATE(object);
    const std::lock_guard lock(state.mutex);
    TrackSettings &settings = state.settings;
    switch (id) {
    case PROP_HIGH_SCORE:
        settings.options.high_score = g_value_get_float(value);
        break;
    case PROP_MIN_OVERLAP:
        settings.options.min_overlap = g_value_get_float(value);
        break;
    case PROP_CONFIRM_COUNT:
        settings.options.confirm_count = static_cast<int>(g_value_get_uint(value));
        break;
    case PROP_MAX_LOST:
        settings.options.max_lost_s = g_value_get_uint(value) / 1000.0;
        break;
    case PROP_CARRY:
        settings.carry = g_value_get_boolean(value) != FALSE;
        break;
    case PROP_SCENE_CUT:
        settings.scene_cut = g_value_get_boolean(value) != FALSE;
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    }
}

static void gst_sphere_track_get_property(GObject *object, guint id, GValue *value,
                                          GParamSpec *pspec) {
    TrackElementState &state = *STATE(object);
    const std::lock_guard lock(state.mutex);
    const TrackSettings &settings = state.settings;
    switch (id) {
    case PROP_HIGH_SCORE:
        g_value_set_float(value, settings.options.high_score);
        break;
    case PROP_MIN_OVERLAP:
        g_value_set_float(value, settings.options.min_overlap);
        break;
    case PROP_CONFIRM_COUNT:
        g_value_set_uint(value, static_cast<guint>(settings.options.confirm_count));
        break;
    case PROP_MAX_LOST:
        g_value_set_uint(value, static_cast<guint>(settings.options.max_lost_s * 1000.0 + 0.5));
        break;
    case PROP_CARRY:
        g_value_set_boolean(value, settings.carry);
        break;
    case PROP_SCENE_CUT:
        g_value_set_boolean(value, settings.scene_cut);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    }
}

static void gst_sphere_track_finalize(GObject *object) {
    delete STATE(object);
    G_OBJECT_CLASS(gst_sphere_track_parent_class)->finalize(object);
}

static void gst_sphere_track_install_properties(GObjectClass *klass) {
    constexpr auto playing = static_cast<GParamFlags>(
        G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);
    const auto install = [klass](guint id, GParamSpec *spec) {
        g_object_class_install_property(klass, id, spec);
    };
    const TrackSettings defaults;
    install(
        PROP_HIGH_SCORE,
        g_param_spec_float("high-score", "High score",
                           "Faces of at least this score are associated first and may start "
                           "tracks; weaker ones only continue tracks",
                           0, 1, defaults.options.high_score, playing));
    install(PROP_MIN_OVERLAP,
            g_param_spec_float("min-overlap", "Least overlap",
                               "Overlap (IoU of the boxes, each grown by a quarter on every "
                               "side) with the place where a track's face is expected",
                               0.01F, 1, defaults.options.min_overlap, playing));
    install(PROP_CONFIRM_COUNT,
            g_param_spec_uint("confirm-count", "Confirm count",
                              "Detections until a track is confirmed; others are given up "
                              "sooner",
                              1, 100, static_cast<guint>(defaults.options.confirm_count),
                              playing));
    install(PROP_MAX_LOST,
            g_param_spec_uint("max-lost", "Longest loss",
                              "How long a track lives without its face being found, in ms", 0,
                              60000, static_cast<guint>(defaults.options.max_lost_s * 1000),
                              playing));
    install(PROP_CARRY,
            g_param_spec_boolean("carry", "Carry faces",
                                 "Add the faces of tracks that were not found in a frame where "
                                 "they are expected, marked as carried",
                                 defaults.carry, playing));
    install(PROP_SCENE_CUT,
            g_param_spec_boolean("scene-cut", "Scene cuts",
                                 "End all tracks where the picture changes to another scene",
                                 defaults.scene_cut, playing));
}

static void gst_sphere_track_class_init(GstSphereTrackClass *klass) {
    auto *object_class = G_OBJECT_CLASS(klass);
    auto *filter_class = GST_SPHERE_FILTER_CLASS(klass);
    object_class->set_property = gst_sphere_track_set_property;
    object_class->get_property = gst_sphere_track_get_property;
    object_class->finalize = gst_sphere_track_finalize;
    filter_class->open = gst_sphere_track_open;
    filter_class->close = gst_sphere_track_close;
    filter_class->set_info = gst_sphere_track_set_info;
    filter_class->process = gst_sphere_track_process;
    filter_class->flush = gst_sphere_track_flush;
    gst_sphere_track_install_properties(object_class);
    auto *element_class = GST_ELEMENT_CLASS(klass);
    gst_element_class_set_static_metadata(
        element_class, "Face tracker", "Filter/Analyzer/Video",
        "Stable ids between frames; carries faces over frames that were not detected",
        "the gst-sphere authors");
    gst_sphere_filter_class_add_pads(element_class, FALSE);
}

static void gst_sphere_track_init(GstSphereTrack *self) {
    self->state = new TrackElementState;
}
