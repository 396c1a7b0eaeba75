// SPDX-License-Identifier: MIT
#include "pipelines/camera/config_watcher.h"

#include "core/base/log.h"

#include <csignal>
#include <glib-unix.h>
#include <utility>

namespace sphere::camera {

ConfigWatcher::ConfigWatcher(const std::string &path, std::function<void()> changed)
    : changed_(std::move(changed)) {
    GFile *file = g_file_new_for_path(path.c_str());
    GError *error = nullptr;
    // With moves: many editors write another file and rename it.
    monitor_ = g_file_monitor_file(file, G_FILE_MONITOR_WATCH_MOVES, nullptr, &error);
    g_object_unref(file);
    if (monitor_ != nullptr) {
        g_signal_connect(monitor_, "changed", G_CALLBACK(on_file), this);
    } else {
        log(LogLevel::Warning, path + " is not watched, SIGHUP reads it again: " +
                                   (error != nullptr ? error->message : "unknown error"));
        g_clear_error(&error);
    }
    signal_ = g_unix_signal_add(SIGHUP, on_signal, this);
}

ConfigWatcher::~ConfigWatcher() {
    if (timer_ != 0)
        g_source_remove(timer_);
    g_source_remove(signal_);
    if (monitor_ != nullptr) {
        g_signal_handlers_disconnect_by_data(monitor_, this);
        g_object_unref(monitor_);
    }
}

void ConfigWatcher::on_file(GFileMonitor *, GFile *, GFile *, GFileMonitorEvent event,
                            gpointer self) {
    if (event == G_FILE_MONITOR_EVENT_ATTRIBUTE_CHANGED)
        return;
    auto *watcher = static_cast<ConfigWatcher *>(self);
    if (watcher->timer_ != 0)
        g_source_remove(watcher->timer_);
    watcher->timer_ = g_timeout_add(300, on_quiet, self);
}

gboolean ConfigWatcher::on_signal(gpointer self) {
    static_cast<ConfigWatcher *>(self)->changed_();
    return G_SOURCE_CONTINUE;
}

gboolean ConfigWatcher::on_quiet(gpointer self) {
    auto *watcher = static_cast<ConfigWatcher *>(self);
    watcher->timer_ = 0;
    watcher->changed_();
    return G_SOURCE_REMOVE;
}

} // namespace sphere::camera
