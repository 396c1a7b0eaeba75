// SPDX-License-Identifier: MIT
#include "core/publish/record_reader.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace sphere {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 8; ///< of what is read; deeper parts are dropped while parsing
constexpr std::size_t kMaxTextBytes = 4096;
constexpr std::size_t kMaxCandidates = 1024;
constexpr std::size_t kMaxAttributes = 64;
constexpr std::size_t kMaxDims = 16384; ///< values of an embedding
constexpr double kMaxPx = 1e6;          ///< of a coordinate, and of a side
constexpr int kMaxSidePx = 65535;       ///< of a frame
constexpr const char *kScoreSuffix = "_score";

/// What is wrong with a line; parse_record makes an Error of it.
struct Wrong {
    std::string what;
};

const Json *member(const Json &object, const char *name) {
    const auto found = object.find(name);
    return found != object.end() && !found->is_null() ? &*found : nullptr;
}

float number_of(const Json &value, const char *name, double limit) {
    const double number = value.is_number() ? value.get<double>() : NAN;
    if (!(std::abs(number) <= limit))
        throw Wrong{std::string(name) + " is no number within its limits"};
    return static_cast<float>(number);
}

float number_in(const Json &object, const char *name, double limit) {
    const Json *value = member(object, name);
    return value != nullptr ? number_of(*value, name, limit) : 0;
}

std::string text_of(const Json &value, const char *name) {
    if (!value.is_string() || value.get_ref<const std::string &>().size() > kMaxTextBytes)
        throw Wrong{std::string(name) + " is no text, or too long a one"};
    return value.get<std::string>();
}

std::string text_in(const Json &object, const char *name) {
    const Json *value = member(object, name);
    return value != nullptr ? text_of(*value, name) : std::string();
}

std::optional<std::uint64_t> time_in(const Json &object, const char *name) {
    const Json *value = member(object, name);
    if (value == nullptr)
        return std::nullopt;
    if (!value->is_number_unsigned())
        throw Wrong{std::string(name) + " is no count of nanoseconds"};
    return value->get<std::uint64_t>();
}

const Json &list_of(const Json &value, const char *name, std::size_t least, std::size_t most) {
    if (!value.is_array() || value.size() < least || value.size() > most)
        throw Wrong{std::string(name) + " is no list of as many parts as it should have"};
    return value;
}

const Json &object_of(const Json &value, const char *name) {
    if (!value.is_object())
        throw Wrong{std::string(name) + " is no object"};
    return value;
}

Box box_of(const Json &value) {
    const Json &list = list_of(value, "box", 4, 4);
    std::array<float, 4> numbers{};
    for (std::size_t i = 0; i < numbers.size(); ++i)
        numbers[i] = number_of(list[i], "box", kMaxPx);
    if (numbers[2] < 0 || numbers[3] < 0)
        throw Wrong{"box has a negative side"};
    return {numbers[0], numbers[1], numbers[2], numbers[3]};
}

Landmarks5 landmarks_of(const Json &value) {
    const Json &list = list_of(value, "landmarks", 5, 5);
    Landmarks5 landmarks;
    for (std::size_t i = 0; i < landmarks.size(); ++i) {
        const Json &point = list_of(list[i], "landmarks", 2, 2);
        landmarks[i] = {number_of(point[0], "landmarks", kMaxPx),
                        number_of(point[1], "landmarks", kMaxPx)};
    }
    return landmarks;
}

Quality quality_of(const Json &value) {
    const Json &object = object_of(value, "quality");
    Quality quality;
    quality.score = number_in(object, "score", 1);
    quality.sharpness = number_in(object, "sharpness", 1);
    quality.brightness = number_in(object, "brightness", 1);
    quality.yaw_deg = number_in(object, "yaw", 360);
    quality.pitch_deg = number_in(object, "pitch", 360);
    quality.roll_deg = number_in(object, "roll", 360);
    quality.eye_distance_px = number_in(object, "eye_distance_px", kMaxPx);
    return quality;
}

/// The rule of attribute names in descriptors.
bool is_attribute_name(const std::string &name) {
    return !name.empty() && name.size() <= 64 &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
           });
}

std::vector<Attribute> attributes_of(const Json &value) {
    std::vector<Attribute> attributes;
    for (const auto &[name, part] : object_of(value, "attributes").items()) {
        if (!is_attribute_name(name) || attributes.size() >= kMaxAttributes)
            throw Wrong{"attributes has a name that is none, or too many"};
        if (name.ends_with(kScoreSuffix))
            continue; // of a class
        Attribute attribute;
        attribute.name = name;
        if (part.is_number()) {
            attribute.number = number_of(part, "attributes", 1e9);
        } else {
            attribute.labels.push_back(part.is_boolean() ? (part.get<bool>() ? "true" : "false")
                                                         : text_of(part, "attributes"));
            attribute.scores.push_back(number_in(value, (name + kScoreSuffix).c_str(), 1));
        }
        attributes.push_back(std::move(attribute));
    }
    return attributes;
}

