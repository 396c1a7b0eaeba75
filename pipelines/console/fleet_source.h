// SPDX-License-Identifier: MIT
// sphere-camera's fleet as the console sees it.
#pragma once

#include "pipelines/console/console_source.h"

#include <utility>

namespace sphere::console {

class FleetSource : public ConsoleSource {
  public:
    /// `fleet` must outlive it.
    explicit FleetSource(camera::CameraFleet &fleet) : fleet_(fleet) {}

    std::vector<CameraStatus> statuses() override { return fleet_.statuses(); }
    std::optional<JpegFrame> latest_jpeg(const std::string &camera) override {
        return fleet_.latest_jpeg(camera);
    }
    std::uint64_t subscribe(EventListener listener) override {
        return fleet_.subscribe(std::move(listener));
    }
    void unsubscribe(std::uint64_t subscription) override { fleet_.unsubscribe(subscription); }
    std::uint64_t events_lost() override { return fleet_.events_lost(); }
    Result<void> enrol(const std::string &camera, std::int64_t track,
                       const std::string &person) override {
        return fleet_.enrol(camera, track, person);
    }
    std::optional<std::string> gallery_of(const std::string &camera) override {
        return fleet_.gallery_of(camera);
    }

  private:
    camera::CameraFleet &fleet_;
};

} // namespace sphere::console
