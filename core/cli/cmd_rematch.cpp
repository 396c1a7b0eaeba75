// SPDX-License-Identifier: MIT
// spherectl rematch: names the faces of recorded embeddings again, without video or inference.
#include "core/cli/command.h"
#include "core/cli/files.h"
#include "core/cli/gallery_session.h"
#include "core/cli/output.h"
#include "core/gallery/json_text.h"
#include "core/gallery/limits.h"
#include "core/gallery/matcher.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <map>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxLineBytes = 64 << 20; ///< a crowd with embeddings
constexpr const char *kSchema = "sphere.frame/1";

std::vector<OptionSpec> options() {
    return {kGalleryOption,
            kMetricOption,
            {"threshold", "DISTANCE", "same person up to this distance; -1 = the model's own"},
            {"margin", "DISTANCE",
             "ambiguous where the second person is nearer than this; 0 = off"},
            {"top-k", "K", "how many candidates to record for a face (default 1)"},
            {"output", "FILE.jsonl", "write the records there, with the new names"}};
}

struct Tally {
    std::size_t records = 0;
    std::size_t faces = 0;
    std::size_t without_embedding = 0;
    std::size_t changed = 0;                  ///< faces whose state or name is another now
    std::map<std::string, std::size_t> known; ///< faces by id
};

std::string name_in(const Json &face) {
    const auto match = face.find("match");
    if (match == face.end() || !match->is_object() || !match->contains("id") ||
        !(*match)["id"].is_string())
        return {};
    return (*match)["id"].get<std::string>();
}

std::string state_in(const Json &face) {
    const auto state = face.find("state");
    return state != face.end() && state->is_string() ? state->get<std::string>() : "";
}

/// The embedding of a recorded face; empty where it has none that can be compared. A record
/// names the model alone: its flip shows in the number of values.
std::optional<Embedding> embedding_of(const Json &face,
                                      const std::shared_ptr<const EmbeddingStamp> &stamp) {
    const auto found = face.find("embedding");
    if (found == face.end() || !found->is_object())
        return std::nullopt;
    const auto model = found->find("model");
    const auto data = found->find("data");
    if (model == found->end() || !model->is_string() || data == found->end() ||
        !data->is_array() || data->size() > static_cast<std::size_t>(kMaxDims))
        return std::nullopt;
    Embedding embedding;
    for (const Json &value : *data) {
        if (!value.is_number())
            return std::nullopt;
        embedding.values.push_back(static_cast<float>(value.get<double>()));
    }
    if (stamp && model->get_ref<const std::string &>() == stamp->model)
        embedding.stamp = stamp;
    return embedding;
}

/// As core/publish writes it.
void write_match(Json &face, const MatchResult &match) {
    const auto candidate_json = [](const Candidate &candidate) {
        return Json{{"id", candidate.id},
                    {"label", candidate.label},
                    {"distance", tidy(candidate.distance)},
                    {"similarity", tidy(candidate.similarity)}};
    };
    face["state"] = face_state_name(match.state);
    face["reason"] =
        match.reason == FaceReason::None ? Json() : Json(face_reason_name(match.reason));
    face["match"] = Json();
    if (const Candidate *best = match.best()) {
        face["match"] = candidate_json(*best);
        face["match"]["metric"] = match.metric;
        face["match"]["threshold"] = tidy(match.threshold);
        face["match"]["margin"] = match.margin ? Json(tidy(*match.margin)) : Json();
    }
    face["candidates"] = Json::array();
    for (const Candidate &candidate : match.candidates)
        face["candidates"].push_back(candidate_json(candidate));
}

class Rematcher {
  public:
    Rematcher(const Context &context, std::shared_ptr<const Matcher> matcher)
        : context_(context), matcher_(std::move(matcher)) {
        if (const auto &stamp = matcher_->snapshot().stamp)
            stamp_ = std::make_shared<const EmbeddingStamp>(*stamp);
    }

    /// Names the faces of one record again, in place.
    Result<void> record(Json &json, const std::string &place) {
        const auto schema = json.find("schema");
        if (schema == json.end() || !schema->is_string() || *schema != kSchema)
            return {}; // an event, or something else: passed on as it is
        const auto faces = json.find("faces");
        if (faces == json.end() || !faces->is_array())
            return fail(Errc::Corrupt, place, ": a frame without a list of faces");
        ++tally_.records;
        for (std::size_t i = 0; i < faces->size(); ++i)
            if ((*faces)[i].is_object())
                face((*faces)[i], place + ": face " + std::to_string(i));
        return {};
    }
    const Tally &tally() const { return tally_; }

  private:
    void face(Json &json, const std::string &place) {
        ++tally_.faces;
        const auto embedding = embedding_of(json, stamp_);
        if (!embedding) {
            ++tally_.without_embedding;
            return;
        }
        const std::string before = state_in(json) + " " + name_in(json);
        const std::string name_before = name_in(json);
        const MatchResult match = matcher_->match(*embedding);
        write_match(json, match);
        const std::string name = name_in(json);
        if (!name.empty())
            ++tally_.known[name];
        if (before == state_in(json) + " " + name)
            return;
        ++tally_.changed;
        if (!context_.json)
            print_line(place + "  " + (name_before.empty() ? "nobody" : name_before) + " -> " +
                       (name.empty() ? std::string(face_state_name(match.state)) : name));
    }

