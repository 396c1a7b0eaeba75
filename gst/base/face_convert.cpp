// SPDX-License-Identifier: MIT
#include "gst/base/face_convert.h"

#include <gst/video/video.h>

#include <cmath>
#include <cstring>
#include <map>
#include <mutex>

namespace sphere::gst {
namespace {

constexpr const char *kScoreSuffix = "_score";

using CropHandle = std::shared_ptr<const Image>;

// Crops of ours carry the core's image, so that the embedder finds it without a copy.
GQuark crop_quark() {
    static const GQuark quark = g_quark_from_static_string("sphere-crop-image");
    return quark;
}

void free_crop(gpointer handle) {
    delete static_cast<CropHandle *>(handle);
}

GstBuffer *wrap_crop(const CropHandle &crop) {
    GstBuffer *buffer = gst_buffer_new_wrapped_full(
        GST_MEMORY_FLAG_READONLY, const_cast<std::uint8_t *>(crop->bgr.data()),
        crop->bgr.size(), 0, crop->bgr.size(), new CropHandle(crop), free_crop);
    gst_mini_object_set_qdata(GST_MINI_OBJECT_CAST(buffer), crop_quark(), new CropHandle(crop),
                              free_crop);
    return buffer;
}

GstCaps *crop_caps(int width, int height) {
    return gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING, "BGR", "width",
                               G_TYPE_INT, width, "height", G_TYPE_INT, height, "framerate",
                               GST_TYPE_FRACTION, 0, 1, nullptr);
}

// Few models, many faces: one stamp object for all faces of a model.
std::shared_ptr<const EmbeddingStamp> interned_stamp(const char *text) {
    static std::mutex mutex;
    static std::map<std::string, std::shared_ptr<const EmbeddingStamp>> stamps;
    constexpr std::size_t kMost = 64;
    const std::lock_guard lock(mutex);
    auto found = stamps.find(text);
    if (found != stamps.end())
        return found->second;
    const auto parsed = EmbeddingStamp::from_string(text);
    if (!parsed)
        return nullptr;
    if (stamps.size() >= kMost)
        stamps.clear();
    return stamps[text] = std::make_shared<const EmbeddingStamp>(*parsed);
}

void read_quality(const GstSphereFace *source, Face &face) {
    gdouble score = 0, sharpness = 0, brightness = 0, eye_distance_px = 0;
    if (!gst_sphere_face_get_quality(source, &score, &sharpness, &brightness, &eye_distance_px))
        return;
    gdouble yaw_deg = 0, pitch_deg = 0, roll_deg = 0;
    gst_sphere_face_get_pose(source, &yaw_deg, &pitch_deg, &roll_deg);
    face.quality = Quality{static_cast<float>(score),          static_cast<float>(sharpness),
                           static_cast<float>(brightness),     static_cast<float>(yaw_deg),
                           static_cast<float>(pitch_deg),      static_cast<float>(roll_deg),
                           static_cast<float>(eye_distance_px)};
}

void read_embedding(const GstSphereFace *source, Face &face) {
    gsize n = 0;
    const gfloat *values = gst_sphere_face_get_embedding(source, &n);
    const gchar *stamp = gst_sphere_face_get_embedding_stamp(source);
    if (values == nullptr || n == 0)
        return;
    Embedding embedding;
    embedding.values.assign(values, values + n);
    embedding.stamp = stamp != nullptr ? interned_stamp(stamp) : nullptr;
    embedding.monochrome = gst_sphere_face_get_monochrome(source) != FALSE;
    face.embedding = std::move(embedding);
}

void read_match(const GstSphereFace *source, Face &face) {
    MatchResult match;
    match.state = static_cast<FaceState>(gst_sphere_face_get_state(source));
    match.reason = static_cast<FaceReason>(gst_sphere_face_get_reason(source));
    if (match.state == FaceState::Undecided)
        return;
    const gchar *metric = nullptr;
    gdouble threshold = 0, margin = NAN;
    if (gst_sphere_face_get_match_info(source, &metric, &threshold, &margin)) {
        match.metric = metric != nullptr ? metric : "";
        match.threshold = static_cast<float>(threshold);
        if (std::isfinite(margin))
            match.margin = static_cast<float>(margin);
    }
    if (const gchar *stranger = gst_sphere_face_get_stranger_id(source))
        match.stranger = stranger;
    const guint n = gst_sphere_face_get_n_candidates(source);
    for (guint i = 0; i < n; ++i) {
        const gchar *id = nullptr, *label = nullptr;
        gdouble distance = 0, similarity = 0;
        gst_sphere_face_get_candidate(source, i, &id, &label, &distance, &similarity);
        match.candidates.push_back({id != nullptr ? id : "", label != nullptr ? label : "",
                                    static_cast<float>(distance),
                                    static_cast<float>(similarity)});
    }
    face.match = std::move(match);
}

void read_attributes(const GstSphereFace *source, Face &face) {
    const GstStructure *structure = gst_sphere_face_get_attributes(source);
    const gint n = structure != nullptr ? gst_structure_n_fields(structure) : 0;
    for (gint i = 0; i < n; ++i) {
        Attribute attribute;
        const gchar *name = gst_structure_nth_field_name(structure, static_cast<guint>(i));
        const GValue *value = gst_structure_get_value(structure, name);
        attribute.name = name;
        if (G_VALUE_HOLDS_DOUBLE(value)) {
            if (attribute.name.ends_with(kScoreSuffix))
                continue; // of a class
            attribute.number = static_cast<float>(g_value_get_double(value));
        } else if (G_VALUE_HOLDS_STRING(value) && g_value_get_string(value) != nullptr) {
            attribute.labels.emplace_back(g_value_get_string(value));
        } else if (G_VALUE_HOLDS_BOOLEAN(value)) {
            attribute.labels.emplace_back(g_value_get_boolean(value) ? "true" : "false");
        } else {
            continue;
        }
        gdouble score = 0;
        if (!attribute.labels.empty()) {
            gst_structure_get_double(structure, (attribute.name + kScoreSuffix).c_str(),
                                     &score);
            attribute.scores.push_back(static_cast<float>(score));
        }
        face.attributes.push_back(std::move(attribute));
    }
}

} // namespace

