// SPDX-License-Identifier: MIT
/**
 * SECTION:element-spherematch
 * @title: spherematch
 *
 * Looks the embeddings of a buffer's faces up in a gallery and says of each face whether it is
 * known, unknown, ambiguous or unusable, and why. Posts element messages "sphere-match" (and
 * emits the signal "match") when a person appears, is identified and leaves. After spheretrack
 * the embeddings of a track vote on who it is, and events are of tracks.
 *
 * While the gallery's server or file is away the people that are loaded go on being found: one
 * warning message with details (event "lost", gallery, reason) says so, one
 * info message (event "found") says when it is followed again. In `stats`: gallery-lost (1
 * while that lasts), gallery-losses (how often so far) and gallery-version.
 *
 * |[
 * gst-launch-1.0 -m filesrc location=people.mp4 ! decodebin ! spheredetect ! spherealign !
 * sphereembed ! spherematch gallery=people.db ! fakesink
 * ]|
 */
#include "gst/base/enums.h"
#include "gst/base/face_convert.h"
#include "gst/base/model_properties.h"
#include "gst/base/spherefilter.h"
#include "gst/base/timestamps.h"
#include "gst/base/tracks_object.h"
#include "gst/elements/elements.h"
#include "gst/elements/gallery_session.h"
#include "gst/elements/presence.h"
#include "gst/elements/track_votes.h"

#include <atomic>
#include <map>

#define GST_CAT_DEFAULT gst_sphere_debug

using namespace sphere;

enum {
    PROP_0,
    PROP_GALLERY,
    PROP_INDEX,
    PROP_METRIC,
    PROP_THRESHOLD,
    PROP_MARGIN,
    PROP_TOP_K,
    PROP_UNKNOWN_LABEL,
    PROP_VOTE_WINDOW,
    PROP_PRESENCE_TIMEOUT,
    PROP_RELOAD,
};

namespace {

constexpr float kUnassessedQuality = 0.5F; ///< without spherealign
constexpr guint kDefaultVoteWindow = 150;
constexpr guint64 kForgetFrames = 300;

struct MatchedTrack {
    sphere::gst::TrackVotes votes;
    guint64 last_frame = 0;
};

/// Settings that each face needs.
struct MatchView {
    std::string unknown_label;
    guint vote_window = 0;
};

struct MatchState {
    std::mutex mutex; ///< guards settings, unknown_label, vote_window, presence_timeout_ms
    sphere::gst::MatchSettings settings;
    std::string unknown_label = "unknown";
    guint vote_window = kDefaultVoteWindow;
    guint presence_timeout_ms = 2000;
    std::atomic<bool> settings_changed{false};

    sphere::gst::GallerySession session; ///< streaming thread
    sphere::gst::Presence presence;
    std::map<std::int64_t, MatchedTrack> tracks;
    guint64 frame_number = 0;
    std::vector<sphere::gst::PresenceEvent> events;
    bool gallery_lost = false;
    guint64 gallery_losses = 0;
};

guint signal_match = 0;

} // namespace

typedef struct {
    GstSphereFilter parent;
    MatchState *state;
} GstSphereMatch;
typedef struct {
    GstSphereFilterClass parent_class;
} GstSphereMatchClass;

GType gst_sphere_match_get_type(void);
G_DEFINE_TYPE(GstSphereMatch, gst_sphere_match, GST_TYPE_SPHERE_FILTER)
GST_ELEMENT_REGISTER_DEFINE(spherematch, "spherematch", GST_RANK_NONE,
                            gst_sphere_match_get_type())
#define STATE(obj) (reinterpret_cast<GstSphereMatch *>(obj)->state)

static sphere::gst::MatchSettings settings_of(MatchState &state) {
    const std::lock_guard lock(state.mutex);
    return state.settings;
}

static Result<void> gst_sphere_match_open(GstSphereFilter *filter) {
    MatchState &state = *STATE(filter);
    state.settings_changed = false;
    state.presence.reset();
    state.tracks.clear();
    state.frame_number = 0;
    state.gallery_lost = false;
    state.gallery_losses = 0;
    filter->stats->set_gauge("gallery-lost", 0);
    filter->stats->set_gauge("gallery-losses", 0);
    const auto settings = settings_of(state);
    SPHERE_TRY(state.session.open(settings));
    const std::string shown = sphere::gst::shown_gallery(settings.gallery);
    if (!state.session.matcher().options().gallery().in_store())
        GST_INFO_OBJECT(filter, "gallery %s: %zu people", shown.c_str(),
                        state.session.people());
    if (state.session.matcher().gallery()->empty())
        GST_WARNING_OBJECT(filter, "gallery %s is empty: every face will be unknown",
                           shown.c_str());
    return {};
}

