// SPDX-License-Identifier: MIT
// What a spherematch is made of, for the files that it is written in.
#pragma once

#include "core/gallery/stranger_collector.h"
#include "gst/base/spherefilter.h"
#include "gst/elements/gallery_session.h"
#include "gst/elements/presence.h"
#include "gst/elements/threshold_check.h"
#include "gst/elements/track_votes.h"

#include <atomic>
#include <map>
#include <mutex>

namespace sphere::gst {

inline constexpr guint kDefaultVoteWindow = 150;

struct MatchedTrack {
    TrackVotes votes;
    std::string stranger; ///< who it is among the strangers
    guint64 last_frame = 0;
};

/// What can be enrolled of a face that went by.
struct FaceShot {
    Embedding embedding;
    std::optional<Quality> quality;
    double area_px = 0;
};

struct MatchState {
    std::mutex mutex; ///< guards settings to presence_timeout_ms
    MatchSettings settings;
    std::string unknown_label = "unknown";
    bool collect_unknown = false;
    StrangerLimits stranger_limits;
    bool retention_set = false; ///< by whoever built the pipeline, not by default
    bool self_check = true;
    std::string stream;
    guint vote_window = kDefaultVoteWindow;
    guint presence_timeout_ms = 2000;
    std::atomic<bool> settings_changed{false};

    std::mutex shots_mutex;                 ///< guards shots, matcher
    std::map<std::int64_t, FaceShot> shots; ///< the best of each track; -1: the newest frame's
    std::shared_ptr<const Matcher> matcher; ///< that served last

    // The streaming thread's.
    GallerySession session;
    std::unique_ptr<StrangerCollector> collector; ///< null: not asked for
    /// Sees nobody, and removes strangers whose time is over; null where that is not asked for
    /// or the collector does it.
    std::unique_ptr<StrangerCollector> keeper;
    ThresholdCheck threshold_check;
    Presence presence;
    std::map<std::int64_t, MatchedTrack> tracks;
    guint64 frame_number = 0;
    std::vector<PresenceEvent> events;
    bool gallery_lost = false;
    guint64 gallery_losses = 0;
    OncePerSecond log_fault;
};

void install_match_properties(GObjectClass *klass);
void set_match_property(GObject *object, MatchState &state, guint id, const GValue *value,
                        GParamSpec *pspec);
void get_match_property(GObject *object, MatchState &state, guint id, GValue *value,
                        GParamSpec *pspec);

/// The action signals' work, in the caller's thread: waits for the gallery's file or server.
/// False, with a warning on the bus, where it could not be done.
gboolean enrol_shot(GstElement *element, MatchState &state, const gchar *name, gint64 track);
gboolean forget_person(GstElement *element, MatchState &state, const gchar *id);
gboolean promote_stranger(GstElement *element, MatchState &state, const gchar *stranger,
                          const gchar *name);

} // namespace sphere::gst
