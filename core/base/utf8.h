// SPDX-License-Identifier: MIT
// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <string_view>

namespace sphere {

/// What stands at the start of a text.
struct Utf8Step {
    std::size_t bytes = 0; ///< to move on by; 0 only for an empty text
    bool valid = false;    ///< false: these bytes are the longest start of no character, to be
                           ///< replaced by one U+FFFD (Unicode 15, section 3.9, table 3-8)
};
Utf8Step utf8_step(std::string_view text) noexcept;

bool is_valid_utf8(std::string_view text) noexcept;

} // namespace sphere
