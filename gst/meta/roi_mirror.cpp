// SPDX-License-Identifier: MIT
// The faces as GstVideoRegionOfInterestMeta, for code that knows those: docs/metadata.md has
// the layout.
#include "face_data.h"

#include <gst/video/gstvideometa.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>
#include <utility>

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
    if (!face.stranger_id.empty())
        gst_structure_set(structure, "stranger", G_TYPE_STRING, face.stranger_id.c_str(),
                          nullptr);
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

using Roi = GstVideoRegionOfInterestMeta;

bool is_face_roi(const GstMeta *meta) {
    static const GQuark face = g_quark_from_static_string("face");
    return meta->info->api == GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE &&
           reinterpret_cast<const Roi *>(meta)->roi_type == face;
}

double distance(const Roi &roi, const MirroredRoi &ours) {
    return std::abs(roi.x - ours.x) + std::abs(roi.y - ours.y) + std::abs(roi.w - ours.width) +
           std::abs(roi.h - ours.height);
}

// Ours are those of type "face" with an id that we gave. Where another producer gave that id
// too, ours are those that lie where we put them.
std::unordered_set<const Roi *> find_mirrors(const GstSphereFaceMetaPrivate &frame,
                                             GstBuffer *buffer) {
    std::unordered_map<gint,
                       std::pair<std::vector<const MirroredRoi *>, std::vector<const Roi *>>>
        by_id;
    for (const MirroredRoi &ours : frame.mirrored_rois)
        by_id[ours.id].first.push_back(&ours);
    gpointer state = nullptr;
    while (const GstMeta *meta = gst_buffer_iterate_meta(buffer, &state)) {
        const auto *roi = reinterpret_cast<const Roi *>(meta);
        if (!is_face_roi(meta))
            continue;
        if (const auto entry = by_id.find(roi->id); entry != by_id.end())
            entry->second.second.push_back(roi);
    }
    std::unordered_set<const Roi *> mirrors;
    for (auto &[id, pair] : by_id) {
        auto &[written, found] = pair;
        if (found.size() > written.size())
            for (std::size_t i = 0; i < written.size(); ++i) {
                const auto nearest = std::min_element(
                    found.begin() + static_cast<std::ptrdiff_t>(i), found.end(),
                    [&ours = *written[i]](const Roi *a, const Roi *b) {
                        return distance(*a, ours) < distance(*b, ours);
                    });
                std::iter_swap(found.begin() + static_cast<std::ptrdiff_t>(i), nearest);
            }
        found.resize(std::min(found.size(), written.size()));
        mirrors.insert(found.begin(), found.end());
    }
    return mirrors;
}

void remove_mirrors(GstSphereFaceMetaPrivate &frame, GstBuffer *buffer) {
    if (frame.mirrored_rois.empty())
        return;
    auto mirrors = find_mirrors(frame, buffer);
    gst_buffer_foreach_meta(
        buffer,
        [](GstBuffer *, GstMeta **meta, gpointer data) -> gboolean {
            const auto &ours = *static_cast<const std::unordered_set<const Roi *> *>(data);
            if (ours.count(reinterpret_cast<const Roi *>(*meta)) > 0)
                *meta = nullptr; // GStreamer removes it
            return TRUE;
        },
        &mirrors);
    frame.mirrored_rois.clear();
}

MirroredRoi write_one(GstBuffer *buffer, const GstSphereFace &face,
                      const GstSphereFaceMetaPrivate &frame) {
    const auto clip = [](double value, guint side) {
        return static_cast<guint>(
            std::lround(std::clamp(value, 0.0, static_cast<double>(side))));
    };
    const guint x0 = clip(face.x, frame.width), x1 = clip(face.x + face.width, frame.width);
    const guint y0 = clip(face.y, frame.height), y1 = clip(face.y + face.height, frame.height);
    Roi *roi =
        gst_buffer_add_video_region_of_interest_meta(buffer, "face", x0, y0, x1 - x0, y1 - y0);
    roi->id = roi_id(face);
    gst_video_region_of_interest_meta_add_param(roi, detection_of(face, frame));
    if (face.landmarks)
        gst_video_region_of_interest_meta_add_param(roi, landmarks_of(face));
    if (face.embedding)
        gst_video_region_of_interest_meta_add_param(roi, embedding_of(face));
    if (face.state != GST_SPHERE_FACE_STATE_UNDECIDED)
        gst_video_region_of_interest_meta_add_param(roi, match_of(face));
    if (face.attributes) {
        GstStructure *attributes = gst_structure_copy(face.attributes.get());
        gst_structure_set_name(attributes, "attributes");
        gst_video_region_of_interest_meta_add_param(roi, attributes);
    }
    if (face.track_id >= 0)
        gst_video_region_of_interest_meta_add_param(
            roi, gst_structure_new("object_id", "id", G_TYPE_INT,
                                   static_cast<gint>(face.track_id & G_MAXINT), nullptr));
    return {roi->id, static_cast<double>(roi->x), static_cast<double>(roi->y),
            static_cast<double>(roi->w), static_cast<double>(roi->h)};
}

double score_of(Roi *roi) {
    gdouble score = 1;
    if (const GstStructure *detection =
            gst_video_region_of_interest_meta_get_param(roi, "detection"))
        gst_structure_get_double(detection, "confidence", &score);
    return std::isfinite(score) ? score : 0;
}

std::optional<std::array<gfloat, 10>> landmarks_in(Roi *roi) {
    const GstStructure *structure =
        gst_video_region_of_interest_meta_get_param(roi, "landmarks");
    const GValue *points =
        structure != nullptr ? gst_structure_get_value(structure, "points") : nullptr;
    std::array<gfloat, 10> landmarks{};
    if (points == nullptr || !GST_VALUE_HOLDS_ARRAY(points) ||
        gst_value_array_get_size(points) != landmarks.size())
        return std::nullopt;
    for (guint i = 0; i < landmarks.size(); ++i) {
        const GValue *number = gst_value_array_get_value(points, i);
        if (!G_VALUE_HOLDS_DOUBLE(number) || !std::isfinite(g_value_get_double(number)))
            return std::nullopt;
        landmarks[i] = static_cast<gfloat>(g_value_get_double(number));
    }
    return landmarks;
}

} // namespace

void read_others_rois(const GstSphereFaceMeta *meta, GstBuffer *buffer, const gchar *type,
                      std::vector<GstSphereFace> &found) {
    const GQuark wanted = g_quark_try_string(type);
    if (wanted == 0) // nobody has ever named such a type
        return;
    const auto ours = find_mirrors(*meta->priv, buffer);
    gpointer state = nullptr;
    while (GstMeta *each = gst_buffer_iterate_meta_filtered(
               buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)) {
        auto *roi = reinterpret_cast<Roi *>(each);
        if (roi->roi_type != wanted || roi->w == 0 || roi->h == 0 || ours.count(roi) > 0 ||
            found.size() >= kMostImported)
            continue;
        GstSphereFace face = imported_face(roi->x, roi->y, roi->w, roi->h, score_of(roi));
        face.landmarks = landmarks_in(roi);
        found.push_back(std::move(face));
    }
}

void write_roi_mirror(GstSphereFaceMeta *meta, GstBuffer *buffer) {
    GstSphereFaceMetaPrivate &frame = *meta->priv;
    remove_mirrors(frame, buffer);
    frame.mirrored_rois.reserve(frame.faces.size());
    for (const GstSphereFace &face : frame.faces)
        frame.mirrored_rois.push_back(write_one(buffer, face, frame));
}

} // namespace sphere_meta
