// SPDX-License-Identifier: MIT
// Directories of the XDG base directory specification, and small file helpers. Private to
// core/model.
#pragma once

#include <string>
#include <sys/types.h>

namespace sphere {

/// $`variable`, or $HOME/`under_home`; empty where neither is an absolute path (the
/// specification says to ignore relative ones).
std::string xdg_directory(const char *variable, const char *under_home);

/// Makes `path` and its parents with `mode`. True if it is a directory in the end; errno
/// otherwise.
bool make_directories(const std::string &path, mode_t mode);

/// An absolute path for `path`, without resolving links.
std::string absolute_path(const std::string &path);

/// The part before the last '/', "/" for the root, "." without one.
std::string directory_of(const std::string &path);

/// True if `path` is a regular file (links followed).
bool is_regular_file(const std::string &path);

/// Its size in bytes, or -1.
long long file_size(const std::string &path);

} // namespace sphere
