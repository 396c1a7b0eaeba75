// SPDX-License-Identifier: MIT
// bfloat16: the upper half of a float.
#pragma once

#include <bit>
#include <cstdint>

namespace sphere {

/// The bfloat16 nearest to `value`, which is finite: its upper half, rounded to even.
inline std::uint16_t nearest_bf16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = bits + 0x7FFF + ((bits >> 16) & 1);
    // Not up to infinity.
    return static_cast<std::uint16_t>(
        ((rounded & 0x7F800000U) == 0x7F800000U ? bits : rounded) >> 16);
}

/// The float that has this upper half.
inline float float_of_bf16(std::uint16_t half) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
}

} // namespace sphere
