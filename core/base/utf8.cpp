// SPDX-License-Identifier: MIT
// UTF-8 validation.
#include "core/base/utf8.h"

namespace sphere {
namespace {

/// Unicode 15, table 3-7: how long a sequence is, and what its second byte may be.
struct Lead {
    std::size_t length;
    unsigned second_low;
    unsigned second_high;
};

Lead lead_of(unsigned byte) noexcept {
    if (byte < 0x80)
        return {1, 0, 0};
    if (byte >= 0xC2 && byte <= 0xDF)
        return {2, 0x80, 0xBF};
    if (byte == 0xE0)
        return {3, 0xA0, 0xBF};
    if (byte == 0xED)
        return {3, 0x80, 0x9F};
    if (byte >= 0xE1 && byte <= 0xEF)
        return {3, 0x80, 0xBF};
    if (byte == 0xF0)
        return {4, 0x90, 0xBF};
    if (byte >= 0xF1 && byte <= 0xF3)
        return {4, 0x80, 0xBF};
    if (byte == 0xF4)
        return {4, 0x80, 0x8F};
    return {0, 0, 0};
}

} // namespace

Utf8Step utf8_step(std::string_view text) noexcept {
    if (text.empty())
        return {0, true};
    const Lead lead = lead_of(static_cast<unsigned char>(text[0]));
    if (lead.length == 0)
        return {1, false};
    for (std::size_t i = 1; i < lead.length; ++i) {
        const unsigned low = i == 1 ? lead.second_low : 0x80;
        const unsigned high = i == 1 ? lead.second_high : 0xBF;
        const unsigned byte = i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
        if (byte < low || byte > high)
            return {i, false};
    }
    return {lead.length, true};
}

bool is_valid_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const Utf8Step step = utf8_step(text);
        if (!step.valid)
            return false;
        text.remove_prefix(step.bytes);
    }
    return true;
}

} // namespace sphere
