// SPDX-License-Identifier: MIT
// Frame records as JSON, schema sphere.frame/1.
#include "core/publish/record.h"

#include "core/publish/json_writer.h"

namespace sphere {
namespace {

void write_name(JsonWriter &json, const char *name) {
    if (*name)
        json.string(name);
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

void write_face(JsonWriter &json, const Face &face, bool embeddings) {
    // The decision's own reason comes first: it is the later stage's.
    const bool decided = face.match && face.match->reason != FaceReason::None;
    json.begin_object();
    write_number(json.key("track"), face.track_id);
    if (face.carried) // said of those alone: most faces were seen
        json.key("carried").boolean(true);
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
    write_number(json.key("pts"), record.pts_ns);
    write_number(json.key("stream_time"), record.stream_time_ns);
    json.key("time");
    if (record.time_utc)
        json.string(*record.time_utc);
    else
        json.null();
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

std::string to_json_line(const FrameRecord &record, bool embeddings) {
    std::string out;
    append_json_line(out, record, embeddings);
    return out;
}

} // namespace sphere
