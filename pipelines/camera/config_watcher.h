// SPDX-License-Identifier: MIT
// Notices that the configuration file changed.
#pragma once

#include <gio/gio.h>

#include <functional>
#include <string>

namespace sphere::camera {

/// Calls `changed` in the main loop: 300 ms after the last of several changes of the file (an
/// editor makes several), and on SIGHUP. Main thread.
class ConfigWatcher {
  public:
    ConfigWatcher(const std::string &path, std::function<void()> changed);
    ~ConfigWatcher();
    ConfigWatcher(const ConfigWatcher &) = delete;
    ConfigWatcher &operator=(const ConfigWatcher &) = delete;

  private:
    static void on_file(GFileMonitor *, GFile *, GFile *, GFileMonitorEvent, gpointer self);
    static gboolean on_signal(gpointer self);
    static gboolean on_quiet(gpointer self);

    std::function<void()> changed_;
    GFileMonitor *monitor_ = nullptr;
    guint signal_ = 0;
    guint timer_ = 0; ///< 0: none runs
};

} // namespace sphere::camera
