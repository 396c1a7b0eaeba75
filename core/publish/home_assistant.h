// SPDX-License-Identifier: MIT
// What Home Assistant is told of a stream, so that it shows up there by itself (MQTT
// discovery). Internal to publish.
#pragma once

#include "core/publish/publisher.h"

#include <string>
#include <vector>

namespace sphere {

struct DiscoveryMessage {
    std::string topic;
    std::string payload; ///< JSON; retained
};

/// One an entity: with options.events an event and a sensor of who it was last, else a sensor
/// of how many faces there are; in either case whether somebody known is in view. `topic`:
/// where the records go; topic/status: "online", "offline".
std::vector<DiscoveryMessage> home_assistant_discovery(const std::string &topic,
                                                       const PublishOptions &options);

} // namespace sphere
