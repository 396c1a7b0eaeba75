// SPDX-License-Identifier: MIT
// GstSphereFace: one face, behind a C API.
#include "face_data.h"

#include <atomic>
#include <cmath>
#include <new>

using sphere_meta::BufferUnref;

G_DEFINE_BOXED_TYPE(GstSphereFace, gst_sphere_face, gst_sphere_face_copy, gst_sphere_face_free)

/**
 * gst_sphere_face_new:
 * @x: left edge, px of the frame
 * @y: top edge
 * @width: not negative
 * @height: not negative
 * @score: in [0, 1]
 *
 * Returns: (transfer full) (nullable): a new face with an id of its own; %NULL where a number
 * is not finite
 */
GstSphereFace *gst_sphere_face_new(gdouble x, gdouble y, gdouble width, gdouble height,
                                   gdouble score) {
    g_return_val_if_fail(std::isfinite(x) && std::isfinite(y), nullptr);
    g_return_val_if_fail(std::isfinite(width) && std::isfinite(height), nullptr);
    g_return_val_if_fail(width >= 0 && height >= 0, nullptr);
    static std::atomic<gint64> next_id{1};
    auto *face = new GstSphereFace;
    face->id = next_id++;
    face->x = x;
    face->y = y;
    face->width = width;
    face->height = height;
    face->score = std::isfinite(score) ? score : 0;
    return face;
}

/**
 * gst_sphere_face_copy:
 * @face: a face
 *
 * Returns: (transfer full): an independent copy with the same id
 */
GstSphereFace *gst_sphere_face_copy(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, nullptr);
    return new GstSphereFace(*face);
}

/**
 * gst_sphere_face_free:
 * @face: (transfer full): a face
 */
void gst_sphere_face_free(GstSphereFace *face) {
    delete face;
}

/**
 * gst_sphere_face_get_id:
 * @face: a face
 *
 * Returns: a number that no other face of this process has; its ROI mirror's id
 */
gint64 gst_sphere_face_get_id(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, 0);
    return face->id;
}

/**
 * gst_sphere_face_get_box:
 * @face: a face
 * @x: (out) (optional): left edge, px
 * @y: (out) (optional): top edge, px
 * @width: (out) (optional): px
 * @height: (out) (optional): px
 */
void gst_sphere_face_get_box(const GstSphereFace *face, gdouble *x, gdouble *y, gdouble *width,
                             gdouble *height) {
    g_return_if_fail(face != nullptr);
    if (x != nullptr)
        *x = face->x;
    if (y != nullptr)
        *y = face->y;
    if (width != nullptr)
        *width = face->width;
    if (height != nullptr)
        *height = face->height;
}

/**
 * gst_sphere_face_set_box:
 * @face: a face
 * @x: left edge, px
 * @y: top edge, px
 * @width: not negative
 * @height: not negative
 */
void gst_sphere_face_set_box(GstSphereFace *face, gdouble x, gdouble y, gdouble width,
                             gdouble height) {
    g_return_if_fail(face != nullptr);
    g_return_if_fail(std::isfinite(x) && std::isfinite(y));
    g_return_if_fail(std::isfinite(width) && std::isfinite(height) && width >= 0 &&
                     height >= 0);
    face->x = x;
    face->y = y;
    face->width = width;
    face->height = height;
}

/**
 * gst_sphere_face_get_score:
 * @face: a face
 *
 * Returns: the detector's score, in [0, 1]
 */
gdouble gst_sphere_face_get_score(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, 0);
    return face->score;
}

/**
 * gst_sphere_face_set_score:
 * @face: a face
 * @score: in [0, 1]
 */
void gst_sphere_face_set_score(GstSphereFace *face, gdouble score) {
    g_return_if_fail(face != nullptr && std::isfinite(score));
    face->score = score;
}

static void set_size(gsize *n_values, gsize n) {
    if (n_values != nullptr)
        *n_values = n;
}

/**
 * gst_sphere_face_get_landmarks:
 * @face: a face
 * @n_values: (out) (optional): 10, or 0
 *
 * Returns: (array length=n_values) (transfer none) (nullable): five points, x and y in turn:
 * eye, eye, nose, mouth corner, mouth corner; the image-left one first in each pair
 */
