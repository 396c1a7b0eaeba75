// SPDX-License-Identifier: MIT
#include "gst/base/timestamps.h"

#include <array>
#include <cstdio>
#include <ctime>

namespace sphere::gst {
namespace {

// Seconds from 1900-01-01 (NTP, RFC 5905 section 6) to 1970-01-01.
constexpr guint64 kNtpToUnixSeconds = G_GUINT64_CONSTANT(2208988800);

std::optional<guint64> reference_time(GstBuffer *buffer, const char *caps_name) {
    GstCaps *caps = gst_caps_new_empty_simple(caps_name);
    const GstReferenceTimestampMeta *meta =
        gst_buffer_get_reference_timestamp_meta(buffer, caps);
    gst_caps_unref(caps);
    if (meta == nullptr || !GST_CLOCK_TIME_IS_VALID(meta->timestamp))
        return std::nullopt;
    return meta->timestamp;
}

} // namespace

std::optional<guint64> pts_of(const GstBuffer *buffer) {
    if (!GST_BUFFER_PTS_IS_VALID(buffer))
        return std::nullopt;
    return GST_BUFFER_PTS(buffer);
}

std::optional<guint64> stream_time_of(const GstSegment *segment, const GstBuffer *buffer) {
    if (!GST_BUFFER_PTS_IS_VALID(buffer) || segment->format != GST_FORMAT_TIME)
        return std::nullopt;
    const guint64 time =
        gst_segment_to_stream_time(segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
    if (!GST_CLOCK_TIME_IS_VALID(time))
        return std::nullopt;
    return time;
}

std::optional<std::string> utc_of(GstBuffer *buffer) {
    if (gst_buffer_get_n_meta(buffer, GST_REFERENCE_TIMESTAMP_META_API_TYPE) == 0)
        return std::nullopt;
    if (const auto unix_ns = reference_time(buffer, "timestamp/x-unix"))
        return rfc3339_from_unix_ns(*unix_ns);
    const auto ntp_ns = reference_time(buffer, "timestamp/x-ntp");
    if (!ntp_ns || *ntp_ns < kNtpToUnixSeconds * GST_SECOND)
        return std::nullopt;
    return rfc3339_from_unix_ns(*ntp_ns - kNtpToUnixSeconds * GST_SECOND);
}

std::string rfc3339_from_unix_ns(guint64 unix_ns) {
    const auto seconds = static_cast<std::time_t>(unix_ns / GST_SECOND);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    std::array<char, 64> text;
    const int n =
        std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%09uZ",
                      utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                      utc.tm_sec, static_cast<unsigned>(unix_ns % GST_SECOND));
    return {text.data(), static_cast<std::size_t>(n > 0 ? n : 0)};
}

} // namespace sphere::gst
