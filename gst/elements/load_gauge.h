// SPDX-License-Identifier: MIT
// Whether a live stream falls behind.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

namespace sphere::gst {

/// Compares how late frames come with how late they came at best: a source's own latency is no
/// load. Not thread-safe. Times are nanoseconds.
class LoadGauge {
  public:
    void restart() { least_.reset(); }

    /// To be called once a frame with its lateness by the pipeline's clock.
    bool is_behind(std::int64_t lateness) {
        // The best is forgotten slowly, so that a source whose latency grew is no load for
        // ever.
        least_ = least_ ? std::min(*least_ + kForgetting, lateness) : lateness;
        return lateness - *least_ > kBehind;
    }

  private:
    static constexpr std::int64_t kBehind = 80'000'000;  ///< two frames at 25 a second
    static constexpr std::int64_t kForgetting = 100'000; ///< a frame: 2.5 ms a second
    std::optional<std::int64_t> least_;
};

} // namespace sphere::gst
