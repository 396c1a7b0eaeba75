// SPDX-License-Identifier: MIT
#include "pipelines/console/http_connections.h"

#include <utility>

namespace sphere::console {
namespace {

constexpr std::chrono::seconds kRefusal{1};

} // namespace

Result<void> HttpConnections::start(const std::string &address, unsigned port, Accept accept) {
    GSocketAddress *local = g_inet_socket_address_new_from_string(address.c_str(), port);
    if (local == nullptr)
        return fail(Errc::InvalidArgument, "http: \"", address,
                    "\" is not an IP address; 127.0.0.1 is this machine alone");
    accept_ = std::move(accept);
    service_ = g_socket_service_new();
    GError *error = nullptr;
    GSocketAddress *bound = nullptr;
    const gboolean listening =
        g_socket_listener_add_address(G_SOCKET_LISTENER(service_), local, G_SOCKET_TYPE_STREAM,
                                      G_SOCKET_PROTOCOL_TCP, nullptr, &bound, &error);
    g_object_unref(local);
    if (listening == FALSE) {
        Error failure = fail(Errc::Io, "http: cannot listen on ", address, " port ", port, ": ",
                             error->message);
        g_error_free(error);
        g_clear_object(&service_);
        return failure;
    }
    port_ = g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound));
    g_object_unref(bound);
    g_signal_connect(service_, "incoming", G_CALLBACK(incoming), this);
    g_socket_service_start(service_);
    return {};
}

void HttpConnections::stop() {
    if (service_ != nullptr) {
        g_socket_service_stop(service_);
        g_socket_listener_close(G_SOCKET_LISTENER(service_));
        g_clear_object(&service_);
    }
    for (auto &[remote, connection] : connections_) {
        shut(connection);
        g_object_weak_unref(G_OBJECT(connection.connection), gone, this);
        g_object_unref(remote);
    }
    connections_.clear();
}

gboolean HttpConnections::incoming(GSocketService * /*service*/, GSocketConnection *connection,
                                   GObject * /*source*/, gpointer data) {
    auto &self = *static_cast<HttpConnections *>(data);
    GSocketAddress *remote = g_socket_connection_get_remote_address(connection, nullptr);
    if (remote == nullptr || self.connections_.size() >= self.limits_.most) {
        g_clear_object(&remote);
        g_io_stream_close(G_IO_STREAM(connection), nullptr, nullptr);
        return TRUE;
    }
    self.connections_[remote] = {connection, Clock::now() + self.limits_.request};
    g_object_weak_ref(G_OBJECT(connection), gone, &self);
    self.accept_(connection, remote);
    return TRUE;
}

void HttpConnections::gone(gpointer data, GObject *connection) {
    auto &self = *static_cast<HttpConnections *>(data);
    for (auto each = self.connections_.begin(); each != self.connections_.end(); ++each) {
        if (G_OBJECT(each->second.connection) != connection)
            continue;
        GSocketAddress *remote = each->first;
        self.connections_.erase(each);
        g_object_unref(remote);
        return;
    }
}

void HttpConnections::shut(const Connection &connection) {
    // Not closed: libsoup may be reading from it, and sees its end.
    g_socket_shutdown(g_socket_connection_get_socket(connection.connection), TRUE, TRUE,
                      nullptr);
}

void HttpConnections::set_deadline(GSocketAddress *remote, Clock::time_point deadline) {
    const auto found = connections_.find(remote);
    if (found != connections_.end())
        found->second.deadline = deadline;
}

void HttpConnections::request_read(GSocketAddress *remote) {
    set_deadline(remote, Clock::now() + limits_.response);
}

void HttpConnections::response_done(GSocketAddress *remote) {
    set_deadline(remote, Clock::now() + limits_.closing);
}

void HttpConnections::response_is_endless(GSocketAddress *remote) {
    set_deadline(remote, Clock::time_point::max());
}

void HttpConnections::shut(GSocketAddress *remote) {
    const auto found = connections_.find(remote);
    if (found != connections_.end())
        shut(found->second);
}

void HttpConnections::refuse(GSocketAddress *remote, const std::string &answer) {
    const auto found = connections_.find(remote);
    if (found == connections_.end())
        return;
    GSocket *socket = g_socket_connection_get_socket(found->second.connection);
    // Some hundred bytes into an empty buffer: they go at once or not at all.
    g_socket_send_with_blocking(socket, answer.data(), answer.size(), FALSE, nullptr, nullptr);
    g_socket_shutdown(socket, FALSE, TRUE, nullptr);
    // Closed with bytes of the client's unread, the answer could be lost on the way.
    found->second.deadline = Clock::now() + kRefusal;
}

void HttpConnections::shut_overdue(Clock::time_point now) {
    for (auto &[remote, connection] : connections_)
        if (now > connection.deadline) {
            shut(connection);
            // Once is enough; what is left is for libsoup to notice.
            connection.deadline = Clock::time_point::max();
        }
}

} // namespace sphere::console
