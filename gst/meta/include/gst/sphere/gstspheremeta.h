/* SPDX-License-Identifier: MIT
 * The faces of a video frame, as metadata of its buffer.
 *
 * All coordinates are pixels of the frame as the buffer holds it; (0, 0) is the centre of the
 * top-left pixel for landmarks, boxes are top-left corner and size, not clipped to the frame.
 */
#ifndef GST_SPHERE_META_H
#define GST_SPHERE_META_H

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_SPHERE_API __attribute__((visibility("default")))

/**
 * GstSphereFaceState:
 * @GST_SPHERE_FACE_STATE_UNDECIDED: no spherematch has seen the face
 * @GST_SPHERE_FACE_STATE_KNOWN: recognised
 * @GST_SPHERE_FACE_STATE_UNKNOWN: nobody in the gallery
 * @GST_SPHERE_FACE_STATE_AMBIGUOUS: two people are about equally near
 * @GST_SPHERE_FACE_STATE_UNUSABLE: its picture does not allow a decision
 */
typedef enum {
    GST_SPHERE_FACE_STATE_UNDECIDED,
    GST_SPHERE_FACE_STATE_KNOWN,
    GST_SPHERE_FACE_STATE_UNKNOWN,
    GST_SPHERE_FACE_STATE_AMBIGUOUS,
    GST_SPHERE_FACE_STATE_UNUSABLE,
} GstSphereFaceState;

/**
 * GstSphereFaceReason:
 * @GST_SPHERE_FACE_REASON_NONE: nothing to say
 * @GST_SPHERE_FACE_REASON_TOO_SMALL: smaller than the limits set
 * @GST_SPHERE_FACE_REASON_BLURRED: too blurred
 * @GST_SPHERE_FACE_REASON_PROFILE: turned away too far
 * @GST_SPHERE_FACE_REASON_TRUNCATED: partly outside the frame
 * @GST_SPHERE_FACE_REASON_NO_LANDMARKS: the template needs landmarks and there are none
 * @GST_SPHERE_FACE_REASON_LOW_QUALITY: quality below the limit set
 * @GST_SPHERE_FACE_REASON_NOT_EMBEDDED: no embedding was computed
 * @GST_SPHERE_FACE_REASON_BELOW_THRESHOLD: the nearest person is too far
 * @GST_SPHERE_FACE_REASON_AMBIGUOUS: the second person is nearly as near
 * @GST_SPHERE_FACE_REASON_EMPTY_GALLERY: nobody is enrolled
 * @GST_SPHERE_FACE_REASON_WRONG_MODEL: the embedding is of another model than the gallery's
 * @GST_SPHERE_FACE_REASON_IGNORED: it is on the gallery's list of faces to ignore
 *
 * Why some stage passed the face over, or why it is not known.
 */
typedef enum {
    GST_SPHERE_FACE_REASON_NONE,
    GST_SPHERE_FACE_REASON_TOO_SMALL,
    GST_SPHERE_FACE_REASON_BLURRED,
    GST_SPHERE_FACE_REASON_PROFILE,
    GST_SPHERE_FACE_REASON_TRUNCATED,
    GST_SPHERE_FACE_REASON_NO_LANDMARKS,
    GST_SPHERE_FACE_REASON_LOW_QUALITY,
    GST_SPHERE_FACE_REASON_NOT_EMBEDDED,
    GST_SPHERE_FACE_REASON_BELOW_THRESHOLD,
    GST_SPHERE_FACE_REASON_AMBIGUOUS,
    GST_SPHERE_FACE_REASON_EMPTY_GALLERY,
    GST_SPHERE_FACE_REASON_WRONG_MODEL,
    GST_SPHERE_FACE_REASON_IGNORED,
} GstSphereFaceReason;