template <typename Enum> Enum named(const std::string &name, const char *(*name_of)(Enum)) {
    for (int i = 0; i < 32; ++i)
        if (name == name_of(static_cast<Enum>(i)))
            return static_cast<Enum>(i);
    throw Wrong{"'" + name.substr(0, 40) + "' is no state or reason"};
}

std::vector<Candidate> candidates_of(const Json &value) {
    std::vector<Candidate> candidates;
    for (const Json &part : list_of(value, "candidates", 0, kMaxCandidates)) {
        object_of(part, "candidates");
        candidates.push_back({text_in(part, "id"), text_in(part, "label"),
                              number_in(part, "distance", 1e6),
                              number_in(part, "similarity", 2)});
    }
    return candidates;
}

void read_decision(const Json &json, Face &face) {
    const auto state = named(text_in(json, "state"), &face_state_name);
    const auto reason = named(text_in(json, "reason"), &face_reason_name);
    if (state == FaceState::Undecided) {
        face.reason = reason;
        return;
    }
    MatchResult match;
    match.state = state;
    match.reason = reason;
    match.stranger = text_in(json, "stranger");
    if (const Json *list = member(json, "candidates"))
        match.candidates = candidates_of(*list);
    if (const Json *best = member(json, "match")) {
        object_of(*best, "match");
        match.metric = text_in(*best, "metric");
        match.threshold = number_in(*best, "threshold", 1e6);
        if (member(*best, "margin") != nullptr)
            match.margin = number_in(*best, "margin", 1e6);
    }
    face.match = std::move(match);
}

/// Empty without a stamp: nobody could tell what it may be compared with.
std::optional<Embedding> embedding_of(const Json &value) {
    const Json &object = object_of(value, "embedding");
    const auto stamp = EmbeddingStamp::from_string(text_in(object, "stamp"));
    const Json *data = member(object, "data");
    if (!stamp || data == nullptr)
        return std::nullopt;
    Embedding embedding;
    for (const Json &number : list_of(*data, "embedding", 1, kMaxDims))
        embedding.values.push_back(number_of(number, "embedding", 1e30));
    if (embedding.values.size() != static_cast<std::size_t>(stamp->dims))
        throw Wrong{"embedding has another number of values than its stamp says"};
    embedding.stamp = std::make_shared<const EmbeddingStamp>(*stamp);
    return embedding;
}

Face face_of(const Json &json) {
    object_of(json, "faces");
    Face face;
    const Json *box = member(json, "box");
    if (box == nullptr)
        throw Wrong{"a face has no box"};
    face.box = box_of(*box);
    face.score = number_in(json, "score", 1);
    if (const Json *track = member(json, "track")) {
        if (!track->is_number_integer() || track->get<std::int64_t>() < 0)
            throw Wrong{"track is no id of a track"};
        face.track_id = track->get<std::int64_t>();
    }
    if (const Json *carried = member(json, "carried"))
        face.carried = carried->is_boolean() && carried->get<bool>();
    if (const Json *landmarks = member(json, "landmarks"))
        face.landmarks = landmarks_of(*landmarks);
    if (const Json *quality = member(json, "quality"))
        face.quality = quality_of(*quality);
    if (const Json *attributes = member(json, "attributes"))
        face.attributes = attributes_of(*attributes);
    read_decision(json, face);
    if (const Json *embedding = member(json, "embedding"))
        face.embedding = embedding_of(*embedding);
    if (const Json *monochrome = member(json, "monochrome"); monochrome && face.embedding)
        face.embedding->monochrome = monochrome->is_boolean() && monochrome->get<bool>();
    return face;
}

int side_in(const Json &frame, const char *name) {
    const float side = number_in(frame, name, kMaxSidePx);
    if (side < 0)
        throw Wrong{std::string(name) + " of the frame is negative"};
    return static_cast<int>(side);
}

FrameRecord record_of(const Json &json) {
    if (!json.is_object())
        throw Wrong{"it is no JSON object"};
    if (text_in(json, "schema") != "sphere.frame/1")
        throw Wrong{"its schema is not sphere.frame/1"};
    FrameRecord record;
    record.stream = text_in(json, "stream");
    record.pts_ns = time_in(json, "pts");
    record.stream_time_ns = time_in(json, "stream_time");
    if (member(json, "time") != nullptr)
        record.time_utc = text_in(json, "time");
    if (const Json *frame = member(json, "frame")) {
        object_of(*frame, "frame");
        record.width = side_in(*frame, "width");
        record.height = side_in(*frame, "height");
    }
    if (const Json *faces = member(json, "faces"))
        for (const Json &face : list_of(*faces, "faces", 0, kMaxRecordFaces))
            record.faces.push_back(face_of(face));
    return record;
}

} // namespace

Result<FrameRecord> parse_record(std::string_view line) {
    if (line.size() > kMaxRecordBytes)
        return fail(Errc::Corrupt, "no frame record: the line has more than ", kMaxRecordBytes,
                    " bytes");
    try {
        const auto shallow = [](int depth, Json::parse_event_t, Json &) {
            return depth <= kMaxDepth;
        };
        return record_of(Json::parse(line, shallow, false));
    } catch (const Wrong &wrong) {
        return fail(Errc::Corrupt, "no frame record: ", wrong.what);
    }
}

} // namespace sphere
