// SPDX-License-Identifier: MIT
// GstSphereFaceMeta: registration, life, and what becomes of it when buffers are copied and
// scaled.
#include "face_data.h"

#include <gst/video/gstvideometa.h>

#include <algorithm>

GType gst_sphere_face_meta_api_get_type(void) {
    static gsize once = 0;
    if (g_once_init_enter(&once)) {
        // "video", "orientation", "size": what elements that change one of these look for.
        static const gchar *tags[] = {GST_META_TAG_VIDEO_STR,
                                      GST_META_TAG_VIDEO_ORIENTATION_STR,
                                      GST_META_TAG_VIDEO_SIZE_STR, nullptr};
        g_once_init_leave(&once, gst_meta_api_type_register("GstSphereFaceMetaAPI", tags));
    }
    return once;
}

static gboolean face_meta_init(GstMeta *meta, gpointer, GstBuffer *) {
    reinterpret_cast<GstSphereFaceMeta *>(meta)->priv = new GstSphereFaceMetaPrivate;
    return TRUE;
}

static void face_meta_free(GstMeta *meta, GstBuffer *) {
    auto *self = reinterpret_cast<GstSphereFaceMeta *>(meta);
    delete self->priv;
    self->priv = nullptr;
}

// Lengths in pixels follow the scale; angles, crops and embeddings are of the face, not the
// frame.
static void scale_face(GstSphereFace &face, double sx, double sy) {
    face.x *= sx;
    face.y *= sy;
    face.width *= sx;
    face.height *= sy;
    if (face.landmarks)
        for (std::size_t i = 0; i < face.landmarks->size(); ++i)
            (*face.landmarks)[i] *= static_cast<gfloat>(i % 2 == 0 ? sx : sy);
    if (face.dense) {
        auto points = std::make_shared<std::vector<gfloat>>(*face.dense);
        for (std::size_t i = 0; i < points->size(); ++i)
            (*points)[i] *= static_cast<gfloat>(i % 2 == 0 ? sx : sy);
        face.dense = std::move(points);
    }
    if (face.quality)
        face.quality->eye_distance_px *= (sx + sy) / 2;
}

static gboolean face_meta_transform(GstBuffer *target, GstMeta *meta, GstBuffer *, GQuark type,
                                    gpointer data) {
    const auto *source = reinterpret_cast<const GstSphereFaceMeta *>(meta)->priv;
    if (GST_META_TRANSFORM_IS_COPY(type)) {
        // Part of a frame's bytes is not a picture: its faces would lie elsewhere. As
        // GstVideoMeta.
        const auto *copy = static_cast<const GstMetaTransformCopy *>(data);
        if (copy != nullptr && copy->region)
            return TRUE;
        auto *out = gst_buffer_add_sphere_face_meta(target, source->width, source->height);
        *out->priv = *source;
        return TRUE;
    }
    if (GST_VIDEO_META_TRANSFORM_IS_SCALE(type)) {
        const auto *scale = static_cast<const GstVideoMetaTransform *>(data);
        const int in_width = GST_VIDEO_INFO_WIDTH(scale->in_info);
        const int in_height = GST_VIDEO_INFO_HEIGHT(scale->in_info);
        if (in_width <= 0 || in_height <= 0)
            return FALSE;
        const auto out_width = static_cast<guint>(GST_VIDEO_INFO_WIDTH(scale->out_info));
        const auto out_height = static_cast<guint>(GST_VIDEO_INFO_HEIGHT(scale->out_info));
        auto *out = gst_buffer_add_sphere_face_meta(target, out_width, out_height);
        *out->priv = *source;
        out->priv->width = out_width;
        out->priv->height = out_height;
        for (GstSphereFace &face : out->priv->faces)
            scale_face(face, static_cast<double>(out_width) / in_width,
                       static_cast<double>(out_height) / in_height);
        return TRUE;
    }
    return FALSE;
}

/**
 * gst_sphere_face_meta_get_info: (skip)
 *
 * Returns: the registered implementation
 */
const GstMetaInfo *gst_sphere_face_meta_get_info(void) {
    static const GstMetaInfo *info = nullptr;
    if (g_once_init_enter(&info)) {
        const GstMetaInfo *registered = gst_meta_register(
            GST_SPHERE_FACE_META_API_TYPE, "GstSphereFaceMeta", sizeof(GstSphereFaceMeta),
            face_meta_init, face_meta_free, face_meta_transform);
        g_once_init_leave(&info, registered);
    }
    return info;
}

