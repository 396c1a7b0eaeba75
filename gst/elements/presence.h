// SPDX-License-Identifier: MIT
// Who is in view: turns recognitions frame by frame into events (appeared, identified, renamed,
// left).
#pragma once

#include "core/face/face.h"

#include <gst/gst.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sphere::gst {

struct PresenceEvent {
    const char *event = ""; ///< "appeared", "identified", "renamed" or "left"
    std::string id;         ///< a stranger's too; empty where it is not known who it is
    std::string label;
    double distance = 0;
    const char *state = "known";
    std::int64_t track = -1;
    std::size_t known_in_view = 0; ///< known people after this event
};

/// What is known of a tracked face in a frame.
struct TrackSighting {
    std::int64_t track = -1;
    std::string id; ///< a stranger's too; empty where it is not known who it is
    std::string label;
    double distance = 0;
    const char *state = "";
    bool carried = false; ///< not found in this frame: does not count as seen
};

/// What an event says of a face with its decision; `unknown_label` stands where nobody does.
/// Faces without a track give track -1.
TrackSighting sighting_of(const Face &face, const MatchResult &match,
                          const std::string &unknown_label);

/// With a tracker, presence is of tracks: one appears in its first frame, is identified when it
/// is first known, renamed when it is somebody else (or nobody) after that, and leaves when it
/// was not seen for the time-out.
///
/// Without a tracker, presence is of people: a person appears and is identified in the frame
/// that first recognises it, and leaves when it was not recognised for the time-out. Streaming
/// thread.
class Presence {
  public:
    /// A face of a frame: a recognition, if it has no track.
    void see_face(const TrackSighting &sighting, guint64 time_ns,
                  std::vector<PresenceEvent> &events);
    /// A recognition at `time_ns`, of a person or a stranger. Appends to `events`.
    void see(const PresenceEvent &who, guint64 time_ns, std::vector<PresenceEvent> &events);
    void see_track(const TrackSighting &sighting, guint64 time_ns,
                   std::vector<PresenceEvent> &events);
    /// People and tracks not seen since `time_ns` - `timeout_ns` leave.
    void expire(guint64 time_ns, guint64 timeout_ns, std::vector<PresenceEvent> &events);
    /// Everybody leaves (end of stream).
    void clear(std::vector<PresenceEvent> &events);
    /// Forgets without events (flush).
    void reset() {
        people_.clear();
        tracks_.clear();
    }

  private:
    /// Appends the event, now that what it tells of has happened.
    void tell(PresenceEvent event, std::vector<PresenceEvent> &events) const;
    std::size_t known_in_view() const;

    struct Person {
        PresenceEvent last;
        guint64 last_seen_ns = 0;
    };
    struct Tracked {
        TrackSighting last;
        bool identified = false;
        guint64 last_seen_ns = 0;
    };
    std::map<std::string, Person> people_;
    std::map<std::int64_t, Tracked> tracks_;
};

} // namespace sphere::gst
