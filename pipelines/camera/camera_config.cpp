// SPDX-License-Identifier: MIT
#include "pipelines/camera/camera_config.h"

#include "core/base/private_file.h"
#include "pipelines/camera/config_reader.h"
#include "pipelines/camera/uri.h"

#include <algorithm>
#include <cstdlib>
#include <set>

namespace sphere::camera {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxConfigBytes = 1 << 20;
constexpr std::size_t kMaxPasswordBytes = 4096;
constexpr std::size_t kMaxCameras = 256;
constexpr unsigned kHourMs = 3600 * 1000;
constexpr std::uint64_t kExbibyte = 1ULL << 60;

void read_password(ConfigReader &reader, CameraConfig &camera) {
    std::string variable, path;
    reader.text("password", camera.password);
    reader.text("password_env", variable);
    reader.text("password_file", path);
    if (static_cast<int>(!camera.password.empty()) + static_cast<int>(!variable.empty()) +
            static_cast<int>(!path.empty()) >
        1)
        return reader.fault("password", "stands in one of the URI, password, password_env and "
                                        "password_file, not in several");
    if (!variable.empty()) {
        const char *value = std::getenv(variable.c_str());
        if (value == nullptr)
            return reader.fault("password_env", "the environment has no " + variable,
                                Errc::NotFound);
        camera.password = value;
    }
    if (path.empty())
        return;
    const auto text = read_private_file(path, kMaxPasswordBytes);
    if (!text)
        return reader.fault("password_file", text.error().message, text.error().code);
    camera.password = text->substr(0, text->find_first_of("\r\n"));
}

void read_address(ConfigReader &reader, CameraConfig &camera) {
    reader.text("uri", camera.uri);
    if (camera.uri.empty())
        return reader.fault("uri", "is missing: rtsp://HOST/PATH, a file, /dev/video0, ...");
    auto address = split_address(camera.uri);
    if (!address) {
        camera.uri.clear();
        return reader.fault("uri", address.error().message);
    }
    camera.uri = address->uri;
    camera.user = address->user;
    camera.password = address->password;
    reader.text("user", camera.user);
    read_password(reader, camera);
}

void read_transport(ConfigReader &reader, CameraConfig &camera) {
    std::string transport = "tcp";
    reader.text("transport", transport);
    if (transport == "tcp")
        camera.transport = Transport::Tcp;
    else if (transport == "udp")
        camera.transport = Transport::Udp;
    else if (transport == "auto")
        camera.transport = Transport::Auto;
    else
        reader.fault("transport", "is tcp, udp or auto");
}

Result<void> read_recording(const json &object, const std::string &file,
                            const std::string &place, RecordingConfig &recording) {
    static const std::set<std::string> kEvents = {"appeared", "identified", "renamed", "left"};
    ConfigReader reader(object, file, place);
    reader.text("directory", recording.directory);
    if (recording.directory.empty())
        reader.fault("directory", "is missing: where recordings go");
    reader.number("pre_roll_ms", recording.pre_roll_ms, 0, 10 * 60 * 1000);
    reader.number("post_roll_ms", recording.post_roll_ms, 0, kHourMs);
    reader.number("max_segment_ms", recording.max_segment_ms, 1000, 24 * kHourMs);
    reader.number("max_bytes", recording.max_bytes, 1 << 20, kExbibyte);
    reader.number("min_free_bytes", recording.min_free_bytes, 0, kExbibyte);
    reader.texts("events", recording.events, kEvents.size());
    for (const std::string &event : recording.events)
        if (!kEvents.contains(event))
            reader.fault("events", "are appeared, identified, renamed and left");
    return reader.finish();
}

Result<CameraConfig> read_camera(const json &object, const std::string &file,
                                 const std::string &place) {
    CameraConfig camera;
    ConfigReader reader(object, file, place);
    reader.text("name", camera.name);
    if (!is_camera_name(camera.name))
        reader.fault("name", "must be 1 to 64 letters, digits, . _ or -, not beginning with .");
    read_address(reader, camera);
    read_transport(reader, camera);
    reader.number("latency_ms", camera.latency_ms, 0, 60000);
    reader.number("width", camera.width, 16, 8192);
    reader.number("height", camera.height, 16, 8192);
    reader.number("framerate", camera.framerate, 1, 240);
    reader.flag("loop", camera.loop);
    reader.flag("realtime", camera.realtime);
    reader.text("gallery", camera.gallery);
    reader.properties("recognition", camera.recognition);
    reader.property_lists("publish", camera.publish, 8);
    reader.number("connect_timeout_ms", camera.connect_timeout_ms, 500, kHourMs);
    reader.number("stall_timeout_ms", camera.stall_timeout_ms, 200, kHourMs);
    reader.number("reconnect_initial_ms", camera.reconnect_initial_ms, 10, kHourMs);
    reader.number("reconnect_max_ms", camera.reconnect_max_ms, 10, kHourMs);
    reader.number("live_fps", camera.live_fps, 1, 60);
    reader.number("live_width", camera.live_width, 64, 8192);
    reader.number("jpeg_quality", camera.jpeg_quality, 10, 100);
    if (camera.reconnect_max_ms < camera.reconnect_initial_ms)
        reader.fault("reconnect_max_ms", "must not be less than reconnect_initial_ms");
    if (const json *recording = reader.object("recording"))
        if (auto read =
                read_recording(*recording, file, place + "recording.", camera.recording);
            !read)
            return std::move(read).error();
    SPHERE_TRY(reader.finish());
    return camera;
}

Result<void> read_http(const json &object, const std::string &file, HttpConfig &http) {
    ConfigReader reader(object, file, "http.");
    http.enabled = true;
    reader.flag("enabled", http.enabled);
    reader.text("address", http.address);
    reader.number("port", http.port, 0, 65535);
    reader.text("token_file", http.token_file);
    reader.texts("allowed_hosts", http.allowed_hosts, 16);
    reader.text("events_file", http.events_file);
    return reader.finish();
}

Result<void> read_cameras(const json &list, const json *defaults, const std::string &file,
                          FleetConfig &config) {
    std::set<std::string> names;
    for (std::size_t i = 0; i < list.size(); ++i) {
        const std::string place = "cameras[" + std::to_string(i) + "].";
        if (!list[i].is_object())
            return fail(Errc::InvalidArgument, file, ": ", place.substr(0, place.size() - 1),
                        ": must be an object in braces");
        json merged = defaults != nullptr ? *defaults : json::object();
        merged.merge_patch(list[i]);
        auto camera = read_camera(merged, file, place);
        if (!camera)
            return std::move(camera).error();
        if (!names.insert(camera->name).second)
            return fail(Errc::InvalidArgument, file, ": ", place, "name: there is another \"",
                        camera->name, "\"");
        config.cameras.push_back(std::move(*camera));
    }
    return {};
}

// Whether a password stands in the file itself.
bool holds_password(const json &root) {
    const auto in = [](const json &camera) {
        if (!camera.is_object())
            return false;
        if (camera.contains("password"))
            return true;
        const auto uri = camera.find("uri");
        if (uri == camera.end() || !uri->is_string())
            return false;
        const auto address = split_address(uri->get_ref<const std::string &>());
        return address.ok() && !address->password.empty();
    };
    const auto cameras = root.find("cameras");
    const auto defaults = root.find("defaults");
    return (defaults != root.end() && in(*defaults)) ||
           (cameras != root.end() && std::any_of(cameras->begin(), cameras->end(), in));
}

Result<FleetConfig> parse(std::string_view text, const std::string &name, bool &has_password) {
    if (text.size() > kMaxConfigBytes)
        return fail(Errc::InvalidArgument, name, ": is larger than 1 MiB");
    // Comments are allowed: people keep notes beside their cameras.
    const json root = json::parse(text, nullptr, false, true);
    if (root.is_discarded())
        return fail(Errc::Corrupt, name, ": is not JSON: look for a missing comma or quote");
    if (!root.is_object())
        return fail(Errc::InvalidArgument, name, ": must be an object in braces");
    FleetConfig config;
    ConfigReader reader(root, name, "");
    const json *defaults = reader.object("defaults");
    const json *http = reader.object("http");
    const json *cameras = reader.array("cameras", kMaxCameras);
    SPHERE_TRY(reader.finish());
    if (cameras == nullptr)
        return fail(Errc::InvalidArgument, name, ": cameras: is missing: a list of cameras");
    if (http != nullptr)
        SPHERE_TRY(read_http(*http, name, config.http));
    SPHERE_TRY(read_cameras(*cameras, defaults, name, config));
    has_password = holds_password(root);
    return config;
}

} // namespace

bool is_camera_name(const std::string &text) {
    constexpr std::string_view kAllowed =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return !text.empty() && text.size() <= 64 && text.front() != '.' &&
           text.find_first_not_of(kAllowed) == std::string::npos;
}

Result<FleetConfig> parse_fleet_config(std::string_view text, const std::string &name) {
    bool has_password = false;
    return parse(text, name, has_password);
}

Result<FleetConfig> load_fleet_config(const std::string &path) {
    const auto file = read_small_file(path, kMaxConfigBytes);
    if (!file)
        return file.error();
    bool has_password = false;
    auto config = parse(file->text, path, has_password);
    if (config.ok() && has_password && file->others_may_use)
        return fail(Errc::Permission, path,
                    ": holds a password and may be read by others than its owner: chmod 600 "
                    "it, or use password_env or password_file");
    return config;
}

} // namespace sphere::camera
