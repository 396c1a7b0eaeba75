// SPDX-License-Identifier: MIT
// A gallery's file as the file system sees it: where it is, whether it is there, how it is
// made.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <string>

namespace sphere {

/// Independent of later changes of the working directory, and never a name that SQLite treats
/// specially (":memory:").
std::string absolute_gallery_path(const std::string &path);

/// True: a regular file that can be read. False: nothing is there. Errors: NotFound (a
/// directory, or no directory to hold it; says how to enrol), Permission, Corrupt (a device, a
/// pipe), Io.
Result<bool> find_gallery_file(const std::string &path);

/// NotFound, with the command that makes a gallery.
Error missing_gallery(const std::string &path);

/// Makes an empty file with mode 0600, whatever the umask; SQLite gives its -wal and -shm files
/// the same. A file that another process made meanwhile is fine. No other thread may open
/// `path` by SQLite during this call: closing any descriptor of a file drops all POSIX locks
/// that the process has on it. Errors: NotFound, Permission, NoSpace, Io.
Result<void> make_gallery_file(const std::string &path);

/// Tells one file from another that took its place.
struct GalleryFileIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t bytes = 0; ///< these three only with contents
    std::int64_t mtime_ns = 0;
    std::int64_t wal_bytes = 0;
    bool operator==(const GalleryFileIdentity &) const = default;
};
/// All zero where there is no file. `contents`: different, too, after the file was written.
GalleryFileIdentity identify_gallery_file(const std::string &path, bool contents);

} // namespace sphere
