// SPDX-License-Identifier: MIT
// The console of a fleet, as sphere-camera runs it.
#pragma once

#include "core/base/result.h"
#include "pipelines/camera/camera_config.h"
#include "pipelines/camera/camera_fleet.h"

#include <memory>

namespace sphere::console {

class Console;
class ConsoleSource;

class FleetConsole {
  public:
    /// Tells where the console is: on a terminal with the token in the address, once; in a log
    /// without. `fleet` must outlive it. Errors: as Console::start.
    static Result<std::unique_ptr<FleetConsole>> start(const camera::HttpConfig &config,
                                                       camera::CameraFleet &fleet);
    ~FleetConsole();
    FleetConsole(const FleetConsole &) = delete;
    FleetConsole &operator=(const FleetConsole &) = delete;

  private:
    FleetConsole(std::unique_ptr<ConsoleSource> source, std::unique_ptr<Console> console);
    std::unique_ptr<ConsoleSource> source_;
    std::unique_ptr<Console> console_;
};

} // namespace sphere::console
