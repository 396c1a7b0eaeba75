// SPDX-License-Identifier: MIT
#include "gst/base/track_store.h"

#include <algorithm>
#include <utility>

namespace sphere::gst {
namespace {

// An embedding of a picture this much better is worth an inference, if the last one is not of
// just now: quality grows over many frames as somebody walks up.
constexpr float kGain = 1.25F;
constexpr float kLeastGain = 0.04F;
constexpr std::uint64_t kGainGapFrames = 10;
// Faces that are not known yet get a few further chances soon.
constexpr int kSettleCount = 3;
constexpr std::uint64_t kSettleGapFrames = 15;

} // namespace

const TrackStore::Entry *TrackStore::find(std::int64_t id) const {
    const auto found = entries_.find(id);
    return found != entries_.end() ? &found->second : nullptr;
}

TrackStore::Entry *TrackStore::find(std::int64_t id) {
    const auto found = entries_.find(id);
    return found != entries_.end() ? &found->second : nullptr;
}

void TrackStore::begin(std::int64_t id) {
    const std::lock_guard lock(mutex_);
    entries_.try_emplace(id);
    if (entries_.size() > kMostTracks)
        entries_.erase(entries_.begin()); // the oldest
}

void TrackStore::end(std::int64_t id) {
    const std::lock_guard lock(mutex_);
    if (Entry *entry = find(id); entry != nullptr && !entry->ended_at)
        entry->ended_at = frame_;
}

void TrackStore::end_all() {
    const std::lock_guard lock(mutex_);
    for (auto &[id, entry] : entries_)
        if (!entry.ended_at)
            entry.ended_at = frame_;
}

void TrackStore::next_frame() {
    const std::lock_guard lock(mutex_);
    ++frame_;
    std::erase_if(entries_, [this](const auto &item) {
        return item.second.ended_at && *item.second.ended_at + kGraceFrames < frame_;
    });
}

void TrackStore::offer_shot(std::int64_t id, float quality,
                            const std::shared_ptr<const Image> &crop) {
    const std::lock_guard lock(mutex_);
    Entry *entry = find(id);
    if (entry == nullptr || !(quality > entry->shot_quality))
        return;
    entry->shot_quality = quality;
    entry->shot = crop;
}

std::shared_ptr<const Image> TrackStore::best_shot(std::int64_t id) const {
    const std::lock_guard lock(mutex_);
    const Entry *entry = find(id);
    return entry != nullptr ? entry->shot : nullptr;
}

bool TrackStore::wants_embedding(std::int64_t id, const EmbeddingStamp &stamp, float quality,
                                 std::uint64_t frame, const EmbedPolicy &policy) const {
    const std::lock_guard lock(mutex_);
    const Entry *entry = find(id);
    if (entry == nullptr)
        return true;
    const auto record =
        std::find_if(entry->embedded.begin(), entry->embedded.end(),
                     [&stamp](const Embedded &one) { return *one.best->stamp == stamp; });
    if (record == entry->embedded.end())
        return true;
    const std::uint64_t since = frame > record->last_frame ? frame - record->last_frame : 0;
    if (policy.interval > 0 && since >= policy.interval)
        return true;
    if (since >= kGainGapFrames && quality >= record->best_quality * kGain &&
        quality >= record->best_quality + kLeastGain)
        return true;
    return entry->decision != FaceState::Known && record->count < kSettleCount &&
           since >= kSettleGapFrames;
}

void TrackStore::set_embedding(std::int64_t id, const Embedding &embedding, float quality,
                               std::uint64_t frame) {
    if (!embedding.stamp || embedding.values.empty())
        return;
    auto shared = std::make_shared<const Embedding>(embedding);
    const std::lock_guard lock(mutex_);
    Entry *entry = find(id);
    if (entry == nullptr)
        return;
    auto record = std::find_if(
        entry->embedded.begin(), entry->embedded.end(),
        [&embedding](const Embedded &one) { return *one.best->stamp == *embedding.stamp; });
    if (record == entry->embedded.end()) {
        entry->embedded.push_back({std::move(shared), quality, frame, 1});
        return;
    }
    record->last_frame = frame;
    ++record->count;
    if (quality >= record->best_quality) {
        record->best = std::move(shared);
        record->best_quality = quality;
    }
}

std::shared_ptr<const Embedding> TrackStore::embedding(std::int64_t id,
                                                       const EmbeddingStamp &stamp) const {
    const std::lock_guard lock(mutex_);
    if (const Entry *entry = find(id))
        for (const Embedded &one : entry->embedded)
            if (*one.best->stamp == stamp)
                return one.best;
    return nullptr;
}

void TrackStore::set_decision(std::int64_t id, FaceState state) {
    const std::lock_guard lock(mutex_);
    if (Entry *entry = find(id))
        entry->decision = state;
}

std::size_t TrackStore::size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
}

} // namespace sphere::gst