const gfloat *gst_sphere_face_get_landmarks(const GstSphereFace *face, gsize *n_values) {
    set_size(n_values, 0);
    g_return_val_if_fail(face != nullptr, nullptr);
    if (!face->landmarks)
        return nullptr;
    set_size(n_values, face->landmarks->size());
    return face->landmarks->data();
}

/**
 * gst_sphere_face_set_landmarks:
 * @face: a face
 * @values: (array length=n_values) (nullable): ten numbers, or none
 * @n_values: 10, or 0
 */
void gst_sphere_face_set_landmarks(GstSphereFace *face, const gfloat *values, gsize n_values) {
    g_return_if_fail(face != nullptr);
    if (values == nullptr || n_values == 0) {
        face->landmarks.reset();
        return;
    }
    g_return_if_fail(n_values == 10);
    std::array<gfloat, 10> points;
    std::copy(values, values + 10, points.begin());
    face->landmarks = points;
}

/**
 * gst_sphere_face_get_dense_landmarks:
 * @face: a face
 * @n_values: (out) (optional): twice the number of points
 *
 * Returns: (array length=n_values) (transfer none) (nullable): all points of the landmark
 * model, x and y in turn
 */
const gfloat *gst_sphere_face_get_dense_landmarks(const GstSphereFace *face, gsize *n_values) {
    set_size(n_values, 0);
    g_return_val_if_fail(face != nullptr, nullptr);
    if (!face->dense)
        return nullptr;
    set_size(n_values, face->dense->size());
    return face->dense->data();
}

/**
 * gst_sphere_face_set_dense_landmarks:
 * @face: a face
 * @values: (array length=n_values) (nullable): x and y in turn
 * @n_values: an even number
 */
void gst_sphere_face_set_dense_landmarks(GstSphereFace *face, const gfloat *values,
                                         gsize n_values) {
    g_return_if_fail(face != nullptr && n_values % 2 == 0);
    face->dense.reset();
    if (values != nullptr && n_values > 0)
        face->dense = std::make_shared<const std::vector<gfloat>>(values, values + n_values);
}

/**
 * gst_sphere_face_get_track_id:
 * @face: a face
 *
 * Returns: the track that the face belongs to; -1 where it is not tracked
 */
gint64 gst_sphere_face_get_track_id(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, -1);
    return face->track_id;
}

/**
 * gst_sphere_face_set_track_id:
 * @face: a face
 * @track_id: a track, or -1
 */
void gst_sphere_face_set_track_id(GstSphereFace *face, gint64 track_id) {
    g_return_if_fail(face != nullptr);
    face->track_id = track_id;
}

/**
 * gst_sphere_face_get_eye_roll:
 * @face: a face
 * @roll_deg: (out) (optional): positive when the image-right eye is lower
 *
 * Returns: whether a detector without landmarks found two eyes
 */
gboolean gst_sphere_face_get_eye_roll(const GstSphereFace *face, gdouble *roll_deg) {
    g_return_val_if_fail(face != nullptr, FALSE);
    if (roll_deg != nullptr)
        *roll_deg = face->eye_roll_deg.value_or(0);
    return face->eye_roll_deg.has_value();
}

/**
 * gst_sphere_face_set_eye_roll:
 * @face: a face
 * @roll_deg: degrees
 */
void gst_sphere_face_set_eye_roll(GstSphereFace *face, gdouble roll_deg) {
    g_return_if_fail(face != nullptr && std::isfinite(roll_deg));
    face->eye_roll_deg = roll_deg;
}

static void set_out(gdouble *out, double value) {
    if (out != nullptr)
        *out = value;
}

/**
 * gst_sphere_face_get_quality:
 * @face: a face
 * @score: (out) (optional): all together, in [0, 1]
 * @sharpness: (out) (optional): in [0, 1]
 * @brightness: (out) (optional): in [0, 1]
 * @eye_distance_px: (out) (optional): px of the frame
 *
 * Returns: whether the quality was assessed
 */
