// SPDX-License-Identifier: MIT
// Hands events to listeners from a thread of its own, so that a slow listener delays no frame.
#pragma once

#include "core/image/image.h"
#include "pipelines/camera/camera_fleet.h"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

namespace sphere::camera {

/// An event before its picture is encoded.
struct PendingEvent {
    CameraEvent event;
    std::shared_ptr<const Image> shot; ///< null: none
    int jpeg_quality = 80;
};

/// Thread-safe.
class EventDispatcher {
  public:
    EventDispatcher();
    ~EventDispatcher();

    /// Never waits: with kMaxWaiting events waiting the oldest is lost.
    void post(PendingEvent event);
    std::uint64_t subscribe(EventListener listener);
    void unsubscribe(std::uint64_t subscription);
    std::uint64_t lost() const;

    static constexpr std::size_t kMaxWaiting = 256;

  private:
    void run();
    void deliver(PendingEvent pending);

    mutable std::mutex mutex_; ///< guards what follows
    std::condition_variable wake_;
    std::deque<PendingEvent> waiting_;
    bool stopping_ = false;
    std::uint64_t lost_ = 0;
    std::uint64_t last_sequence_ = 0;

    std::mutex listeners_mutex_; ///< held while listeners run
    std::map<std::uint64_t, EventListener> listeners_;
    std::uint64_t last_subscription_ = 0;

    std::thread thread_;
};

} // namespace sphere::camera
