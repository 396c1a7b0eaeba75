// SPDX-License-Identifier: MIT
// Destinations that libraries reach: Unsupported where the build lacks them. Internal to
// publish.
#pragma once

#include "core/publish/destination.h"
#include "core/publish/location.h"
#include "core/publish/publisher.h"

#include <memory>

namespace sphere {

/// MQTT 3.1.1 by libmosquitto. TOPIC/status holds "online" or "offline", retained; with
/// home_assistant the discovery of Home Assistant is announced. Errors: InvalidArgument,
/// NotFound, Permission (files of TLS and credentials).
Result<std::unique_ptr<Destination>> make_mqtt_destination(const PublishLocation &location,
                                                           const PublishOptions &options);
/// Kafka by librdkafka: an idempotent producer, keyed by stream.
Result<std::unique_ptr<Destination>> make_kafka_destination(const PublishLocation &location,
                                                            const PublishOptions &options);
/// HTTP POST by libcurl, one record a request.
Result<std::unique_ptr<Destination>> make_webhook_destination(const PublishLocation &location,
                                                              const PublishOptions &options);

} // namespace sphere
