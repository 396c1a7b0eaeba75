// SPDX-License-Identifier: MIT
#include "gst/elements/presence.h"

namespace sphere::gst {

void Presence::see(const std::string &id, const std::string &label, double distance,
                   guint64 time_ns, std::vector<PresenceEvent> &events) {
    const auto [entry, is_new] = people_.try_emplace(id);
    entry->second = {label, distance, time_ns};
    if (!is_new)
        return;
    events.push_back({"appeared", id, label, distance});
    events.push_back({"identified", id, label, distance});
}

void Presence::expire(guint64 time_ns, guint64 timeout_ns, std::vector<PresenceEvent> &events) {
    for (auto entry = people_.begin(); entry != people_.end();) {
        const guint64 last = entry->second.last_seen_ns;
        if (time_ns > last && time_ns - last > timeout_ns) {
            events.push_back(
                {"left", entry->first, entry->second.label, entry->second.distance});
            entry = people_.erase(entry);
        } else {
            ++entry;
        }
    }
}

void Presence::clear(std::vector<PresenceEvent> &events) {
    for (const auto &[id, person] : people_)
        events.push_back({"left", id, person.label, person.distance});
    people_.clear();
}

} // namespace sphere::gst
