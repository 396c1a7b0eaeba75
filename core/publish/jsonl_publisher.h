// SPDX-License-Identifier: MIT
// One line of JSON a record, to a file or to stdout.
#pragma once

#include "core/publish/publisher.h"

namespace sphere {

Result<std::unique_ptr<Publisher>> make_jsonl_publisher(const PublishOptions &options);

} // namespace sphere
