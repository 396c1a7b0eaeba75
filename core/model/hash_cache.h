// SPDX-License-Identifier: MIT
// sha256 of files, remembered across processes. Private to core/model.
#pragma once

#include "core/base/result.h"

#include <string>

namespace sphere {

/// The sha256 of `path` (absolute). Hashed anew whenever device, inode, size, mtime or ctime
/// differ from what $XDG_CACHE_HOME/sphere/sha256.json (~/.cache/…) holds. The cache is an aid
/// only: where it cannot be read or written, is damaged or belongs to somebody else, the file
/// is hashed. Thread-safe, and safe with several processes. Errors: as sha256_of_file.
Result<std::string> cached_sha256(const std::string &path);

/// The cache file's path; empty where the environment has no home.
std::string hash_cache_path();

} // namespace sphere
