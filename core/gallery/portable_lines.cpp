// SPDX-License-Identifier: MIT
// Lines of a portable gallery, written and read; nothing in what is read is taken on trust.
#include "core/gallery/portable_lines.h"

#include "core/base/base64.h"
#include "core/gallery/json_text.h"
#include "core/gallery/limits.h"

#include <nlohmann/json.hpp>

#include <cmath>

namespace sphere {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char *kFormat = "sphere.gallery/1";
constexpr std::string_view kFormatFamily = "sphere.gallery/";
constexpr std::size_t kMaxFiles = 16;

struct QualityField {
    const char *name;
    float Quality::*member;
};
constexpr QualityField kQualityFields[] = {
    {"score", &Quality::score},
    {"sharpness", &Quality::sharpness},
    {"brightness", &Quality::brightness},
    {"yaw", &Quality::yaw_deg},
    {"pitch", &Quality::pitch_deg},
    {"roll", &Quality::roll_deg},
    {"eye_distance_px", &Quality::eye_distance_px},
};

std::string to_text(const Json &json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Error bad(const std::string &what) {
    return fail(Errc::Corrupt, what);
}

Result<Json> parse_object(std::string_view text) {
    if (!has_bounded_depth(text))
        return bad("nested too deeply");
    Json json = Json::parse(text, nullptr, false);
    if (!json.is_object())
        return bad("not a JSON object");
    return json;
}

/// Text of at most `most` bytes under `key`.
Result<std::string> text_of(const Json &json, const char *key, std::size_t most) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_string())
        return bad(std::string("no text \"") + key + "\"");
    const auto &text = found->get_ref<const std::string &>();
    if (text.size() > most)
        return bad(std::string("\"") + key + "\" is too long");
    return text;
}

Result<std::int64_t> count_of(const Json &json, const char *key) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_number_integer() || *found < 0 ||
        *found > std::int64_t{1} << 53)
        return bad(std::string("no count \"") + key + "\"");
    return found->get<std::int64_t>();
}

/// NaN for null: not measured.
Result<float> number_of(const Json &json, const char *key) {
    const auto found = json.find(key);
    if (found == json.end() || found->is_null())
        return std::nanf("");
    if (!found->is_number())
        return bad(std::string("\"") + key + "\" is no number");
    return static_cast<float>(found->get<double>());
}

Result<EmbeddingStamp> stamp_of(const Json &json) {
    EmbeddingStamp stamp;
    for (const auto &[key, member] : {std::pair{"model", &EmbeddingStamp::model},
                                      {"sha256", &EmbeddingStamp::sha256},
                                      {"preprocessing", &EmbeddingStamp::preprocessing},
                                      {"template", &EmbeddingStamp::template_name},
                                      {"flip", &EmbeddingStamp::flip}}) {
        auto text = text_of(json, key, kMaxTextBytes);
        if (!text)
            return std::move(text).error();
        stamp.*member = std::move(*text);
    }
    const auto dims = count_of(json, "dims");
    if (!dims)
        return dims.error();
    if (*dims < 1 || *dims > kMaxDims)
        return bad("\"dims\" is not possible");
    stamp.dims = static_cast<int>(*dims);
    return stamp;
}

/// Whole milliseconds as JSON would have them, floats as short as they read back.
Json number(float value) {
    return std::isfinite(value) ? Json(value) : Json();
}

} // namespace