GST_SPHERE_API GType gst_sphere_face_state_get_type(void);
GST_SPHERE_API GType gst_sphere_face_reason_get_type(void);
#define GST_TYPE_SPHERE_FACE_STATE (gst_sphere_face_state_get_type())
#define GST_TYPE_SPHERE_FACE_REASON (gst_sphere_face_reason_get_type())

/**
 * GstSphereFace:
 *
 * One face: a boxed type whose copies are independent and cheap.
 */
typedef struct _GstSphereFace GstSphereFace;

GST_SPHERE_API GType gst_sphere_face_get_type(void);
#define GST_TYPE_SPHERE_FACE (gst_sphere_face_get_type())

GST_SPHERE_API GstSphereFace *gst_sphere_face_new(gdouble x, gdouble y, gdouble width,
                                                  gdouble height, gdouble score);
GST_SPHERE_API GstSphereFace *gst_sphere_face_copy(const GstSphereFace *face);
GST_SPHERE_API void gst_sphere_face_free(GstSphereFace *face);

GST_SPHERE_API gint64 gst_sphere_face_get_id(const GstSphereFace *face);
GST_SPHERE_API void gst_sphere_face_get_box(const GstSphereFace *face, gdouble *x, gdouble *y,
                                            gdouble *width, gdouble *height);
GST_SPHERE_API void gst_sphere_face_set_box(GstSphereFace *face, gdouble x, gdouble y,
                                            gdouble width, gdouble height);
GST_SPHERE_API gdouble gst_sphere_face_get_score(const GstSphereFace *face);
GST_SPHERE_API void gst_sphere_face_set_score(GstSphereFace *face, gdouble score);

/* Five points, x and y in turn: ten values. NULL and 0 where the face has none. */
GST_SPHERE_API const gfloat *gst_sphere_face_get_landmarks(const GstSphereFace *face,
                                                           gsize *n_values);
GST_SPHERE_API void gst_sphere_face_set_landmarks(GstSphereFace *face, const gfloat *values,
                                                  gsize n_values);
/* All points of a landmark model (68), x and y in turn. */
GST_SPHERE_API const gfloat *gst_sphere_face_get_dense_landmarks(const GstSphereFace *face,
                                                                 gsize *n_values);
GST_SPHERE_API void gst_sphere_face_set_dense_landmarks(GstSphereFace *face,
                                                        const gfloat *values, gsize n_values);

/* -1 where the face is not tracked. */
GST_SPHERE_API gint64 gst_sphere_face_get_track_id(const GstSphereFace *face);
GST_SPHERE_API void gst_sphere_face_set_track_id(GstSphereFace *face, gint64 track_id);
/* TRUE where the face was not detected in this frame: spheretrack carried it over, its box and
 * landmarks are predicted and its score fades with time. */
GST_SPHERE_API gboolean gst_sphere_face_get_carried(const GstSphereFace *face);
GST_SPHERE_API void gst_sphere_face_set_carried(GstSphereFace *face, gboolean carried);

/* Roll in degrees of a pair of eyes that a detector without landmarks found. */
GST_SPHERE_API gboolean gst_sphere_face_get_eye_roll(const GstSphereFace *face,
                                                     gdouble *roll_deg);
GST_SPHERE_API void gst_sphere_face_set_eye_roll(GstSphereFace *face, gdouble roll_deg);

/* Quality: FALSE where it was not assessed. Score, sharpness and brightness in [0, 1]. */
GST_SPHERE_API gboolean gst_sphere_face_get_quality(const GstSphereFace *face, gdouble *score,
                                                    gdouble *sharpness, gdouble *brightness,
                                                    gdouble *eye_distance_px);
GST_SPHERE_API gboolean gst_sphere_face_get_pose(const GstSphereFace *face, gdouble *yaw_deg,
                                                 gdouble *pitch_deg, gdouble *roll_deg);
GST_SPHERE_API void gst_sphere_face_set_quality(GstSphereFace *face, gdouble score,
                                                gdouble sharpness, gdouble brightness,
                                                gdouble eye_distance_px, gdouble yaw_deg,
                                                gdouble pitch_deg, gdouble roll_deg);

