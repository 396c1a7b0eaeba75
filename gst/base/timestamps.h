// SPDX-License-Identifier: MIT
// Times of a buffer as they are published.
#pragma once

#include <gst/gst.h>

#include <optional>
#include <string>

namespace sphere::gst {

/// Nanoseconds, or empty where the buffer has none.
std::optional<guint64> pts_of(const GstBuffer *buffer);
std::optional<guint64> stream_time_of(const GstSegment *segment, const GstBuffer *buffer);

/// RFC 3339 in UTC from the buffer's GstReferenceTimestampMeta (timestamp/x-ntp or x-unix), as
/// RTP sources with add-reference-timestamp-meta give it; empty without one.
std::optional<std::string> utc_of(GstBuffer *buffer);

/// "2026-01-31T12:00:00.123456789Z" for nanoseconds since 1970.
std::string rfc3339_from_unix_ns(guint64 unix_ns);

} // namespace sphere::gst
