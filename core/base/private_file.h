// SPDX-License-Identifier: MIT
// Small text files of the user's own: configurations, and secrets that nobody else may read.
#pragma once

#include "core/base/result.h"

#include <cstddef>
#include <string>

namespace sphere {

struct SmallFile {
    std::string text;
    bool others_may_use = false; ///< group or others may read, write or run it
};

/// Regular files only: a pipe would make us wait. Errors: NotFound, Permission, Io,
/// InvalidArgument (no file, or of more than `most_bytes`); each begins with the path and never
/// repeats what is in it.
Result<SmallFile> read_small_file(const std::string &path, std::size_t most_bytes);

/// The same of a secret: Permission where others may use it, too.
Result<std::string> read_private_file(const std::string &path, std::size_t most_bytes);

} // namespace sphere
