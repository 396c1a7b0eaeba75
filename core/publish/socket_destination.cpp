// SPDX-License-Identifier: MIT
// JSON lines to a program that listens on a Unix stream socket. What the kernel took counts as
// delivered: a program that ends with lines unread loses those.
#include "core/publish/socket_destination.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace sphere {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kStepMs = 100; ///< between looks at interrupt()

class SocketDestination final : public Destination {
  public:
    SocketDestination(PublishLocation location, unsigned timeout_ms)
        : location_(std::move(location)), timeout_(timeout_ms) {}
    SocketDestination(const SocketDestination &) = delete;
    SocketDestination &operator=(const SocketDestination &) = delete;
    ~SocketDestination() override { disconnect(); }

    Result<void> send(std::span<const Message> batch, std::size_t &delivered) override {
        delivered = 0;
        if (fd_ >= 0 && peer_has_gone())
            disconnect();
        if (fd_ < 0)
            SPHERE_TRY(connect());
        for (; delivered < batch.size(); ++delivered)
            if (Result<void> sent = send_line(batch[delivered].line + "\n"); !sent) {
                disconnect(); // half a line may be there: the next connection begins a new one
                return sent;
            }
        return {};
    }
    void interrupt() override { interrupted_ = true; }

  private:
    Error error(int number) const {
        const std::string hint = number == ENOENT || number == ECONNREFUSED
                                     ? "; start the program that listens there"
                                     : "";
        return fail(number == EACCES || number == EPERM ? Errc::Permission : Errc::Io,
                    "publish to ", location_.shown, ": ", std::strerror(number), hint);
    }
    void disconnect() {
        if (fd_ >= 0)
            close(fd_);
        fd_ = -1;
    }
    /// It has nothing to say to us: an end of its stream means that it has closed.
    bool peer_has_gone() const {
        std::array<char, 256> ignored;
        for (;;) {
            const ssize_t count = recv(fd_, ignored.data(), ignored.size(), MSG_DONTWAIT);
            if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
                return true;
            if (count < 0 && errno == EAGAIN)
                return false;
        }
    }
    Result<void> connect();
    Result<void> send_line(const std::string &line);

    PublishLocation location_;
    std::chrono::milliseconds timeout_;
    int fd_ = -1;
    std::atomic<bool> interrupted_{false};
};

Result<void> SocketDestination::connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    // The location was checked: it fits with its NUL.
    std::memcpy(address.sun_path, location_.path.data(),
                std::min(location_.path.size(), sizeof address.sun_path - 1));
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd_ < 0)
        return error(errno);
    // A Unix socket connects at once, or its backlog is full (EAGAIN) and it is tried later.
    if (::connect(fd_, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0) {
        const int number = errno;
        disconnect();
        return error(number);
    }
    return {};
}

Result<void> SocketDestination::send_line(const std::string &line) {
    const auto deadline = Clock::now() + timeout_;
    std::size_t done = 0;
    while (done < line.size()) {
        const ssize_t count =
            ::send(fd_, line.data() + done, line.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count > 0) {
            done += static_cast<std::size_t>(count);
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return error(errno);
        if (interrupted_ || Clock::now() >= deadline)
            return error(ETIMEDOUT);
        pollfd waiting{fd_, POLLOUT, 0};
        poll(&waiting, 1, kStepMs);
    }
    return {};
}

} // namespace

Result<std::unique_ptr<Destination>> make_socket_destination(const PublishLocation &location,
                                                             const PublishOptions &options) {
    return std::unique_ptr<Destination>(new SocketDestination(location, options.timeout_ms));
}

} // namespace sphere
