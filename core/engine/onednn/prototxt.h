// SPDX-License-Identifier: MIT
// Protobuf's text format, as far as Caffe's prototxt files use it.
#pragma once

#include "core/base/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace sphere::onednn {

struct TextMessage;

struct TextField {
    std::string key;
    std::string value;                ///< of a scalar, without quotes
    std::vector<TextMessage> message; ///< one element if the field is a message
};

struct TextMessage {
    std::vector<TextField> fields;

    /// The first field of that name, or the fallback.
    std::string text(std::string_view key, const std::string &fallback = {}) const;
    std::int64_t integer(std::string_view key, std::int64_t fallback) const;
    double number(std::string_view key, double fallback) const;
    bool flag(std::string_view key, bool fallback) const;
    bool has(std::string_view key) const;
    const TextMessage &child(std::string_view key) const; ///< an empty one if there is none
    std::vector<std::string> texts(std::string_view key) const; ///< all of that name
};

/// Errors: Corrupt, with the line.
Result<TextMessage> parse_prototxt(std::string_view text, const std::string &path);

} // namespace sphere::onednn
