// SPDX-License-Identifier: MIT
#include "core/base/log.h"

#include <cstdio>
#include <mutex>

namespace sphere {
namespace {

void log_to_stderr(LogLevel level, std::string_view message) {
    if (level == LogLevel::Error || level == LogLevel::Warning)
        std::fprintf(stderr, "%s: %.*s\n", level == LogLevel::Error ? "error" : "warning",
                     static_cast<int>(message.size()), message.data());
}

struct Log {
    std::mutex mutex;
    LogSink sink = log_to_stderr;
};

Log &the_log() {
    static Log *const log = new Log; // never destroyed: threads may log during exit
    return *log;
}

} // namespace

void set_log_sink(LogSink sink) {
    Log &log = the_log();
    const std::lock_guard lock(log.mutex);
    log.sink = std::move(sink);
}

void log(LogLevel level, std::string_view message) noexcept {
    try {
        Log &log = the_log();
        const std::lock_guard lock(log.mutex);
        if (log.sink)
            log.sink(level, message);
    } catch (...) {
        // A log line that cannot be written is not worth an abort.
    }
}

} // namespace sphere