    const Context &context_;
    std::shared_ptr<const Matcher> matcher_;
    std::shared_ptr<const EmbeddingStamp> stamp_;
    Tally tally_;
};

/// A line, bounded; false at the end.
Result<bool> next_line(std::ifstream &file, std::string &line, const std::string &place) {
    line.clear();
    for (int c = file.rdbuf()->sbumpc(); c != '\n'; c = file.rdbuf()->sbumpc()) {
        if (c == std::char_traits<char>::eof())
            return !line.empty();
        if (line.size() >= kMaxLineBytes)
            return fail(Errc::Corrupt, place, ": the line is too long");
        line += static_cast<char>(c);
    }
    return true;
}

/// All records of `path`; the rewritten ones go to `written`.
Result<void> rematch_file(const std::string &path, Rematcher &rematcher, std::string *written) {
    std::ifstream file(path, std::ios::binary);
    if (!file.is_open() || is_directory(path))
        return fail(Errc::NotFound, path,
                    ": cannot be read; give a journal of spherepublish with embeddings=true");
    std::string line;
    for (std::size_t number = 1;; ++number) {
        const std::string place = path + ":" + std::to_string(number);
        const auto more = next_line(file, line, place);
        if (!more)
            return more.error();
        if (!*more)
            return {};
        if (line.empty())
            continue;
        Json json = has_bounded_depth(line) ? Json::parse(line, nullptr, false) : Json();
        if (!json.is_object())
            return fail(Errc::Corrupt, place, ": is not a record (JSON object)");
        SPHERE_TRY(rematcher.record(json, place));
        if (written)
            *written += json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    }
}

void print_tally(const Context &context, const std::string &gallery, const Tally &tally) {
    if (context.json) {
        Json known = Json::object();
        for (const auto &[id, count] : tally.known)
            known[id] = count;
        print_line(Json{
            {"gallery", gallery},
            {"records", tally.records},
            {"faces", tally.faces},
            {"without_embedding", tally.without_embedding},
            {"changed", tally.changed},
            {"known",
             known}}.dump(-1, ' ', false, Json::error_handler_t::replace));
        return;
    }
    for (const auto &[id, count] : tally.known)
        print_line(id + "  " + std::to_string(count) + (count == 1 ? " face" : " faces"));
    print_line(std::to_string(tally.records) + " records, " + std::to_string(tally.faces) +
               " faces, " + std::to_string(tally.changed) + " changed, " +
               std::to_string(tally.without_embedding) + " without an embedding");
}

Result<std::shared_ptr<const Matcher>> open_matcher(const Arguments &arguments,
                                                    const std::string &location) {
    auto store = open_store(location, OpenMode::Existing);
    if (!store)
        return std::move(store).error();
    auto snapshot = (*store)->load();
    if (!snapshot)
        return std::move(snapshot).error();
    auto judgement = judge_by_stamp(arguments, snapshot->stamp);
    if (!judgement)
        return std::move(judgement).error();
    MatchOptions match;
    match.metric = judgement->metric;
    match.threshold = static_cast<float>(judgement->threshold);
    auto margin = arguments.number("margin", default_margin(match.metric), 0, 1e9);
    if (!margin)
        return std::move(margin).error();
    match.margin = static_cast<float>(*margin);
    auto top_k = arguments.integer("top-k", 1, 1, 1000);
    if (!top_k)
        return std::move(top_k).error();
    match.top_k = *top_k;
    return Matcher::build(std::move(*snapshot), match);
}

Result<int> run(const Context &context) {
    const Arguments &arguments = context.arguments;
    auto location = gallery_location(arguments);
    if (!location)
        return std::move(location).error();
    if (arguments.positionals().empty())
        return fail(Errc::InvalidArgument, "rematch: give the journals, as: spherectl rematch "
                                           "--gallery people.db records.jsonl");
    auto matcher = open_matcher(arguments, *location);
    if (!matcher)
        return std::move(matcher).error();
    Rematcher rematcher(context, std::move(*matcher));
    std::string written;
    const bool write = arguments.has("output");
    for (const std::string &path : arguments.positionals())
        SPHERE_TRY(rematch_file(path, rematcher, write ? &written : nullptr));
    if (write) {
        auto file = arguments.required("output", "give the file to write");
        if (!file)
            return std::move(file).error();
        SPHERE_TRY(write_whole(*file, written));
    }
    print_tally(context, *location, rematcher.tally());
    return kExitDone;
}

} // namespace

const Command kRematchCommand = {
    "rematch",
    "name the faces of a recorded journal again, by the gallery of today",
    "--gallery=PATH [--output=FILE.jsonl] [OPTION…] RECORDS.jsonl…",
    "Takes what spherepublish embeddings=true wrote (one frame a line) and looks each "
    "embedding\n"
    "up again: after an enrolment, a removal or with another threshold, without video and\n"
    "without inference. A line a face whose name or state is another now; --output writes all\n"
    "records with the new names. Events and other lines go through as they are.",
    "spherectl rematch --gallery people.db --output renamed.jsonl records.jsonl",
    &options,
    &run,
};

} // namespace sphere::cli
