// SPDX-License-Identifier: MIT
// Tells systemd of the service's state (sd_notify's protocol, without its library).
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace sphere::camera {

/// Sends "READY=1", "STOPPING=1", "WATCHDOG=1", ... to NOTIFY_SOCKET; nothing where that is not
/// set. A failure is of no consequence to the caller.
void notify_service(std::string_view state) noexcept;

/// How often WATCHDOG=1 has to be sent (half of WATCHDOG_USEC); empty without a watchdog for
/// this process.
std::optional<std::chrono::milliseconds> service_watchdog_interval();

} // namespace sphere::camera
