// SPDX-License-Identifier: MIT
// JSON lines to a Unix stream socket. Internal to publish.
#pragma once

#include "core/publish/destination.h"
#include "core/publish/location.h"
#include "core/publish/publisher.h"

#include <memory>

namespace sphere {

/// Connects when there is something to send, and again after an error.
Result<std::unique_ptr<Destination>> make_socket_destination(const PublishLocation &location,
                                                             const PublishOptions &options);

} // namespace sphere
