// SPDX-License-Identifier: MIT
// sphere-camera: face recognition on N cameras (docs/sphere-camera.md).
#include "core/base/log.h"
#include "pipelines/camera/camera_config.h"
#include "pipelines/camera/camera_fleet.h"
#include "pipelines/camera/config_watcher.h"
#include "pipelines/camera/service_notify.h"
#include "pipelines/console/fleet_console.h"

#include <csignal>
#include <cstdio>
#include <glib-unix.h>
#include <gst/gst.h>
#include <memory>
#include <string>
#include <utility>

namespace {

using sphere::LogLevel;
using sphere::camera::CameraFleet;
using sphere::camera::FleetConfig;

constexpr int kBadUse = 2;

constexpr const char *kHelp =
    "usage: sphere-camera CONFIG           runs the cameras of a JSON file until SIGTERM\n"
    "       sphere-camera --check CONFIG   says whether the file is right; opens no camera\n"
    "       sphere-camera --version | --help\n"
    "\n"
    "A changed CONFIG is followed while running. docs/sphere-camera.md has its keys.\n";

// Warnings and worse are marked as such for the journal ("<4>", sd-daemon(3)) when it listens.
void log_line(LogLevel level, std::string_view message) {
    if (level == LogLevel::Debug)
        return;
    const bool journal = g_getenv("JOURNAL_STREAM") != nullptr;
    const char *mark = level == LogLevel::Error     ? (journal ? "<3>" : "error: ")
                       : level == LogLevel::Warning ? (journal ? "<4>" : "warning: ")
                                                    : (journal ? "<6>" : "");
    std::fprintf(stderr, "%s%.*s\n", mark, static_cast<int>(message.size()), message.data());
}

int complain(const std::string &message) {
    std::fprintf(stderr, "sphere-camera: %s\n", message.c_str());
    return kBadUse;
}

int check(const std::string &path) {
    const auto config = sphere::camera::load_fleet_config(path);
    if (!config)
        return complain(config.error().message);
    for (const auto &camera : config->cameras)
        if (const auto checked = CameraFleet::check(camera); !checked)
            return complain(path + ": " + checked.error().message);
    std::printf("%s: %zu cameras\n", path.c_str(), config->cameras.size());
    return 0;
}

gboolean quit(gpointer loop) {
    g_main_loop_quit(static_cast<GMainLoop *>(loop));
    return G_SOURCE_CONTINUE;
}

gboolean feed_watchdog(gpointer) {
    sphere::camera::notify_service("WATCHDOG=1");
    return G_SOURCE_CONTINUE;
}

// A file that is wrong changes nothing.
void follow_config(const std::string &path, CameraFleet &fleet, FleetConfig &current) {
    auto config = sphere::camera::load_fleet_config(path);
    if (!config) {
        sphere::log(LogLevel::Error, "the cameras of before stay: " + config.error().message);
        return;
    }
    if (*config == current)
        return;
    if (config->http != current.http)
        sphere::log(LogLevel::Warning, path + ": http: is read at the next start");
    current = std::move(*config);
    sphere::log(LogLevel::Info,
                path + ": " + std::to_string(current.cameras.size()) + " cameras");
    if (const auto applied = fleet.apply(current); !applied)
        sphere::log(LogLevel::Error, applied.error().message);
}

int run(const std::string &path) {
    auto config = sphere::camera::load_fleet_config(path);
    if (!config)
        return complain(config.error().message);
    GMainLoop *loop = g_main_loop_new(nullptr, FALSE);
    g_unix_signal_add(SIGTERM, quit, loop);
    g_unix_signal_add(SIGINT, quit, loop);
    {
        CameraFleet fleet;
        if (const auto applied = fleet.apply(*config); !applied)
            sphere::log(LogLevel::Error, applied.error().message);
        std::unique_ptr<sphere::console::FleetConsole> console;
        if (config->http.enabled) {
            auto started = sphere::console::FleetConsole::start(config->http, fleet);
            if (started)
                console = std::move(*started);
            else // the cameras matter more
                sphere::log(LogLevel::Error, started.error().message);
        }
        const sphere::camera::ConfigWatcher watcher(
            path, [&] { follow_config(path, fleet, *config); });
        if (const auto interval = sphere::camera::service_watchdog_interval())
            g_timeout_add(static_cast<guint>(interval->count()), feed_watchdog, nullptr);
        sphere::camera::notify_service("READY=1");
        g_main_loop_run(loop);
        sphere::camera::notify_service("STOPPING=1");
        console.reset(); // before the fleet that it shows
        fleet.stop();
    }
    g_main_loop_unref(loop);
    sphere::log(LogLevel::Info, "ended");
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    const std::string first = argc > 1 ? argv[1] : "";
    if (first == "--help" || first == "-h") {
        std::fputs(kHelp, stdout);
        return 0;
    }
    if (first == "--version") {
        std::puts("sphere-camera " SPHERE_VERSION);
        return 0;
    }
    const bool only_check = first == "--check";
    if (argc != (only_check ? 3 : 2) || (!only_check && (first.empty() || first[0] == '-'))) {
        std::fputs(kHelp, stderr);
        return kBadUse;
    }
    gst_init(nullptr, nullptr);
    // Loaded now: it sends the core's log to GStreamer's when it is loaded, and ours comes
    // after.
    GstPlugin *plugin = gst_plugin_load_by_name("sphere");
    if (plugin == nullptr)
        return complain("the GStreamer plugin sphere is not installed: set GST_PLUGIN_PATH to "
                        "the folder of libgstsphere.so");
    gst_object_unref(plugin);
    sphere::set_log_sink(log_line);
    const int result = only_check ? check(argv[2]) : run(first);
    sphere::set_log_sink({});
    gst_deinit(); // for GStreamer's leaks tracer
    return result;
}
