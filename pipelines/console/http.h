// SPDX-License-Identifier: MIT
// Requests and responses as the console's handlers see them.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sphere::console {

struct Request {
    std::string method;
    std::string path;                         ///< decoded, without the query
    std::string rest;                         ///< of the path, after a route's prefix
    std::map<std::string, std::string> query; ///< decoded
    std::string body;
    std::string remote; ///< the client's address
    std::string cookie; ///< the name of the cookie that holds a session
};

struct Response {
    unsigned status = 200;
    std::string type = "application/json";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
    bool wrong_token = false; ///< counts against the client's address
};

/// {"error": message}
Response error_response(unsigned status, const std::string &message);

/// A response without end. The server asks for the next piece when the last one has gone out
/// and not before: what a slow client does not take is never made. One thread, the server's.
class StreamBody {
  public:
    virtual ~StreamBody() = default;
    virtual std::string type() const = 0;
    /// Empty: nothing now.
    virtual std::optional<std::string> next(std::chrono::steady_clock::time_point now) = 0;
};

/// What of a path a route answers.
struct Route {
    std::string method; ///< GET (HEAD with it) or POST
    std::string path;
    bool prefix = false; ///< and everything below
    bool open = false;   ///< without a session or token
    /// Called by a worker thread, several at once; may wait.
    std::function<Response(const Request &)> handler{};
    /// In place of handler, for responses without end; by the server's thread. Null: there is
    /// no such thing (404).
    std::function<std::unique_ptr<StreamBody>(const Request &)> stream{};
};

} // namespace sphere::console
