// SPDX-License-Identifier: MIT
// The newest events with their best shots: in memory, and in a file where the user asks for
// one.
#pragma once

#include "core/base/result.h"
#include "pipelines/console/console_source.h"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

namespace sphere::console {

/// One event as pages see it: number, at_ms, camera, event, id, label, state, track, distance,
/// shot (whether there is a picture).
nlohmann::json event_json(const CameraEvent &event);

/// Thread-safe.
class EventHistory {
  public:
    struct Limits {
        std::size_t most_events = 500;
        std::size_t most_shot_bytes = 32U << 20; ///< of more, the oldest pictures go
    };
    /// `path`: JSON lines that are read now and written from now on, mode 0600, rewritten when
    /// they are more than twice what is kept; empty: nothing is written. Errors: Permission,
    /// Corrupt (not such a file), Io.
    static Result<std::unique_ptr<EventHistory>> open(const std::string &path, Limits limits);
    ~EventHistory();
    EventHistory(const EventHistory &) = delete;
    EventHistory &operator=(const EventHistory &) = delete;

    /// Called after events that are listed already were forgotten or got another name, by the
    /// thread that asked for it. To be set before anything else is called.
    void listen(std::function<void()> rewritten) { rewritten_ = std::move(rewritten); }

    /// As it is kept: its `sequence` is the number that it has here, greater than all before,
    /// and its `id` the newest name. Nothing: it is about somebody who was forgotten.
    std::optional<CameraEvent> add(CameraEvent event);
    /// Up to `most` before number `before` (0: the newest), newest first.
    std::vector<CameraEvent> list(std::uint64_t before, std::size_t most) const;
    /// Null where the event has none, or is long gone.
    std::shared_ptr<const std::vector<std::uint8_t>> shot(std::uint64_t number) const;
    /// Forgets all events of somebody: nothing of who was removed stays here. Running cameras
    /// follow the gallery a moment later; what they say of `id` until then is not kept either.
    void forget(const std::string &id);
    /// A stranger got a name, or a person another; also in what cameras say for a moment more.
    void rename(const std::string &from, const std::string &to);
    /// Somebody was enrolled under a name that may have been forgotten or renamed just now.
    void welcome(const std::string &id);

  private:
    EventHistory(std::string path, Limits limits) : path_(std::move(path)), limits_(limits) {}
    Result<void> load();
    Result<void> rewrite();
    void append(const CameraEvent &event);
    void trim();
    void save();
    void leave_mark(const std::string &id, const std::string &now_called);

    std::string path_;
    Limits limits_;
    std::function<void()> rewritten_;
    mutable std::mutex mutex_;       ///< guards what follows
    std::deque<CameraEvent> events_; ///< `sequence` is the number here; `json` is empty
    std::size_t shot_bytes_ = 0;
    std::uint64_t last_ = 0;
    struct Mark {
        std::string now_called; ///< empty: forgotten
        std::chrono::steady_clock::time_point until;
    };
    std::map<std::string, Mark> marks_; ///< by the name of before
    std::FILE *file_ = nullptr;
    std::size_t lines_ = 0; ///< in the file
};

} // namespace sphere::console
