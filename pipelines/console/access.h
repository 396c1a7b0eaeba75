// SPDX-License-Identifier: MIT
// Who may use the console: the token, sessions, Host and Origin headers, failed attempts.
#pragma once

#include "core/base/result.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sphere::console {

/// Takes as long whatever differs. A difference in length shows.
bool equal_secrets(std::string_view a, std::string_view b) noexcept;

/// $STATE_DIRECTORY (systemd's), else $XDG_STATE_HOME/sphere, else ~/.local/state/sphere, and
/// in it "console.token".
std::string default_token_file();

/// The token in `path`: 64 hexadecimal digits. Made, with the directories above, where nothing
/// is there: random, mode 0600. Errors: Permission (others may read the file, or it is not
/// ours), Corrupt (something else is in it), Io.
Result<std::string> load_or_make_token(const std::string &path);

/// Sessions are signed with the token, so that they outlive a restart and end with the token.
/// Thread-safe.
class Sessions {
  public:
    explicit Sessions(std::string token) : token_(std::move(token)) {}
    /// A cookie's value that is good from now on.
    std::string issue(std::int64_t now_s) const;
    bool valid(std::string_view cookie, std::int64_t now_s) const;
    bool is_token(std::string_view text) const { return equal_secrets(text, token_); }

    static constexpr std::int64_t kLifetime_s = 30LL * 24 * 3600;

  private:
    std::string sign(const std::string &issued) const;
    std::string token_;
};

/// Which Host and Origin headers are this server's: what keeps pages of others from reaching it
/// under a name of theirs (DNS rebinding) or in the user's name (CSRF).
class OwnNames {
  public:
    /// `extra`: further "host" or "host:port" values that the user allows, e.g. a proxy's.
    OwnNames(const std::string &address, unsigned port, const std::vector<std::string> &extra);
    bool host_is_ours(std::string_view host) const;
    /// `origin` is "http://host:port" (or https, behind a proxy).
    bool origin_is_ours(std::string_view origin) const;

  private:
    std::vector<std::string> names_; ///< lower case
};

/// Lets a few wrong tokens of an address pass, then none for a while. One thread.
class FailureLimit {
  public:
    using Time = std::chrono::steady_clock::time_point;
    bool blocked(const std::string &address, Time now);
    void failed(const std::string &address, Time now);

    static constexpr int kMostFailures = 10;
    static constexpr std::chrono::seconds kWindow{60};
    static constexpr std::size_t kMostAddresses = 1024;

  private:
    struct Failures {
        int count = 0;
        Time since;
    };
    std::map<std::string, Failures> failures_;
};

} // namespace sphere::console
