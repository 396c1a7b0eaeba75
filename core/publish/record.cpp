// SPDX-License-Identifier: MIT
// Records as JSON, schemas sphere.frame/1 and sphere.event/1.
#include "core/publish/record.h"

#include "core/base/base64.h"
#include "core/image/codec.h"
#include "core/publish/json_writer.h"

namespace sphere {
namespace {

constexpr int kBestShotQuality = 90; ///< of the JPEG: small, and good enough to enrol

void write_name(JsonWriter &json, std::string_view name) {
    if (!name.empty())
        json.string(name);
    else
        json.null();
}

void write_time(JsonWriter &json, const std::optional<std::string> &time) {
    if (time)
        json.string(*time);
    else
        json.null();
}

template <typename T> void write_number(JsonWriter &json, const std::optional<T> &value) {
    if (value)
        json.number(*value);
    else
        json.null();
}

void write_box(JsonWriter &json, const Box &box) {
    json.begin_array();
    for (const float value : {box.x, box.y, box.w, box.h})
        json.number(value);
    json.end_array();
}

void write_landmarks(JsonWriter &json, const std::optional<Landmarks5> &landmarks) {
    if (!landmarks) {
        json.null();
        return;
    }
    json.begin_array();
    for (const Point2f &point : *landmarks) {
        json.begin_array();
        json.number(point.x);
        json.number(point.y);
        json.end_array();
    }
    json.end_array();
}

void write_quality(JsonWriter &json, const std::optional<Quality> &quality) {
    if (!quality) {
        json.null();
        return;
    }
    json.begin_object();
    json.key("score").number(quality->score);
    json.key("sharpness").number(quality->sharpness);
    json.key("brightness").number(quality->brightness);
    json.key("yaw").number(quality->yaw_deg);
    json.key("pitch").number(quality->pitch_deg);
    json.key("roll").number(quality->roll_deg);
    json.key("eye_distance_px").number(quality->eye_distance_px);
    json.end_object();
}

/// Opens the object; what candidates and the match have in common.
void begin_candidate(JsonWriter &json, const Candidate &candidate) {
    json.begin_object();
    json.key("id").string(candidate.id);
    json.key("label").string(candidate.label);
    json.key("distance").number(candidate.distance);
    json.key("similarity").number(candidate.similarity);
}

void write_match(JsonWriter &json, const std::optional<MatchResult> &match) {
    const Candidate *best = match ? match->best() : nullptr;
    if (!best) {
        json.null();
        return;
    }
    begin_candidate(json, *best);
    json.key("metric").string(match->metric);
    json.key("threshold").number(match->threshold);
    write_number(json.key("margin"), match->margin);
    json.end_object();
}

void write_candidates(JsonWriter &json, const std::optional<MatchResult> &match) {
    json.begin_array();
    if (match)
        for (const Candidate &candidate : match->candidates) {
            begin_candidate(json, candidate);
            json.end_object();
        }
    json.end_array();
}

void write_embedding(JsonWriter &json, const std::optional<Embedding> &embedding) {
    if (!embedding) {
        json.null();
        return;
    }
    json.begin_object();
    json.key("model");
    if (embedding->stamp)
        json.string(embedding->stamp->model);
    else
        json.null();
    json.key("dims").number(embedding->values.size());
    json.key("data").begin_array();
    for (const float value : embedding->values)
        json.number(value);
    json.end_array();
    if (embedding->stamp) // what it may be compared with
        json.key("stamp").string(embedding->stamp->to_string());
    json.end_object();
}

// A number, or the best class and its score. Labels "true" and "false" are JSON's own.
void write_attributes(JsonWriter &json, const std::vector<Attribute> &attributes) {
    json.begin_object();
    for (const Attribute &attribute : attributes) {
        json.key(attribute.name); // letters, digits, '.', '_', '-': a descriptor's rule
        if (attribute.labels.empty()) {
            json.number(attribute.number);
            continue;
        }
        const std::size_t best = attribute.best();
        const std::string &label = attribute.labels[best];
        if (label == "true" || label == "false")
            json.boolean(label == "true");
        else
            json.string(label);
        json.key(attribute.name + "_score").number(attribute.scores[best]);
    }
    json.end_object();
}

void write_jpeg(JsonWriter &json, const std::shared_ptr<const Image> &image) {
    const auto bytes = image ? encode_jpeg(*image, kBestShotQuality)
                             : Result<std::vector<std::uint8_t>>(Error{});
    if (bytes)
        json.string(base64_encode(*bytes));
    else
        json.null();
}

void write_face(JsonWriter &json, const Face &face, bool embeddings) {
    // The decision's own reason comes first: it is the later stage's.
    const bool decided = face.match && face.match->reason != FaceReason::None;
    json.begin_object();
    write_number(json.key("track"), face.track_id);
    if (face.carried) // said of those alone: most faces were seen
        json.key("carried").boolean(true);
    if (face.embedding && face.embedding->monochrome)
        json.key("monochrome").boolean(true);
    write_box(json.key("box"), face.box);
    json.key("score").number(face.score);
    write_landmarks(json.key("landmarks"), face.landmarks);
    write_quality(json.key("quality"), face.quality);
    if (!face.attributes.empty())
        write_attributes(json.key("attributes"), face.attributes);
    write_name(json.key("state"),
               face_state_name(face.match ? face.match->state : FaceState::Undecided));
    write_name(json.key("reason"),
               face_reason_name(decided ? face.match->reason : face.reason));
    if (face.match && !face.match->stranger.empty()) // said of those alone, too
        json.key("stranger").string(face.match->stranger);
    write_match(json.key("match"), face.match);
    write_candidates(json.key("candidates"), face.match);
    if (embeddings)
        write_embedding(json.key("embedding"), face.embedding);
    json.end_object();
}

} // namespace

void append_json_line(std::string &out, const FrameRecord &record, bool embeddings) {
    JsonWriter json(out);
    json.begin_object();
    json.key("schema").string("sphere.frame/1");
    json.key("stream").string(record.stream);
    if (record.sequence)
        json.key("sequence").number(*record.sequence);
    write_number(json.key("pts"), record.pts_ns);
    write_number(json.key("stream_time"), record.stream_time_ns);
    write_time(json.key("time"), record.time_utc);
    json.key("frame").begin_object();
    json.key("width").number(record.width);
    json.key("height").number(record.height);
    json.end_object();
    json.key("faces").begin_array();
    for (const Face &face : record.faces)
        write_face(json, face, embeddings);
    json.end_array();
    json.end_object();
}

void append_json_line(std::string &out, const EventRecord &record) {
    JsonWriter json(out);
    json.begin_object();
    json.key("schema").string("sphere.event/1");
    json.key("stream").string(record.stream);
    if (record.sequence)
        json.key("sequence").number(*record.sequence);
    json.key("event").string(record.event);
    write_name(json.key("id"), record.id);
    json.key("label").string(record.label);
    if (record.track >= 0)
        json.key("track").number(record.track);
    else
        json.key("track").null();
    write_name(json.key("state"), record.state);
    json.key("distance").number(static_cast<float>(record.distance));
    if (record.known_in_view)
        json.key("known_in_view").number(*record.known_in_view);
    write_number(json.key("pts"), record.pts_ns);
    write_number(json.key("stream_time"), record.stream_time_ns);
    write_time(json.key("time"), record.time_utc);
    if (record.with_best_shot)
        write_jpeg(json.key("best_shot"), record.best_shot);
    json.end_object();
}

std::string to_json_line(const EventRecord &record) {
    std::string out;
    append_json_line(out, record);
    return out;
}

std::string to_json_line(const FrameRecord &record, bool embeddings) {
    std::string out;
    append_json_line(out, record, embeddings);
    return out;
}

} // namespace sphere
