// SPDX-License-Identifier: MIT
// What a command of spherectl is; main.cpp holds the table of them.
#pragma once

#include "core/base/result.h"
#include "core/cli/options.h"

#include <span>
#include <string_view>
#include <vector>

namespace sphere::cli {

/// What a command gets. `json`: print exactly one document with print_line().
struct Context {
    const Arguments &arguments;
    bool json = false;
};

struct Command {
    std::string_view name;
    std::string_view summary;                   ///< one line for the list of commands
    std::string_view usage;                     ///< what follows the name
    std::string_view details;                   ///< a paragraph or two
    std::string_view example;                   ///< a command line that works
    std::vector<OptionSpec> (*options)();       ///< besides --json, --verbose and --help
    Result<int> (*run)(const Context &context); ///< the exit code
};

extern const Command kModelsCommand;
extern const Command kDetectCommand;
extern const Command kRepresentCommand;
extern const Command kVerifyCommand;
extern const Command kAnalyzeCommand;
extern const Command kEnrolCommand;
extern const Command kFindCommand;
extern const Command kGalleryCommand;
extern const Command kEvalCommand;
extern const Command kCalibrateCommand;
extern const Command kClusterCommand;
extern const Command kRematchCommand;
extern const Command kQuantizeCommand;
extern const Command kBenchCommand;

} // namespace sphere::cli
