// SPDX-License-Identifier: MIT
// What the streaming threads of a camera leave behind and others read: counts, faces, the live
// picture. It outlives the pipelines of the camera.
#pragma once

#include "pipelines/camera/camera_fleet.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace sphere::camera {

using SteadyTime = std::chrono::steady_clock::time_point;

/// Thread-safe.
class StreamState {
  public:
    // From streaming threads.
    /// `pts_ns` ties a decoded picture to its analysed frame.
    void add_decoded(std::uint64_t pts_ns, bool one_is_dropped);
    void add_frame(std::uint64_t pts_ns, int width, int height, std::vector<FaceNow> faces);
    void set_jpeg(std::vector<std::uint8_t> bytes, int width, int height);
    bool watched() const;

    // From the supervisor.
    void begin_attempt(); ///< no picture yet
    /// When the last picture was decoded in this attempt; empty before the first.
    std::optional<SteadyTime> last_decoded() const;
    void end_attempt(); ///< nobody is in view any more

    // From anybody.
    std::optional<JpegFrame> watch();
    void describe(CameraStatus &status) const;

  private:
    double frames_per_second() const;
    void note_delay(std::uint64_t pts_ns, SteadyTime now);
    void describe_delays(CameraStatus &status) const;

    static constexpr std::size_t kWindow = 128;
    static constexpr std::size_t kUnderway = 64; ///< more than all queues between hold
    static constexpr std::size_t kDelays = 1024; ///< that the percentiles look back on
    static constexpr std::chrono::seconds kWatchedFor{5};

    mutable std::mutex mutex_; ///< guards what follows
    std::uint64_t frames_ = 0, dropped_ = 0;
    int width_ = 0, height_ = 0;
    std::vector<FaceNow> faces_;
    std::optional<SteadyTime> last_decoded_, last_frame_;
    std::array<SteadyTime, kWindow> times_{}; ///< of the last frames, a ring
    std::uint64_t times_count_ = 0;           ///< in this attempt
    struct Underway {
        std::uint64_t pts_ns;
        SteadyTime decoded;
    };
    std::array<Underway, kUnderway> underway_{}; ///< the last decoded, a ring
    std::uint64_t decoded_count_ = 0;            ///< in this attempt
    std::vector<float> delays_ms_;               ///< a ring once it is kDelays long
    std::uint64_t delays_count_ = 0;
    std::optional<JpegFrame> jpeg_;
    std::uint64_t jpeg_sequence_ = 0;

    std::atomic<std::int64_t> watched_until_ns_ = 0; ///< steady clock
};

} // namespace sphere::camera
