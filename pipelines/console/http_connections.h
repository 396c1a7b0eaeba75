// SPDX-License-Identifier: MIT
// The console's open connections: how many there may be, and how long each may keep us waiting.
#pragma once

#include "core/base/result.h"

#include <gio/gio.h>

#include <chrono>
#include <functional>
#include <map>
#include <string>

namespace sphere::console {

struct ConnectionLimits {
    std::size_t most = 64;
    std::chrono::milliseconds request{10'000};  ///< from the connection to a whole request
    std::chrono::milliseconds closing{5'000};   ///< from a response to the connection's end
    std::chrono::milliseconds response{60'000}; ///< from a request to its whole response
};

/// Accepts connections and shuts those that are over time, so that a client that sends a byte
/// now and then holds nothing for long. One thread: that of the main context in use at start().
class HttpConnections {
  public:
    using Clock = std::chrono::steady_clock;
    using Accept = std::function<void(GSocketConnection *, GSocketAddress *remote)>;

    explicit HttpConnections(ConnectionLimits limits) : limits_(limits) {}
    ~HttpConnections() { stop(); }
    HttpConnections(const HttpConnections &) = delete;
    HttpConnections &operator=(const HttpConnections &) = delete;

    /// Errors: InvalidArgument (not an IP address), Io (cannot listen there).
    Result<void> start(const std::string &address, unsigned port, Accept accept);
    void stop(); ///< and shuts all connections
    unsigned port() const { return port_; }

    // What the HTTP side sees, by the address that was given to `accept`.
    void request_read(GSocketAddress *remote);
    void response_done(GSocketAddress *remote);
    void response_is_endless(GSocketAddress *remote);
    void shut(GSocketAddress *remote);
    /// Sends `answer` past whatever reads from the connection, and ends it soon.
    void refuse(GSocketAddress *remote, const std::string &answer);

    void shut_overdue(Clock::time_point now);
    std::size_t count() const { return connections_.size(); }

  private:
    struct Connection {
        GSocketConnection *connection = nullptr; ///< not ours; gone tells
        Clock::time_point deadline = Clock::time_point::max();
    };
    static gboolean incoming(GSocketService *, GSocketConnection *connection, GObject *,
                             gpointer self);
    static void gone(gpointer self, GObject *connection);
    static void shut(const Connection &connection);
    void set_deadline(GSocketAddress *remote, Clock::time_point deadline);

    ConnectionLimits limits_;
    Accept accept_;
    GSocketService *service_ = nullptr;
    unsigned port_ = 0;
    std::map<GSocketAddress *, Connection> connections_; ///< holds a reference to each key
};

} // namespace sphere::console