static void gst_sphere_match_close(GstSphereFilter *filter) {
    STATE(filter)->session.close();
}

static void tell_application(GstSphereFilter *filter, GstBuffer *buffer) {
    MatchState &state = *STATE(filter);
    const GstSegment *segment = &GST_BASE_TRANSFORM(filter)->segment;
    const guint64 none = GST_CLOCK_TIME_NONE;
    const guint64 pts = buffer ? sphere::gst::pts_of(buffer).value_or(none) : none;
    const guint64 stream_time =
        buffer ? sphere::gst::stream_time_of(segment, buffer).value_or(none) : none;
    const auto utc = buffer ? sphere::gst::utc_of(buffer) : std::nullopt;
    for (const sphere::gst::PresenceEvent &event : state.events) {
        GstStructure *structure = gst_structure_new(
            "sphere-match", "event", G_TYPE_STRING, event.event, "id", G_TYPE_STRING,
            event.id.c_str(), "label", G_TYPE_STRING, event.label.c_str(), "track",
            G_TYPE_INT64, static_cast<gint64>(event.track), "distance", G_TYPE_DOUBLE,
            event.distance, "state", G_TYPE_STRING, event.state, "pts", G_TYPE_UINT64, pts,
            "stream-time", G_TYPE_UINT64, stream_time, "utc", G_TYPE_STRING,
            utc ? utc->c_str() : nullptr, nullptr);
        g_signal_emit(filter, signal_match, 0, structure);
        gst_element_post_message(GST_ELEMENT_CAST(filter),
                                 gst_message_new_element(GST_OBJECT_CAST(filter), structure));
    }
    state.events.clear();
}

// The decision for a face by itself.
static MatchResult match_alone(const MatchState &state, const Face &face) {
    if (face.embedding)
        return state.session.matcher().match(*face.embedding);
    MatchResult match;
    match.state = FaceState::Unusable;
    match.reason = face.reason != FaceReason::None ? face.reason : FaceReason::NotEmbedded;
    return match;
}

// The decision for the track that a face belongs to: the vote of all its embeddings.
static MatchResult match_track(MatchState &state, const Face &face, guint vote_window) {
    MatchedTrack &track = state.tracks[*face.track_id];
    track.last_frame = state.frame_number;
    if (face.embedding && !track.votes.has(*face.embedding))
        track.votes.add(*face.embedding, state.session.matcher().match(*face.embedding),
                        face.quality ? face.quality->score : kUnassessedQuality,
                        state.frame_number);
    track.votes.expire(state.frame_number, vote_window);
    if (const MatchResult *decision = track.votes.decision())
        return *decision;
    return match_alone(state, face);
}

static void see_face(MatchState &state, const Face &face, const MatchResult &match,
                     guint64 time_ns, const std::string &unknown_label) {
    const Candidate *best = match.best();
    if (!face.track_id) {
        if (best != nullptr)
            state.presence.see(best->id, best->label, best->distance, time_ns, state.events);
        return;
    }
    sphere::gst::TrackSighting sighting;
    sighting.track = *face.track_id;
    sighting.id = best != nullptr ? best->id : "";
    sighting.label = best != nullptr ? best->label : unknown_label;
    if (!match.candidates.empty())
        sighting.distance = match.candidates.front().distance;
    sighting.state = face_state_name(match.state);
    sighting.carried = face.carried;
    state.presence.see_track(sighting, time_ns, state.events);
}

