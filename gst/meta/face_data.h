// SPDX-License-Identifier: MIT
// What a GstSphereFace holds. Private to the library: the struct never crosses its border.
#pragma once

#include <gst/sphere/gstspheremeta.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace sphere_meta {

struct Candidate {
    std::string id;
    std::string label;
    double distance = 0;
    double similarity = 0;
};

struct Quality {
    double score = 0, sharpness = 0, brightness = 0, eye_distance_px = 0;
    double yaw_deg = 0, pitch_deg = 0, roll_deg = 0;
};

struct Embedding {
    std::vector<float> values;
    std::string stamp; ///< "model|sha256|preprocessing|template|flip|dims"
};

struct MatchInfo {
    std::string metric;
    double threshold = 0;
    double margin = 0; ///< NAN with fewer than two people
};

struct Unref {
    void operator()(GstBuffer *buffer) const { gst_buffer_unref(buffer); }
    void operator()(GstCaps *caps) const { gst_caps_unref(caps); }
    void operator()(GstStructure *structure) const { gst_structure_free(structure); }
};

/// What the ROI mirror wrote of a face: its id, and its box clipped to the frame, px. The box
/// follows the frame's transforms as the ROI meta does.
struct MirroredRoi {
    gint id = 0;
    double x = 0, y = 0, width = 0, height = 0;
};

/// What the analytics mirror wrote of a face: ids of items in the buffer's relation meta.
struct MirroredItems {
    gint64 face_id = 0;
    guint detection = 0;
    bool tracked = false;
    std::string person; ///< id of the person in its classification; empty without one
};

/// Writes an (out) (optional) argument.
template <class Value> void set_out(Value *out, std::type_identity_t<Value> value) {
    if (out != nullptr)
        *out = value;
}

/// Runs what may allocate. C callers cannot catch: where memory ends, the process does, as
/// GLib's.
template <class Body> auto no_throw(Body &&body) noexcept {
    return body();
}

} // namespace sphere_meta

/// Copies are cheap: what is large is shared and never changed in place.
struct _GstSphereFace {
    gint64 id = 0;
    double x = 0, y = 0, width = 0, height = 0;
    double score = 0;
    std::optional<std::array<gfloat, 10>> landmarks;
    std::shared_ptr<const std::vector<gfloat>> dense;
    gint64 track_id = -1;
    bool carried = false; ///< predicted, not detected
    std::optional<double> eye_roll_deg;
    std::optional<sphere_meta::Quality> quality;
    std::shared_ptr<GstBuffer> crop;
    std::shared_ptr<GstCaps> crop_caps;
    std::string crop_template;
    std::shared_ptr<const sphere_meta::Embedding> embedding;
    bool monochrome = false; ///< what was embedded has no colours
    GstSphereFaceState state = GST_SPHERE_FACE_STATE_UNDECIDED;
    GstSphereFaceReason reason = GST_SPHERE_FACE_REASON_NONE;
    std::optional<sphere_meta::MatchInfo> match;
    std::vector<sphere_meta::Candidate> candidates;
    std::string unknown_label;
    std::string stranger_id;
    std::shared_ptr<GstStructure> attributes;
};

struct _GstSphereFaceMetaPrivate {
    guint width = 0;  ///< px of the frame
    guint height = 0; ///< px of the frame
    std::vector<GstSphereFace> faces;
    std::shared_ptr<GObject> tracks;
    std::vector<sphere_meta::MirroredRoi> mirrored_rois;
    std::vector<sphere_meta::MirroredItems> mirrored_items;
    gsize n_analytics_items = 0; ///< all that the mirror wrote into the relation meta
};

namespace sphere_meta {

/// The meta's transform_func: copies, scaling and, from GStreamer 1.28, matrices.
gboolean transform_face_meta(GstBuffer *target, GstMeta *meta, GstBuffer *buffer, GQuark type,
                             gpointer data) noexcept;

/// GstVideoRegionOfInterestMeta "face" for each face.
void write_roi_mirror(GstSphereFaceMeta *meta, GstBuffer *buffer);

/// GstAnalyticsRelationMeta, where GStreamer has it (1.24).
void write_analytics_mirror(GstSphereFaceMeta *meta, GstBuffer *buffer);

/// Most faces that are taken from others' metas of a buffer.
inline constexpr std::size_t kMostImported = 4096;

/// Appends what others wrote of `type`: all but the mirrors of `meta`'s faces.
void read_others_rois(const GstSphereFaceMeta *meta, GstBuffer *buffer, const gchar *type,
                      std::vector<GstSphereFace> &found);
void read_others_detections(const GstSphereFaceMeta *meta, GstBuffer *buffer, const gchar *type,
                            std::vector<GstSphereFace> &found);

/// A new face with an id of its own; the box has an area. The score is kept within [0, 1].
GstSphereFace imported_face(double x, double y, double width, double height, double score);

/// The ROI id of a face: its id, folded to what the field holds.
inline gint roi_id(const GstSphereFace &face) {
    return static_cast<gint>(face.id & G_MAXINT);
}

} // namespace sphere_meta
