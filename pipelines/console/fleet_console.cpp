// SPDX-License-Identifier: MIT
#include "pipelines/console/fleet_console.h"

#include "core/base/log.h"
#include "pipelines/console/console.h"
#include "pipelines/console/fleet_source.h"

#include <cstdio>
#include <unistd.h>
#include <utility>

namespace sphere::console {

FleetConsole::FleetConsole(std::unique_ptr<ConsoleSource> source,
                           std::unique_ptr<Console> console)
    : source_(std::move(source)), console_(std::move(console)) {}
FleetConsole::~FleetConsole() = default;

Result<std::unique_ptr<FleetConsole>> FleetConsole::start(const camera::HttpConfig &config,
                                                          camera::CameraFleet &fleet) {
    auto source = std::make_unique<FleetSource>(fleet);
    ConsoleOptions options;
    options.address = config.address;
    options.port = config.port;
    options.allowed_hosts = config.allowed_hosts;
    options.token_file = config.token_file;
    options.events_file = config.events_file;
    auto console = Console::start(options, *source);
    if (!console)
        return std::move(console).error();
    if (isatty(STDERR_FILENO) == 1)
        std::fprintf(stderr, "console: %s\n", (*console)->login_address().c_str());
    else
        log(LogLevel::Info, "console: " + (*console)->address() + ", the token is in " +
                                (*console)->token_file());
    return std::unique_ptr<FleetConsole>(
        new FleetConsole(std::move(source), std::move(*console)));
}

} // namespace sphere::console