static void match_face(GstSphereFilter *filter, GstSphereFaceMeta *meta, guint i,
                       guint64 time_ns, const MatchView &view) {
    MatchState &state = *STATE(filter);
    GstSphereFace *target = gst_sphere_face_meta_get_face(meta, i);
    const Face face =
        sphere::gst::face_from_meta(target, sphere::gst::kEmbedding | sphere::gst::kQuality);
    const MatchResult match = face.track_id && view.vote_window > 0
                                  ? match_track(state, face, view.vote_window)
                                  : match_alone(state, face);
    if (match.reason != FaceReason::None)
        filter->stats->add_reason(match.reason);
    see_face(state, face, match, time_ns, view.unknown_label);
    if (face.track_id)
        if (const auto tracks = sphere::gst::tracks_of(meta))
            tracks->set_decision(*face.track_id, match.state);
    sphere::gst::set_match(target, match);
    if (match.best() == nullptr)
        gst_sphere_face_set_unknown_label(target, view.unknown_label.c_str());
    gst_sphere_face_meta_set_face(meta, i, target);
    gst_sphere_face_free(target);
}

// Votes of tracks that no frame had for long are of no use to anybody.
static void forget_tracks(MatchState &state) {
    std::erase_if(state.tracks, [&state](const auto &item) {
        return item.second.last_frame + kForgetFrames < state.frame_number;
    });
}

// Says once that the gallery is away, and once that it is back.
static void tell_of_gallery(GstSphereFilter *filter, MatchState &state) {
    const auto behind = state.session.behind();
    filter->stats->set_gauge("gallery-version",
                             static_cast<guint64>(state.session.matcher().snapshot().version));
    if (behind.has_value() == state.gallery_lost)
        return;
    state.gallery_lost = behind.has_value();
    state.gallery_losses += state.gallery_lost ? 1 : 0;
    filter->stats->set_gauge("gallery-lost", state.gallery_lost ? 1 : 0);
    filter->stats->set_gauge("gallery-losses", state.gallery_losses);
    const std::string shown = sphere::gst::shown_gallery(settings_of(state).gallery);
    if (state.gallery_lost)
        GST_ELEMENT_WARNING_WITH_DETAILS(
            filter, RESOURCE, READ,
            ("The gallery is not followed: the people of before stay. %s",
             behind->message.c_str()),
            ("%s", "It is tried again until it is there."),
            ("event", G_TYPE_STRING, "lost", "gallery", G_TYPE_STRING, shown.c_str(), "reason",
             G_TYPE_STRING, behind->message.c_str(), nullptr));
    else
        GST_ELEMENT_INFO_WITH_DETAILS(
            filter, RESOURCE, READ, ("Gallery %s is followed again.", shown.c_str()), (nullptr),
            ("event", G_TYPE_STRING, "found", "gallery", G_TYPE_STRING, shown.c_str(),
             nullptr));
}

static void refresh_gallery(GstSphereFilter *filter, MatchState &state) {
    if (state.settings_changed.exchange(false))
        state.session.invalidate();
    const Matcher *before = &state.session.matcher();
    if (const Result<void> fresh = state.session.refresh(settings_of(state)); !fresh) {
        filter->stats->add_error();
        GST_WARNING_OBJECT(filter, "gallery not reloaded, the people of before stay: %s",
                           fresh.error().message.c_str());
    }
    tell_of_gallery(filter, state);
    if (before != &state.session.matcher()) // other people, or another judgement of them
        for (auto &[id, track] : state.tracks)
            track.votes.rematch(state.session.matcher());
}

static GstFlowReturn gst_sphere_match_process(GstSphereFilter *filter, GstBuffer *buffer) {
    MatchState &state = *STATE(filter);
    refresh_gallery(filter, state);
    guint64 timeout_ns = 0;
    MatchView view;
    {
        const std::lock_guard lock(state.mutex);
        timeout_ns = state.presence_timeout_ms * GST_MSECOND;
        view = {state.unknown_label, state.vote_window};
    }
    ++state.frame_number;
    // Buffers without times still have an order: the wall clock stands in.
    const guint64 time_ns = sphere::gst::pts_of(buffer).value_or(
        static_cast<guint64>(g_get_monotonic_time()) * 1000);
    GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer);
    if (const guint n = meta != nullptr ? gst_sphere_face_meta_get_n_faces(meta) : 0; n > 0) {
        for (guint i = 0; i < n; ++i)
            match_face(filter, meta, i, time_ns, view);
        filter->stats->add_faces(n);
        gst_sphere_face_meta_sync(meta, buffer);
    }
    forget_tracks(state);
    state.presence.expire(time_ns, timeout_ns, state.events);
    tell_application(filter, buffer);
    return GST_FLOW_OK;
}

