// SPDX-License-Identifier: MIT
// The two endless responses: moving pictures and events.
#pragma once

#include "pipelines/console/console_source.h"
#include "pipelines/console/http.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace sphere::console {

/// multipart/x-mixed-replace of JPEGs. A client that is slow gets fewer pictures, the newest
/// each time. Ends nothing when a camera has no picture: it goes on when there is one.
class MjpegBody : public StreamBody {
  public:
    MjpegBody(ConsoleSource &source, std::string camera)
        : source_(source), camera_(std::move(camera)) {}
    std::string type() const override;
    std::optional<std::string> next(std::chrono::steady_clock::time_point now) override;

  private:
    ConsoleSource &source_;
    std::string camera_;
    std::uint64_t sequence_ = 0;
    bool begun_ = false;
};

/// Hands messages to every page that listens. Thread-safe.
class EventHub {
  public:
    /// A page. One that is behind by kMostWaiting messages is told to load anew.
    class Listener : public StreamBody {
      public:
        explicit Listener(EventHub &hub);
        ~Listener() override;
        std::string type() const override { return "text/event-stream"; }
        std::optional<std::string> next(std::chrono::steady_clock::time_point now) override;

      private:
        friend class EventHub;
        EventHub &hub_;
        std::deque<std::string> waiting_; ///< guarded by the hub's mutex
        bool behind_ = false;             ///< likewise
        std::chrono::steady_clock::time_point last_{};
    };

    /// `data` is one line.
    void send(const std::string &event, const std::string &data);
    bool anybody() const;

    static constexpr std::size_t kMostWaiting = 64;
    static constexpr std::chrono::seconds kQuiet{10}; ///< then something is said all the same

  private:
    mutable std::mutex mutex_; ///< guards listeners_ and what is theirs
    std::set<Listener *> listeners_;
};

} // namespace sphere::console
