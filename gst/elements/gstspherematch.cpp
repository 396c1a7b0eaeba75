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
 * With collect-unknown=true the embeddings of people who are not known are kept in the gallery
 * under ids that stay ("unknown-12"), to be made people of by the action signal "promote" or
 * spherectl gallery promote.
 *
 * |[
 * gst-launch-1.0 -m filesrc location=people.mp4 ! decodebin ! spheredetect ! spherealign !
 * sphereembed ! spherematch gallery=people.db ! fakesink
 * ]|
 */
#include "gst/base/enums.h"
#include "gst/base/face_convert.h"
#include "gst/base/spherefilter.h"
#include "gst/base/timestamps.h"
#include "gst/base/tracks_object.h"
#include "gst/elements/elements.h"
#include "gst/elements/match_state.h"

#define GST_CAT_DEFAULT gst_sphere_debug

using namespace sphere;
using sphere::gst::MatchedTrack;
using sphere::gst::MatchState;

namespace {

constexpr float kUnassessedQuality = 0.5F; ///< without spherealign
constexpr guint64 kForgetFrames = 300;

/// Settings that each face needs.
struct MatchView {
    std::string unknown_label;
    guint vote_window = 0;
    bool thumbnails = false;
    std::int64_t gallery_version = 0; ///< 0: it is not followed
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

// Who collects none has no say in how many are kept.
static sphere::StrangerLimits keeper_limits(const MatchState &state) {
    sphere::StrangerLimits limits = state.stranger_limits;
    limits.most = sphere::ExpireStrangers{}.most;
    return limits;
}

// The gallery's strangers: to collect them, or to see that they go in time.
static Result<void> open_collector(GstSphereFilter *filter, MatchState &state) {
    sphere::StrangerCollector::Settings settings;
    bool collect = false;
    {
        const std::lock_guard lock(state.mutex);
        collect = state.collect_unknown;
        // The default is nobody's word: another pipeline may keep them for longer.
        if (!collect && !state.retention_set)
            return {};
        settings.location = state.settings.gallery;
        settings.camera = state.stream;
        settings.limits = collect ? state.stranger_limits : keeper_limits(state);
        settings.resolve = sphere::gst::match_resolver(state.settings);
    }
    if (settings.camera.empty())
        settings.camera = GST_OBJECT_NAME(filter);
    auto collector = StrangerCollector::open(std::move(settings));
    if (!collector && !collect) { // nothing that the stream is for
        GST_WARNING_OBJECT(filter, "unknown people do not go when their time is over: %s",
                           collector.error().message.c_str());
        return {};
    }
    if (!collector)
        return std::move(collector).error();
    (collect ? state.collector : state.keeper) = std::move(*collector);
    return {};
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
    return open_collector(filter, state);
}

static void gst_sphere_match_close(GstSphereFilter *filter) {
    MatchState &state = *STATE(filter);
    state.collector.reset();
    state.keeper.reset();
    state.threshold_check.reset();
    state.session.close();
    const std::lock_guard lock(state.shots_mutex);
    state.shots.clear();
    state.matcher.reset();
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

// Who an unknown face is among the strangers; it becomes one where it is none of them.
static std::string find_stranger(MatchState &state, const GstSphereFace *source,
                                 const Face &face, const MatchResult &match,
                                 const MatchView &view) {
    const bool unknown = match.state == FaceState::Unknown;
    MatchedTrack *track = nullptr;
    if (face.track_id) {
        track = &state.tracks[*face.track_id];
        track->last_frame = state.frame_number;
        if (match.state == FaceState::Known)
            track->stranger.clear();
    }
    std::string stranger;
    if (unknown && face.embedding && !face.carried) {
        StrangerSight sight;
        sight.embedding = *face.embedding;
        sight.quality = face.quality;
        sight.gallery_version = view.gallery_version;
        if (view.thumbnails) {
            sight.crop = sphere::gst::crop_of(source);
            sight.crop_template = face.crop_template;
        }
        stranger = state.collector->see(sight, g_get_real_time() / 1000);
    }
    if (track == nullptr || !unknown)
        return stranger;
    // One of a track's pictures may look like another stranger: the track keeps its own.
    if (track->stranger.empty() || !state.collector->knows(track->stranger))
        track->stranger = stranger;
    return track->stranger;
}

// What the action signal "enrol" would take.
static void keep_shot(MatchState &state, const Face &face) {
    if (!face.embedding || face.carried)
        return;
    const auto quality = [](const auto &of) {
        return of.quality ? of.quality->score : kUnassessedQuality;
    };
    const sphere::gst::FaceShot shot{*face.embedding, face.quality,
                                     static_cast<double>(face.box.w) * face.box.h};
    const std::lock_guard lock(state.shots_mutex);
    const auto [newest, first] = state.shots.try_emplace(-1, shot);
    if (!first && newest->second.area_px < shot.area_px)
        newest->second = shot;
    if (!face.track_id)
        return;
    const auto [best, is_new] = state.shots.try_emplace(*face.track_id, shot);
    if (!is_new && quality(best->second) < quality(shot))
        best->second = shot;
}

static void match_face(GstSphereFilter *filter, GstSphereFaceMeta *meta, guint i,
                       guint64 time_ns, const MatchView &view) {
    MatchState &state = *STATE(filter);
    GstSphereFace *target = gst_sphere_face_meta_get_face(meta, i);
    const Face face =
        sphere::gst::face_from_meta(target, sphere::gst::kEmbedding | sphere::gst::kQuality);
    MatchResult match = face.track_id && view.vote_window > 0
                            ? match_track(state, face, view.vote_window)
                            : match_alone(state, face);
    if (state.collector)
        match.stranger = find_stranger(state, target, face, match, view);
    keep_shot(state, face);
    if (match.reason != FaceReason::None)
        filter->stats->add_reason(match.reason);
    state.presence.see_face(sphere::gst::sighting_of(face, match, view.unknown_label), time_ns,
                            state.events);
    if (face.track_id)
        if (const auto tracks = sphere::gst::tracks_of(meta))
            tracks->set_decision(*face.track_id, match.state);
    sphere::gst::set_match(target, match);
    if (match.best() == nullptr)
        gst_sphere_face_set_unknown_label(target, match.stranger.empty()
                                                      ? view.unknown_label.c_str()
                                                      : match.stranger.c_str());
    gst_sphere_face_meta_set_face(meta, i, target);
    gst_sphere_face_free(target);
}

// Votes of tracks that no frame had for long are of no use to anybody.
static void forget_tracks(MatchState &state) {
    std::erase_if(state.tracks, [&state](const auto &item) {
        return item.second.last_frame + kForgetFrames < state.frame_number;
    });
    const std::lock_guard lock(state.shots_mutex);
    std::erase_if(state.shots, [&state](const auto &item) {
        return item.first >= 0 && !state.tracks.contains(item.first);
    });
}

static void forget_newest_shot(MatchState &state) {
    const std::lock_guard lock(state.shots_mutex);
    state.shots.erase(-1);
}

static void tell_strangers(GstSphereFilter *filter, const StrangerCollector &collector) {
    const StrangerCollector::Counts counts = collector.counts();
    filter->stats->set_gauge("strangers", counts.strangers);
    filter->stats->set_gauge("strangers-recorded", counts.recorded);
    filter->stats->set_gauge("strangers-dropped", counts.dropped);
    filter->stats->set_gauge("strangers-failed", counts.failed);
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

// What leaving faces out of the gallery shows of the threshold; a warning where it is unsafe.
static void check_threshold(GstSphereFilter *filter, MatchState &state) {
    std::string gallery;
    {
        const std::lock_guard lock(state.mutex);
        if (!state.self_check)
            return;
        gallery = state.settings.gallery;
    }
    const auto found = state.threshold_check.poll(state.session.matcher(), gallery);
    if (!found)
        return;
    const GalleryCheck &check = found->check;
    filter->stats->set_gauge("check-faces", found->faces);
    filter->stats->set_gauge("check-sampled", check.probes);
    filter->stats->set_gauge("check-strangers", check.strangers);
    filter->stats->set_gauge("check-strangers-named", check.strangers_named);
    filter->stats->set_gauge("threshold-unsafe", check.unsafe ? 1 : 0);
    const auto suggested = static_cast<double>(check.suggested_threshold.value_or(-1));
    filter->stats->set_measure("suggested-threshold", suggested);
    GST_INFO_OBJECT(
        filter,
        "self-check, %zu of %zu faces left out: of %zu strangers %zu would be named; "
        "threshold %f, suggested %f",
        check.probes, found->faces, check.strangers, check.strangers_named, found->threshold,
        suggested);
    if (!check.unsafe)
        return;
    const std::string shown = sphere::gst::shown_gallery(gallery);
    GST_ELEMENT_WARNING_WITH_DETAILS(
        filter, LIBRARY, SETTINGS,
        ("Threshold %.4f is unsafe for gallery %s: of %zu strangers %zu would be named.",
         static_cast<double>(found->threshold), shown.c_str(), check.strangers,
         check.strangers_named),
        ("threshold=%.4f would name no more than %.0f %%, as far as %zu of its %zu faces tell; "
         "spherectl gallery check says more.",
         suggested, found->target_far * 100, check.probes, found->faces),
        ("event", G_TYPE_STRING, "unsafe-threshold", "gallery", G_TYPE_STRING, shown.c_str(),
         "threshold", G_TYPE_DOUBLE, static_cast<gdouble>(found->threshold),
         "suggested-threshold", G_TYPE_DOUBLE, suggested, "strangers", G_TYPE_UINT64,
         static_cast<guint64>(check.strangers), "strangers-named", G_TYPE_UINT64,
         static_cast<guint64>(check.strangers_named), "sampled", G_TYPE_UINT64,
         static_cast<guint64>(check.probes), "faces", G_TYPE_UINT64,
         static_cast<guint64>(found->faces), nullptr));
}

static void refresh_gallery(GstSphereFilter *filter, MatchState &state) {
    const bool settings_changed = state.settings_changed.exchange(false);
    if (settings_changed)
        state.session.invalidate();
    if (settings_changed && state.collector) {
        const std::lock_guard lock(state.mutex);
        state.collector->set_limits(state.stranger_limits);
        state.collector->set_resolve(sphere::gst::match_resolver(state.settings));
    }
    if (settings_changed && state.keeper) {
        const std::lock_guard lock(state.mutex);
        state.keeper->set_limits(keeper_limits(state));
    }
    const Matcher *before = &state.session.matcher();
    if (const Result<void> fresh = state.session.refresh(settings_of(state)); !fresh) {
        filter->stats->add_error();
        GST_WARNING_OBJECT(filter, "gallery not reloaded, the people of before stay: %s",
                           fresh.error().message.c_str());
    }
    tell_of_gallery(filter, state);
    StrangerCollector *strangers = state.collector ? state.collector.get() : state.keeper.get();
    if (const auto error = strangers ? strangers->take_error() : std::nullopt) {
        filter->stats->add_error();
        if (state.log_fault())
            GST_WARNING_OBJECT(filter, "unknown people not %s: %s",
                               state.collector ? "collected" : "removed in time",
                               error->message.c_str());
    }
    if (before != &state.session.matcher()) // other people, or another judgement of them
        for (auto &[id, track] : state.tracks)
            track.votes.rematch(state.session.matcher());
}

static GstFlowReturn gst_sphere_match_process(GstSphereFilter *filter, GstBuffer *buffer) {
    MatchState &state = *STATE(filter);
    refresh_gallery(filter, state);
    check_threshold(filter, state);
    guint64 timeout_ns = 0;
    MatchView view;
    {
        const std::lock_guard lock(state.mutex);
        timeout_ns = state.presence_timeout_ms * GST_MSECOND;
        view = {state.unknown_label, state.vote_window, state.stranger_limits.thumbnails,
                state.settings.reload ? state.session.matcher().snapshot().version : 0};
    }
    {
        const std::lock_guard lock(state.shots_mutex);
        state.matcher = state.session.shared_matcher();
    }
    ++state.frame_number;
    // Buffers without times still have an order: the wall clock stands in.
    const guint64 time_ns = sphere::gst::pts_of(buffer).value_or(
        static_cast<guint64>(g_get_monotonic_time()) * 1000);
    GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer);
    if (const guint n = meta != nullptr ? gst_sphere_face_meta_get_n_faces(meta) : 0; n > 0) {
        forget_newest_shot(state);
        for (guint i = 0; i < n; ++i)
            match_face(filter, meta, i, time_ns, view);
        filter->stats->add_faces(n);
        gst_sphere_face_meta_sync(meta, buffer);
    }
    if (state.collector)
        tell_strangers(filter, *state.collector);
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
    sphere::gst::set_match_property(object, *STATE(object), id, value, pspec);
}

static void gst_sphere_match_get_property(GObject *object, guint id, GValue *value,
                                          GParamSpec *pspec) {
    sphere::gst::get_match_property(object, *STATE(object), id, value, pspec);
}

static void gst_sphere_match_finalize(GObject *object) {
    delete STATE(object);
    G_OBJECT_CLASS(gst_sphere_match_parent_class)->finalize(object);
}

static gboolean gst_sphere_match_enrol(GstElement *element, const gchar *name, gint64 track) {
    return sphere::gst::enrol_shot(element, *STATE(element), name, track);
}

static gboolean gst_sphere_match_forget(GstElement *element, const gchar *id) {
    return sphere::gst::forget_person(element, *STATE(element), id);
}

static gboolean gst_sphere_match_promote(GstElement *element, const gchar *stranger,
                                         const gchar *name) {
    return sphere::gst::promote_stranger(element, *STATE(element), stranger, name);
}

static void gst_sphere_match_install_actions(GstSphereMatchClass *klass) {
    constexpr auto flags = static_cast<GSignalFlags>(G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION);
    const GType type = G_TYPE_FROM_CLASS(klass);
    /**
     * GstSphereMatch::enrol:
     * @id: whose face it is; a new person, or one who is there
     * @track: the track whose best picture is taken; -1: the largest face of the newest frame
     *
     * Enrols a face of the running stream. Waits for the gallery's file or server, as do the
     * others: not to be called from the streaming thread.
     *
     * Returns: whether it was enrolled; a warning on the bus says why not
     */
    g_signal_new_class_handler("enrol", type, flags, G_CALLBACK(gst_sphere_match_enrol),
                               nullptr, nullptr, nullptr, G_TYPE_BOOLEAN, 2, G_TYPE_STRING,
                               G_TYPE_INT64);
    /**
     * GstSphereMatch::forget:
     * @id: a person or a stranger
     *
     * Removes a person from the gallery, overwriting what was kept.
     *
     * Returns: whether they were removed
     */
    g_signal_new_class_handler("forget", type, flags, G_CALLBACK(gst_sphere_match_forget),
                               nullptr, nullptr, nullptr, G_TYPE_BOOLEAN, 1, G_TYPE_STRING);
    /**
     * GstSphereMatch::promote:
     * @stranger: "unknown-12"
     * @id: the person who it is; a new one, or one who is there
     *
     * Makes a person of a stranger.
     *
     * Returns: whether it was done
     */
    g_signal_new_class_handler("promote", type, flags, G_CALLBACK(gst_sphere_match_promote),
                               nullptr, nullptr, nullptr, G_TYPE_BOOLEAN, 2, G_TYPE_STRING,
                               G_TYPE_STRING);
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
    sphere::gst::install_match_properties(object_class);
    gst_sphere_match_install_actions(klass);
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
