// SPDX-License-Identifier: MIT
#include "core/publish/location.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace sphere {
namespace {

constexpr std::uint16_t kMqttPort = 1883;  // IANA: mqtt
constexpr std::uint16_t kMqttsPort = 8883; // IANA: secure-mqtt
constexpr std::size_t kMaxMqttTopicBytes = 1024;
constexpr std::size_t kMaxKafkaTopicBytes = 249; // Kafka's own limit
constexpr std::size_t kMaxUnixPathBytes = 107;   // sockaddr_un, with its NUL

struct Parts {
    std::string_view scheme;    ///< "mqtt"
    std::string_view authority; ///< "host:1883"
    std::string_view rest;      ///< what follows the authority, '/' included
};

bool is_scheme(std::string_view text) {
    return !text.empty() && text.size() <= 16 &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
           });
}

/// Empty where `text` is no URL.
std::optional<Parts> split_url(std::string_view text) {
    const std::size_t colon = text.find("://");
    if (colon == std::string_view::npos || !is_scheme(text.substr(0, colon)))
        return std::nullopt;
    const std::string_view after = text.substr(colon + 3);
    const std::size_t end = std::min(after.find_first_of("/?#"), after.size());
    return Parts{text.substr(0, colon), after.substr(0, end), after.substr(end)};
}

Error bad(const std::string &shown, std::string_view why) {
    return fail(Errc::InvalidArgument, "publish to ", shown, ": ", why);
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
    unsigned port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port < 1 || port > 65535)
        return std::nullopt;
    return static_cast<std::uint16_t>(port);
}

bool is_host(std::string_view host) {
    return !host.empty() && host.size() <= 255 &&
           std::all_of(host.begin(), host.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == ':' ||
                      c == '%';
           });
}

/// HOST, HOST:PORT, [IPv6] or [IPv6]:PORT. `port` stays as it is where none is given.
bool split_host(std::string_view authority, std::string &host, std::uint16_t &port) {
    std::string_view name = authority;
    std::string_view number;
    if (authority.starts_with('[')) {
        const std::size_t end = authority.find(']');
        if (end == std::string_view::npos)
            return false;
        name = authority.substr(1, end - 1);
        number = authority.substr(end + 1);
        if (!number.empty() && number[0] != ':')
            return false;
    } else if (const std::size_t colon = authority.find(':'); colon != std::string_view::npos) {
        name = authority.substr(0, colon);
        number = authority.substr(colon);
        if (number.find(':', 1) != std::string_view::npos)
            return false;
    }
    if (!is_host(name))
        return false;
    host = name;
    if (number.empty())
        return true;
    const auto parsed = parse_port(number.substr(1));
    port = parsed.value_or(0);
    return parsed.has_value();
}

Result<PublishLocation> parse_mqtt(const Parts &parts, PublishLocation location) {
    location.scheme = PublishScheme::Mqtt;
    location.tls = parts.scheme == "mqtts";
    location.port = location.tls ? kMqttsPort : kMqttPort;
    if (!split_host(parts.authority, location.host, location.port))
        return bad(location.shown, "that is not mqtt://HOST[:PORT]/TOPIC");
    location.topic = parts.rest.substr(std::min<std::size_t>(1, parts.rest.size()));
    if (location.topic.empty() || location.topic.size() > kMaxMqttTopicBytes ||
        !parts.rest.starts_with('/') ||
        location.topic.find_first_of("+#?") != std::string::npos)
        return bad(location.shown,
                   "a topic must follow the host, without the characters + # ?: "
                   "mqtt://HOST/cameras/door");
    return location;
}