static void gst_sphere_match_flush(GstSphereFilter *filter, GstEvent *event) {
    MatchState &state = *STATE(filter);
    if (GST_EVENT_TYPE(event) == GST_EVENT_EOS) {
        state.presence.clear(state.events);
        tell_application(filter, nullptr);
    } else if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP) {
        state.presence.reset();
        state.tracks.clear();
    }
}

static void gst_sphere_match_set_property(GObject *object, guint id, const GValue *value,
                                          GParamSpec *pspec) {
    MatchState &state = *STATE(object);
    sphere::gst::guarded_void(object, [&] {
        const std::lock_guard lock(state.mutex);
        sphere::gst::MatchSettings &settings = state.settings;
        switch (id) {
        case PROP_GALLERY:
            settings.gallery = sphere::gst::string_from(value);
            return;
        case PROP_INDEX:
            settings.index =
                sphere::gst::enum_nick(gst_sphere_index_get_type(), g_value_get_enum(value));
            return;
        case PROP_METRIC:
            settings.metric =
                sphere::gst::enum_nick(gst_sphere_metric_get_type(), g_value_get_enum(value));
            break;
        case PROP_THRESHOLD:
            settings.threshold = g_value_get_float(value);
            break;
        case PROP_MARGIN:
            settings.margin = g_value_get_float(value);
            break;
        case PROP_TOP_K:
            settings.top_k = static_cast<int>(g_value_get_uint(value));
            break;
        case PROP_UNKNOWN_LABEL:
            state.unknown_label = sphere::gst::string_from(value);
            return;
        case PROP_VOTE_WINDOW:
            state.vote_window = g_value_get_uint(value);
            return;
        case PROP_PRESENCE_TIMEOUT:
            state.presence_timeout_ms = g_value_get_uint(value);
            return;
        case PROP_RELOAD:
            settings.reload = g_value_get_boolean(value) != FALSE;
            return;
        default:
            G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
            return;
        }
        state.settings_changed = true;
    });
}

static gint enum_value(GType type, const std::string &nick) {
    auto *enum_class = static_cast<GEnumClass *>(g_type_class_ref(type));
    const GEnumValue *entry = g_enum_get_value_by_nick(enum_class, nick.c_str());
    const gint value = entry != nullptr ? entry->value : 0;
    g_type_class_unref(enum_class);
    return value;
}

static void gst_sphere_match_get_property(GObject *object, guint id, GValue *value,
                                          GParamSpec *pspec) {
    MatchState &state = *STATE(object);
    const std::lock_guard lock(state.mutex);
    const sphere::gst::MatchSettings &settings = state.settings;
    switch (id) {
    case PROP_GALLERY:
        // Whoever lists properties, a pipeline's drawing for one, is not to have a password.
        if (!settings.gallery.empty())
            g_value_set_string(value, sphere::gst::shown_gallery(settings.gallery).c_str());
        break;
    case PROP_INDEX:
        g_value_set_enum(value, enum_value(gst_sphere_index_get_type(), settings.index));
        break;
    case PROP_METRIC:
        g_value_set_enum(value, enum_value(gst_sphere_metric_get_type(), settings.metric));
        break;
    case PROP_THRESHOLD:
        g_value_set_float(value, settings.threshold);
        break;
    case PROP_MARGIN:
        g_value_set_float(value, settings.margin);
        break;
    case PROP_TOP_K:
        g_value_set_uint(value, static_cast<guint>(settings.top_k));
        break;
    case PROP_UNKNOWN_LABEL:
        g_value_set_string(value, state.unknown_label.c_str());
        break;
    case PROP_VOTE_WINDOW:
        g_value_set_uint(value, state.vote_window);
        break;
    case PROP_PRESENCE_TIMEOUT:
        g_value_set_uint(value, state.presence_timeout_ms);
        break;
    case PROP_RELOAD:
        g_value_set_boolean(value, settings.reload);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    }
}

static void gst_sphere_match_finalize(GObject *object) {
    delete STATE(object);
    G_OBJECT_CLASS(gst_sphere_match_parent_class)->finalize(object);
}

