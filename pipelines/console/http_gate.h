// SPDX-License-Identifier: MIT
// Which requests the console's server lets in.
#pragma once

#include "pipelines/console/access.h"
#include "pipelines/console/http.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sphere::console {

/// A request before its body is read.
struct RequestHead {
    std::string method, path, remote;
    std::function<std::string(const char *)> header; ///< empty where there is none
};

/// One thread, but for sessions().
class HttpGate {
  public:
    HttpGate(std::string token, OwnNames names, std::vector<Route> routes,
             std::size_t most_body_bytes);

    /// The refusal, or nothing: it may come in. `now_s` is Unix time.
    std::optional<Response> refuse(const RequestHead &head, FailureLimit::Time now,
                                   std::int64_t now_s);
    /// The route of a path; null: none. HEAD is as GET.
    const Route *route(const std::string &method, const std::string &path) const;
    void count_failure(const std::string &remote, FailureLimit::Time now) {
        failures_.failed(remote, now);
    }
    const Sessions &sessions() const { return sessions_; }
    void set_cookie_name(std::string name) { cookie_name_ = std::move(name); }
    void set_names(OwnNames names) { names_ = std::move(names); }

  private:
    std::optional<Response> refuse_page(const RequestHead &head, const Route &route) const;
    std::optional<Response> refuse_user(const RequestHead &head, const Route &route,
                                        FailureLimit::Time now, std::int64_t now_s);
    std::optional<Response> refuse_body(const RequestHead &head) const;
    std::string bad_method(const std::string &path) const;

    Sessions sessions_;
    OwnNames names_;
    std::vector<Route> routes_;
    std::size_t most_body_bytes_;
    std::string cookie_name_;
    FailureLimit failures_;
};

/// The value of a cookie in a Cookie header; empty where it is not there.
std::string cookie_value(const std::string &header, const std::string &name);

} // namespace sphere::console
