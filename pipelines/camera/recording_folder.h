// SPDX-License-Identifier: MIT
// The folder of a camera's recordings: names, and room for the next one.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <string>

namespace sphere::camera {

/// Makes the folder (mode 0700) and those above it. Errors: Permission, NoSpace, Io.
Result<void> make_recording_folder(const std::string &folder);

/// "FOLDER/20261128T031500.250Z" for a Unix time, with "-2", ... behind it where there is such
/// a recording.
std::string new_recording_path(const std::string &folder, std::int64_t unix_ms);

/// Bytes of the recordings in `folder`; nothing else there counts.
std::uint64_t recorded_bytes(const std::string &folder);

/// Removes the oldest recordings until they have at most `most_bytes` and the file system has
/// `min_free_bytes`; `open_file` stays. Errors: NoSpace where that was not enough.
Result<void> make_recording_room(const std::string &folder, std::uint64_t most_bytes,
                                 std::uint64_t min_free_bytes, const std::string &open_file);

} // namespace sphere::camera
