// SPDX-License-Identifier: MIT
#include "gst/elements/presence.h"

#include <set>
#include <string_view>

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

std::size_t Presence::known_in_view() const {
    const std::string_view known = face_state_name(FaceState::Known);
    std::set<std::string_view> ids; // one person may have several tracks
    for (const auto &[id, person] : people_)
        if (person.last.state == known)
            ids.insert(id);
    for (const auto &[track, tracked] : tracks_)
        if (tracked.last.state == known)
            ids.insert(tracked.last.id);
    return ids.size();
}

void Presence::tell(PresenceEvent event, std::vector<PresenceEvent> &events) const {
    event.known_in_view = known_in_view();
    events.push_back(std::move(event));
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
        PresenceEvent happened = who;
        happened.event = event;
        tell(std::move(happened), events);
    }
}

void Presence::see_track(const TrackSighting &sighting, guint64 time_ns,
                         std::vector<PresenceEvent> &events) {
    const auto [entry, is_new] = tracks_.try_emplace(sighting.track);
    Tracked &tracked = entry->second;
    if (!sighting.carried || is_new)
        tracked.last_seen_ns = time_ns;
    const bool changed = tracked.last.id != sighting.id;
    tracked.last = sighting;
    if (is_new)
        tell(event_of("appeared", sighting), events);
    if (!tracked.identified) {
        if (sighting.id.empty())
            return;
        tracked.identified = true;
        tell(event_of("identified", sighting), events);
    } else if (changed) {
        tell(event_of("renamed", sighting), events);
    }
}

void Presence::expire(guint64 time_ns, guint64 timeout_ns, std::vector<PresenceEvent> &events) {
    const auto gone = [&](guint64 last_seen_ns) {
        return time_ns > last_seen_ns && time_ns - last_seen_ns > timeout_ns;
    };
    for (auto entry = people_.begin(); entry != people_.end();) {
        if (!gone(entry->second.last_seen_ns)) {
            ++entry;
            continue;
        }
        PresenceEvent left = std::move(entry->second.last);
        left.event = "left";
        entry = people_.erase(entry);
        tell(std::move(left), events);
    }
    for (auto entry = tracks_.begin(); entry != tracks_.end();) {
        if (!gone(entry->second.last_seen_ns)) {
            ++entry;
            continue;
        }
        PresenceEvent left = event_of("left", entry->second.last);
        entry = tracks_.erase(entry);
        tell(std::move(left), events);
    }
}

void Presence::clear(std::vector<PresenceEvent> &events) {
    while (!people_.empty()) {
        PresenceEvent left = std::move(people_.begin()->second.last);
        left.event = "left";
        people_.erase(people_.begin());
        tell(std::move(left), events);
    }
    while (!tracks_.empty()) {
        PresenceEvent left = event_of("left", tracks_.begin()->second.last);
        tracks_.erase(tracks_.begin());
        tell(std::move(left), events);
    }
}

} // namespace sphere::gst