/**
 * gst_buffer_get_sphere_face_meta:
 * @buffer: a buffer
 *
 * Returns: (transfer none) (nullable): its faces, or %NULL where no detector looked at it
 */
GstSphereFaceMeta *gst_buffer_get_sphere_face_meta(GstBuffer *buffer) {
    g_return_val_if_fail(GST_IS_BUFFER(buffer), nullptr);
    return reinterpret_cast<GstSphereFaceMeta *>(
        gst_buffer_get_meta(buffer, GST_SPHERE_FACE_META_API_TYPE));
}

/**
 * gst_buffer_add_sphere_face_meta:
 * @buffer: a writable buffer
 * @width: the frame's, px
 * @height: the frame's, px
 *
 * Returns: (transfer none) (nullable): the one that is there, or a new empty one
 */
GstSphereFaceMeta *gst_buffer_add_sphere_face_meta(GstBuffer *buffer, guint width,
                                                   guint height) {
    g_return_val_if_fail(GST_IS_BUFFER(buffer) && gst_buffer_is_writable(buffer), nullptr);
    GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer);
    if (meta == nullptr)
        meta = reinterpret_cast<GstSphereFaceMeta *>(
            gst_buffer_add_meta(buffer, GST_SPHERE_FACE_META_INFO, nullptr));
    meta->priv->width = width;
    meta->priv->height = height;
    return meta;
}

/**
 * gst_sphere_face_meta_get_n_faces:
 * @meta: the faces of a buffer
 *
 * Returns: how many
 */
guint gst_sphere_face_meta_get_n_faces(const GstSphereFaceMeta *meta) {
    g_return_val_if_fail(meta != nullptr, 0);
    return static_cast<guint>(meta->priv->faces.size());
}

/**
 * gst_sphere_face_meta_get_face:
 * @meta: the faces of a buffer
 * @index: which
 *
 * Returns: (transfer full) (nullable): a copy; %NULL where there is no such face
 */
GstSphereFace *gst_sphere_face_meta_get_face(const GstSphereFaceMeta *meta, guint index) {
    const GstSphereFace *face = gst_sphere_face_meta_peek_face(meta, index);
    return face != nullptr ? gst_sphere_face_copy(face) : nullptr;
}

/**
 * gst_sphere_face_meta_peek_face: (skip)
 * @meta: the faces of a buffer
 * @index: which
 *
 * Returns: (transfer none) (nullable): valid until the meta changes
 */
const GstSphereFace *gst_sphere_face_meta_peek_face(const GstSphereFaceMeta *meta,
                                                    guint index) {
    g_return_val_if_fail(meta != nullptr, nullptr);
    return index < meta->priv->faces.size() ? &meta->priv->faces[index] : nullptr;
}

/**
 * gst_sphere_face_meta_add_face:
 * @meta: the faces of a writable buffer
 * @face: copied
 */
void gst_sphere_face_meta_add_face(GstSphereFaceMeta *meta, const GstSphereFace *face) {
    g_return_if_fail(meta != nullptr && face != nullptr);
    meta->priv->faces.push_back(*face);
}

/**
 * gst_sphere_face_meta_set_face:
 * @meta: the faces of a writable buffer
 * @index: which
 * @face: copied in its place
 *
 * Returns: whether there is such a face
 */
gboolean gst_sphere_face_meta_set_face(GstSphereFaceMeta *meta, guint index,
                                       const GstSphereFace *face) {
    g_return_val_if_fail(meta != nullptr && face != nullptr, FALSE);
    if (index >= meta->priv->faces.size())
        return FALSE;
    meta->priv->faces[index] = *face;
    return TRUE;
}

/**
 * gst_sphere_face_meta_clear:
 * @meta: the faces of a writable buffer
 */
void gst_sphere_face_meta_clear(GstSphereFaceMeta *meta) {
    g_return_if_fail(meta != nullptr);
    meta->priv->faces.clear();
}

/**
 * gst_sphere_face_meta_sync:
 * @meta: the faces of @buffer
 * @buffer: a writable buffer
 *
 * Writes the mirrors (GstVideoRegionOfInterestMeta, and GstAnalyticsRelationMeta from
 * GStreamer 1.24) of all faces, replacing those of before. Call it after a change.
 */
void gst_sphere_face_meta_sync(GstSphereFaceMeta *meta, GstBuffer *buffer) {
    g_return_if_fail(meta != nullptr && GST_IS_BUFFER(buffer) &&
                     gst_buffer_is_writable(buffer));
    sphere_meta::write_roi_mirror(meta, buffer);
    sphere_meta::write_analytics_mirror(meta, buffer);
}
