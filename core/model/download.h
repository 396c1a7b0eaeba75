// SPDX-License-Identifier: MIT
// Bytes from npm packages and https addresses into files. Private to core/model.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace sphere {

/// Called with the bytes that have come, about ten times a second.
using DownloadWatch = std::function<void(std::uint64_t done_bytes)>;

/// Not thread-safe. Packages are kept in temporary directories under `directory` until the
/// object goes. Nothing here verifies contents.
class Download {
  public:
    explicit Download(std::string directory) : directory_(std::move(directory)) {}
    Download(const Download &) = delete;
    Download &operator=(const Download &) = delete;
    ~Download();

    /// Removes temporary directories that a killed process left behind. The caller holds the
    /// directory's lock, so none is in use.
    Result<void> clean() const;

    /// NoSpace unless the file system has room for `bytes` and some more.
    Result<void> check_space(std::uint64_t bytes) const;

    /// Writes `member` of the npm package `spec` (package@version) to `part`, at most
    /// `max_bytes`. Errors: Unsupported (no npm or tar), NotFound, Io, NoSpace, Corrupt.
    Result<void> npm_member(const std::string &spec, const std::string &member,
                            const std::string &part, std::uint64_t max_bytes,
                            const DownloadWatch &watch);

    /// Continues or begins the download of `url` into `part`. Errors: as npm_member; `part`
    /// stays.
    Result<void> https(const std::string &url, const std::string &part, std::uint64_t bytes,
                       const DownloadWatch &watch) const;

  private:
    Result<std::string> pack(const std::string &spec, const DownloadWatch &watch);

    std::string directory_;
    std::map<std::string, std::string> packs_;       ///< spec to tar ball
    std::map<std::string, std::string> temporaries_; ///< spec to its directory
};

} // namespace sphere
