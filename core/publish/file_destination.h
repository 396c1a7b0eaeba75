// SPDX-License-Identifier: MIT
// One line of JSON a record, to a file or to stdout. Internal to publish.
#pragma once

#include "core/publish/destination.h"
#include "core/publish/location.h"
#include "core/publish/publisher.h"

#include <memory>

namespace sphere {

/// Errors of send(): NoSpace, Io; none of them is final.
Result<std::unique_ptr<Destination>> make_file_destination(const PublishLocation &location,
                                                           const PublishOptions &options);
Result<std::unique_ptr<Destination>> make_stdout_destination(const PublishLocation &location,
                                                             const PublishOptions &options);

} // namespace sphere
