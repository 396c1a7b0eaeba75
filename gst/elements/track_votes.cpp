// SPDX-License-Identifier: MIT
#include "gst/elements/track_votes.h"

#include <algorithm>

namespace sphere::gst {
namespace {

constexpr float kLeastWeight = 0.05F; ///< of a picture of no quality at all
// What another name needs over the present one, and "not known" over a name.
constexpr float kRename = 1.5F;
constexpr float kForget = 2.0F;

const std::string &person_of(const MatchResult &decision) {
    static const std::string nobody;
    const Candidate *best = decision.best();
    return best != nullptr ? best->id : nobody;
}

} // namespace

bool TrackVotes::has(const Embedding &embedding) const {
    return std::any_of(votes_.begin(), votes_.end(), [&embedding](const Vote &vote) {
        return vote.embedding.values == embedding.values;
    });
}

void TrackVotes::add(const Embedding &embedding, MatchResult decision, float quality,
                     std::uint64_t frame) {
    if (votes_.size() >= kMostVotes)
        votes_.erase(votes_.begin());
    // Squared: one sharp frontal picture says more than several poor ones.
    const float weight = std::max(kLeastWeight, quality * quality);
    votes_.push_back({embedding, std::move(decision), weight, frame});
    elect();
}

void TrackVotes::expire(std::uint64_t frame, std::uint64_t window) {
    auto keep = votes_.begin();
    while (keep != votes_.end() && std::next(keep) != votes_.end() &&
           keep->frame + window < frame)
        ++keep;
    if (keep == votes_.begin())
        return;
    votes_.erase(votes_.begin(), keep);
    elect();
}

void TrackVotes::rematch(const Matcher &matcher) {
    for (Vote &vote : votes_)
        vote.decision = matcher.match(vote.embedding);
    // Names may have changed: nobody is kept for having been there before.
    have_elected_ = false;
    elected_.clear();
    elect();
}

float TrackVotes::weight_of(const std::string &id) const {
    float sum = 0;
    for (const Vote &vote : votes_)
        if (person_of(vote.decision) == id)
            sum += vote.weight;
    return sum;
}

void TrackVotes::elect() {
    if (votes_.empty())
        return;
    std::string winner;
    float most = -1;
    for (const Vote &vote : votes_) {
        const std::string &id = person_of(vote.decision);
        if (const float weight = weight_of(id); weight > most) {
            most = weight;
            winner = id;
        }
    }
    if (have_elected_ && winner != elected_) {
        const float present = weight_of(elected_);
        const float needed = elected_.empty() ? 1.0F : winner.empty() ? kForget : kRename;
        if (present > 0 && most <= needed * present)
            return;
    }
    elected_ = winner;
    have_elected_ = true;
}

const MatchResult *TrackVotes::decision() const {
    const Vote *best = nullptr;
    for (const Vote &vote : votes_)
        if (person_of(vote.decision) == elected_ &&
            (best == nullptr || vote.weight >= best->weight))
            best = &vote;
    return best != nullptr ? &best->decision : nullptr;
}

} // namespace sphere::gst
