// SPDX-License-Identifier: MIT
// GstSphereFaceMeta: registration, life, and its list of faces.
#include "face_data.h"

#include <gst/video/gstvideometa.h>

#include <iterator>

using sphere_meta::no_throw;

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
    reinterpret_cast<GstSphereFaceMeta *>(meta)->priv =
        no_throw([] { return new GstSphereFaceMetaPrivate; });
    return TRUE;
}

static void face_meta_free(GstMeta *meta, GstBuffer *) {
    auto *self = reinterpret_cast<GstSphereFaceMeta *>(meta);
    delete self->priv;
    self->priv = nullptr;
}

#if GST_CHECK_VERSION(1, 24, 0)
// For metas that a pool keeps on its buffers.
static void face_meta_clear(GstBuffer *, GstMeta *meta) {
    no_throw([meta] {
        *reinterpret_cast<GstSphereFaceMeta *>(meta)->priv = GstSphereFaceMetaPrivate();
    });
}
#endif

static const GstMetaInfo *register_face_meta() {
#if GST_CHECK_VERSION(1, 24, 0)
    GstMetaInfo *info = gst_meta_info_new(GST_SPHERE_FACE_META_API_TYPE, "GstSphereFaceMeta",
                                          sizeof(GstSphereFaceMeta));
    info->init_func = face_meta_init;
    info->free_func = face_meta_free;
    info->transform_func = sphere_meta::transform_face_meta;
    info->clear_func = face_meta_clear;
    return gst_meta_info_register(info);
#else
    return gst_meta_register(GST_SPHERE_FACE_META_API_TYPE, "GstSphereFaceMeta",
                             sizeof(GstSphereFaceMeta), face_meta_init, face_meta_free,
                             sphere_meta::transform_face_meta);
#endif
}

/**
 * gst_sphere_face_meta_get_info: (skip)
 *
 * Returns: the registered implementation
 */
const GstMetaInfo *gst_sphere_face_meta_get_info(void) {
    static const GstMetaInfo *info = nullptr;
    if (g_once_init_enter(&info))
        g_once_init_leave(&info, register_face_meta());
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
    g_return_val_if_fail(meta != nullptr, nullptr);
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
    no_throw([&] { meta->priv->faces.push_back(*face); });
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
    no_throw([&] { meta->priv->faces[index] = *face; });
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
 * gst_sphere_face_meta_get_tracks:
 * @meta: the faces of a buffer
 *
 * Returns: (transfer none) (nullable): what the elements keep of the stream's tracks
 */
GObject *gst_sphere_face_meta_get_tracks(const GstSphereFaceMeta *meta) {
    g_return_val_if_fail(meta != nullptr, nullptr);
    return meta->priv->tracks.get();
}

/**
 * gst_sphere_face_meta_set_tracks:
 * @meta: the faces of a writable buffer
 * @tracks: (nullable): an object that all buffers of the stream share
 */
void gst_sphere_face_meta_set_tracks(GstSphereFaceMeta *meta, GObject *tracks) {
    g_return_if_fail(meta != nullptr);
    g_return_if_fail(tracks == nullptr || G_IS_OBJECT(tracks));
    no_throw([&] {
        meta->priv->tracks.reset();
        if (tracks != nullptr)
            meta->priv->tracks = std::shared_ptr<GObject>(
                static_cast<GObject *>(g_object_ref(tracks)), g_object_unref);
    });
}

/**
 * gst_sphere_face_meta_import_faces:
 * @meta: the faces of @buffer
 * @buffer: a buffer
 * @type: the type of what is a face, "face" for most detectors
 *
 * Adds a face for each GstVideoRegionOfInterestMeta and, from GStreamer 1.24, each object
 * detection of GstAnalyticsRelationMeta of that type which others' elements wrote; the mirrors
 * of @meta's faces are left out. An object in both metas gives two faces. A score is taken from
 * a region's param "detection" (confidence; 1 without it), landmarks from "landmarks" (points:
 * ten numbers, px). At most 4096 faces are added.
 *
 * Returns: how many faces were added
 */
guint gst_sphere_face_meta_import_faces(GstSphereFaceMeta *meta, GstBuffer *buffer,
                                        const gchar *type) {
    g_return_val_if_fail(meta != nullptr && GST_IS_BUFFER(buffer) && type != nullptr, 0);
    return no_throw([&] {
        std::vector<GstSphereFace> found;
        sphere_meta::read_others_rois(meta, buffer, type, found);
        sphere_meta::read_others_detections(meta, buffer, type, found);
        auto &faces = meta->priv->faces;
        faces.insert(faces.end(), std::make_move_iterator(found.begin()),
                     std::make_move_iterator(found.end()));
        return static_cast<guint>(found.size());
    });
}

/**
 * gst_sphere_face_meta_sync:
 * @meta: the faces of @buffer
 * @buffer: a writable buffer
 *
 * Writes the mirrors (GstVideoRegionOfInterestMeta, and GstAnalyticsRelationMeta from
 * GStreamer 1.24) of all faces, replacing those of before. Others' metas stay as they are.
 * Call it after a change.
 */
void gst_sphere_face_meta_sync(GstSphereFaceMeta *meta, GstBuffer *buffer) {
    g_return_if_fail(meta != nullptr && GST_IS_BUFFER(buffer) &&
                     gst_buffer_is_writable(buffer));
    no_throw([&] {
        sphere_meta::write_roi_mirror(meta, buffer);
        sphere_meta::write_analytics_mirror(meta, buffer);
    });
}
