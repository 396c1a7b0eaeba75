// SPDX-License-Identifier: MIT
// Which faces of a stream's frames are the same face.
#pragma once

#include "core/face/face.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace sphere {

struct TrackerOptions {
    /// Detections of at least this score are associated first and may start tracks; weaker
    /// ones only continue tracks.
    float high_score = 0.6F;
    /// Least overlap (IoU of the boxes, each grown by a quarter on every side) that a detection
    /// has with the place where its track is expected.
    float min_overlap = 0.15F;
    /// Detections until a track is confirmed. Others are given up sooner.
    int confirm_count = 2;
    /// How long a track lives without a detection.
    double max_lost_s = 1.0;
    /// Cosine distance above which two embeddings are of different people.
    float max_appearance_distance = 0.6F;
    /// Tracks and detections a frame; further detections are left untracked.
    int max_tracks = 256;
};

struct Detection {
    Box box;
    float score = 0;
    std::optional<Landmarks5> landmarks;
    std::span<const float> embedding; ///< empty where there is none; read during the call only
};

enum class TrackState : std::uint8_t {
    New,       ///< too few detections yet
    Confirmed, ///< detected in the last frame that was looked at
    Lost,      ///< confirmed, but not detected of late
    Removed,   ///< given up; reported once
};

struct Track {
    std::int64_t id = 0; ///< from 1; never used again by this tracker
    TrackState state = TrackState::New;
    int detection = -1; ///< index into the detections of this frame; -1: the box is predicted
    Box box;            ///< the detection's own, or the predicted one
    Box seen_box;       ///< of the last detection
    std::optional<Landmarks5>
        landmarks;    ///< the last detection's, moved and scaled with the box
    float score = 0;  ///< of the last detection; fades to 0 while there is none
    double age_s = 0; ///< since the last detection
};

/// Tracks faces by where they are expected (Kalman), how their boxes overlap, the direction
/// they move in, and their embeddings where there are some. After ByteTrack (Zhang et al., ECCV
/// 2022: weak detections continue tracks) and OC-SORT (Cao et al., CVPR 2023: after a gap the
/// motion is taken from what was seen before and after it, not from what was predicted
/// meanwhile).
///
/// Deterministic: equal calls give equal tracks. Allocates in the constructor, and per track
/// once for its embedding. Not thread-safe.
class Tracker {
  public:
    explicit Tracker(const TrackerOptions &options = {});
    ~Tracker();
    Tracker(Tracker &&) noexcept;
    Tracker &operator=(Tracker &&) noexcept;

    /// A frame that a detector looked at; `detections` may be empty. `time_s` grows from call
    /// to call: where it goes back, or jumps ahead by more than max_lost_s, all tracks end.
    /// Returns the tracks, those given up in this call last. Valid until the next call.
    std::span<const Track> update(std::span<const Detection> detections, double time_s);

    /// A frame that no detector looked at: all tracks where they are expected. Nothing is lost
    /// by not being detected in it.
    std::span<const Track> predict(double time_s);

    /// Ends all tracks without reporting them (flush, another scene). Ids go on.
    void reset();

    /// Takes effect at the next call; max_tracks does not change.
    void set_options(const TrackerOptions &options);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace sphere
