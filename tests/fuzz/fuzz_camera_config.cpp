// SPDX-License-Identifier: MIT
// sphere-camera's configuration: whatever the bytes, what is accepted keeps to its bounds, and
// no address keeps a password.
#include "pipelines/camera/camera_config.h"
#include "pipelines/camera/uri.h"

#include <cstdint>
#include <cstdlib>
#include <set>

namespace {

void require(bool holds) {
    if (!holds)
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    using namespace sphere::camera;
    const std::string text(reinterpret_cast<const char *>(data), size);
    // In one pass: a second finds nothing more.
    const std::string clean = without_secrets(text);
    require(without_secrets(clean) == clean);
    if (const auto address = split_address(text))
        require(address->user.size() + address->password.size() <= text.size());
    // Files that a made-up path may name are not the parser's.
    if (text.find("password_file") != std::string::npos)
        return 0;
    const auto config = parse_fleet_config(text, "fuzz");
    if (!config) {
        require(config.error().message.starts_with("fuzz: "));
        return 0;
    }
    std::set<std::string> names;
    for (const CameraConfig &camera : config->cameras) {
        require(names.insert(camera.name).second && camera.name.size() <= 64);
        require(camera.name.find('/') == std::string::npos && camera.name.front() != '.');
        require(!camera.uri.empty());
        require(camera.reconnect_initial_ms <= camera.reconnect_max_ms);
        require(camera.recording.pre_roll_ms <= 600000 && camera.live_fps >= 1);
    }
    return 0;
}
