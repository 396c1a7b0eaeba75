// SPDX-License-Identifier: MIT
// What is published, and its JSON: of a frame (schema sphere.frame/1), of somebody who came or
// went (sphere.event/1).
#pragma once

#include "core/face/face.h"

#include <cstdint>
#include <memory>
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
    /// Grows from record to record, so that a reader knows what it was sent twice; a member
    /// only where it is set.
    std::optional<std::uint64_t> sequence;
};

struct EventRecord {
    std::string stream;
    std::string event; ///< "appeared", "identified", "renamed" or "left"
    std::string id;    ///< empty (null) where it is not known who it is
    std::string label;
    std::int64_t track = -1; ///< -1 (null): of a person, without a tracker
    std::string state;       ///< "known", …; empty: null
    double distance = 0;
    std::optional<std::uint64_t> known_in_view; ///< how many known people, after the event
    std::optional<std::uint64_t> pts_ns;
    std::optional<std::uint64_t> stream_time_ns;
    std::optional<std::string> time_utc;    ///< RFC 3339, where the source gives it
    bool with_best_shot = false;            ///< the member is there, null where `best_shot` is
    std::shared_ptr<const Image> best_shot; ///< written as a JPEG in Base64
    std::optional<std::uint64_t> sequence;  ///< as a frame's
};

/// One line, no newline at its end. Strings are valid UTF-8 whatever the labels hold; numbers
/// that are not finite become null. `embeddings` adds the vectors.
std::string to_json_line(const FrameRecord &record, bool embeddings);

/// The same at the end of `out`, whose memory a caller with many records keeps.
void append_json_line(std::string &out, const FrameRecord &record, bool embeddings);

std::string to_json_line(const EventRecord &record);
void append_json_line(std::string &out, const EventRecord &record);

} // namespace sphere
