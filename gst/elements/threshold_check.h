// SPDX-License-Identifier: MIT
// Whether the threshold in use is safe for the gallery in use: looked at beside the stream.
#pragma once

#include "core/gallery/gallery_check.h"
#include "core/gallery/matcher.h"

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>

namespace sphere::gst {

/// Streaming thread; the check itself runs in a thread of its own.
class ThresholdCheck {
  public:
    struct Outcome {
        std::int64_t version = 0; ///< of the gallery
        std::size_t faces = 0;    ///< in it; GalleryCheck::probes of them were tried
        float threshold = 0;      ///< that was in use
        double target_far = 0;
        GalleryCheck check;
    };

    ThresholdCheck() = default;
    ~ThresholdCheck() { reset(); }
    ThresholdCheck(const ThresholdCheck &) = delete;
    ThresholdCheck &operator=(const ThresholdCheck &) = delete;

    /// Once a buffer: starts a check where the gallery or the decision's options are others
    /// than those checked last, and returns what one found, once each. Of many faces a sample
    /// is tried, for ten seconds at most, by the index that serves; of those that a server
    /// searches always, and every ten minutes at most.
    std::optional<Outcome> poll(const Matcher &matcher, const std::string &location);
    /// Ends the check that runs and forgets all.
    void reset();

  private:
    struct Key {
        std::int64_t version = 0;
        Metric metric = Metric::Cosine;
        float threshold = 0;
        float margin = 0;
        bool operator==(const Key &) const = default;
    };
    std::optional<Key> checked_;
    std::chrono::steady_clock::time_point next_{};
    std::thread worker_;
    std::atomic<bool> ready_{false};
    std::atomic<bool> stop_{false};
    std::optional<Result<Outcome>> found_; ///< the worker's, until ready_
};

} // namespace sphere::gst
