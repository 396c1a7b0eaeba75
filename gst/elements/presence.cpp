// SPDX-License-Identifier: MIT
#include "gst/elements/presence.h"

namespace sphere::gst {
namespace {

PresenceEvent event_of(const char *event, const TrackSighting &sighting) {
    return {event,          sighting.id,   sighting.label, sighting.distance,
            sighting.state, sighting.track};
}

} // namespace

TrackSighting sighting_of(const Face &face, const MatchResult &match,
                          const std::string &unknown_label) {
    const Candidate *best = match.best();
    TrackSighting sighting;
    sighting.id = best != nullptr ? best->id : match.stranger;
    sighting.label = best != nullptr ? best->label : sighting.id;
    if (sighting.id.empty())
        sighting.label = unknown_label;
    if (!match.candidates.empty())
        sighting.distance = match.candidates.front().distance;
    sighting.state = face_state_name(match.state);
    if (face.track_id)
        sighting.track = *face.track_id;
    sighting.carried = face.carried;
    return sighting;
}

void Presence::see_face(const TrackSighting &sighting, guint64 time_ns,
                        std::vector<PresenceEvent> &events) {
    if (sighting.track >= 0)
        see_track(sighting, time_ns, events);
    else if (!sighting.id.empty())
        see(event_of("", sighting), time_ns, events);
}

void Presence::see(const PresenceEvent &who, guint64 time_ns,
                   std::vector<PresenceEvent> &events) {
    const auto [entry, is_new] = people_.try_emplace(who.id);
    entry->second = {who, time_ns};
    if (!is_new)
        return;
    for (const char *event : {"appeared", "identified"}) {
        events.push_back(who);
        events.back().event = event;
    }
}

void Presence::see_track(const TrackSighting &sighting, guint64 time_ns,
                         std::vector<PresenceEvent> &events) {
    const auto [entry, is_new] = tracks_.try_emplace(sighting.track);
    Tracked &tracked = entry->second;
    if (!sighting.carried || is_new)
        tracked.last_seen_ns = time_ns;
    if (is_new)
        events.push_back(event_of("appeared", sighting));
    const bool changed = tracked.last.id != sighting.id;
    tracked.last = sighting;
    if (!tracked.identified) {
        if (sighting.id.empty())
            return;
        tracked.identified = true;
        events.push_back(event_of("identified", sighting));
    } else if (changed) {
        events.push_back(event_of("renamed", sighting));
    }
}

void Presence::expire(guint64 time_ns, guint64 timeout_ns, std::vector<PresenceEvent> &events) {
    for (auto entry = people_.begin(); entry != people_.end();) {
        const guint64 last = entry->second.last_seen_ns;
        if (time_ns > last && time_ns - last > timeout_ns) {
            events.push_back(entry->second.last);
            events.back().event = "left";
            entry = people_.erase(entry);
        } else {
            ++entry;
        }
    }
    for (auto entry = tracks_.begin(); entry != tracks_.end();) {
        const guint64 last = entry->second.last_seen_ns;
        if (time_ns > last && time_ns - last > timeout_ns) {
            events.push_back(event_of("left", entry->second.last));
            entry = tracks_.erase(entry);
        } else {
            ++entry;
        }
    }
}

void Presence::clear(std::vector<PresenceEvent> &events) {
    for (const auto &[id, person] : people_) {
        events.push_back(person.last);
        events.back().event = "left";
    }
    people_.clear();
    for (const auto &[track, tracked] : tracks_)
        events.push_back(event_of("left", tracked.last));
    tracks_.clear();
}

} // namespace sphere::gst
