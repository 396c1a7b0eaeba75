// SPDX-License-Identifier: MIT
// Who a track is: the decisions for its embeddings, weighed by the quality of their pictures.
#pragma once

#include "core/face/face.h"
#include "core/gallery/matcher.h"

#include <cstdint>
#include <string>
#include <vector>

namespace sphere::gst {

/// The votes of one track. A name does not flicker: another takes its place only with clearly
/// more weight; but none sticks: it goes when the weight goes. Not thread-safe.
class TrackVotes {
  public:
    /// Whether the embedding has voted already (the track's embedding on a frame without one of
    /// its own).
    bool has(const Embedding &embedding) const;

    /// The decision for a new embedding. `quality` in [0, 1].
    void add(const Embedding &embedding, MatchResult decision, float quality,
             std::uint64_t frame);

    /// Forgets votes older than `window` frames, but for the newest.
    void expire(std::uint64_t frame, std::uint64_t window);

    /// Looks all embeddings up anew (the gallery or a threshold changed).
    void rematch(const Matcher &matcher);

    /// The track's decision: that of the heaviest vote for who won. Null without votes.
    const MatchResult *decision() const;

  private:
    static constexpr std::size_t kMostVotes = 16;
    struct Vote {
        Embedding embedding;
        MatchResult decision;
        float weight = 0;
        std::uint64_t frame = 0;
    };
    float weight_of(const std::string &id) const;
    void elect();

    std::vector<Vote> votes_; ///< oldest first
    std::string elected_;     ///< a person's id; empty: not known
    bool have_elected_ = false;
};

} // namespace sphere::gst
