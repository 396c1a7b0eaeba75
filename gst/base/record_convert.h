// SPDX-License-Identifier: MIT
// Between a frame with its meta and the core's record of it.
#pragma once

#include "core/publish/record.h"

#include <gst/sphere/gstspheremeta.h>
#include <gst/video/video.h>

#include <span>

namespace sphere::gst {

/// Sets all of `record` but its stream from a frame in `segment`; `parts` as face_from_meta().
void fill_record(FrameRecord &record, GstBuffer *buffer, const GstSegment &segment,
                 const GstVideoInfo &info, unsigned parts);

/// Puts the faces of `records` on a writable buffer, in place of those that it has. They follow
/// the frame's size where that is not the record's, and are changed by it.
void attach_records(GstBuffer *buffer, const GstVideoInfo &info,
                    std::span<FrameRecord> records);

/// How far from its frame a record may be, in ns: half of the time that the frame is shown; of
/// a still picture, half a second.
guint64 record_tolerance(const GstVideoInfo &info, const GstBuffer *buffer);

} // namespace sphere::gst
