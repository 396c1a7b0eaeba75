// SPDX-License-Identifier: MIT
// Cameras for tests of the console: no pipelines, a gallery that is one.
#pragma once

#include "core/gallery/people_admin.h"
#include "pipelines/console/console_source.h"

#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace sphere::console::testing {

class FakeSource : public ConsoleSource {
  public:
    explicit FakeSource(std::string gallery = "") : gallery_(std::move(gallery)) {
        CameraStatus door;
        door.name = "door";
        door.uri = "rtsp://camera/door";
        door.state = camera::CameraState::Playing;
        door.frames = 42;
        door.delay_p50_ms = 12;
        door.delay_p99_ms = 34;
        door.width = 640;
        door.height = 480;
        door.element_stats["match"]["strangers"] = 1;
        FaceNow face;
        face.track = 7;
        face.id = face.label = "unknown-1";
        face.state = "unknown";
        door.faces.push_back(face);
        statuses_.push_back(door);
    }

    std::vector<CameraStatus> statuses() override {
        const std::lock_guard lock(mutex_);
        return statuses_;
    }
    std::optional<JpegFrame> latest_jpeg(const std::string &camera) override {
        const std::lock_guard lock(mutex_);
        if (camera != "door" || !jpeg_)
            return std::nullopt;
        ++jpegs_taken_;
        return JpegFrame{jpeg_, ++jpeg_sequence_, 640, 480};
    }
    std::uint64_t subscribe(EventListener listener) override {
        const std::lock_guard lock(mutex_);
        listener_ = std::move(listener);
        return 1;
    }
    void unsubscribe(std::uint64_t) override {
        const std::lock_guard lock(mutex_);
        listener_ = nullptr;
    }
    std::uint64_t events_lost() override { return 3; }
    Result<void> enrol(const std::string &camera, std::int64_t track,
                       const std::string &person) override {
        const std::lock_guard lock(mutex_);
        if (camera != "door")
            return fail(Errc::NotFound, "no camera ", camera);
        enrolled_.emplace_back(track, person);
        return {};
    }
    std::optional<std::string> gallery_of(const std::string &) override { return gallery_; }

    // What tests set and see.
    void emit(const CameraEvent &event) {
        const std::lock_guard lock(mutex_);
        if (listener_)
            listener_(event);
    }
    void set_jpeg(std::size_t bytes) {
        const std::lock_guard lock(mutex_);
        jpeg_ = std::make_shared<const std::vector<std::uint8_t>>(bytes, std::uint8_t{0xab});
    }
    void rename_camera(const std::string &name) {
        const std::lock_guard lock(mutex_);
        statuses_.front().name = name;
    }
    std::uint64_t jpegs_taken() const {
        const std::lock_guard lock(mutex_);
        return jpegs_taken_;
    }
    std::vector<std::pair<std::int64_t, std::string>> enrolled() const {
        const std::lock_guard lock(mutex_);
        return enrolled_;
    }

  private:
    std::string gallery_;
    mutable std::mutex mutex_; ///< guards what follows
    std::vector<CameraStatus> statuses_;
    std::shared_ptr<const std::vector<std::uint8_t>> jpeg_;
    std::uint64_t jpeg_sequence_ = 0, jpegs_taken_ = 0;
    EventListener listener_;
    std::vector<std::pair<std::int64_t, std::string>> enrolled_;
};

} // namespace sphere::console::testing
