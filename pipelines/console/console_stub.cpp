// SPDX-License-Identifier: MIT
// In place of the console in builds without libsoup.
#include "pipelines/console/console.h"

namespace sphere::console {

class Console::Impl {
  public:
    std::string token_file;
};

Console::Console(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Console::~Console() = default;

Result<std::unique_ptr<Console>> Console::start(const ConsoleOptions & /*options*/,
                                                ConsoleSource & /*source*/) {
    return fail(Errc::Unsupported,
                "http: built without the web console and /metrics; they need "
                "libsoup 3.2 (enable with -Dconsole=enabled)");
}

unsigned Console::port() const {
    return 0;
}
std::string Console::address() const {
    return {};
}
const std::string &Console::token_file() const {
    return impl_->token_file;
}
std::string Console::login_address() const {
    return {};
}

} // namespace sphere::console
