// SPDX-License-Identifier: MIT
// The web console of sphere-camera: a page to look at, the JSON behind it, and metrics.
#pragma once

#include "core/base/result.h"
#include "pipelines/console/console_source.h"

#include <memory>
#include <string>
#include <vector>

namespace sphere::console {

struct ConsoleOptions {
    std::string address = "127.0.0.1"; ///< an IP address; others than loopback publish the page
    unsigned port = 8787;              ///< 0: one that is free
    std::vector<std::string> allowed_hosts; ///< names that the server may be asked by, besides
    std::string token_file;                 ///< empty: default_token_file()
    std::string events_file;                ///< empty: events are in memory alone
};

/// Runs in threads of its own from start() until it is destroyed.
class Console {
  public:
    /// `source` must outlive it. Errors: InvalidArgument (address), Io (port taken, files),
    /// Permission and Corrupt (token file, events file).
    static Result<std::unique_ptr<Console>> start(const ConsoleOptions &options,
                                                  ConsoleSource &source);
    ~Console();
    Console(const Console &) = delete;
    Console &operator=(const Console &) = delete;

    unsigned port() const;
    /// "http://127.0.0.1:8787/": to log.
    std::string address() const;
    const std::string &token_file() const;
    /// The address with the token: for the user's terminal alone, never for a log.
    std::string login_address() const;

  private:
    class Impl;
    explicit Console(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// Whether `address` is this machine's own, 127.0.0.0/8 or ::1.
bool is_loopback(const std::string &address);

} // namespace sphere::console
