// SPDX-License-Identifier: MIT
// Runs another program without a shell. Private to core/model.
#pragma once

#include "core/base/result.h"

#include <functional>
#include <string>
#include <vector>

namespace sphere {

struct ProcessOptions {
    std::vector<std::string> argv; ///< argv[0] is sought in PATH
    std::string directory;         ///< working directory; empty = ours
    int stdout_fd = -1;            ///< -1 = /dev/null
    /// Called about ten times a second while it runs; false kills it. May be empty.
    std::function<bool()> tick;
};

struct ProcessResult {
    int exit_code = 0;   ///< 128 + signal where a signal ended it
    bool killed = false; ///< by `tick`
    std::string errors;  ///< the end of what it wrote to stderr, at most 4 KiB
};

/// Waits for the program's end; stdin is /dev/null. Thread-safe. Errors: NotFound (no such
/// program in PATH), Io.
Result<ProcessResult> run_process(const ProcessOptions &options);

} // namespace sphere
