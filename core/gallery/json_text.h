// SPDX-License-Identifier: MIT
// JSON that came from elsewhere: bounded before it is parsed.
#pragma once

#include <string_view>

namespace sphere {

/// At most 64 objects and arrays within each other: what is parsed may be printed recursively.
bool has_bounded_depth(std::string_view json);

} // namespace sphere
