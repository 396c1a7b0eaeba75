// SPDX-License-Identifier: MIT
// A bounded queue and a thread in front of a destination, so that a slow or absent one never
// holds up who publishes.
#pragma once

#include "core/publish/publisher.h"

#include <chrono>
#include <functional>

namespace sphere {

/// What happens where the queue is full, as GStreamer's queue names it.
enum class Leaky : std::uint8_t {
    No,         ///< publish() waits
    Upstream,   ///< the new record is dropped
    Downstream, ///< the oldest record is dropped
};

struct QueueOptions {
    Leaky leaky = Leaky::Downstream;
    std::size_t max_queued = 1000; ///< records in memory; at least 1
    /// How long the end waits for what is queued. Then it is spilled, or dropped.
    std::chrono::milliseconds drain_timeout{3000};
    /// Empty: none. Records go there while the destination is away.
    std::string spill_directory;
    std::uint64_t spill_max_bytes = 0; ///< 0: none
    bool number_records = true;        ///< gives records their `sequence`
};

struct PublishCounts {
    std::uint64_t queued = 0;        ///< in memory now
    std::uint64_t sent = 0;          ///< delivered
    std::uint64_t dropped = 0;       ///< for want of room, or undelivered at the end
    std::uint64_t failed = 0;        ///< refused for good, or unreadable in the spill
    std::uint64_t spilled = 0;       ///< written to disk so far
    std::uint64_t spill_waiting = 0; ///< on disk now, those of earlier runs included
    bool away = false;               ///< the last attempt failed
};

/// Called in the queue's thread or in that of publish(); may be empty.
struct QueueListener {
    std::function<void(const Error &)> away;     ///< once, when the destination goes away
    std::function<void()> back;                  ///< once, when it takes records again
    std::function<void(const Error &)> rejected; ///< it will never take one of the records
    std::function<void(const PublishCounts &)> counts; ///< they changed
};

/// Delivers in order. Records that were spilled by an earlier run of the same stream to the
/// same destination come first.
class PublishQueue : public Publisher {
  public:
    /// publish() as well may wait with Leaky::No: then it returns at once, and the record is
    /// dropped. Thread-safe. Until it is told otherwise.
    virtual void set_flushing(bool flushing) = 0;
    virtual PublishCounts counts() const = 0;
    /// Drains, spills or drops, ends the thread. Records published later are dropped. An error
    /// says how many records were lost at the end.
    virtual Result<void> close() = 0;
};

/// Errors: as make_destination(), and those of the spill directory.
Result<std::unique_ptr<PublishQueue>>
make_publish_queue(const PublishOptions &options, QueueOptions queue, QueueListener listener);

/// The same in front of a destination of the caller's (tests).
Result<std::unique_ptr<PublishQueue>>
make_publish_queue(std::unique_ptr<Destination> destination, const PublishOptions &options,
                   QueueOptions queue, QueueListener listener);

} // namespace sphere
