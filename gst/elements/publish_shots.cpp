// SPDX-License-Identifier: MIT
#include "gst/elements/publish_state.h"

namespace sphere::gst {
namespace {

std::string key_of(std::int64_t track, const std::string &id) {
    return track >= 0 ? "track " + std::to_string(track) : "person " + id;
}

} // namespace

void BestShots::offer(const Face &face, const TrackSighting &sighting) {
    if (!face.crop || face.carried || (sighting.track < 0 && sighting.id.empty()))
        return;
    Shot &shot = shots_[key_of(sighting.track, sighting.id)];
    const float quality = face.quality ? face.quality->score : 0;
    if (quality > shot.quality)
        shot = {quality, face.crop};
}

std::shared_ptr<const Image> BestShots::of(const PresenceEvent &event) const {
    if (tracks_ && event.track >= 0)
        if (auto kept = tracks_->best_shot(event.track))
            return kept;
    const auto shot = shots_.find(key_of(event.track, event.id));
    return shot != shots_.end() ? shot->second.crop : nullptr;
}

void BestShots::forget(const PresenceEvent &event) {
    shots_.erase(key_of(event.track, event.id));
}

void BestShots::clear() {
    shots_.clear();
    tracks_.reset();
}

void BestShots::set_tracks(std::shared_ptr<TrackStore> tracks) {
    if (tracks)
        tracks_ = std::move(tracks);
}

} // namespace sphere::gst
