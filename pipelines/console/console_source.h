// SPDX-License-Identifier: MIT
// What the console shows and changes: sphere-camera's fleet, or a test's.
#pragma once

#include "pipelines/camera/camera_fleet.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sphere::console {

using camera::CameraEvent;
using camera::CameraStatus;
using camera::EventListener;
using camera::FaceNow;
using camera::JpegFrame;

/// Called from any thread, several at once. Each means what it means in CameraFleet.
class ConsoleSource {
  public:
    virtual ~ConsoleSource() = default;
    virtual std::vector<CameraStatus> statuses() = 0;
    virtual std::optional<JpegFrame> latest_jpeg(const std::string &camera) = 0;
    virtual std::uint64_t subscribe(EventListener listener) = 0;
    virtual void unsubscribe(std::uint64_t subscription) = 0;
    virtual std::uint64_t events_lost() = 0;
    virtual Result<void> enrol(const std::string &camera, std::int64_t track,
                               const std::string &person) = 0;
    virtual std::optional<std::string> gallery_of(const std::string &camera) = 0;
};

} // namespace sphere::console