Result<PublishLocation> parse_kafka(const Parts &parts, PublishLocation location) {
    location.scheme = PublishScheme::Kafka;
    location.tls = parts.scheme == "kafkas";
    for (std::string_view left = parts.authority;;) {
        const std::size_t comma = std::min(left.find(','), left.size());
        std::string host;
        std::uint16_t port = 0;
        if (!split_host(left.substr(0, comma), host, port))
            return bad(location.shown, "that is not kafka://HOST[:PORT][,HOST[:PORT]]/TOPIC");
        if (comma == left.size())
            break;
        left.remove_prefix(comma + 1);
    }
    location.brokers = parts.authority;
    location.topic = parts.rest.substr(std::min<std::size_t>(1, parts.rest.size()));
    const bool valid = std::all_of(location.topic.begin(), location.topic.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    });
    if (!valid || location.topic.empty() || location.topic.size() > kMaxKafkaTopicBytes)
        return bad(location.shown,
                   "a topic of letters, digits, '.', '_' and '-' must follow the "
                   "brokers: kafka://HOST:9092/faces");
    return location;
}

Result<PublishLocation> parse_webhook(std::string_view text, const Parts &parts,
                                      PublishLocation location) {
    location.scheme = PublishScheme::Webhook;
    location.tls = parts.scheme == "https";
    std::uint16_t port = 0;
    if (!split_host(parts.authority, location.host, port))
        return bad(location.shown, "that is not https://HOST[:PORT]/PATH");
    if (text.find_first_of("?#") != std::string_view::npos)
        return bad(location.shown,
                   "a query does not belong there, where logs and pipeline dumps "
                   "show it: put query=... into credentials-file");
    location.url = text;
    return location;
}

Result<PublishLocation> parse_unix(std::string_view text, PublishLocation location) {
    location.scheme = PublishScheme::Unix;
    location.path = text.substr(5);
    if (location.path.empty() || location.path.size() > kMaxUnixPathBytes)
        return bad(location.shown,
                   "the path of a socket has 1 to 107 bytes: unix:/run/faces.sock");
    return location;
}

} // namespace

bool PublishLocation::is_loopback() const {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

std::string shown_publish_location(std::string_view text) {
    std::string shown(text.substr(0, kMaxLocationBytes));
    std::replace_if(
        shown.begin(), shown.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
    const std::size_t colon = shown.find("://");
    if (colon == std::string::npos)
        return shown;
    // A password may hold anything, '/' and '?' too: all up to the last '@' goes.
    if (const std::size_t at = shown.rfind('@'); at != std::string::npos && at > colon)
        shown.replace(colon + 3, at - colon - 2, "...@");
    if (const std::size_t query = shown.find_first_of("?#"); query != std::string::npos)
        shown.replace(query, std::string::npos, "?...");
    return shown;
}

Result<PublishLocation> parse_location(std::string_view text) {
    PublishLocation location;
    location.shown = shown_publish_location(text);
    if (text.empty() || text.find('\0') != std::string_view::npos)
        return fail(Errc::InvalidArgument,
                    "publish: the location is empty: give a path, or \"-\" for stdout");
    if (text.size() > kMaxLocationBytes)
        return fail(Errc::InvalidArgument, "publish: the location is longer than ",
                    kMaxLocationBytes, " bytes");
    if (text == "-") {
        location.scheme = PublishScheme::Stdout;
        return location;
    }
    if (text.starts_with("unix:"))
        return parse_unix(text, std::move(location));
    const auto parts = split_url(text);
    if (!parts) {
        location.path = text;
        return location;
    }
    if (text.find('@') != std::string_view::npos)
        return bad(
            location.shown,
            "a user name and password do not belong there, where logs and pipeline dumps "
            "show them: put them into a file of mode 0600 that credentials-file names");
    if (std::any_of(text.begin(), text.end(),
                    [](unsigned char c) { return c <= 0x20 || c == 0x7f; }))
        return bad(location.shown, "spaces and control characters do not belong there");
    if (parts->scheme == "mqtt" || parts->scheme == "mqtts")
        return parse_mqtt(*parts, std::move(location));
    if (parts->scheme == "kafka" || parts->scheme == "kafkas")
        return parse_kafka(*parts, std::move(location));
    if (parts->scheme == "http" || parts->scheme == "https")
        return parse_webhook(text, *parts, std::move(location));
    return fail(
        Errc::Unsupported, "publish to ", location.shown, ": there is no ", parts->scheme,
        ":// here; a path, -, unix:, mqtt://, mqtts://, kafka://, kafkas://, http:// and "
        "https:// are");
}

} // namespace sphere
