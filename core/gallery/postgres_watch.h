// SPDX-License-Identifier: MIT
// Changes of a gallery on a PostgreSQL server, told by LISTEN. Internal to the PostgreSQL
// store.
#pragma once

#include "core/gallery/store.h"

#include <functional>
#include <memory>
#include <string>

namespace sphere {

/// Has a connection of its own, which is made in the background and made anew when it is lost.
/// Null where there are no threads or descriptors left.
std::unique_ptr<ChangeWatch> watch_postgres(const std::string &location,
                                            std::function<void()> changed);

} // namespace sphere