std::string format_manifest(const PortableManifest &manifest) {
    const EmbeddingStamp &stamp = manifest.stamp;
    Json files = Json::array();
    for (const PortableFile &file : manifest.files)
        files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
    const Json json = {{"format", kFormat},
                       {"stamp",
                        {{"model", stamp.model},
                         {"sha256", stamp.sha256},
                         {"preprocessing", stamp.preprocessing},
                         {"template", stamp.template_name},
                         {"flip", stamp.flip},
                         {"dims", stamp.dims}}},
                       {"people", manifest.counts.people},
                       {"faces", manifest.counts.faces},
                       {"negatives", manifest.counts.negatives},
                       {"files", files}};
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<PortableManifest> parse_portable_manifest(std::string_view text) {
    auto json = parse_object(text);
    if (!json)
        return std::move(json).error();
    const auto format = text_of(*json, "format", 64);
    if (!format || !std::string_view(*format).starts_with(kFormatFamily))
        return bad("not the manifest of a gallery");
    if (*format != kFormat)
        return fail(Errc::Unsupported, "format ", *format, ", this gst-sphere reads ", kFormat,
                    ": use the newer gst-sphere that made it");
    PortableManifest manifest;
    const auto stamp_json = json->find("stamp");
    if (stamp_json == json->end() || !stamp_json->is_object())
        return bad("no \"stamp\"");
    auto stamp = stamp_of(*stamp_json);
    if (!stamp)
        return std::move(stamp).error();
    manifest.stamp = std::move(*stamp);
    for (const auto &[key, count] : {std::pair{"people", &manifest.counts.people},
                                     {"faces", &manifest.counts.faces},
                                     {"negatives", &manifest.counts.negatives}}) {
        const auto value = count_of(*json, key);
        if (!value)
            return value.error();
        if (*value > kMaxFaces)
            return bad(std::string("more \"") + key + "\" than a gallery can hold");
        *count = *value;
    }
    const auto files = json->find("files");
    if (files == json->end() || !files->is_array() || files->size() > kMaxFiles)
        return bad("no list of \"files\"");
    for (const Json &row : *files) {
        if (!row.is_object())
            return bad("a file that is no object");
        auto name = text_of(row, "name", 255);
        auto bytes = count_of(row, "bytes");
        auto sha256 = text_of(row, "sha256", 64);
        if (!name || !bytes || !sha256)
            return bad("a file without name, bytes and sha256");
        // Names only, no way out of the folder.
        if (name->empty() || name->find('/') != std::string::npos || name->front() == '.')
            return bad("a file's name that is not possible");
        manifest.files.push_back({std::move(*name), *bytes, std::move(*sha256)});
    }
    return manifest;
}

std::string format_person(const Person &person) {
    Json attributes = Json::parse(
        has_bounded_depth(person.attributes) ? person.attributes : "{}", nullptr, false);
    if (!attributes.is_object())
        attributes = Json::object();
    return to_text({{"id", person.id},
                    {"label", person.label},
                    {"threshold", person.threshold ? number(*person.threshold) : Json()},
                    {"attributes", attributes}});
}

Result<Person> parse_portable_person(std::string_view line) {
    auto json = parse_object(line);
    if (!json)
        return std::move(json).error();
    Person person;
    auto id = text_of(*json, "id", kMaxPersonIdBytes);
    if (!id)
        return std::move(id).error();
    auto label = text_of(*json, "label", kMaxTextBytes);
    if (!label)
        return std::move(label).error();
    const auto threshold = number_of(*json, "threshold");
    if (!threshold)
        return threshold.error();
    person.id = std::move(*id);
    person.label = std::move(*label);
    if (!std::isnan(*threshold))
        person.threshold = *threshold;
    const auto attributes = json->find("attributes");
    if (attributes != json->end() && !attributes->is_object())
        return bad("\"attributes\" are no object");
    if (attributes != json->end())
        person.attributes = to_text(*attributes);
    if (person.attributes.size() > kMaxAttributesBytes)
        return bad("\"attributes\" are too long");
    return person;
}

std::string format_face(const FaceRecord &face, const std::vector<std::uint8_t> &thumbnail) {
    Json json = {
        {"person", face.person_id}, {"source", face.source}, {"added_at", face.added_at_ms}};
    if (face.quality) {
        Json quality = Json::object();
        for (const QualityField &field : kQualityFields)
            quality[field.name] = number((*face.quality).*field.member);
        json["quality"] = quality;
    }
    if (face.quarantined)
        json["quarantined"] = true;
    if (!thumbnail.empty())
        json["thumbnail_jpeg"] = base64_encode(thumbnail);
    if (!thumbnail.empty() && !face.thumbnail_template.empty())
        json["thumbnail_template"] = face.thumbnail_template;
    return to_text(json);
}

namespace {

Result<std::optional<Quality>> quality_of(const Json &json) {
    const auto found = json.find("quality");
    if (found == json.end() || found->is_null())
        return std::optional<Quality>();
    if (!found->is_object())
        return bad("\"quality\" is no object");
    Quality quality;
    for (const QualityField &field : kQualityFields) {
        const auto value = number_of(*found, field.name);
        if (!value)
            return value.error();
        quality.*field.member = *value;
    }
    return std::optional(quality);
}

} // namespace

Result<PortableFace> parse_portable_face(std::string_view line) {
    auto json = parse_object(line);
    if (!json)
        return std::move(json).error();
    PortableFace row;
    auto person = text_of(*json, "person", kMaxPersonIdBytes);
    if (!person)
        return std::move(person).error();
    auto source = text_of(*json, "source", kMaxTextBytes);
    if (!source)
        return std::move(source).error();
    const auto added_at = count_of(*json, "added_at");
    if (!added_at)
        return added_at.error();
    auto quality = quality_of(*json);
    if (!quality)
        return std::move(quality).error();
    row.face.person_id = std::move(*person);
    row.face.source = std::move(*source);
    row.face.added_at_ms = *added_at;
    row.face.quality = *quality;
    const auto quarantined = json->find("quarantined");
    row.quarantined = quarantined != json->end() && quarantined->is_boolean() && *quarantined;
    if (json->contains("thumbnail_jpeg")) {
        const auto text = text_of(*json, "thumbnail_jpeg", kMaxThumbnailBytes / 3 * 4 + 8);
        auto bytes = text ? base64_decode(*text) : std::nullopt;
        if (!bytes || bytes->size() > kMaxThumbnailBytes)
            return bad("\"thumbnail_jpeg\" is not Base64 of a small picture");
        row.face.thumbnail_jpeg = std::move(*bytes);
        if (json->contains("thumbnail_template")) {
            auto name = text_of(*json, "thumbnail_template", kMaxTextBytes);
            if (!name)
                return std::move(name).error();
            row.face.thumbnail_template = std::move(*name);
        }
    }
    return row;
}

std::string format_negative(const NegativeRecord &negative) {
    return to_text({{"person", negative.person_id.empty() ? Json() : Json(negative.person_id)},
                    {"source", negative.source}});
}

Result<PortableNegative> parse_portable_negative(std::string_view line) {
    auto json = parse_object(line);
    if (!json)
        return std::move(json).error();
    PortableNegative negative;
    const auto person = json->find("person");
    if (person == json->end() || (!person->is_null() && !person->is_string()))
        return bad("no \"person\", which may be null");
    if (person->is_string())
        negative.person_id = person->get<std::string>();
    auto source = text_of(*json, "source", kMaxTextBytes);
    if (!source)
        return std::move(source).error();
    negative.source = std::move(*source);
    return negative;
}

} // namespace sphere
