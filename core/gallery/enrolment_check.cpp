// SPDX-License-Identifier: MIT
// Checks on what is to be enrolled.
#include "core/gallery/enrolment_check.h"

#include "core/base/utf8.h"
#include "core/gallery/limits.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

namespace sphere {
namespace {

constexpr std::string_view kStrangerPrefix = "unknown-";

bool has_control_character(const std::string &text) {
    return std::any_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7F;
    });
}

Result<void> check_stamp(const EmbeddingStamp &stamp) {
    if (stamp.dims < 1 || stamp.dims > kMaxDims)
        return fail(Errc::InvalidArgument, "enrol: embeddings of ", stamp.dims,
                    " dimensions; 1 to ", kMaxDims, " are possible");
    if (stamp.model.empty())
        return fail(Errc::InvalidArgument, "enrol: the stamp does not name its model");
    for (const std::string *text :
         {&stamp.model, &stamp.sha256, &stamp.preprocessing, &stamp.template_name, &stamp.flip})
        if (text->size() > kMaxTextBytes || !is_valid_utf8(*text) ||
            has_control_character(*text))
            return fail(Errc::InvalidArgument,
                        "enrol: a part of the stamp is too long or not plain text");
    return {};
}

Result<void> check_face(const EmbeddingStamp &stamp, const Enrolment &face) {
    const std::string what = "enrol " + (face.source.empty() ? "a face" : face.source) + ": ";
    if (auto id = check_person_id(face.person_id); !id)
        return fail(Errc::InvalidArgument, what, id.error().message);
    if (face.source.size() > kMaxTextBytes)
        return fail(Errc::InvalidArgument, "enrol ", face.source.substr(0, 64),
                    "…: the source has ", face.source.size(), " bytes; up to ", kMaxTextBytes,
                    " are possible");
    if (face.thumbnail_jpeg.size() > kMaxThumbnailBytes)
        return fail(Errc::InvalidArgument, what, "a thumbnail of ", face.thumbnail_jpeg.size(),
                    " bytes; up to ", kMaxThumbnailBytes, " are possible");
    if (face.thumbnail_template.size() > kMaxTextBytes ||
        !is_plain_text(face.thumbnail_template))
        return fail(Errc::InvalidArgument, what, "the thumbnail's template is no name");
    if (face.embedding.size() != static_cast<std::size_t>(stamp.dims))
        return fail(Errc::InvalidArgument, what, "an embedding of ", face.embedding.size(),
                    " values where the stamp says ", stamp.dims);
    if (!std::all_of(face.embedding.begin(), face.embedding.end(),
                     [](float v) { return std::isfinite(v); }))
        return fail(Errc::InvalidArgument, what,
                    "the embedding holds a value that is not finite: check the model file "
                    "(spherectl models check)");
    return {};
}

/// A stamp for a person to compare with another.
std::string describe(const EmbeddingStamp &stamp) {
    return stamp.model + " (sha256 " + stamp.sha256.substr(0, 12) + ", preprocessing " +
           stamp.preprocessing + ", template " + stamp.template_name + ", flip " + stamp.flip +
           ", " + std::to_string(stamp.dims) + " dimensions)";
}

} // namespace

bool is_plain_text(const std::string &text) {
    return is_valid_utf8(text) && !has_control_character(text);
}

std::optional<std::int64_t> stranger_number(const std::string &id) {
    if (!id.starts_with(kStrangerPrefix))
        return std::nullopt;
    const std::string_view digits = std::string_view(id).substr(kStrangerPrefix.size());
    std::int64_t number = 0;
    const auto [end, code] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (code != std::errc{} || end != digits.data() + digits.size() || number < 1 ||
        id != std::string(kStrangerPrefix) + std::to_string(number))
        return std::nullopt;
    return number;
}

Result<void> check_person_id(const std::string &id) {
    if (id.empty())
        return fail(Errc::InvalidArgument, "the person's id is empty: give --id NAME");
    if (id.size() > kMaxPersonIdBytes)
        return fail(Errc::InvalidArgument, "the person's id has ", id.size(), " bytes; up to ",
                    kMaxPersonIdBytes, " are possible");
    if (!is_plain_text(id))
        return fail(Errc::InvalidArgument,
                    "the person's id is not plain UTF-8 text: rename it");
    if (stranger_number(id))
        return fail(Errc::InvalidArgument, "the id ", id,
                    " is a stranger's: give the person another, or make a person of the "
                    "stranger with: spherectl gallery promote ",
                    id, " NAME");
    return {};
}

Result<void> check_enrolments(const EmbeddingStamp &stamp,
                              const std::vector<Enrolment> &faces) {
    SPHERE_TRY(check_stamp(stamp));
    for (const Enrolment &face : faces)
        SPHERE_TRY(check_face(stamp, face));
    return {};
}

Error stamp_mismatch(const std::string &gallery, const EmbeddingStamp &have,
                     const EmbeddingStamp &got) {
    return fail(
        Errc::Mismatch, "gallery ", gallery, " holds embeddings of ", describe(have),
        ", not of ", describe(got), ": use model ", have.model,
        ", or re-embed by enrolling the photographs again with the other model into a new "
        "gallery: spherectl enrol --gallery NEW --model ",
        got.model, " DIR");
}

} // namespace sphere