Face face_from_meta(const GstSphereFace *source, unsigned parts) {
    Face face;
    gdouble x = 0, y = 0, w = 0, h = 0;
    gst_sphere_face_get_box(source, &x, &y, &w, &h);
    face.box = {static_cast<float>(x), static_cast<float>(y), static_cast<float>(w),
                static_cast<float>(h)};
    face.score = static_cast<float>(gst_sphere_face_get_score(source));
    gsize n = 0;
    if (const gfloat *points = gst_sphere_face_get_landmarks(source, &n); points && n == 10) {
        Landmarks5 landmarks;
        for (std::size_t i = 0; i < landmarks.size(); ++i)
            landmarks[i] = {points[2 * i], points[2 * i + 1]};
        face.landmarks = landmarks;
    }
    if (const gint64 track = gst_sphere_face_get_track_id(source); track >= 0)
        face.track_id = track;
    face.carried = gst_sphere_face_get_carried(source) != FALSE;
    gdouble roll_deg = 0;
    if (gst_sphere_face_get_eye_roll(source, &roll_deg))
        face.eye_roll_deg = static_cast<float>(roll_deg);
    face.reason = static_cast<FaceReason>(gst_sphere_face_get_reason(source));
    if (parts & kQuality)
        read_quality(source, face);
    if (parts & kCrop) {
        face.crop = crop_of(source);
        const gchar *name = gst_sphere_face_get_crop_template(source);
        face.crop_template = name != nullptr ? name : "";
    }
    if (parts & kEmbedding)
        read_embedding(source, face);
    if (parts & kMatch)
        read_match(source, face);
    if (parts & kAttributes)
        read_attributes(source, face);
    return face;
}

GstSphereFace *new_meta_face(const Face &face) {
    GstSphereFace *target =
        gst_sphere_face_new(face.box.x, face.box.y, face.box.w, face.box.h, face.score);
    if (face.landmarks) {
        std::array<gfloat, 10> values;
        for (std::size_t i = 0; i < 5; ++i) {
            values[2 * i] = (*face.landmarks)[i].x;
            values[2 * i + 1] = (*face.landmarks)[i].y;
        }
        gst_sphere_face_set_landmarks(target, values.data(), values.size());
    }
    if (!face.dense_landmarks.empty()) {
        std::vector<gfloat> values;
        values.reserve(2 * face.dense_landmarks.size());
        for (const Point2f &point : face.dense_landmarks) {
            values.push_back(point.x);
            values.push_back(point.y);
        }
        gst_sphere_face_set_dense_landmarks(target, values.data(), values.size());
    }
    if (face.track_id)
        gst_sphere_face_set_track_id(target, *face.track_id);
    gst_sphere_face_set_carried(target, face.carried);
    if (face.eye_roll_deg)
        gst_sphere_face_set_eye_roll(target, *face.eye_roll_deg);
    if (face.reason != FaceReason::None)
        gst_sphere_face_set_state(target, GST_SPHERE_FACE_STATE_UNDECIDED,
                                  static_cast<GstSphereFaceReason>(face.reason));
    return target;
}

