// SPDX-License-Identifier: MIT
// Base64 (RFC 4648, section 4).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sphere {

std::string base64_encode(std::span<const std::uint8_t> bytes);

/// Strict: padded, no other characters. Empty where `text` is not that.
std::optional<std::vector<std::uint8_t>> base64_decode(std::string_view text);

} // namespace sphere