gboolean gst_sphere_face_get_quality(const GstSphereFace *face, gdouble *score,
                                     gdouble *sharpness, gdouble *brightness,
                                     gdouble *eye_distance_px) {
    g_return_val_if_fail(face != nullptr, FALSE);
    const sphere_meta::Quality quality = face->quality.value_or(sphere_meta::Quality{});
    set_out(score, quality.score);
    set_out(sharpness, quality.sharpness);
    set_out(brightness, quality.brightness);
    set_out(eye_distance_px, quality.eye_distance_px);
    return face->quality.has_value();
}

/**
 * gst_sphere_face_get_pose:
 * @face: a face
 * @yaw_deg: (out) (optional): positive: looks to the image's right
 * @pitch_deg: (out) (optional): positive: looks up
 * @roll_deg: (out) (optional): positive: turned clockwise
 *
 * Returns: whether the pose was estimated
 */
gboolean gst_sphere_face_get_pose(const GstSphereFace *face, gdouble *yaw_deg,
                                  gdouble *pitch_deg, gdouble *roll_deg) {
    g_return_val_if_fail(face != nullptr, FALSE);
    const sphere_meta::Quality quality = face->quality.value_or(sphere_meta::Quality{});
    set_out(yaw_deg, quality.yaw_deg);
    set_out(pitch_deg, quality.pitch_deg);
    set_out(roll_deg, quality.roll_deg);
    return face->quality.has_value();
}

/**
 * gst_sphere_face_set_quality:
 * @face: a face
 * @score: in [0, 1]
 * @sharpness: in [0, 1]
 * @brightness: in [0, 1]
 * @eye_distance_px: px of the frame
 * @yaw_deg: degrees
 * @pitch_deg: degrees
 * @roll_deg: degrees
 */
void gst_sphere_face_set_quality(GstSphereFace *face, gdouble score, gdouble sharpness,
                                 gdouble brightness, gdouble eye_distance_px, gdouble yaw_deg,
                                 gdouble pitch_deg, gdouble roll_deg) {
    g_return_if_fail(face != nullptr);
    face->quality = sphere_meta::Quality{score,   sharpness, brightness, eye_distance_px,
                                         yaw_deg, pitch_deg, roll_deg};
}

/**
 * gst_sphere_face_get_crop:
 * @face: a face
 *
 * Returns: (transfer none) (nullable): the aligned crop, 8-bit BGR with a tight stride
 */
GstBuffer *gst_sphere_face_get_crop(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, nullptr);
    return face->crop.get();
}

/**
 * gst_sphere_face_get_crop_caps:
 * @face: a face
 *
 * Returns: (transfer none) (nullable): the crop's caps
 */
GstCaps *gst_sphere_face_get_crop_caps(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, nullptr);
    return face->crop_caps.get();
}

/**
 * gst_sphere_face_get_crop_template:
 * @face: a face
 *
 * Returns: (nullable): the template that the crop is aligned to
 */
const gchar *gst_sphere_face_get_crop_template(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, nullptr);
    return face->crop_template.empty() ? nullptr : face->crop_template.c_str();
}

/**
 * gst_sphere_face_set_crop:
 * @face: a face
 * @crop: (nullable): the crop, or %NULL to remove it
 * @caps: (nullable): its caps
 * @template_name: (nullable): its template
 */
void gst_sphere_face_set_crop(GstSphereFace *face, GstBuffer *crop, GstCaps *caps,
                              const gchar *template_name) {
    g_return_if_fail(face != nullptr);
    face->crop.reset();
    face->crop_caps.reset();
    if (crop != nullptr)
        face->crop.reset(gst_buffer_ref(crop), BufferUnref());
    if (caps != nullptr)
        face->crop_caps.reset(gst_caps_ref(caps), BufferUnref());
    face->crop_template = template_name != nullptr ? template_name : "";
}

/**
 * gst_sphere_face_get_embedding:
 * @face: a face
 * @n_values: (out) (optional): its length
 *
 * Returns: (array length=n_values) (transfer none) (nullable): the network's raw output after
 * flip
 */
