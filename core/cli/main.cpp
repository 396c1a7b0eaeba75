// SPDX-License-Identifier: MIT
// spherectl: the table of commands, help, and the way from a Result to an exit code.
#include "core/cli/command.h"
#include "core/cli/output.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>

namespace sphere::cli {
namespace {

const Command *const kCommands[] = {
    &kModelsCommand, &kDetectCommand,    &kRepresentCommand, &kVerifyCommand,  &kAnalyzeCommand,
    &kEnrolCommand,  &kFindCommand,      &kGalleryCommand,   &kClusterCommand, &kRematchCommand,
    &kEvalCommand,   &kCalibrateCommand, &kQuantizeCommand,  &kBenchCommand,
};

constexpr OptionSpec kCommonOptions[] = {
    {"json", "", "print one JSON document"},
    {"verbose", "", "say on standard error which model and gallery are taken"},
    {"help", "", "show this help"},
};

std::string padded(std::string text, std::size_t width) {
    if (text.size() < width)
        text.resize(width, ' ');
    return text;
}

void print_overview() {
    print_line("spherectl: faces in picture files: find, compare, enrol, recognise, measure");
    print_line("");
    print_line("usage: spherectl COMMAND [OPTION…] …");
    print_line("");
    for (const Command *command : kCommands)
        print_line("  " + padded(std::string(command->name), 11) +
                   std::string(command->summary));
    print_line("");
    print_line("spherectl COMMAND --help shows a command's options and an example.");
    print_line(
        "Exit codes: 0 done; 1 a negative answer; 2 bad use or bad input; 3 internal error.");
}

void print_help(const Command &command, const std::vector<OptionSpec> &options) {
    const std::string name(command.name);
    print_line("usage: spherectl " + name + " " + std::string(command.usage));
    print_line("");
    print_line(command.details);
    print_line("");
    print_line("options:");
    for (const OptionSpec &option : options) {
        std::string left = "  --" + std::string(option.name);
        if (!option.value.empty())
            left += "=" + std::string(option.value);
        print_line(padded(left, 29) + " " + std::string(option.help));
    }
    print_line("");
    print_line("example:");
    print_line("  " + std::string(command.example));
}

const Command *find_command(std::string_view name) {
    for (const Command *command : kCommands)
        if (command->name == name)
            return command;
    return nullptr;
}

Error unknown_command(const std::string &word) {
    std::vector<std::string_view> names;
    for (const Command *command : kCommands)
        names.push_back(command->name);
    const std::string nearest = nearest_name(word, names);
    return fail(Errc::InvalidArgument, "unknown command ", word,
                nearest.empty() ? "; spherectl --help lists the commands"
                                : "; did you mean " + nearest + "?");
}

/// With --json even a failure is one document.
int report(const Error &error, bool json) {
    print_error(error.message);
    if (json) {
        const nlohmann::ordered_json document = {
            {"error", {{"code", errc_name(error.code)}, {"message", error.message}}}};
        print_line(document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    }
    return exit_code_of(error);
}

int run_command(const Command &command, std::span<const char *const> words, bool json) {
    std::vector<OptionSpec> options = command.options();
    options.insert(options.end(), std::begin(kCommonOptions), std::end(kCommonOptions));
    auto arguments = parse_arguments(options, words);
    if (!arguments)
        return report(arguments.error(), json);
    if (arguments->has("help")) {
        print_help(command, options);
        return kExitDone;
    }
    json = arguments->has("json"); // a "--json" after "--" is a file name
    install_log(arguments->has("verbose"));
    const auto code = command.run({*arguments, json});
    return code ? *code : report(code.error(), json);
}

int dispatch(std::span<const char *const> words) {
    const bool json = std::any_of(words.begin(), words.end(),
                                  [](std::string_view word) { return word == "--json"; });
    if (words.empty()) {
        print_error("a command is missing; spherectl --help lists the commands");
        return kExitBadInput;
    }
    const std::string first = words[0];
    if (first == "--version") {
        print_line("spherectl " SPHERE_VERSION);
        return kExitDone;
    }
    if (first == "--help" || first == "-h" || (first == "help" && words.size() == 1)) {
        print_overview();
        return kExitDone;
    }
    if (first.starts_with("-"))
        return report(fail(Errc::InvalidArgument, "unknown option ", first,
                           "; options follow the command: spherectl COMMAND [OPTION…]"),
                      json);
    const std::string name = first == "help" ? words[1] : first;
    const Command *command = find_command(name);
    if (command == nullptr)
        return report(unknown_command(name), json);
    if (first == "help") {
        const char *help[] = {"--help"};
        return run_command(*command, help, false);
    }
    return run_command(*command, words.subspan(1), json);
}

int guarded_main(int argc, char **argv) {
    int code = kExitInternal;
    try {
        const std::vector<const char *> words(argv + std::min(argc, 1), argv + argc);
        code = dispatch(words);
        if (const auto finished = finish_output(); !finished) {
            print_error(finished.error().message);
            code = std::max(code, kExitBadInput);
        }
    } catch (const std::bad_alloc &) {
        std::fputs("spherectl: error: out of memory\n", stderr);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "spherectl: error: unexpected: %s\n", error.what());
    } catch (...) {
        std::fputs("spherectl: error: unexpected exception\n", stderr);
    }
    return code;
}

} // namespace
} // namespace sphere::cli

int main(int argc, char **argv) {
    // A reader that goes away makes a write fail with EPIPE, which finish_output() understands.
    std::signal(SIGPIPE, SIG_IGN);
    return sphere::cli::guarded_main(argc, argv);
}
