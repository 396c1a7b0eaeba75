// SPDX-License-Identifier: MIT
// The state of all cameras as Prometheus reads it (text format 0.0.4).
#pragma once

#include "pipelines/console/console_source.h"
#include "pipelines/console/http_server.h"

#include <string>
#include <vector>

namespace sphere::console {

/// No names of people are in it.
std::string metrics_text(const std::vector<CameraStatus> &cameras, std::uint64_t events_lost,
                         const HttpCounts &http);

} // namespace sphere::console
