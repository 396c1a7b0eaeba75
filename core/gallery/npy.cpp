// SPDX-License-Identifier: MIT
// The header of numpy files: magic, version, length, then a Python dictionary as text.
#include "core/gallery/npy.h"

#include <charconv>

namespace sphere {
namespace {

constexpr std::string_view kMagic("\x93NUMPY\x01\x00", 8);
constexpr std::size_t kAlignment = 64;
constexpr std::int64_t kMaxCount = std::int64_t{1} << 40;

/// The text after `key` in the dictionary, blanks skipped; empty where the key is missing.
std::string_view after(std::string_view dictionary, std::string_view key) {
    const std::size_t place = dictionary.find(key);
    if (place == std::string_view::npos)
        return {};
    std::string_view rest = dictionary.substr(place + key.size());
    while (rest.starts_with(' '))
        rest.remove_prefix(1);
    return rest;
}

/// A number at the start of `text`, which then starts after it.
std::optional<std::int64_t> take_count(std::string_view &text) {
    while (text.starts_with(' '))
        text.remove_prefix(1);
    std::int64_t count = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (code != std::errc{} || count < 0 || count > kMaxCount)
        return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return count;
}

bool take(std::string_view &text, char c) {
    if (!text.starts_with(c))
        return false;
    text.remove_prefix(1);
    return true;
}

} // namespace

std::string npy_header(std::int64_t rows, std::int64_t columns) {
    std::string dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (" +
                             std::to_string(rows) + ", " + std::to_string(columns) + "), }";
    const std::size_t before = kMagic.size() + 2;
    while ((before + dictionary.size() + 1) % kAlignment != 0)
        dictionary += ' ';
    dictionary += '\n';
    std::string header(kMagic);
    header += static_cast<char>(dictionary.size() & 0xFF);
    header += static_cast<char>(dictionary.size() >> 8);
    return header + dictionary;
}

std::optional<NpyShape> parse_npy_header(std::string_view start) {
    if (!start.starts_with(kMagic) || start.size() < kMagic.size() + 2)
        return std::nullopt;
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(start[i]); };
    const std::size_t length = byte(8) | static_cast<std::size_t>(byte(9)) << 8;
    const std::size_t before = kMagic.size() + 2;
    if (before + length > start.size() || before + length > kNpyHeaderBytes)
        return std::nullopt;
    const std::string_view dictionary = start.substr(before, length);
    std::string_view shape = after(dictionary, "'shape':");
    if (!after(dictionary, "'descr':").starts_with("'<f4'") ||
        !after(dictionary, "'fortran_order':").starts_with("False") || !take(shape, '('))
        return std::nullopt;
    const auto rows = take_count(shape);
    if (!rows || !take(shape, ','))
        return std::nullopt;
    const auto columns = take_count(shape);
    if (!columns || !take(shape, ')'))
        return std::nullopt;
    return NpyShape{*rows, *columns, before + length};
}

} // namespace sphere
