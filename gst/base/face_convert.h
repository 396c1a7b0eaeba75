// SPDX-License-Identifier: MIT
// Between the core's Face and the metadata library's GstSphereFace.
#pragma once

#include "core/face/face.h"

#include <gst/sphere/gstspheremeta.h>

namespace sphere::gst {

/// What a stage needs of a face; the rest is not copied.
enum FaceParts : unsigned {
    kGeometry = 0, ///< box, score, landmarks, track, eye roll: always
    kCrop = 1,
    kEmbedding = 2,
    kMatch = 4,
    kQuality = 8,
    kAttributes = 16,
    kAll = 31,
};

Face face_from_meta(const GstSphereFace *source, unsigned parts);

/// A new face with the geometry of `face` (what a detector knows). Caller frees.
GstSphereFace *new_meta_face(const Face &face);

/// The faces that others' metas of `buffer` hold (gst_sphere_face_meta_import_faces); those of
/// `meta` are forgotten.
std::vector<Face> faces_of_others(GstSphereFaceMeta *meta, GstBuffer *buffer,
                                  const std::string &type);

/// Sets crop, quality and reason (what an aligner knows).
void set_aligned(GstSphereFace *target, const Face &face);

/// Sets the embedding; an empty one leaves reason not-embedded.
void set_embedding(GstSphereFace *target, const Embedding &embedding);

/// Sets state, reason, candidates and circumstances. `unknown_label` is not stored.
void set_match(GstSphereFace *target, const MatchResult &match);

/// Sets attributes, or takes them away: a structure "attributes" with a double for each number
/// and a string (boolean for "true" and "false") and a double NAME_score for each class.
void set_attributes(GstSphereFace *target, const std::vector<Attribute> &attributes);

/// The crop that spherealign attached, without a copy where the buffer is ours.
std::shared_ptr<const Image> crop_of(const GstSphereFace *face);

} // namespace sphere::gst
