// SPDX-License-Identifier: MIT
// Who is in view: turns recognitions frame by frame into events (appeared, identified, left).
#pragma once

#include <gst/gst.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sphere::gst {

struct PresenceEvent {
    const char *event = ""; ///< "appeared", "identified" or "left"
    std::string id;
    std::string label;
    double distance = 0;
    const char *state = "known";
};

/// Without a tracker, presence is of people: a person appears and is identified in the frame
/// that first recognises it, and leaves when it was not recognised for the time-out. Streaming
/// thread.
class Presence {
  public:
    /// A recognition at `time_ns`. Appends to `events`.
    void see(const std::string &id, const std::string &label, double distance, guint64 time_ns,
             std::vector<PresenceEvent> &events);
    /// People not seen since `time_ns` - `timeout_ns` leave.
    void expire(guint64 time_ns, guint64 timeout_ns, std::vector<PresenceEvent> &events);
    /// Everybody leaves (end of stream).
    void clear(std::vector<PresenceEvent> &events);
    /// Forgets without events (flush).
    void reset() { people_.clear(); }

  private:
    struct Person {
        std::string label;
        double distance = 0;
        guint64 last_seen_ns = 0;
    };
    std::map<std::string, Person> people_;
};

} // namespace sphere::gst