/* The aligned crop: one buffer of 8-bit BGR, tight stride, with its caps and template name. */
GST_SPHERE_API GstBuffer *gst_sphere_face_get_crop(const GstSphereFace *face);
GST_SPHERE_API GstCaps *gst_sphere_face_get_crop_caps(const GstSphereFace *face);
GST_SPHERE_API const gchar *gst_sphere_face_get_crop_template(const GstSphereFace *face);
GST_SPHERE_API void gst_sphere_face_set_crop(GstSphereFace *face, GstBuffer *crop,
                                             GstCaps *caps, const gchar *template_name);

/* The raw embedding, and the stamp "model|sha256|preprocessing|template|flip|dims". */
GST_SPHERE_API const gfloat *gst_sphere_face_get_embedding(const GstSphereFace *face,
                                                           gsize *n_values);
GST_SPHERE_API const gchar *gst_sphere_face_get_embedding_stamp(const GstSphereFace *face);
GST_SPHERE_API gchar *gst_sphere_face_dup_embedding_model(const GstSphereFace *face);
GST_SPHERE_API void gst_sphere_face_set_embedding(GstSphereFace *face, const gfloat *values,
                                                  gsize n_values, const gchar *stamp);
/* Whether the crop that was embedded has no colours: grey, or infrared. */
GST_SPHERE_API gboolean gst_sphere_face_get_monochrome(const GstSphereFace *face);
GST_SPHERE_API void gst_sphere_face_set_monochrome(GstSphereFace *face, gboolean monochrome);

GST_SPHERE_API GstSphereFaceState gst_sphere_face_get_state(const GstSphereFace *face);
GST_SPHERE_API GstSphereFaceReason gst_sphere_face_get_reason(const GstSphereFace *face);
GST_SPHERE_API void gst_sphere_face_set_state(GstSphereFace *face, GstSphereFaceState state,
                                              GstSphereFaceReason reason);
GST_SPHERE_API const gchar *gst_sphere_face_state_to_string(GstSphereFaceState state);
GST_SPHERE_API const gchar *gst_sphere_face_reason_to_string(GstSphereFaceReason reason);

/* The decision. id and label are NULL unless the state is KNOWN. */
GST_SPHERE_API const gchar *gst_sphere_face_get_match_id(const GstSphereFace *face);
GST_SPHERE_API const gchar *gst_sphere_face_get_match_label(const GstSphereFace *face);
/* What to show for a face that is not known (spherematch's unknown-label), or NULL. */
GST_SPHERE_API const gchar *gst_sphere_face_get_unknown_label(const GstSphereFace *face);
GST_SPHERE_API void gst_sphere_face_set_unknown_label(GstSphereFace *face, const gchar *label);
/* "unknown-12" where spherematch collects unknown people and has this one, or NULL. */
GST_SPHERE_API const gchar *gst_sphere_face_get_stranger_id(const GstSphereFace *face);
GST_SPHERE_API void gst_sphere_face_set_stranger_id(GstSphereFace *face, const gchar *id);
/* FALSE where nothing was decided; margin is NAN with fewer than two people. */
GST_SPHERE_API gboolean gst_sphere_face_get_match_info(const GstSphereFace *face,
                                                       const gchar **metric, gdouble *threshold,
                                                       gdouble *margin);
GST_SPHERE_API void gst_sphere_face_set_match_info(GstSphereFace *face, const gchar *metric,
                                                   gdouble threshold, gdouble margin);
/* Candidates: distinct people, nearest first. */
GST_SPHERE_API guint gst_sphere_face_get_n_candidates(const GstSphereFace *face);
GST_SPHERE_API gboolean gst_sphere_face_get_candidate(const GstSphereFace *face, guint index,
                                                      const gchar **id, const gchar **label,
                                                      gdouble *distance, gdouble *similarity);
