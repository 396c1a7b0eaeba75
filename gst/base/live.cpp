// SPDX-License-Identifier: MIT
#include "gst/base/live.h"

namespace sphere::gst {

bool source_is_live(GstBaseTransform *element) {
    gboolean live = FALSE;
    GstQuery *query = gst_query_new_latency();
    if (gst_pad_peer_query(GST_BASE_TRANSFORM_SINK_PAD(element), query) != FALSE)
        gst_query_parse_latency(query, &live, nullptr, nullptr);
    gst_query_unref(query);
    return live != FALSE;
}

std::optional<std::int64_t> lateness_of(GstBaseTransform *element, GstBuffer *buffer) {
    GstClock *clock = gst_element_get_clock(GST_ELEMENT_CAST(element));
    if (clock == nullptr)
        return std::nullopt;
    const GstClockTime now = gst_clock_get_time(clock);
    gst_object_unref(clock);
    const GstClockTime base = gst_element_get_base_time(GST_ELEMENT_CAST(element));
    const GstSegment *segment = &element->segment;
    if (segment->format != GST_FORMAT_TIME || !GST_BUFFER_PTS_IS_VALID(buffer) ||
        !GST_CLOCK_TIME_IS_VALID(now) || !GST_CLOCK_TIME_IS_VALID(base) || now < base)
        return std::nullopt;
    const guint64 due =
        gst_segment_to_running_time(segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
    if (!GST_CLOCK_TIME_IS_VALID(due))
        return std::nullopt;
    return GST_CLOCK_DIFF(due, now - base);
}

} // namespace sphere::gst
