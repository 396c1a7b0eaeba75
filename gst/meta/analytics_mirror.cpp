// SPDX-License-Identifier: MIT
// The faces as GstAnalyticsRelationMeta (GStreamer 1.24): an object detection "face" each,
// related to a tracking where it is tracked and a classification where it is known.
#include "face_data.h"

#include <gst/analytics/analytics.h>

#include <algorithm>
#include <cmath>

namespace sphere_meta {
namespace {

GQuark face_quark() {
    static const GQuark quark = g_quark_from_static_string("face");
    return quark;
}

void relate(GstAnalyticsRelationMeta *relations, guint from, guint to) {
    gst_analytics_relation_meta_set_relation(relations, GST_ANALYTICS_REL_TYPE_RELATE_TO, from,
                                             to);
    gst_analytics_relation_meta_set_relation(relations, GST_ANALYTICS_REL_TYPE_RELATE_TO, to,
                                             from);
}

bool add_detection(GstAnalyticsRelationMeta *relations, const GstSphereFace &face,
                   MirroredItems &items) {
    GstAnalyticsODMtd detection;
    if (!gst_analytics_relation_meta_add_od_mtd(
            relations, face_quark(), static_cast<gint>(std::lround(face.x)),
            static_cast<gint>(std::lround(face.y)), static_cast<gint>(std::lround(face.width)),
            static_cast<gint>(std::lround(face.height)), static_cast<gfloat>(face.score),
            &detection))
        return false;
    items.face_id = face.id;
    items.detection = detection.id;
    return true;
}

// What was not there at the last time; returns how many items that is.
gsize add_tracking_and_person(GstAnalyticsRelationMeta *relations, const GstSphereFace &face,
                              GstClockTime pts, MirroredItems &items) {
    gsize n = 0;
    // When a track was first seen is the tracker's to know; here it is seen now.
    GstAnalyticsTrackingMtd tracking;
    if (face.track_id >= 0 && !items.tracked &&
        gst_analytics_relation_meta_add_tracking_mtd(
            relations, static_cast<guint64>(face.track_id), GST_CLOCK_TIME_NONE, &tracking)) {
        if (GST_CLOCK_TIME_IS_VALID(pts))
            gst_analytics_tracking_mtd_update_last_seen(&tracking, pts);
        relate(relations, items.detection, tracking.id);
        items.tracked = true;
        ++n;
    }
    if (face.state != GST_SPHERE_FACE_STATE_KNOWN || face.candidates.empty())
        return n;
    const Candidate &best = face.candidates.front();
    GstAnalyticsClsMtd person;
    if (items.person != best.id && gst_analytics_relation_meta_add_one_cls_mtd(
                                       relations, static_cast<gfloat>(best.similarity),
                                       g_quark_from_string(best.id.c_str()), &person)) {
        relate(relations, items.detection, person.id);
        items.person = best.id;
        ++n;
    }
    return n;
}

// What was written of the face before, if it is still there.
MirroredItems *find_items(GstSphereFaceMetaPrivate &frame, GstAnalyticsRelationMeta *relations,
                          gint64 face_id) {
    const auto found = std::find_if(
        frame.mirrored_items.begin(), frame.mirrored_items.end(),
        [face_id](const MirroredItems &items) { return items.face_id == face_id; });
    GstAnalyticsODMtd detection;
    if (found == frame.mirrored_items.end() ||
        !gst_analytics_relation_meta_get_od_mtd(relations, found->detection, &detection) ||
        gst_analytics_od_mtd_get_obj_type(&detection) != face_quark())
        return nullptr;
    return &*found;
}

void forget(GstSphereFaceMetaPrivate &frame) {
    frame.mirrored_items.clear();
    frame.n_analytics_items = 0;
}

} // namespace

// Items cannot be taken out of a relation meta. One that holds nothing but ours is made anew,
// so that it follows the faces; in one that others write to as well, ours stay as they were
// written and only what is new (faces, trackings, persons) is added.
void write_analytics_mirror(GstSphereFaceMeta *meta, GstBuffer *buffer) {
    GstSphereFaceMetaPrivate &frame = *meta->priv;
    GstAnalyticsRelationMeta *relations = gst_buffer_get_analytics_relation_meta(buffer);
    if (relations != nullptr &&
        gst_analytics_relation_get_length(relations) == frame.n_analytics_items &&
        frame.n_analytics_items > 0) {
        gst_buffer_remove_meta(buffer, reinterpret_cast<GstMeta *>(relations));
        relations = nullptr;
    }
    const bool anew = relations == nullptr;
    if (anew) {
        forget(frame);
        if (frame.faces.empty())
            return;
        relations = gst_buffer_add_analytics_relation_meta(buffer);
    }
    for (const GstSphereFace &face : frame.faces) {
        MirroredItems *items = anew ? nullptr : find_items(frame, relations, face.id);
        if (items == nullptr) {
            MirroredItems added;
            if (!add_detection(relations, face, added))
                return;
            items = &frame.mirrored_items.emplace_back(std::move(added));
            ++frame.n_analytics_items;
        }
        frame.n_analytics_items +=
            add_tracking_and_person(relations, face, GST_BUFFER_PTS(buffer), *items);
    }
}

} // namespace sphere_meta
