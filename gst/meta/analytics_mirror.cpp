// SPDX-License-Identifier: MIT
// The faces as GstAnalyticsRelationMeta (GStreamer 1.24): an object detection "face" each,
// related to a tracking where it is tracked and a classification where it is known.
#include "face_data.h"

#include <gst/analytics/analytics.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

namespace sphere_meta {
namespace {

// GStreamer keeps a square table of the relations of all items: 9 MB for these many faces with
// a track and a person each, and it grows with the square. A picture with more faces has them
// all in the face meta and the ROI mirror.
constexpr std::size_t kMostFaces = 1000;
constexpr std::size_t kItemsPerFace = 3;

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

gint pixels(double value) {
    return static_cast<gint>(
        std::lround(std::clamp(value, double{G_MININT}, double{G_MAXINT})));
}

bool add_detection(GstAnalyticsRelationMeta *relations, const GstSphereFace &face,
                   MirroredItems &items) {
    GstAnalyticsODMtd detection;
    if (!gst_analytics_relation_meta_add_od_mtd(
            relations, face_quark(), pixels(face.x), pixels(face.y), pixels(face.width),
            pixels(face.height), static_cast<gfloat>(face.score), &detection))
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

bool is_there(GstAnalyticsRelationMeta *relations, const MirroredItems &items) {
    GstAnalyticsODMtd detection;
    return items.detection < gst_analytics_relation_get_length(relations) &&
           gst_analytics_relation_meta_get_od_mtd(relations, items.detection, &detection) &&
           gst_analytics_od_mtd_get_obj_type(&detection) == face_quark();
}

// What was written of the face before.
MirroredItems *find_items(GstSphereFaceMetaPrivate &frame, gint64 face_id) {
    const auto found = std::find_if(
        frame.mirrored_items.begin(), frame.mirrored_items.end(),
        [face_id](const MirroredItems &items) { return items.face_id == face_id; });
    return found != frame.mirrored_items.end() ? &*found : nullptr;
}

GstAnalyticsRelationMeta *new_relations(GstBuffer *buffer, std::size_t n_faces) {
    constexpr std::size_t kItemBytes = 64; // a first guess: GStreamer grows it
    const std::size_t n_items = kItemsPerFace * std::min(n_faces, kMostFaces);
    GstAnalyticsRelationMetaInitParams room = {n_items, kItemBytes * n_items};
    return gst_buffer_add_analytics_relation_meta_full(buffer, &room);
}

void forget(GstSphereFaceMetaPrivate &frame) {
    frame.mirrored_items.clear();
    frame.n_analytics_items = 0;
}

} // namespace

void read_others_detections(const GstSphereFaceMeta *meta, GstBuffer *buffer, const gchar *type,
                            std::vector<GstSphereFace> &found) {
    GstAnalyticsRelationMeta *relations = gst_buffer_get_analytics_relation_meta(buffer);
    if (relations == nullptr)
        return;
    const GQuark wanted = g_quark_try_string(type);
    std::unordered_set<guint> ours;
    for (const MirroredItems &items : meta->priv->mirrored_items)
        ours.insert(items.detection);
    gpointer state = nullptr;
    GstAnalyticsMtd item;
    while (found.size() < kMostImported &&
           gst_analytics_relation_meta_iterate(relations, &state,
                                               gst_analytics_od_mtd_get_mtd_type(), &item)) {
        gint x = 0, y = 0, width = 0, height = 0;
        gfloat score = 0;
        if (ours.count(item.id) == 0 && gst_analytics_od_mtd_get_obj_type(&item) == wanted &&
            gst_analytics_od_mtd_get_location(&item, &x, &y, &width, &height, &score) &&
            width > 0 && height > 0)
            found.push_back(
                imported_face(x, y, width, height, std::isfinite(score) ? score : 0));
    }
}

// Items cannot be taken out of a relation meta. One that holds nothing but ours is made anew,
// so that it follows the faces; in one that others write to as well, ours stay as they were
// written and only what is new (faces, trackings, persons) is added.
void write_analytics_mirror(GstSphereFaceMeta *meta, GstBuffer *buffer) {
    GstSphereFaceMetaPrivate &frame = *meta->priv;
    GstAnalyticsRelationMeta *relations = gst_buffer_get_analytics_relation_meta(buffer);
    // Items never go alone: where one is missing, somebody has dropped the meta and begun anew.
    if (relations == nullptr ||
        !std::all_of(
            frame.mirrored_items.begin(), frame.mirrored_items.end(),
            [relations](const MirroredItems &items) { return is_there(relations, items); }))
        forget(frame);
    if (frame.n_analytics_items > 0 &&
        gst_analytics_relation_get_length(relations) == frame.n_analytics_items) {
        gst_buffer_remove_meta(buffer, reinterpret_cast<GstMeta *>(relations));
        forget(frame);
        relations = nullptr;
    }
    const bool anew = relations == nullptr;
    if (anew) {
        if (frame.faces.empty())
            return;
        relations = new_relations(buffer, frame.faces.size());
    }
    for (const GstSphereFace &face : frame.faces) {
        MirroredItems *items = anew ? nullptr : find_items(frame, face.id);
        if (items == nullptr) {
            if (frame.mirrored_items.size() >= kMostFaces)
                continue;
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
