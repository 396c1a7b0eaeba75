// SPDX-License-Identifier: MIT
// What becomes of the faces when a buffer is copied, or its picture scaled, cropped or turned.
#include "frame_map.h"

#include <gst/video/gstvideometa.h>

#include <cmath>
#include <utility>

namespace sphere_meta {
namespace {

// The faces of `source` on `target`, which may have had others: there is one meta a buffer.
GstSphereFaceMetaPrivate *copy_to(GstBuffer *target, const GstSphereFaceMetaPrivate &source,
                                  guint width, guint height) {
    GstSphereFaceMeta *meta = gst_buffer_add_sphere_face_meta(target, width, height);
    if (meta == nullptr)
        return nullptr;
    if (meta->priv != &source)
        *meta->priv = source;
    meta->priv->width = width;
    meta->priv->height = height;
    return meta->priv;
}

void move_frame(GstSphereFaceMetaPrivate &frame, const FrameMap &map) {
    std::vector<GstSphereFace> faces;
    faces.reserve(frame.faces.size());
    for (GstSphereFace &face : frame.faces)
        if (map.apply(face))
            faces.push_back(std::move(face));
    frame.faces = std::move(faces);
    for (MirroredRoi &roi : frame.mirrored_rois)
        if (const auto moved = map.rect({roi.x, roi.y, roi.width, roi.height}))
            roi = {roi.id, moved->x, moved->y, moved->width, moved->height};
}

gboolean copied(GstBuffer *target, const GstSphereFaceMetaPrivate &source,
                const GstMetaTransformCopy *copy) {
    // Part of a frame's bytes is no picture, and its faces would lie elsewhere: as GstVideoMeta
    // does, nothing is copied.
    if (copy != nullptr && copy->region)
        return TRUE;
    return copy_to(target, source, source.width, source.height) != nullptr;
}

gboolean scaled(GstBuffer *target, const GstSphereFaceMetaPrivate &source,
                const GstVideoMetaTransform *scale) {
    const int in_width = GST_VIDEO_INFO_WIDTH(scale->in_info);
    const int in_height = GST_VIDEO_INFO_HEIGHT(scale->in_info);
    const int out_width = GST_VIDEO_INFO_WIDTH(scale->out_info);
    const int out_height = GST_VIDEO_INFO_HEIGHT(scale->out_info);
    if (in_width <= 0 || in_height <= 0 || out_width <= 0 || out_height <= 0)
        return FALSE;
    auto *frame =
        copy_to(target, source, static_cast<guint>(out_width), static_cast<guint>(out_height));
    if (frame == nullptr)
        return FALSE;
    move_frame(*frame, FrameMap::scaling(static_cast<double>(out_width) / in_width,
                                         static_cast<double>(out_height) / in_height));
    return TRUE;
}

#if GST_CHECK_VERSION(1, 28, 0)
// Faces of which nothing is inside `visible` are gone from the picture.
bool is_outside(const GstSphereFace &face, const Rect &visible) {
    return face.x + face.width <= visible.x || face.x >= visible.x + visible.width ||
           face.y + face.height <= visible.y || face.y >= visible.y + visible.height;
}

// Most elements' matrices map the edges of pixels, and so `in_rectangle` to `out_rectangle`.
// videoflip's of 1.28 map their centres (x to width - 1 - x): edges land up to a pixel beside
// `out_rectangle`, and that way is made good.
FrameMap map_of(const GstVideoMetaTransformMatrix &move) {
    FrameMap::Matrix matrix;
    for (std::size_t row = 0; row < 3; ++row)
        for (std::size_t column = 0; column < 3; ++column)
            matrix[row][column] = move.matrix[row][column];
    const GstVideoRectangle &in = move.in_rectangle, &out = move.out_rectangle;
    const auto map = FrameMap::between(matrix, in.x, in.y, out.x, out.y);
    const auto landed = map.rect({static_cast<double>(in.x), static_cast<double>(in.y),
                                  static_cast<double>(in.w), static_cast<double>(in.h)});
    constexpr double kPixel = 1.001; // the matrix is of floats
    if (!landed || std::abs(landed->width - out.w) > kPixel - 1 ||
        std::abs(landed->height - out.h) > kPixel - 1)
        return map;
    const double dx = out.x - landed->x, dy = out.y - landed->y;
    if (std::abs(dx) > kPixel || std::abs(dy) > kPixel)
        return map;
    return FrameMap::between(matrix, in.x, in.y, out.x + dx, out.y + dy);
}

gboolean moved(GstBuffer *target, const GstSphereFaceMetaPrivate &source,
               const GstVideoMetaTransformMatrix *move) {
    const GstVideoRectangle &out = move->out_rectangle;
    auto *frame =
        copy_to(target, source, static_cast<guint>(GST_VIDEO_INFO_WIDTH(move->out_info)),
                static_cast<guint>(GST_VIDEO_INFO_HEIGHT(move->out_info)));
    if (frame == nullptr)
        return FALSE;
    move_frame(*frame, map_of(*move));
    const Rect visible{static_cast<double>(out.x), static_cast<double>(out.y),
                       static_cast<double>(out.w), static_cast<double>(out.h)};
    std::erase_if(frame->faces,
                  [&visible](const GstSphereFace &face) { return is_outside(face, visible); });
    return TRUE;
}
#endif

} // namespace

gboolean transform_face_meta(GstBuffer *target, GstMeta *meta, GstBuffer *, GQuark type,
                             gpointer data) noexcept {
    const auto &source = *reinterpret_cast<const GstSphereFaceMeta *>(meta)->priv;
    if (GST_META_TRANSFORM_IS_COPY(type))
        return copied(target, source, static_cast<const GstMetaTransformCopy *>(data));
    if (GST_VIDEO_META_TRANSFORM_IS_SCALE(type))
        return scaled(target, source, static_cast<const GstVideoMetaTransform *>(data));
#if GST_CHECK_VERSION(1, 28, 0)
    if (GST_VIDEO_META_TRANSFORM_IS_MATRIX(type))
        return moved(target, source, static_cast<const GstVideoMetaTransformMatrix *>(data));
#endif
    return FALSE;
}

} // namespace sphere_meta
