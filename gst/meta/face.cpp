// SPDX-License-Identifier: MIT
// GstSphereFace, first part: its life, where it is, its quality.
#include "face_data.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>

using sphere_meta::no_throw;
using sphere_meta::set_out;

namespace {

bool all_finite(const gfloat *values, gsize n) {
    return std::all_of(values, values + n, [](gfloat value) { return std::isfinite(value); });
}

} // namespace

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
 * is not finite or a side is negative
 */
GstSphereFace *gst_sphere_face_new(gdouble x, gdouble y, gdouble width, gdouble height,
                                   gdouble score) {
    g_return_val_if_fail(std::isfinite(x) && std::isfinite(y), nullptr);
    g_return_val_if_fail(std::isfinite(width) && std::isfinite(height), nullptr);
    g_return_val_if_fail(width >= 0 && height >= 0 && std::isfinite(score), nullptr);
    static std::atomic<gint64> next_id{1};
    auto *face = no_throw([] { return new GstSphereFace; });
    face->id = next_id++;
    face->x = x;
    face->y = y;
    face->width = width;
    face->height = height;
    face->score = score;
    return face;
}

GstSphereFace sphere_meta::imported_face(double x, double y, double width, double height,
                                         double score) {
    GstSphereFace *made = gst_sphere_face_new(x, y, width, height, std::clamp(score, 0.0, 1.0));
    GstSphereFace face = std::move(*made);
    gst_sphere_face_free(made);
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
    return no_throw([face] { return new GstSphereFace(*face); });
}

/**
 * gst_sphere_face_free:
 * @face: (transfer full) (nullable): a face
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

/**
 * gst_sphere_face_get_landmarks:
 * @face: a face
 * @n_values: (out) (optional): 10, or 0
 *
 * Returns: (array length=n_values) (transfer none) (nullable): five points, x and y in turn:
 * eye, eye, nose, mouth corner, mouth corner; the image-left one first in each pair
 */
const gfloat *gst_sphere_face_get_landmarks(const GstSphereFace *face, gsize *n_values) {
    set_out(n_values, 0);
    g_return_val_if_fail(face != nullptr, nullptr);
    if (!face->landmarks)
        return nullptr;
    set_out(n_values, face->landmarks->size());
    return face->landmarks->data();
}

/**
 * gst_sphere_face_set_landmarks:
 * @face: a face
 * @values: (array length=n_values) (nullable): ten finite numbers, or none
 * @n_values: 10, or 0
 */
void gst_sphere_face_set_landmarks(GstSphereFace *face, const gfloat *values, gsize n_values) {
    g_return_if_fail(face != nullptr);
    if (values == nullptr || n_values == 0) {
        face->landmarks.reset();
        return;
    }
    g_return_if_fail(n_values == 10 && all_finite(values, n_values));
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
    set_out(n_values, 0);
    g_return_val_if_fail(face != nullptr, nullptr);
    if (!face->dense)
        return nullptr;
    set_out(n_values, face->dense->size());
    return face->dense->data();
}

/**
 * gst_sphere_face_set_dense_landmarks:
 * @face: a face
 * @values: (array length=n_values) (nullable): x and y in turn, finite; or none
 * @n_values: an even number
 */
void gst_sphere_face_set_dense_landmarks(GstSphereFace *face, const gfloat *values,
                                         gsize n_values) {
    g_return_if_fail(face != nullptr && n_values % 2 == 0);
    g_return_if_fail(values == nullptr || all_finite(values, n_values));
    // Made before the old ones go: `values` may be theirs.
    face->dense = no_throw([&]() -> std::shared_ptr<const std::vector<gfloat>> {
        if (values == nullptr || n_values == 0)
            return nullptr;
        return std::make_shared<const std::vector<gfloat>>(values, values + n_values);
    });
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
 * gst_sphere_face_get_carried:
 * @face: a face
 *
 * Returns: whether the face was not detected in this frame but carried over by its track: box
 * and landmarks are predicted
 */
gboolean gst_sphere_face_get_carried(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, FALSE);
    return face->carried;
}

/**
 * gst_sphere_face_set_carried:
 * @face: a face
 * @carried: whether its place is predicted
 */
void gst_sphere_face_set_carried(GstSphereFace *face, gboolean carried) {
    g_return_if_fail(face != nullptr);
    face->carried = carried != FALSE;
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
