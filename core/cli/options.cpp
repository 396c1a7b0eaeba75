// SPDX-License-Identifier: MIT
// The parser of command lines.
#include "core/cli/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

namespace sphere::cli {
namespace {

std::string join(std::span<const std::string_view> words) {
    std::string text;
    for (const std::string_view word : words) {
        if (!text.empty())
            text += ", ";
        text += word;
    }
    return text;
}

/// Levenshtein distance.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
        }
    }
    return row.back();
}

/// A number for a message: 5, 0.5, not 5.000000.
std::string plain(double value) {
    char buffer[32];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value);
    return std::string(buffer, end.ptr);
}

Error unknown_option(std::string_view name, std::span<const OptionSpec> specs) {
    std::vector<std::string_view> known;
    for (const OptionSpec &spec : specs)
        known.push_back(spec.name);
    const std::string nearest = nearest_name(name, known);
    if (nearest.empty())
        return fail(Errc::InvalidArgument, "unknown option --", std::string(name),
                    "; --help lists the options of this command");
    return fail(Errc::InvalidArgument, "unknown option --", std::string(name),
                "; did you mean --", nearest, "?");
}

} // namespace

std::string nearest_name(std::string_view word, std::span<const std::string_view> known) {
    std::string_view best;
    std::size_t best_distance = 1 + std::max<std::size_t>(2, word.size() / 2);
    for (const std::string_view name : known) {
        const std::size_t distance = edit_distance(word.substr(0, 64), name);
        if (distance < best_distance) {
            best_distance = distance;
            best = name;
        }
    }
    return std::string(best);
}

std::optional<double> parse_number(std::string_view text) {
    double value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{} || end != text.data() + text.size() || !std::isfinite(value))
        return std::nullopt;
    return value;
}

std::optional<int> parse_integer(std::string_view text) {
    int value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

std::string Arguments::text(std::string_view name, std::string_view fallback) const {
    const auto it = values_.find(std::string(name));
    return it == values_.end() ? std::string(fallback) : it->second;
}

Result<double> Arguments::number(std::string_view name, double fallback, double low,
                                 double high) const {
    if (!has(name))
        return fallback;
    const std::string value = text(name);
    const auto parsed = parse_number(value);
    if (!parsed || *parsed < low || *parsed > high)
        return fail(Errc::InvalidArgument, "--", std::string(name), "=", value,
                    ": give a number from ", plain(low), " to ", plain(high));
    return *parsed;
}

Result<int> Arguments::integer(std::string_view name, int fallback, int low, int high) const {
    if (!has(name))
        return fallback;
    const std::string value = text(name);
    const auto parsed = parse_integer(value);
    if (!parsed || *parsed < low || *parsed > high)
        return fail(Errc::InvalidArgument, "--", std::string(name), "=", value,
                    ": give a whole number from ", low, " to ", high);
    return *parsed;
}

Result<std::string> Arguments::choice(std::string_view name, std::string_view fallback,
                                      std::span<const std::string_view> choices) const {
    const std::string value = text(name, fallback);
    if (std::find(choices.begin(), choices.end(), value) == choices.end())
        return fail(Errc::InvalidArgument, "--", std::string(name), "=", value,
                    ": give one of ", join(choices));
    return value;
}

Result<std::string> Arguments::required(std::string_view name, std::string_view purpose) const {
    if (std::string value = text(name); !value.empty())
        return value;
    return fail(Errc::InvalidArgument, "--", std::string(name),
                " is missing: ", std::string(purpose));
}

Result<Arguments> parse_arguments(std::span<const OptionSpec> specs,
                                  std::span<const char *const> words) {
    Arguments arguments;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view word = words[i];
        if (word == "--") {
            arguments.positionals_.insert(arguments.positionals_.end(), words.begin() + i + 1,
                                          words.end());
            break;
        }
        if (word.size() < 2 || word[0] != '-') {
            arguments.positionals_.emplace_back(word);
            continue;
        }
        if (word == "-h") {
            arguments.values_.emplace("help", "");
            continue;
        }
        if (word[1] != '-')
            return fail(Errc::InvalidArgument, "unknown option ", std::string(word),
                        "; options are long (--name); a file of this name goes after --");
        const std::string_view body = word.substr(2);
        const std::size_t equals = body.find('=');
        const std::string_view name = body.substr(0, equals);
        const auto spec = std::find_if(specs.begin(), specs.end(),
                                       [&](const OptionSpec &s) { return s.name == name; });
        if (spec == specs.end())
            return unknown_option(name, specs);

        std::string value;
        if (spec->value.empty()) {
            if (equals != std::string_view::npos)
                return fail(Errc::InvalidArgument, "--", std::string(name), " takes no value");
        } else if (equals != std::string_view::npos) {
            value = body.substr(equals + 1);
        } else if (i + 1 < words.size() && !std::string_view(words[i + 1]).starts_with("--")) {
            value = words[++i];
        } else {
            return fail(Errc::InvalidArgument, "--", std::string(name), " needs a value: --",
                        std::string(name), "=", std::string(spec->value));
        }
        const auto [it, added] = arguments.values_.emplace(std::string(name), value);
        if (!added && it->second != value)
            return fail(Errc::InvalidArgument, "--", std::string(name),
                        " is given twice, as \"", it->second, "\" and as \"", value, "\"");
    }
    return arguments;
}

} // namespace sphere::cli