const gfloat *gst_sphere_face_get_embedding(const GstSphereFace *face, gsize *n_values) {
    set_size(n_values, 0);
    g_return_val_if_fail(face != nullptr, nullptr);
    if (!face->embedding)
        return nullptr;
    set_size(n_values, face->embedding->values.size());
    return face->embedding->values.data();
}

/**
 * gst_sphere_face_get_embedding_stamp:
 * @face: a face
 *
 * Returns: (nullable): "model|sha256|preprocessing|template|flip|dims"; embeddings can be
 * compared when these are equal
 */
const gchar *gst_sphere_face_get_embedding_stamp(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, nullptr);
    return face->embedding ? face->embedding->stamp.c_str() : nullptr;
}

/**
 * gst_sphere_face_dup_embedding_model:
 * @face: a face
 *
 * Returns: (transfer full) (nullable): the name of the model that made the embedding
 */
gchar *gst_sphere_face_dup_embedding_model(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, nullptr);
    if (!face->embedding)
        return nullptr;
    const std::string &stamp = face->embedding->stamp;
    return g_strndup(stamp.c_str(), std::min(stamp.find('|'), stamp.size()));
}

/**
 * gst_sphere_face_set_embedding:
 * @face: a face
 * @values: (array length=n_values) (nullable): the numbers, or %NULL to remove them
 * @n_values: how many
 * @stamp: (nullable): what they can be compared with
 */
void gst_sphere_face_set_embedding(GstSphereFace *face, const gfloat *values, gsize n_values,
                                   const gchar *stamp) {
    g_return_if_fail(face != nullptr);
    face->embedding.reset();
    if (values != nullptr && n_values > 0)
        face->embedding = std::make_shared<const sphere_meta::Embedding>(sphere_meta::Embedding{
            std::vector<float>(values, values + n_values), stamp != nullptr ? stamp : ""});
}

/**
 * gst_sphere_face_get_state:
 * @face: a face
 *
 * Returns: what spherematch decided
 */
GstSphereFaceState gst_sphere_face_get_state(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, GST_SPHERE_FACE_STATE_UNDECIDED);
    return face->state;
}

/**
 * gst_sphere_face_get_reason:
 * @face: a face
 *
 * Returns: why a stage passed the face over, or why it is not known
 */
GstSphereFaceReason gst_sphere_face_get_reason(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, GST_SPHERE_FACE_REASON_NONE);
    return face->reason;
}

/**
 * gst_sphere_face_set_state:
 * @face: a face
 * @state: the decision
 * @reason: why
 */
void gst_sphere_face_set_state(GstSphereFace *face, GstSphereFaceState state,
                               GstSphereFaceReason reason) {
    g_return_if_fail(face != nullptr);
    face->state = state;
    face->reason = reason;
}

static const sphere_meta::Candidate *best_of(const GstSphereFace *face) {
    if (face->state != GST_SPHERE_FACE_STATE_KNOWN || face->candidates.empty())
        return nullptr;
    return &face->candidates.front();
}

/**
 * gst_sphere_face_get_match_id:
 * @face: a face
 *
 * Returns: (nullable): who it is; %NULL unless the state is known
 */
const gchar *gst_sphere_face_get_match_id(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, nullptr);
    const auto *best = best_of(face);
    return best != nullptr ? best->id.c_str() : nullptr;
}

/**
 * gst_sphere_face_get_match_label:
 * @face: a face
 *
 * Returns: (nullable): the person's name as it is shown; %NULL unless the state is known
 */
const gchar *gst_sphere_face_get_match_label(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, nullptr);
    const auto *best = best_of(face);
    return best != nullptr ? best->label.c_str() : nullptr;
}

/**
 * gst_sphere_face_get_unknown_label:
 * @face: a face
 *
 * Returns: (nullable): what to show while the face is not known
 */
const gchar *gst_sphere_face_get_unknown_label(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, nullptr);
    return face->unknown_label.empty() ? nullptr : face->unknown_label.c_str();
}

/**
 * gst_sphere_face_set_unknown_label:
 * @face: a face
 * @label: (nullable): what to show while the face is not known
 */
void gst_sphere_face_set_unknown_label(GstSphereFace *face, const gchar *label) {
    g_return_if_fail(face != nullptr);
    face->unknown_label = label != nullptr ? label : "";
}

