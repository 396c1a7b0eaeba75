// SPDX-License-Identifier: MIT
// GstSphereFace: crop, embedding, who it is, attributes.
#include "face_data.h"

#include <algorithm>
#include <cmath>

using sphere_meta::no_throw;
using sphere_meta::set_out;
using sphere_meta::Unref;

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
 * @crop: (nullable) (transfer none): the crop, or %NULL to remove it; referenced
 * @caps: (nullable) (transfer none): its caps; referenced
 * @template_name: (nullable): its template
 */
void gst_sphere_face_set_crop(GstSphereFace *face, GstBuffer *crop, GstCaps *caps,
                              const gchar *template_name) {
    g_return_if_fail(face != nullptr);
    // Referenced before the old ones go: they may be the same.
    no_throw([&] {
        face->crop = crop != nullptr ? std::shared_ptr<GstBuffer>(gst_buffer_ref(crop), Unref())
                                     : nullptr;
        face->crop_caps =
            caps != nullptr ? std::shared_ptr<GstCaps>(gst_caps_ref(caps), Unref()) : nullptr;
        face->crop_template = std::string(template_name != nullptr ? template_name : "");
    });
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
    set_out(n_values, 0);
    g_return_val_if_fail(face != nullptr, nullptr);
    if (!face->embedding)
        return nullptr;
    set_out(n_values, face->embedding->values.size());
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
    // Made before the old one goes: `values` and `stamp` may be its own.
    face->embedding = no_throw([&]() -> std::shared_ptr<const sphere_meta::Embedding> {
        if (values == nullptr || n_values == 0)
            return nullptr;
        return std::make_shared<const sphere_meta::Embedding>(sphere_meta::Embedding{
            std::vector<float>(values, values + n_values), stamp != nullptr ? stamp : ""});
    });
}

/**
 * gst_sphere_face_get_monochrome:
 * @face: a face
 *
 * Returns: whether the crop that was embedded has no colours: grey, or infrared
 */
gboolean gst_sphere_face_get_monochrome(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, FALSE);
    return face->monochrome;
}

/**
 * gst_sphere_face_set_monochrome:
 * @face: a face
 * @monochrome: whether the crop that was embedded has no colours
 */
void gst_sphere_face_set_monochrome(GstSphereFace *face, gboolean monochrome) {
    g_return_if_fail(face != nullptr);
    face->monochrome = monochrome != FALSE;
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
    g_return_if_fail(state >= GST_SPHERE_FACE_STATE_UNDECIDED &&
                     state <= GST_SPHERE_FACE_STATE_UNUSABLE);
    g_return_if_fail(reason >= GST_SPHERE_FACE_REASON_NONE &&
                     reason <= GST_SPHERE_FACE_REASON_IGNORED);
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
    no_throw([&] { face->unknown_label = std::string(label != nullptr ? label : ""); });
}

/**
 * gst_sphere_face_get_stranger_id:
 * @face: a face
 *
 * Returns: (nullable): who it is among the unknown people that spherematch collects
 */
const gchar *gst_sphere_face_get_stranger_id(const GstSphereFace *face) {
    g_return_val_if_fail(face != nullptr, nullptr);
    return face->stranger_id.empty() ? nullptr : face->stranger_id.c_str();
}

/**
 * gst_sphere_face_set_stranger_id:
 * @face: a face
 * @id: (nullable): "unknown-12"
 */
void gst_sphere_face_set_stranger_id(GstSphereFace *face, const gchar *id) {
    g_return_if_fail(face != nullptr);
    no_throw([&] { face->stranger_id = std::string(id != nullptr ? id : ""); });
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
    no_throw([&] {
        face->match =
            sphere_meta::MatchInfo{metric != nullptr ? metric : "", threshold, margin};
    });
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
 * @label: (nullable): its name as it is shown; %NULL: the id
 * @distance: in the metric
 * @similarity: the cosine
 */
void gst_sphere_face_add_candidate(GstSphereFace *face, const gchar *id, const gchar *label,
                                   gdouble distance, gdouble similarity) {
    g_return_if_fail(face != nullptr && id != nullptr);
    no_throw([&] {
        face->candidates.push_back({id, label != nullptr ? label : id, distance, similarity});
    });
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
    // Copied before the old ones go: they may be the same.
    face->attributes = no_throw([&]() -> std::shared_ptr<GstStructure> {
        if (attributes == nullptr)
            return nullptr;
        return {gst_structure_copy(attributes), Unref()};
    });
}
