// SPDX-License-Identifier: MIT
#include "gst/base/record_convert.h"

#include "gst/base/face_convert.h"
#include "gst/base/timestamps.h"

#include <algorithm>

namespace sphere::gst {
namespace {

// To the size in which the frame is played; landmarks count from the first pixel's centre.
void scale(Face &face, float sx, float sy) {
    face.box = {face.box.x * sx, face.box.y * sy, face.box.w * sx, face.box.h * sy};
    if (face.landmarks)
        for (Point2f &point : *face.landmarks)
            point = {(point.x + 0.5F) * sx - 0.5F, (point.y + 0.5F) * sy - 0.5F};
    if (face.quality)
        face.quality->eye_distance_px *= sx;
}

void add_face(GstSphereFaceMeta *meta, const Face &face) {
    GstSphereFace *added = new_meta_face(face);
    set_aligned(added, face);
    if (face.embedding)
        set_embedding(added, *face.embedding);
    if (face.match)
        set_match(added, *face.match);
    set_attributes(added, face.attributes);
    gst_sphere_face_meta_add_face(meta, added);
    gst_sphere_face_free(added);
}

} // namespace

void fill_record(FrameRecord &record, GstBuffer *buffer, const GstSegment &segment,
                 const GstVideoInfo &info, unsigned parts) {
    record.pts_ns = pts_of(buffer);
    record.stream_time_ns = stream_time_of(&segment, buffer);
    record.time_utc = utc_of(buffer);
    record.width = info.width;
    record.height = info.height;
    record.faces.clear();
    const GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer);
    const guint n = meta != nullptr ? gst_sphere_face_meta_get_n_faces(meta) : 0;
    for (guint i = 0; i < n; ++i)
        record.faces.push_back(face_from_meta(gst_sphere_face_meta_peek_face(meta, i), parts));
}

void attach_records(GstBuffer *buffer, const GstVideoInfo &info,
                    std::span<FrameRecord> records) {
    GstSphereFaceMeta *meta = gst_buffer_add_sphere_face_meta(
        buffer, static_cast<guint>(info.width), static_cast<guint>(info.height));
    gst_sphere_face_meta_clear(meta);
    for (FrameRecord &record : records) {
        const bool resized = record.width > 0 && record.height > 0 &&
                             (record.width != info.width || record.height != info.height);
        for (Face &face : record.faces) {
            if (resized)
                scale(face, static_cast<float>(info.width) / static_cast<float>(record.width),
                      static_cast<float>(info.height) / static_cast<float>(record.height));
            add_face(meta, face);
        }
    }
    gst_sphere_face_meta_sync(meta, buffer);
}

guint64 record_tolerance(const GstVideoInfo &info, const GstBuffer *buffer) {
    guint64 duration = 40 * GST_MSECOND;
    if (GST_BUFFER_DURATION_IS_VALID(buffer) && GST_BUFFER_DURATION(buffer) > 0)
        duration = GST_BUFFER_DURATION(buffer);
    else if (info.fps_n > 0)
        duration = gst_util_uint64_scale_int(GST_SECOND, info.fps_d, info.fps_n);
    return std::min<guint64>(duration, GST_SECOND) / 2;
}

} // namespace sphere::gst
