// SPDX-License-Identifier: MIT
// Where records go, as a user writes it.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace sphere {

enum class PublishScheme : std::uint8_t { File, Stdout, Unix, Mqtt, Kafka, Webhook };

inline constexpr std::size_t kMaxLocationBytes = 4096;

struct PublishLocation {
    PublishScheme scheme = PublishScheme::File;
    bool tls = false;       ///< mqtts://, kafkas://, https://
    std::string path;       ///< File, Unix
    std::string host;       ///< Mqtt, Webhook: without the brackets of an IPv6 address
    std::uint16_t port = 0; ///< Mqtt: the protocol's own where none is given
    std::string brokers;    ///< Kafka: HOST[:PORT][,HOST[:PORT]…]
    std::string topic;      ///< Mqtt, Kafka
    std::string url;        ///< Webhook
    std::string shown;      ///< for messages and logs: without what may be secret

    /// Written in the streaming thread, unless asked otherwise: nobody else can be away.
    bool is_local() const {
        return scheme == PublishScheme::File || scheme == PublishScheme::Stdout;
    }
    /// The host is this machine.
    bool is_loopback() const;
};

/// A path, "-" (stdout), unix:PATH, mqtt://HOST[:PORT]/TOPIC and mqtts://,
/// kafka://HOST[:PORT][,…]/TOPIC and kafkas://, http://… and https://…. User names and
/// passwords in it are refused: they would show in logs and pipeline dumps. Errors:
/// InvalidArgument, Unsupported (another scheme); no message repeats what may be secret.
Result<PublishLocation> parse_location(std::string_view text);

/// `text` without user name, password and query, for logs; any text at all.
std::string shown_publish_location(std::string_view text);

} // namespace sphere
