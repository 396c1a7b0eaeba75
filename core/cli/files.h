// SPDX-License-Identifier: MIT
// Files and folders that spherectl reads and writes besides pictures.
#pragma once

#include "core/base/result.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sphere::cli {

bool is_directory(const std::string &path);

/// What a folder holds, sorted by name, hidden entries left out; full paths.
struct Listing {
    std::vector<std::string> folders;
    std::vector<std::string> pictures; ///< by extension
    std::vector<std::string> others;
};
/// Errors: NotFound, Permission, Io; each names the path.
Result<Listing> list_folder(const std::string &path);

/// The last component of a path, whatever slashes follow it.
std::string base_name(const std::string &path);

/// A whole file of at most `max_bytes`. Errors: NotFound, Permission, Corrupt (too large), Io.
Result<std::string> read_text(const std::string &path, std::size_t max_bytes);

/// Writes `bytes` to a neighbour that then takes the name, so that `path` is always whole.
/// Errors: NotFound (no such folder), Permission, NoSpace, Io.
Result<void> write_whole(const std::string &path, std::string_view bytes);

} // namespace sphere::cli
