// SPDX-License-Identifier: MIT
// One camera and the thread that looks after it: connects, watches, connects again.
#pragma once

#include "pipelines/camera/camera_fleet.h"
#include "pipelines/camera/camera_pipeline.h"
#include "pipelines/camera/event_dispatcher.h"
#include "pipelines/camera/recorder.h"
#include "pipelines/camera/stream_state.h"

#include <condition_variable>
#include <mutex>
#include <thread>

namespace sphere::camera {

/// Thread-safe.
class Camera {
  public:
    /// Starts. `dispatcher` outlives the camera.
    Camera(CameraConfig config, EventDispatcher &dispatcher);
    ~Camera(); ///< stop()
    Camera(const Camera &) = delete;
    Camera &operator=(const Camera &) = delete;

    const CameraConfig &config() const { return config_; }
    CameraStatus status() const;
    std::optional<JpegFrame> latest_jpeg() { return stream_.watch(); }
    void request_stop(); ///< returns at once
    void stop();

    Result<void> enrol(std::int64_t track, const std::string &person);

  private:
    enum class Outcome { Stop, Again, End, Broken };

    void run();
    Outcome attempt();
    FrameObserver::Targets targets();
    Outcome watch(CameraPipeline &pipeline);
    Outcome failed(const std::string &what);
    void enter(CameraState state);
    void tell_warning(const std::string &text);
    bool stopping() const;
    /// True where stop() came.
    bool wait_for(std::chrono::milliseconds time);
    void wait_for_stop();
    std::shared_ptr<CameraPipeline> pipeline() const;

    const CameraConfig config_;
    EventDispatcher &dispatcher_;
    const std::int64_t started_at_ms_;
    StreamState stream_;
    std::unique_ptr<Recorder> recorder_; ///< null where nothing is recorded

    mutable std::mutex mutex_; ///< guards what follows
    std::condition_variable wake_;
    bool stopping_ = false;
    CameraState state_ = CameraState::Connecting;
    std::uint64_t reconnects_ = 0, events_ = 0;
    std::string last_error_, told_error_, last_warning_;
    std::int64_t last_error_at_ms_ = 0;
    std::shared_ptr<CameraPipeline> pipeline_; ///< null between tries

    bool was_playing_ = false; ///< long enough in this try; supervisor only
    std::thread thread_;
};

} // namespace sphere::camera
