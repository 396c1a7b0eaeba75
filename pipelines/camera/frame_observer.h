// SPDX-License-Identifier: MIT
// Sees each analysed frame of a camera: faces for the status, best shots, events.
#pragma once

#include "pipelines/camera/best_shots.h"
#include "pipelines/camera/event_dispatcher.h"
#include "pipelines/camera/stream_state.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sphere::camera {

/// For one pipeline. Its functions are called by the streaming thread that leaves spherebin;
/// end() when that is gone.
class FrameObserver {
  public:
    struct Targets {
        StreamState &stream;
        EventDispatcher &dispatcher;
        std::function<void(const CameraEvent &)> on_event;               ///< may be empty
        std::function<void(const GstVideoInfo &, GstBuffer *)> on_frame; ///< may be empty
    };
    FrameObserver(const CameraConfig &config, Targets targets);

    void set_caps(const GstCaps *caps);
    /// spherematch's event; kept until the frame that it is of comes, so that the frame's
    /// picture counts for the best shot.
    void see_event(const GstStructure *event);
    void see_frame(GstBuffer *buffer);
    void flush_events();
    /// The stream broke off: who is in view leaves.
    void end();

  private:
    CameraEvent event_of(const GstStructure *event) const;
    void send(CameraEvent event);

    std::string camera_;
    int jpeg_quality_;
    Targets targets_;
    GstVideoInfo info_{};
    BestShots shots_;
    std::vector<CameraEvent> pending_;
    std::map<std::pair<std::int64_t, std::string>, CameraEvent> present_; ///< by track or id
};

} // namespace sphere::camera
