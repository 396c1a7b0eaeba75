// SPDX-License-Identifier: MIT
// In place of mqtt_destination.cpp where libmosquitto is not there.
#include "core/publish/network_destinations.h"

namespace sphere {

Result<std::unique_ptr<Destination>> make_mqtt_destination(const PublishLocation &location,
                                                           const PublishOptions &) {
    return fail(Errc::Unsupported, "publish to ", location.shown,
                ": built without mqtt: install libmosquitto-dev and build with -Dmqtt=enabled");
}

} // namespace sphere
