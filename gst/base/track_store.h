// SPDX-License-Identifier: MIT
// What the elements of a road know together of a stream's tracks: the best shot, embeddings,
// the decision. spheretrack makes one a stream; the faces' metadata carries it downstream.
#pragma once

#include "core/face/face.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace sphere::gst {

/// When a tracked face is embedded once more.
struct EmbedPolicy {
    std::uint64_t interval = 30; ///< frames after which it is, whatever its quality; 0 = never
};

/// Thread-safe: elements on both sides of a queue use it at once. Tracks that it does not hold
/// are nobody's: nothing is kept of them.
class TrackStore {
  public:
    /// A track is born. spheretrack.
    void begin(std::int64_t id);
    /// A track has ended. It stays for what is still between the elements: kGraceFrames more
    /// calls of next_frame(). spheretrack.
    void end(std::int64_t id);
    void end_all();
    void next_frame();

    /// A crop of the track's face with its quality in [0, 1]; kept if it is the best so far.
    /// spherealign.
    void offer_shot(std::int64_t id, float quality, const std::shared_ptr<const Image> &crop);
    /// The best crop so far, or null.
    std::shared_ptr<const Image> best_shot(std::int64_t id) const;

    /// Whether the face of quality `quality` in frame `frame` is worth an inference: the track
    /// has no embedding of this stamp, or a clearly worse one, or an old one. sphereembed.
    bool wants_embedding(std::int64_t id, const EmbeddingStamp &stamp, float quality,
                         std::uint64_t frame, const EmbedPolicy &policy) const;
    void set_embedding(std::int64_t id, const Embedding &embedding, float quality,
                       std::uint64_t frame);
    /// The embedding of the best quality, or null.
    std::shared_ptr<const Embedding> embedding(std::int64_t id,
                                               const EmbeddingStamp &stamp) const;

    /// What spherematch holds of the track: faces that nobody knows are looked at again sooner.
    void set_decision(std::int64_t id, FaceState state);

    /// Tracks held, those in their grace included.
    std::size_t size() const;

  private:
    static constexpr std::uint64_t kGraceFrames = 300;
    static constexpr std::size_t kMostTracks = 4096;
    struct Embedded {
        std::shared_ptr<const Embedding> best;
        float best_quality = 0;
        std::uint64_t last_frame = 0;
        int count = 0;
    };
    struct Entry {
        std::optional<std::uint64_t> ended_at;
        float shot_quality = -1;
        std::shared_ptr<const Image> shot;
        std::vector<Embedded> embedded; ///< one a stamp
        FaceState decision = FaceState::Undecided;
    };
    const Entry *find(std::int64_t id) const;
    Entry *find(std::int64_t id);

    mutable std::mutex mutex_;
    std::map<std::int64_t, Entry> entries_;
    std::uint64_t frame_ = 0;
};

} // namespace sphere::gst
