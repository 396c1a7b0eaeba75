// SPDX-License-Identifier: MIT
// Reads a frame record (schema sphere.frame/1) back: what record.h writes.
#pragma once

#include "core/base/result.h"
#include "core/publish/record.h"

#include <cstddef>
#include <string_view>

namespace sphere {

/// Longest line of a record file: a crowd with embeddings.
inline constexpr std::size_t kMaxRecordBytes = 16 << 20;
/// Most faces of a record.
inline constexpr std::size_t kMaxRecordFaces = 4096;

/// The record of one line. Parts that are null or absent stay empty; embeddings are read where
/// they carry their stamp. Untrusted: every count, text and number is bounded, and what is not
/// finite is refused. Errors: Corrupt, saying which part is wrong.
Result<FrameRecord> parse_record(std::string_view line);

} // namespace sphere