std::vector<Face> faces_of_others(GstSphereFaceMeta *meta, GstBuffer *buffer,
                                  const std::string &type) {
    gst_sphere_face_meta_clear(meta);
    const guint n = gst_sphere_face_meta_import_faces(meta, buffer, type.c_str());
    std::vector<Face> faces;
    faces.reserve(n);
    for (guint i = 0; i < n; ++i)
        faces.push_back(face_from_meta(gst_sphere_face_meta_peek_face(meta, i), kGeometry));
    gst_sphere_face_meta_clear(meta);
    return faces;
}

void set_aligned(GstSphereFace *target, const Face &face) {
    if (face.quality) {
        const Quality &q = *face.quality;
        gst_sphere_face_set_quality(target, q.score, q.sharpness, q.brightness,
                                    q.eye_distance_px, q.yaw_deg, q.pitch_deg, q.roll_deg);
    }
    gst_sphere_face_set_state(target, GST_SPHERE_FACE_STATE_UNDECIDED,
                              static_cast<GstSphereFaceReason>(face.reason));
    if (!face.crop) {
        gst_sphere_face_set_crop(target, nullptr, nullptr, nullptr);
        return;
    }
    GstBuffer *crop = wrap_crop(face.crop);
    GstCaps *caps = crop_caps(face.crop->width, face.crop->height);
    gst_sphere_face_set_crop(target, crop, caps, face.crop_template.c_str());
    gst_buffer_unref(crop);
    gst_caps_unref(caps);
}

void set_embedding(GstSphereFace *target, const Embedding &embedding) {
    if (embedding.values.empty() || !embedding.stamp) {
        gst_sphere_face_set_state(target, GST_SPHERE_FACE_STATE_UNDECIDED,
                                  GST_SPHERE_FACE_REASON_NOT_EMBEDDED);
        return;
    }
    gst_sphere_face_set_embedding(target, embedding.values.data(), embedding.values.size(),
                                  embedding.stamp->to_string().c_str());
    gst_sphere_face_set_monochrome(target, embedding.monochrome);
}

void set_match(GstSphereFace *target, const MatchResult &match) {
    gst_sphere_face_clear_candidates(target);
    for (const Candidate &candidate : match.candidates)
        gst_sphere_face_add_candidate(target, candidate.id.c_str(), candidate.label.c_str(),
                                      candidate.distance, candidate.similarity);
    gst_sphere_face_set_match_info(target, match.metric.c_str(), match.threshold,
                                   match.margin ? static_cast<gdouble>(*match.margin) : NAN);
    gst_sphere_face_set_stranger_id(target, match.stranger.c_str());
    gst_sphere_face_set_state(target, static_cast<GstSphereFaceState>(match.state),
                              static_cast<GstSphereFaceReason>(match.reason));
}

void set_attributes(GstSphereFace *target, const std::vector<Attribute> &attributes) {
    if (attributes.empty())
        return gst_sphere_face_set_attributes(target, nullptr);
    GstStructure *structure = gst_structure_new_empty("attributes");
    for (const Attribute &attribute : attributes) {
        const char *name = attribute.name.c_str();
        if (attribute.labels.empty()) {
            gst_structure_set(structure, name, G_TYPE_DOUBLE,
                              static_cast<gdouble>(attribute.number), nullptr);
            continue;
        }
        const std::size_t best = attribute.best();
        const std::string &label = attribute.labels[best];
        if (label == "true" || label == "false")
            gst_structure_set(structure, name, G_TYPE_BOOLEAN, label == "true", nullptr);
        else
            gst_structure_set(structure, name, G_TYPE_STRING, label.c_str(), nullptr);
        gst_structure_set(structure, (attribute.name + kScoreSuffix).c_str(), G_TYPE_DOUBLE,
                          static_cast<gdouble>(attribute.scores[best]), nullptr);
    }
    gst_sphere_face_set_attributes(target, structure);
    gst_structure_free(structure);
}

std::shared_ptr<const Image> crop_of(const GstSphereFace *face) {
    GstBuffer *buffer = gst_sphere_face_get_crop(face);
    GstCaps *caps = gst_sphere_face_get_crop_caps(face);
    if (buffer == nullptr || caps == nullptr)
        return nullptr;
    if (const auto *handle = static_cast<CropHandle *>(
            gst_mini_object_get_qdata(GST_MINI_OBJECT_CAST(buffer), crop_quark())))
        return *handle;
    // A crop from somebody else's element.
    GstVideoInfo info;
    if (!gst_video_info_from_caps(&info, caps) ||
        GST_VIDEO_INFO_FORMAT(&info) != GST_VIDEO_FORMAT_BGR)
        return nullptr;
    auto image = std::make_shared<Image>(info.width, info.height);
    if (gst_buffer_extract(buffer, 0, image->bgr.data(), image->bgr.size()) !=
        image->bgr.size())
        return nullptr;
    return image;
}

} // namespace sphere::gst
