// SPDX-License-Identifier: MIT
// The best picture of each track so far.
#pragma once

#include "core/image/image.h"

#include <gst/sphere/gstspheremeta.h>
#include <gst/video/video.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>

namespace sphere::camera {

/// Streaming thread.
class BestShots {
  public:
    /// Looks at the faces of a frame; cuts out those that are better than before.
    void see(const GstVideoInfo &info, GstBuffer *buffer, const GstSphereFaceMeta *meta);
    /// Null where there is none. Track -1: a face of the newest frame with untracked ones.
    std::shared_ptr<const Image> of(std::int64_t track) const;
    void forget(std::int64_t track) { shots_.erase(track); }
    void clear() { shots_.clear(); }

    static constexpr std::size_t kMaxTracks = 64; ///< of more, the longest unseen goes
    static constexpr int kLongestSidePx = 256;

  private:
    struct Shot {
        double score = 0;
        std::chrono::steady_clock::time_point taken_at, seen_at;
        std::shared_ptr<const Image> image;
    };
    void make_room();

    std::map<std::int64_t, Shot> shots_;
};

} // namespace sphere::camera
