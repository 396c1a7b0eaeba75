// SPDX-License-Identifier: MIT
// The HTTP server of the console, on libsoup, in a thread of its own.
#pragma once

#include "core/base/result.h"
#include "pipelines/console/http.h"
#include "pipelines/console/http_connections.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace sphere::console {

struct HttpOptions {
    std::string address = "127.0.0.1";
    unsigned port = 0;                      ///< 0: one that is free
    std::vector<std::string> allowed_hosts; ///< Host headers besides this machine's own
    std::string token;
    std::size_t most_body_bytes = 64 * 1024;
    std::size_t most_streams = 32;
    std::chrono::milliseconds stall{15'000}; ///< a stream whose client takes nothing ends
    ConnectionLimits connections;
};

struct HttpCounts {
    std::map<unsigned, std::uint64_t> responses; ///< by status
    std::uint64_t streams = 0;                   ///< open now
    std::uint64_t connections = 0;               ///< open now
};

/// Every response carries the headers that keep a browser to this server's own files. A request
/// passes, in this order: Host is ours; there is such a route; for what changes something and
/// for all data, the page that asks is ours; session or token; size and type of the body.
class HttpServer {
  public:
    /// Listens from here on. Errors: InvalidArgument (address), Io (the port is taken).
    static Result<std::unique_ptr<HttpServer>> start(HttpOptions options,
                                                     std::vector<Route> routes);
    /// Open connections are shut; handlers that run are waited for.
    ~HttpServer();
    HttpServer(const HttpServer &) = delete;
    HttpServer &operator=(const HttpServer &) = delete;

    unsigned port() const;
    HttpCounts counts() const; ///< from any thread
    /// Of the cookie that holds a session: "sphere_console_PORT". Cookies are not of a port.
    std::string cookie_name() const;

  private:
    class Impl;
    explicit HttpServer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace sphere::console
