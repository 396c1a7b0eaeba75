// SPDX-License-Identifier: MIT
// What an element has done so far: the `stats` property.
#pragma once

#include "core/face/face.h"

#include <gst/gst.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>

namespace sphere::gst {

/// Counters of one element. Thread-safe: the streaming thread writes, any thread reads.
class Stats {
  public:
    void reset();
    /// A frame that went through, with the time that the element's own work took.
    void add_frame(std::chrono::nanoseconds elapsed);
    void add_faces(std::uint64_t count);
    void add_skipped(std::uint64_t count = 1);
    /// A frame that was not looked at, under the name of its cause ("skipped-interval", a
    /// string literal); counts as skipped too. At most four names.
    void add_skipped_for(const char *cause);
    void add_error();
    void add_reason(FaceReason reason);
    void add_inference(double ms);
    /// A number as it is now, under its name (a string literal). At most twelve names.
    void set_gauge(const char *name, std::uint64_t value);
    /// Likewise, of one more, with a fraction.
    void set_measure(const char *name, double value);

    /// frames, faces, skipped, errors, time-mean-ns, time-p99-ns, inference-mean-ns (uint64)
    /// and a count for each reason that occurred and the gauges, under their names. Caller owns
    /// it.
    GstStructure *to_structure() const;

  private:
    static constexpr std::size_t kWindow = 1024; ///< frames that the percentile looks back on
    mutable std::mutex mutex_;
    std::uint64_t frames_ = 0;
    std::uint64_t faces_ = 0;
    std::uint64_t skipped_ = 0;
    std::uint64_t errors_ = 0;
    std::uint64_t total_ns_ = 0;
    double inference_ns_ = 0;
    std::array<std::uint64_t, 16> reasons_{};
    struct Cause {
        const char *name = nullptr;
        std::uint64_t count = 0;
    };
    std::array<Cause, 4> causes_{};
    std::array<Cause, 12> gauges_{};
    const char *measure_name_ = nullptr;
    double measure_ = 0;
    std::array<std::uint64_t, kWindow> recent_ns_{};
};

/// True at most once a second: for log lines about a fault that may repeat on each frame.
class OncePerSecond {
  public:
    bool operator()();

  private:
    std::chrono::steady_clock::time_point next_{};
};

} // namespace sphere::gst
