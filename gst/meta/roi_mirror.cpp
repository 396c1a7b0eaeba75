// SPDX-License-Identifier: MIT
// The faces as GstVideoRegionOfInterestMeta, for code that knows those: docs/metadata.md has
// the layout.
#include "face_data.h"

#include <gst/video/gstvideometa.h>

#include <algorithm>
#include <cmath>

namespace sphere_meta {
namespace {

void append_double(GValue *array, double number) {
    GValue value = G_VALUE_INIT;
    g_value_init(&value, G_TYPE_DOUBLE);
    g_value_set_double(&value, number);
    gst_value_array_append_and_take_value(array, &value);
}

void append_float(GValue *array, float number) {
    GValue value = G_VALUE_INIT;
    g_value_init(&value, G_TYPE_FLOAT);
    g_value_set_float(&value, number);
    gst_value_array_append_and_take_value(array, &value);
}

GstStructure *detection_of(const GstSphereFace &face, const GstSphereFaceMetaPrivate &frame) {
    const auto share = [](double value, guint side) {
        return side > 0 ? std::clamp(value / side, 0.0, 1.0) : 0.0;
    };
    return gst_structure_new("detection", "x_min", G_TYPE_DOUBLE, share(face.x, frame.width),
                             "x_max", G_TYPE_DOUBLE, share(face.x + face.width, frame.width),
                             "y_min", G_TYPE_DOUBLE, share(face.y, frame.height), "y_max",
                             G_TYPE_DOUBLE, share(face.y + face.height, frame.height),
                             "confidence", G_TYPE_DOUBLE, face.score, "label_id", G_TYPE_INT, 0,
                             nullptr);
}

GstStructure *landmarks_of(const GstSphereFace &face) {
    GstStructure *structure = gst_structure_new_empty("landmarks");
    GValue points = G_VALUE_INIT;
    g_value_init(&points, GST_TYPE_ARRAY);
    for (const gfloat number : *face.landmarks)
        append_double(&points, number);
    gst_structure_take_value(structure, "points", &points);
    return structure;
}

GstStructure *embedding_of(const GstSphereFace &face) {
    const Embedding &embedding = *face.embedding;
    const std::string model = embedding.stamp.substr(0, embedding.stamp.find('|'));
    GstStructure *structure =
        gst_structure_new("embedding", "model", G_TYPE_STRING, model.c_str(), "dims",
                          G_TYPE_INT, static_cast<gint>(embedding.values.size()), nullptr);
    GValue data = G_VALUE_INIT;
    gst_value_array_init(&data, static_cast<guint>(embedding.values.size()));
    for (const float number : embedding.values)
        append_float(&data, number);
    gst_structure_take_value(structure, "data", &data);
    return structure;
}

GstStructure *match_of(const GstSphereFace &face) {
    GstStructure *structure = gst_structure_new(
        "match", "state", G_TYPE_STRING, gst_sphere_face_state_to_string(face.state), nullptr);
    if (!face.candidates.empty()) {
        const Candidate &best = face.candidates.front();
        gst_structure_set(structure, "distance", G_TYPE_DOUBLE, best.distance, "similarity",
                          G_TYPE_DOUBLE, best.similarity, nullptr);
        if (face.state == GST_SPHERE_FACE_STATE_KNOWN)
            gst_structure_set(structure, "id", G_TYPE_STRING, best.id.c_str(), "label",
                              G_TYPE_STRING, best.label.c_str(), nullptr);
    }
    return structure;
}

// Ours are known by type and id; others' stay.
void remove_mirrors(GstSphereFaceMetaPrivate &frame, GstBuffer *buffer) {
    if (frame.mirrored_ids.empty())
        return;
    gst_buffer_foreach_meta(
        buffer,
        [](GstBuffer *, GstMeta **meta, gpointer data) -> gboolean {
            const auto *ids = static_cast<const std::vector<gint> *>(data);
            if ((*meta)->info->api != GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)
                return TRUE;
            const auto *roi = reinterpret_cast<const GstVideoRegionOfInterestMeta *>(*meta);
            if (roi->roi_type == g_quark_from_static_string("face") &&
                std::find(ids->begin(), ids->end(), roi->id) != ids->end())
                *meta = nullptr; // GStreamer removes it
            return TRUE;
        },
        &frame.mirrored_ids);
    frame.mirrored_ids.clear();
}

void write_one(GstBuffer *buffer, const GstSphereFace &face,
               const GstSphereFaceMetaPrivate &frame) {
    const auto clip = [](double value, guint side) {
        return static_cast<guint>(
            std::lround(std::clamp(value, 0.0, static_cast<double>(side))));
    };
    const guint x0 = clip(face.x, frame.width), x1 = clip(face.x + face.width, frame.width);
    const guint y0 = clip(face.y, frame.height), y1 = clip(face.y + face.height, frame.height);
    GstVideoRegionOfInterestMeta *roi =
        gst_buffer_add_video_region_of_interest_meta(buffer, "face", x0, y0, x1 - x0, y1 - y0);
    roi->id = roi_id(face);
    gst_video_region_of_interest_meta_add_param(roi, detection_of(face, frame));
    if (face.landmarks)
        gst_video_region_of_interest_meta_add_param(roi, landmarks_of(face));
    if (face.embedding)
        gst_video_region_of_interest_meta_add_param(roi, embedding_of(face));
    if (face.state != GST_SPHERE_FACE_STATE_UNDECIDED)
        gst_video_region_of_interest_meta_add_param(roi, match_of(face));
    if (face.track_id >= 0)
        gst_video_region_of_interest_meta_add_param(
            roi, gst_structure_new("object_id", "id", G_TYPE_INT,
                                   static_cast<gint>(face.track_id & G_MAXINT), nullptr));
}

} // namespace

void write_roi_mirror(GstSphereFaceMeta *meta, GstBuffer *buffer) {
    GstSphereFaceMetaPrivate &frame = *meta->priv;
    remove_mirrors(frame, buffer);
    for (const GstSphereFace &face : frame.faces) {
        write_one(buffer, face, frame);
        frame.mirrored_ids.push_back(roi_id(face));
    }
}

} // namespace sphere_meta
