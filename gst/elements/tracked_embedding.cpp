// SPDX-License-Identifier: MIT
#include "gst/elements/tracked_embedding.h"

#include "gst/base/face_convert.h"

namespace sphere::gst {

float quality_of(const GstSphereFace *face) {
    gdouble quality = 0;
    gst_sphere_face_get_quality(face, &quality, nullptr, nullptr, nullptr);
    return static_cast<float>(quality);
}

// Where a live stream falls behind, embeddings are the first work to be left: tracks keep the
// one they have, and those without get theirs one a frame.
TrackedAnswer ask_track(const TrackStore &tracks, const EmbeddingStamp &stamp,
                        const TrackedQuestion &question, GstSphereFaceMeta *meta, guint index) {
    const GstSphereFace *face = gst_sphere_face_meta_peek_face(meta, index);
    const gint64 track = gst_sphere_face_get_track_id(face);
    if (track < 0)
        return TrackedAnswer::Embed;
    const bool wanted =
        tracks.wants_embedding(track, stamp, quality_of(face), question.frame, question.policy);
    if (wanted && !question.behind)
        return TrackedAnswer::Embed;
    const auto embedding = tracks.embedding(track, stamp);
    if (!embedding)
        return question.behind && !question.first_embed ? TrackedAnswer::Wait
                                                        : TrackedAnswer::Embed;
    GstSphereFace *target = gst_sphere_face_copy(face);
    set_embedding(target, *embedding);
    gst_sphere_face_meta_set_face(meta, index, target);
    gst_sphere_face_free(target);
    return wanted ? TrackedAnswer::Left : TrackedAnswer::Taken;
}

} // namespace sphere::gst
