// SPDX-License-Identifier: MIT
// Parts of the core that are libraries of their own, because of what they bring along: OpenCV's
// imgcodecs alone loads a hundred libraries in a tenth of a second, and a pipeline needs none.
#pragma once

#include "core/base/result.h"

#include <string>

namespace sphere {

/// Address of `symbol` in the part `name`, which lies beside the core's library and is of its
/// version. Loaded when it is first asked for, for the rest of the process. Thread-safe.
/// Errors: Unsupported, naming the file and what the loader says.
Result<const void *> part_symbol(const std::string &name, const char *symbol);

/// A table of functions that a part exports by a C name.
template <typename Table>
Result<const Table *> part_table(const std::string &name, const char *symbol) {
    const auto address = part_symbol(name, symbol);
    if (!address)
        return address.error();
    return static_cast<const Table *>(*address);
}

} // namespace sphere
