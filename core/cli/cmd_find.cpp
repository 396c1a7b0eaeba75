// SPDX-License-Identifier: MIT
// spherectl find: who is in these pictures?
#include "core/cli/command.h"
#include "core/cli/gallery_session.h"
#include "core/cli/output.h"
#include "core/gallery/matcher.h"

#include <nlohmann/json.hpp>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxTopK = 1000;

std::vector<OptionSpec> options() {
    std::vector<OptionSpec> specs = image_options(ThresholdMeans::Distance);
    specs.push_back(kGalleryOption);
    specs.push_back(kMetricOption);
    specs.push_back(kFlipOption);
    specs.push_back({"margin", "DISTANCE",
                     "ambiguous where the second person is nearer than this; 0 = off"});
    specs.push_back({"top-k", "K", "how many people to name for a face (default 1)"});
    return specs;
}

Json to_json(const Photo &photo) {
    Json faces = Json::array();
    for (const Face &face : photo.faces) {
        const MatchResult &match = *face.match;
        Json candidates = Json::array();
        for (const Candidate &candidate : match.candidates)
            candidates.push_back({{"id", candidate.id},
                                  {"label", candidate.label},
                                  {"distance", tidy(candidate.distance)},
                                  {"similarity", tidy(candidate.similarity)}});
        const bool has_reason = match.reason != FaceReason::None;
        faces.push_back({{"box", box_numbers(face.box)},
                         {"score", tidy(face.score)},
                         {"state", face_state_name(match.state)},
                         {"reason", has_reason ? Json(face_reason_name(match.reason)) : Json()},
                         {"known", match.state == FaceState::Known},
                         {"margin", match.margin ? Json(tidy(*match.margin)) : Json()},
                         {"candidates", candidates}});
    }
    return {{"path", photo.path},
            {"width", photo.image.width},
            {"height", photo.image.height},
            {"faces", faces}};
}

void print_text(const Photo &photo) {
    if (photo.faces.empty())
        print_line(photo.path + "  no face");
    for (std::size_t i = 0; i < photo.faces.size(); ++i) {
        const Face &face = photo.faces[i];
        const MatchResult &match = *face.match;
        std::string line =
            photo.path + "  face " + std::to_string(i) + "  box " + box_text(face.box) + "  ";
        line += match.best() != nullptr ? match.best()->label : face_state_name(match.state);
        if (match.reason != FaceReason::None && match.state != FaceState::Ambiguous)
            line += std::string(" (") + face_reason_name(match.reason) + ")";
        for (const Candidate &candidate : match.candidates)
            line += "  " + candidate.id + " " + fixed(candidate.distance, 4);
        print_line(line);
    }
}

Result<MatchOptions> match_options(const Arguments &arguments, const FaceSession &session) {
    auto judgement = session.judgement(arguments, Question::Who);
    if (!judgement)
        return std::move(judgement).error();
    MatchOptions match;
    match.metric = judgement->metric;
    match.threshold = static_cast<float>(judgement->threshold);
    auto margin = arguments.number("margin", default_margin(match.metric), 0, 1e9);
    if (!margin)
        return std::move(margin).error();
    match.margin = static_cast<float>(*margin);
    auto top_k = arguments.integer("top-k", 1, 1, kMaxTopK);
    if (!top_k)
        return std::move(top_k).error();
    match.top_k = *top_k;
    return match;
}

/// Gives every face of `photo` its match.
Result<void> match_faces(const FaceSession &session, const Matcher &matcher, Photo &photo) {
    std::vector<Face *> faces;
    for (Face &face : photo.faces)
        faces.push_back(&face);
    SPHERE_TRY(session.embed(photo, faces));
    for (Face *face : faces) {
        if (face->embedding) {
            face->match = matcher.match(*face->embedding);
        } else {
            face->match.emplace();
            face->match->state = FaceState::Unusable;
            face->match->reason = face->reason;
        }
    }
    return {};
}

struct Opened {
    FaceSession session;
    std::shared_ptr<const Matcher> matcher;
    MatchOptions options;
};

/// The gallery first: it says which model it needs.
Result<Opened> open_all(const Arguments &arguments) {
    auto location = gallery_location(arguments);
    if (!location)
        return std::move(location).error();
    auto session_options = read_session_options(arguments, ThresholdMeans::Distance);
    if (!session_options)
        return std::move(session_options).error();
    auto store = open_store(*location, OpenMode::Existing);
    if (!store)
        return std::move(store).error();
    auto snapshot = (*store)->load();
    if (!snapshot)
        return std::move(snapshot).error();
    if (snapshot->faces.empty())
        print_warning(*location + ": nobody is enrolled; spherectl enrol --gallery " +
                      *location + " --id NAME IMAGE… adds a person");
    auto session = FaceSession::open(
        follow_stamp(for_gallery(*session_options), arguments, snapshot->stamp));
    if (!session)
        return std::move(session).error();
    SPHERE_TRY(check_stamp(*location, snapshot->stamp, *session));
    auto options = match_options(arguments, *session);
    if (!options)
        return std::move(options).error();
    auto matcher = Matcher::build(std::move(*snapshot), *options);
    if (!matcher)
        return std::move(matcher).error();
    return Opened{std::move(*session), std::move(*matcher), *options};
}

bool has_known_face(const Photo &photo) {
    for (const Face &face : photo.faces)
        if (face.match->state == FaceState::Known)
            return true;
    return false;
}

Result<int> run(const Context &context) {
    const auto &paths = context.arguments.positionals();
    if (paths.empty())
        return fail(Errc::InvalidArgument,
                    "find: no picture given; usage: spherectl find --gallery G IMAGE…");
    auto opened = open_all(context.arguments);
    if (!opened)
        return std::move(opened).error();

    std::vector<Failure> failures;
    Json images = Json::array();
    bool matched = false;
    Progress progress("find", paths.size());
    for (std::size_t i = 0; i < paths.size(); ++i) {
        progress.update(i);
        auto photo = opened->session.detect(paths[i]);
        Result<void> done = photo ? match_faces(opened->session, *opened->matcher, *photo)
                                  : Result<void>(photo.error());
        if (!done) {
            note_failure(failures, paths[i], std::move(done).error());
            continue;
        }
        matched = matched || has_known_face(*photo);
        if (context.json)
            images.push_back(to_json(*photo));
        else
            print_text(*photo);
    }
    if (context.json)
        print_line(Json{{"images", images},
                        {"failed", failure_rows(failures)},
                        {"model", opened->session.stamp().model},
                        {"detector", opened->session.detector_name()},
                        {"metric", metric_name(opened->options.metric)},
                        {"threshold", tidy(opened->options.threshold)}}
                       .dump(-1, ' ', false, Json::error_handler_t::replace));
    return exit_code_with(failures, matched ? kExitDone : kExitNegative);
}

} // namespace

const Command kFindCommand = {
    "find",
    "tell who of a gallery is in pictures",
    "--gallery=PATH [OPTION…] IMAGE…",
    "Compares every face with the gallery. A line a face: the person's name, or unknown,\n"
    "ambiguous (two people are about as near) or unusable; then the nearest people with their\n"
    "distances. Without --model and --flip the gallery's own are taken. Exit code 1: nobody "
    "of\n"
    "the gallery is in any of the pictures.",
    "spherectl find --gallery people.db --top-k 3 photo.jpg",
    &options,
    &run,
};

} // namespace sphere::cli
