// SPDX-License-Identifier: MIT
// Sends records somewhere.
#pragma once

#include "core/base/result.h"
#include "core/publish/record.h"

#include <cstdint>
#include <memory>
#include <string>

namespace sphere {

class Destination;

/// A file's rotation: FILE becomes FILE.1, FILE.1 becomes FILE.2 and so on.
struct RotateOptions {
    std::uint64_t bytes = 0;      ///< before a file is larger than this; 0 = never
    std::uint64_t interval_s = 0; ///< when it is this old; 0 = never
    unsigned keep = 5;            ///< old files that stay
    bool enabled() const { return bytes > 0 || interval_s > 0; }
};

struct PublishOptions {
    std::string location = "-"; ///< a path, "-" for stdout, or as parse_location() says
    bool embeddings = false;
    std::string stream; ///< as the records name it
    RotateOptions rotate;
    unsigned timeout_ms = 5000; ///< for a connection and for an answer

    // Servers.
    std::string ca_file;   ///< TLS: PEM, who may vouch for the server; empty: the system's
    std::string cert_file; ///< TLS: PEM, who we are
    std::string key_file;
    std::string credentials_file; ///< see read_credentials(); empty: the environment

    // MQTT.
    int qos = 1;
    std::string client_id; ///< empty: a new one each time
    bool home_assistant = false;
    std::string discovery_prefix = "homeassistant";
    bool events = false; ///< what is published are events: other entities are announced
};

/// Not thread-safe: one thread at a time.
class Publisher {
  public:
    virtual ~Publisher() = default;
    /// Errors: NoSpace, Io; the record that failed is not half-written where that can be helped
    /// (the next one starts a new line).
    virtual Result<void> publish(const FrameRecord &record) = 0;
    virtual Result<void> publish(const EventRecord &record) = 0;
    /// Waits until everything published so far is delivered, within limits.
    virtual Result<void> flush() = 0;
};

/// The destination that the location names. Files are made with mode 0600 and truncated, or put
/// aside where they are rotated. Nothing is connected yet: a server that is away is no error
/// here. Errors: InvalidArgument, NotFound (no such directory), Permission, Unsupported (a
/// library that this build lacks).
Result<std::unique_ptr<Destination>> make_destination(const PublishOptions &options);

/// A publisher that delivers a record before publish() returns.
Result<std::unique_ptr<Publisher>> make_publisher(const PublishOptions &options);

} // namespace sphere
