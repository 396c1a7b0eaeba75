// SPDX-License-Identifier: MIT
// Matrices of float32 in numpy's file format (NEP 1), written and read row by row.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sphere {

struct NpyShape {
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    std::size_t header_bytes = 0; ///< of the file, before the first value
    bool operator==(const NpyShape &) const = default;
};

/// The start of a file of format 1.0 for [rows, columns] little-endian float32 in C order.
std::string npy_header(std::int64_t rows, std::int64_t columns);

/// Reads what npy_header or numpy writes of such a matrix; empty for anything else. `start` is
/// the start of the file, kNpyHeaderBytes of it at most are looked at.
std::optional<NpyShape> parse_npy_header(std::string_view start);
inline constexpr std::size_t kNpyHeaderBytes = 4096;

} // namespace sphere
