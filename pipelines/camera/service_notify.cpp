// SPDX-License-Identifier: MIT
#include "pipelines/camera/service_notify.h"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace sphere::camera {

void notify_service(std::string_view state) noexcept {
    const char *path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path == nullptr || (path[0] != '/' && path[0] != '@') ||
        std::strlen(path) >= sizeof(address.sun_path))
        return;
    std::strcpy(address.sun_path, path); // its length was checked
    if (address.sun_path[0] == '@')
        address.sun_path[0] = '\0'; // a name in the abstract namespace
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    const auto length =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
    (void)sendto(fd, state.data(), state.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr *>(&address), length);
    close(fd);
}

std::optional<std::chrono::milliseconds> service_watchdog_interval() {
    const char *interval = std::getenv("WATCHDOG_USEC");
    const char *pid = std::getenv("WATCHDOG_PID");
    if (interval == nullptr || (pid != nullptr && std::strtoll(pid, nullptr, 10) != getpid()))
        return std::nullopt;
    const long long us = std::strtoll(interval, nullptr, 10);
    if (us < 2000)
        return std::nullopt;
    return std::chrono::milliseconds(us / 2000);
}

} // namespace sphere::camera