/**
 * gst_sphere_face_get_match_info:
 * @face: a face
 * @metric: (out) (optional) (nullable) (transfer none): "cosine" or "euclidean"
 * @threshold: (out) (optional): known at this distance or nearer
 * @margin: (out) (optional): second-best person's distance minus the best's; NAN with fewer
 * than two
 *
 * Returns: whether something was decided
 */
gboolean gst_sphere_face_get_match_info(const GstSphereFace *face, const gchar **metric,
                                        gdouble *threshold, gdouble *margin) {
    g_return_val_if_fail(face != nullptr, FALSE);
    if (metric != nullptr)
        *metric = face->match ? face->match->metric.c_str() : nullptr;
    set_out(threshold, face->match ? face->match->threshold : 0);
    set_out(margin, face->match ? face->match->margin : NAN);
    return face->match.has_value();
}

/**
 * gst_sphere_face_set_match_info:
 * @face: a face
 * @metric: (nullable): "cosine" or "euclidean"
 * @threshold: known at this distance or nearer
 * @margin: NAN where there is none
 */
void gst_sphere_face_set_match_info(GstSphereFace *face, const gchar *metric, gdouble threshold,
                                    gdouble margin) {
    g_return_if_fail(face != nullptr);
    face->match = sphere_meta::MatchInfo{metric != nullptr ? metric : "", threshold, margin};
}

/**
 * gst_sphere_face_get_n_candidates:
 * @face: a face
 *
 * Returns: how many people were near, nearest first
 */
guint gst_sphere_face_get_n_candidates(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, 0);
    return static_cast<guint>(face->candidates.size());
}

/**
 * gst_sphere_face_get_candidate:
 * @face: a face
 * @index: which, nearest first
 * @id: (out) (optional) (nullable) (transfer none): the person
 * @label: (out) (optional) (nullable) (transfer none): its name as it is shown
 * @distance: (out) (optional): in the metric
 * @similarity: (out) (optional): the cosine
 *
 * Returns: whether there is such a candidate
 */
gboolean gst_sphere_face_get_candidate(const GstSphereFace *face, guint index, const gchar **id,
                                       const gchar **label, gdouble *distance,
                                       gdouble *similarity) {
    g_return_val_if_fail(face != nullptr, FALSE);
    const bool there = index < face->candidates.size();
    const auto *candidate = there ? &face->candidates[index] : nullptr;
    if (id != nullptr)
        *id = there ? candidate->id.c_str() : nullptr;
    if (label != nullptr)
        *label = there ? candidate->label.c_str() : nullptr;
    set_out(distance, there ? candidate->distance : 0);
    set_out(similarity, there ? candidate->similarity : 0);
    return there;
}

/**
 * gst_sphere_face_clear_candidates:
 * @face: a face
 */
void gst_sphere_face_clear_candidates(GstSphereFace *face) {
    g_return_if_fail(face != nullptr);
    face->candidates.clear();
}

/**
 * gst_sphere_face_add_candidate:
 * @face: a face
 * @id: the person
 * @label: its name as it is shown
 * @distance: in the metric
 * @similarity: the cosine
 */
void gst_sphere_face_add_candidate(GstSphereFace *face, const gchar *id, const gchar *label,
                                   gdouble distance, gdouble similarity) {
    g_return_if_fail(face != nullptr && id != nullptr);
    face->candidates.push_back({id, label != nullptr ? label : id, distance, similarity});
}

/**
 * gst_sphere_face_get_attributes:
 * @face: a face
 *
 * Returns: (transfer none) (nullable): age, gender and so on, by name
 */
const GstStructure *gst_sphere_face_get_attributes(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, nullptr);
    return face->attributes.get();
}

/**
 * gst_sphere_face_set_attributes:
 * @face: a face
 * @attributes: (nullable): copied
 */
void gst_sphere_face_set_attributes(GstSphereFace *face, const GstStructure *attributes) {
    g_return_if_fail(face != nullptr);
    face->attributes.reset();
    if (attributes != nullptr)
        face->attributes.reset(gst_structure_copy(attributes), BufferUnref());
}
