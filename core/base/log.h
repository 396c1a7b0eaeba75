// SPDX-License-Identifier: MIT
// The core's log: a sink that the host (spherectl, the GStreamer plugin) sets.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace sphere {

enum class LogLevel {
    Error,   ///< something the user asked for was not done
    Warning, ///< done, but the user should know (a fallback, a doubtful input)
    Info,    ///< which of several choices was taken
    Debug,   ///< for developers
};

using LogSink = std::function<void(LogLevel, std::string_view message)>;

/// Replaces the sink; an empty one silences the log. Initially Error and Warning go to stderr.
/// Thread-safe; the sink may be called from any thread, one call at a time.
void set_log_sink(LogSink sink);

/// Sends one line (no newline at its end) to the sink. Never fails, never throws.
void log(LogLevel level, std::string_view message) noexcept;

} // namespace sphere