static void gst_sphere_match_install_properties(GObjectClass *klass) {
    constexpr auto ready = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                    GST_PARAM_MUTABLE_READY);
    constexpr auto playing = static_cast<GParamFlags>(
        G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);
    const auto install = [klass](guint id, GParamSpec *spec) {
        g_object_class_install_property(klass, id, spec);
    };
    install(PROP_GALLERY,
            g_param_spec_string("gallery", "Gallery",
                                "Enrolled people: sqlite:PATH or a bare path, relative to the "
                                "working directory, or postgresql://HOST/DATABASE (made by "
                                "spherectl enrol); a password in it reads back as ***",
                                nullptr, ready));
    install(PROP_INDEX,
            g_param_spec_enum("index", "Index", "How the gallery is searched",
                              gst_sphere_index_get_type(), GST_SPHERE_INDEX_AUTO, ready));
    install(PROP_METRIC,
            g_param_spec_enum("metric", "Metric", "Distance between embeddings",
                              gst_sphere_metric_get_type(), GST_SPHERE_METRIC_AUTO, playing));
    install(PROP_THRESHOLD,
            g_param_spec_float("threshold", "Threshold",
                               "A person is known at this distance or nearer (-1 = the model's "
                               "own)",
                               -1, G_MAXFLOAT, -1, playing));
    install(
        PROP_MARGIN,
        g_param_spec_float("margin", "Margin",
                           "A face is ambiguous when the second person is no farther behind "
                           "the first than this (-1 = 0.05 for cosine, off for euclidean; 0 = "
                           "off)",
                           -1, G_MAXFLOAT, -1, playing));
    install(PROP_TOP_K, g_param_spec_uint("top-k", "Candidates",
                                          "People reported for each face, nearest first", 1,
                                          1000, 1, playing));
    install(PROP_UNKNOWN_LABEL,
            g_param_spec_string("unknown-label", "Unknown label",
                                "What is shown for faces that are not known", "unknown",
                                playing));
    install(PROP_VOTE_WINDOW,
            g_param_spec_uint("vote-window", "Vote window",
                              "Frames back from which a tracked face's embeddings vote on who "
                              "it is (0 = each face by itself)",
                              0, 100000, kDefaultVoteWindow, playing));
    install(PROP_PRESENCE_TIMEOUT,
            g_param_spec_uint("presence-timeout", "Presence time-out",
                              "A person or track has left when not seen for this long, in ms",
                              0, G_MAXUINT, 2000, playing));
    install(PROP_RELOAD, g_param_spec_boolean("reload", "Reload",
                                              "Follow changes of the gallery while running, "
                                              "within about a second",
                                              TRUE, playing));
}

static void gst_sphere_match_class_init(GstSphereMatchClass *klass) {
    auto *object_class = G_OBJECT_CLASS(klass);
    auto *element_class = GST_ELEMENT_CLASS(klass);
    auto *filter_class = GST_SPHERE_FILTER_CLASS(klass);
    object_class->set_property = gst_sphere_match_set_property;
    object_class->get_property = gst_sphere_match_get_property;
    object_class->finalize = gst_sphere_match_finalize;
    filter_class->open = gst_sphere_match_open;
    filter_class->close = gst_sphere_match_close;
    filter_class->process = gst_sphere_match_process;
    filter_class->flush = gst_sphere_match_flush;
    gst_sphere_match_install_properties(object_class);
    /**
     * GstSphereMatch::match:
     * @event: what the bus message sphere-match holds
     *
     * A person or track appeared, was identified, renamed or left. Emitted in the streaming
     * thread.
     */
    signal_match =
        g_signal_new("match", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0, nullptr, nullptr,
                     nullptr, G_TYPE_NONE, 1, GST_TYPE_STRUCTURE | G_SIGNAL_TYPE_STATIC_SCOPE);
    gst_type_mark_as_plugin_api(gst_sphere_metric_get_type(),
                                static_cast<GstPluginAPIFlags>(0));
    gst_type_mark_as_plugin_api(gst_sphere_index_get_type(), static_cast<GstPluginAPIFlags>(0));
    gst_element_class_set_static_metadata(
        element_class, "Face matcher", "Filter/Analyzer/Video",
        "Looks embeddings up in a gallery; tells the application", "the gst-sphere authors");
    gst_sphere_filter_class_add_pads(element_class, TRUE);
}

static void gst_sphere_match_init(GstSphereMatch *self) {
    self->state = new MatchState;
}
