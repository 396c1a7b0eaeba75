// SPDX-License-Identifier: MIT
// In place of webhook_destination.cpp where libcurl is not there.
#include "core/publish/network_destinations.h"

namespace sphere {

Result<std::unique_ptr<Destination>> make_webhook_destination(const PublishLocation &location,
                                                              const PublishOptions &) {
    return fail(Errc::Unsupported, "publish to ", location.shown,
                ": built without webhook: install libcurl4-openssl-dev and build with "
                "-Dwebhook=enabled");
}

} // namespace sphere
