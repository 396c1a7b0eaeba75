// SPDX-License-Identifier: MIT
// In place of kafka_destination.cpp where librdkafka is not there.
#include "core/publish/network_destinations.h"

namespace sphere {

Result<std::unique_ptr<Destination>> make_kafka_destination(const PublishLocation &location,
                                                            const PublishOptions &) {
    return fail(Errc::Unsupported, "publish to ", location.shown,
                ": built without kafka: install librdkafka-dev and build with -Dkafka=enabled");
}

} // namespace sphere
