// SPDX-License-Identifier: MIT
// libFuzzer: what spherepublish reads that it did not write: a location (first byte 'l') and a
// line of a spill file. Each must end in a value within its limits, or an Error; no password
// comes out of a location again.
#include "core/publish/location.h"
#include "core/publish/spill.h"

#include <cstdlib>
#include <string_view>

namespace {

void require(bool condition) {
    if (!condition)
        std::abort();
}

void read_location(std::string_view text) {
    const std::string shown = sphere::shown_publish_location(text);
    require(shown.size() <= sphere::kMaxLocationBytes + 8);
    const std::size_t colon = shown.find("://");
    const std::size_t at = shown.rfind('@');
    require(colon == std::string::npos || at == std::string::npos || at < colon ||
            shown.compare(colon, 7, "://...@") == 0);
    const auto location = sphere::parse_location(text);
    require(location.ok() || !location.error().message.empty());
    if (!location)
        return;
    require(location->shown.size() <= sphere::kMaxLocationBytes);
    require(location->path.size() <= sphere::kMaxLocationBytes);
    if (location->scheme == sphere::PublishScheme::Mqtt)
        require(!location->host.empty() && location->port > 0 && !location->topic.empty());
    if (location->scheme == sphere::PublishScheme::Kafka)
        require(!location->brokers.empty() && location->topic.size() <= 249);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    if (size < 1)
        return 0;
    const std::string_view text(reinterpret_cast<const char *>(data) + 1, size - 1);
    if (data[0] == 'l') {
        read_location(text);
    } else if (const auto message = sphere::parse_spill_line(text)) {
        // Numbers may have leading zeros: what is written again need not be the same bytes.
        const auto again = sphere::parse_spill_line(sphere::to_spill_line(*message));
        require(again && again->sequence == message->sequence && again->line == message->line &&
                again->kind == message->kind);
    }
    return 0;
}
