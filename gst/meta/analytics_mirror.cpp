// SPDX-License-Identifier: MIT
// The faces as GstAnalyticsRelationMeta (GStreamer 1.24): an object detection "face" each,
// related to a tracking where it is tracked and a classification where it is known.
#include "face_data.h"

#include <gst/analytics/analytics.h>

#include <cmath>

namespace sphere_meta {
namespace {

void relate(GstAnalyticsRelationMeta *relations, guint from, guint to) {
    gst_analytics_relation_meta_set_relation(relations, GST_ANALYTICS_REL_TYPE_RELATE_TO, from,
                                             to);
    gst_analytics_relation_meta_set_relation(relations, GST_ANALYTICS_REL_TYPE_RELATE_TO, to,
                                             from);
}

void write_one(GstAnalyticsRelationMeta *relations, const GstSphereFace &face) {
    GstAnalyticsODMtd detection;
    if (!gst_analytics_relation_meta_add_od_mtd(relations, g_quark_from_static_string("face"),
                                                static_cast<gint>(std::lround(face.x)),
                                                static_cast<gint>(std::lround(face.y)),
                                                static_cast<gint>(std::lround(face.width)),
                                                static_cast<gint>(std::lround(face.height)),
                                                static_cast<gfloat>(face.score), &detection))
        return;
    GstAnalyticsTrackingMtd tracking;
    if (face.track_id >= 0 && gst_analytics_relation_meta_add_tracking_mtd(
                                  relations, static_cast<guint64>(face.track_id), 0, &tracking))
        relate(relations, detection.id, tracking.id);
    if (face.state != GST_SPHERE_FACE_STATE_KNOWN || face.candidates.empty())
        return;
    const Candidate &best = face.candidates.front();
    GstAnalyticsClsMtd identity;
    if (gst_analytics_relation_meta_add_one_cls_mtd(
            relations, static_cast<gfloat>(best.similarity),
            g_quark_from_string(best.id.c_str()), &identity))
        relate(relations, detection.id, identity.id);
}

} // namespace

void write_analytics_mirror(GstSphereFaceMeta *meta, GstBuffer *buffer) {
    // Items of a relation meta cannot be taken out again, so a meta that is there is somebody
    // else's or holds this frame's faces of an earlier stage: it is replaced only where it is
    // all ours.
    static const GQuark ours = g_quark_from_static_string("gst-sphere-faces");
    GstAnalyticsRelationMeta *relations = gst_buffer_get_analytics_relation_meta(buffer);
    if (relations != nullptr &&
        gst_mini_object_get_qdata(GST_MINI_OBJECT_CAST(buffer), ours) == relations) {
        gst_buffer_remove_meta(buffer, reinterpret_cast<GstMeta *>(relations));
        relations = nullptr;
    }
    const bool mine = relations == nullptr;
    if (relations == nullptr)
        relations = gst_buffer_add_analytics_relation_meta(buffer);
    if (mine)
        gst_mini_object_set_qdata(GST_MINI_OBJECT_CAST(buffer), ours, relations, nullptr);
    for (const GstSphereFace &face : meta->priv->faces)
        write_one(relations, face);
}

} // namespace sphere_meta
