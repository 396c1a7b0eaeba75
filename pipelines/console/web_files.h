// SPDX-License-Identifier: MIT
// The page's files, which are in the program.
#pragma once

#include "pipelines/console/http.h"

#include <vector>

namespace sphere::console {

/// One route a file, open to all: they hold no data.
std::vector<Route> web_routes();

} // namespace sphere::console
