// SPDX-License-Identifier: MIT
// An HTTP client for tests that says exactly what it is told to.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>

namespace sphere::console::testing {

struct Answer {
    unsigned status = 0; ///< 0: the connection ended without one
    std::string head, body;
    bool has(const std::string &text) const { return head.find(text) != std::string::npos; }
};

class Client {
  public:
    explicit Client(unsigned port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ =
            ::connect(fd_, reinterpret_cast<sockaddr *>(&address), sizeof(address)) == 0;
    }
    ~Client() { ::close(fd_); }
    Client(const Client &) = delete;
    Client &operator=(const Client &) = delete;

    bool send(const std::string &text) const {
        std::size_t sent = 0;
        while (sent < text.size()) {
            const ssize_t more =
                ::send(fd_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
            if (more <= 0)
                return false;
            sent += static_cast<std::size_t>(more);
        }
        return connected_;
    }
    /// Reads till `wanted` was read, the end, or the time is over.
    std::string read(const std::string &wanted, std::chrono::milliseconds most) {
        const auto end = std::chrono::steady_clock::now() + most;
        while (wanted.empty() || text_.find(wanted) == std::string::npos) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                end - std::chrono::steady_clock::now());
            pollfd waiting{fd_, POLLIN, 0};
            if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) <= 0)
                return text_;
            char buffer[65536];
            const ssize_t got = ::recv(fd_, buffer, sizeof(buffer), 0);
            if (got <= 0) {
                ended_ = true;
                return text_;
            }
            text_.append(buffer, static_cast<std::size_t>(got));
        }
        return text_;
    }
    bool ended() const { return ended_; }

  private:
    int fd_;
    bool connected_ = false;
    bool ended_ = false;
    std::string text_;
};

inline Answer parse_answer(const std::string &text) {
    Answer answer;
    const auto end = text.find("\r\n\r\n");
    if (text.compare(0, 9, "HTTP/1.1 ") != 0 || end == std::string::npos)
        return answer;
    answer.status = static_cast<unsigned>(std::strtoul(text.c_str() + 9, nullptr, 10));
    answer.head = text.substr(0, end + 2);
    answer.body = text.substr(end + 4);
    return answer;
}

/// One request on a connection of its own. `headers` end in CRLF each; Host is added unless
/// `host` is empty.
inline Answer request(unsigned port, const std::string &method, const std::string &target,
                      const std::string &headers = "", const std::string &body = "",
                      const std::string &host = "127.0.0.1") {
    Client client(port);
    std::string text = method + " " + target + " HTTP/1.1\r\nConnection: close\r\n";
    if (!host.empty())
        text += "Host: " + host + ":" + std::to_string(port) + "\r\n";
    text += headers;
    if (method == "POST" && headers.find("Content-Length") == std::string::npos)
        text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    client.send(text + "\r\n" + body);
    return parse_answer(client.read("", std::chrono::seconds(20)));
}

} // namespace sphere::console::testing
