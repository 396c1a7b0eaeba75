// SPDX-License-Identifier: MIT
// Cameras, events and pictures as the console's pages see them.
#pragma once

#include "pipelines/console/console_source.h"
#include "pipelines/console/event_history.h"
#include "pipelines/console/gallery_api.h"
#include "pipelines/console/http.h"

#include <nlohmann/json.hpp>

#include <vector>

namespace sphere::console {

/// Thread-safe.
class CameraApi {
  public:
    /// All must outlive it.
    CameraApi(ConsoleSource &source, EventHistory &history, GalleryApi &galleries)
        : source_(source), history_(history), galleries_(galleries) {}

    nlohmann::json cameras_json();
    std::vector<Route> routes();

  private:
    Response cameras();
    Response events(const Request &request);
    Response shot(const Request &request);
    Response still(const Request &request);
    std::unique_ptr<StreamBody> live(const Request &request);
    bool is_camera(const std::string &name);

    ConsoleSource &source_;
    EventHistory &history_;
    GalleryApi &galleries_;
};

} // namespace sphere::console
