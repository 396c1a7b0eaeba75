// SPDX-License-Identifier: MIT
// Where lines of JSON go: what a backend of core/publish is. Internal to publish.
#pragma once

#include "core/base/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sphere {

enum class RecordKind : std::uint8_t { Frame, Event };

/// A record as it is sent.
struct Message {
    std::uint64_t sequence = 0; ///< grows from record to record; 0: not numbered
    RecordKind kind = RecordKind::Frame;
    std::string line; ///< JSON without a newline
};

/// One thread at a time, but for interrupt().
class Destination {
  public:
    virtual ~Destination() = default;

    /// Sends `batch` in order and waits until it is delivered, as far as the protocol can tell.
    /// `delivered` becomes how many from the front are. After an error the rest is offered
    /// again, in the same order, so that what is still on its way need not be sent twice.
    /// Errors: InvalidArgument: batch[delivered] will never be taken; all others: try later.
    virtual Result<void> send(std::span<const Message> batch, std::size_t &delivered) = 0;

    /// Called now and then while there is nothing to send: connections stay alive.
    virtual void idle() {}

    /// Thread-safe: a send() that runs ends soon, later ones fail at once.
    virtual void interrupt() {}
};

} // namespace sphere
