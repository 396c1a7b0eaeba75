// SPDX-License-Identifier: MIT
// How long to wait before the next try.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace sphere::camera {

/// Doubles from `initial` to `most`, each time +-20 % so that cameras of one network do not
/// come back in step. Not thread-safe.
class Backoff {
  public:
    Backoff(std::chrono::milliseconds initial, std::chrono::milliseconds most,
            unsigned seed = std::random_device{}())
        : initial_(initial), most_(most), next_(initial), random_(seed) {}

    std::chrono::milliseconds next() {
        const double jitter = std::uniform_real_distribution<double>(0.8, 1.2)(random_);
        const auto wait = std::chrono::milliseconds(
            static_cast<std::int64_t>(static_cast<double>(next_.count()) * jitter));
        next_ = std::min(next_ * 2, most_);
        return wait;
    }
    void reset() { next_ = initial_; }

  private:
    std::chrono::milliseconds initial_, most_, next_;
    std::minstd_rand random_;
};

} // namespace sphere::camera
