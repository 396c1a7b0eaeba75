// SPDX-License-Identifier: MIT
// What is published of a frame, and its JSON (schema sphere.frame/1, CONTRACT section 6).
#pragma once

#include "core/face/face.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sphere {

struct FrameRecord {
    std::string stream;
    std::optional<std::uint64_t> pts_ns;
    std::optional<std::uint64_t> stream_time_ns;
    std::optional<std::string> time_utc; ///< RFC 3339, where the source gives it
    int width = 0;
    int height = 0;
    std::vector<Face> faces;
};

/// One line, no newline at its end. Strings are valid UTF-8 whatever the labels hold; numbers
/// that are not finite become null. `embeddings` adds the vectors.
std::string to_json_line(const FrameRecord &record, bool embeddings);

/// The same at the end of `out`, whose memory a caller with many records keeps.
void append_json_line(std::string &out, const FrameRecord &record, bool embeddings);

} // namespace sphere
