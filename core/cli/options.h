// SPDX-License-Identifier: MIT
// A small strict parser of command lines: long options only, every option declared, no
// guessing.
#pragma once

#include "core/base/result.h"

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sphere::cli {

/// One long option, without its dashes. A flag has an empty `value`.
struct OptionSpec {
    std::string_view name;
    std::string_view value; ///< what to call its value in the help, e.g. "FILE"
    std::string_view help;  ///< one line
};

/// What a command line said. Getters name the option in their errors (InvalidArgument).
class Arguments {
  public:
    bool has(std::string_view name) const { return values_.contains(std::string(name)); }
    /// The value of an option, or `fallback`.
    std::string text(std::string_view name, std::string_view fallback = "") const;
    /// A finite number within [low, high], read without regard to the locale.
    Result<double> number(std::string_view name, double fallback, double low,
                          double high) const;
    Result<int> integer(std::string_view name, int fallback, int low, int high) const;
    /// One of `choices`; the error lists them.
    Result<std::string> choice(std::string_view name, std::string_view fallback,
                               std::span<const std::string_view> choices) const;
    /// Non-empty text, or an error that says what the option is for.
    Result<std::string> required(std::string_view name, std::string_view purpose) const;

    const std::vector<std::string> &positionals() const { return positionals_; }

  private:
    friend Result<Arguments> parse_arguments(std::span<const OptionSpec> specs,
                                             std::span<const char *const> words);
    std::map<std::string, std::string> values_;
    std::vector<std::string> positionals_;
};

/// Parses `--name`, `--name=VALUE`, `--name VALUE`; everything after `--` is positional, and so
/// is a lone `-`. A repeated option must repeat its value. Errors: InvalidArgument (unknown
/// option, with the nearest known one; a missing or unwanted value; contradicting repeats).
Result<Arguments> parse_arguments(std::span<const OptionSpec> specs,
                                  std::span<const char *const> words);

/// The member of `known` with the least edit distance to `word`, or empty where none is near.
std::string nearest_name(std::string_view word, std::span<const std::string_view> known);

/// A finite number without anything after it; independent of the locale.
std::optional<double> parse_number(std::string_view text);
std::optional<int> parse_integer(std::string_view text);

} // namespace sphere::cli