GST_SPHERE_API void gst_sphere_face_clear_candidates(GstSphereFace *face);
GST_SPHERE_API void gst_sphere_face_add_candidate(GstSphereFace *face, const gchar *id,
                                                  const gchar *label, gdouble distance,
                                                  gdouble similarity);

/* Attributes by name (age, gender, ...), or NULL. */
GST_SPHERE_API const GstStructure *gst_sphere_face_get_attributes(const GstSphereFace *face);
GST_SPHERE_API void gst_sphere_face_set_attributes(GstSphereFace *face,
                                                   const GstStructure *attributes);

/**
 * GstSphereFaceMeta:
 * @meta: parent
 *
 * All faces of one buffer. At most one a buffer. Travels with copies of the buffer and follows
 * scaling; the mirrors (GstVideoRegionOfInterestMeta, GstAnalyticsRelationMeta) are written by
 * gst_sphere_face_meta_sync().
 */
typedef struct _GstSphereFaceMeta GstSphereFaceMeta;
typedef struct _GstSphereFaceMetaPrivate GstSphereFaceMetaPrivate;
struct _GstSphereFaceMeta {
    GstMeta meta;
    /*< private >*/
    GstSphereFaceMetaPrivate *priv;
};

GST_SPHERE_API GType gst_sphere_face_meta_api_get_type(void);
GST_SPHERE_API const GstMetaInfo *gst_sphere_face_meta_get_info(void);
#define GST_SPHERE_FACE_META_API_TYPE (gst_sphere_face_meta_api_get_type())
#define GST_SPHERE_FACE_META_INFO (gst_sphere_face_meta_get_info())

GST_SPHERE_API GstSphereFaceMeta *gst_buffer_get_sphere_face_meta(GstBuffer *buffer);
/* The buffer must be writable. Returns the one that is there, or a new empty one. width and
 * height: the frame's, in pixels, for the mirrors. */
GST_SPHERE_API GstSphereFaceMeta *gst_buffer_add_sphere_face_meta(GstBuffer *buffer,
                                                                  guint width, guint height);

GST_SPHERE_API guint gst_sphere_face_meta_get_n_faces(const GstSphereFaceMeta *meta);
GST_SPHERE_API GstSphereFace *gst_sphere_face_meta_get_face(const GstSphereFaceMeta *meta,
                                                            guint index);
GST_SPHERE_API void gst_sphere_face_meta_add_face(GstSphereFaceMeta *meta,
                                                  const GstSphereFace *face);
GST_SPHERE_API gboolean gst_sphere_face_meta_set_face(GstSphereFaceMeta *meta, guint index,
                                                      const GstSphereFace *face);
GST_SPHERE_API void gst_sphere_face_meta_clear(GstSphereFaceMeta *meta);
/* Borrowed: valid until the meta changes or the buffer goes. No copy. */
GST_SPHERE_API const GstSphereFace *
gst_sphere_face_meta_peek_face(const GstSphereFaceMeta *meta, guint index);
/* What spheretrack and the elements after it know of the stream's tracks, or NULL: opaque,
 * shared by the stream's buffers, kept by copies of the meta. */
GST_SPHERE_API GObject *gst_sphere_face_meta_get_tracks(const GstSphereFaceMeta *meta);
GST_SPHERE_API void gst_sphere_face_meta_set_tracks(GstSphereFaceMeta *meta, GObject *tracks);
/* Adds what others' elements found: their regions of interest and, from GStreamer 1.24, object
 * detections of that type ("face"). Returns how many faces that are. */
GST_SPHERE_API guint gst_sphere_face_meta_import_faces(GstSphereFaceMeta *meta,
                                                       GstBuffer *buffer, const gchar *type);
/* Writes the mirrors of all faces onto the buffer, replacing those of before. */
GST_SPHERE_API void gst_sphere_face_meta_sync(GstSphereFaceMeta *meta, GstBuffer *buffer);

G_END_DECLS

#endif
