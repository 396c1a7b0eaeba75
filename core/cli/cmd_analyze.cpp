// SPDX-License-Identifier: MIT
// spherectl analyze: estimates about the faces in picture files.
#include "core/cli/command.h"
#include "core/cli/face_session.h"
#include "core/cli/output.h"
#include "core/face/attributes.h"

#include <nlohmann/json.hpp>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;
using Finders = std::vector<std::shared_ptr<AttributeFinder>>;

std::vector<OptionSpec> options() {
    std::vector<OptionSpec> specs = image_options(ThresholdMeans::Score);
    for (OptionSpec &spec : specs)
        if (spec.name == "model")
            spec.help = "attribute models, separated by commas; auto = the installed fr_ ones";
    specs.push_back({"scores", "", "with --json: the score of each class, not the best alone"});
    return specs;
}

Json value_of(const Attribute &attribute) {
    if (attribute.labels.empty())
        return tidy(attribute.number);
    const std::string &label = attribute.labels[attribute.best()];
    if (label == "true" || label == "false")
        return label == "true";
    return label;
}

Json to_json(const Photo &photo, bool scores) {
    Json faces = Json::array();
    for (const Face &face : photo.faces) {
        Json attributes = Json::object();
        for (const Attribute &attribute : face.attributes) {
            attributes[attribute.name] = value_of(attribute);
            if (attribute.labels.empty())
                continue;
            attributes[attribute.name + "_score"] = tidy(attribute.scores[attribute.best()]);
            for (std::size_t i = 0; i < attribute.labels.size() && scores; ++i)
                attributes[attribute.name + "_scores"][attribute.labels[i]] =
                    tidy(attribute.scores[i]);
        }
        const auto landmarks = landmark_numbers(face);
        faces.push_back({{"box", box_numbers(face.box)},
                         {"score", tidy(face.score)},
                         {"landmarks", landmarks.empty() ? Json() : Json(landmarks)},
                         {"attributes", attributes}});
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
        std::string line =
            photo.path + "  face " + std::to_string(i) + "  box " + box_text(face.box);
        for (const Attribute &attribute : face.attributes) {
            line += "  " + attribute.name + " ";
            if (attribute.labels.empty()) {
                line += fixed(attribute.number, 1);
                continue;
            }
            const std::size_t best = attribute.best();
            line += attribute.labels[best] + " " + fixed(attribute.scores[best], 2);
        }
        print_line(line);
    }
}

Result<Photo> analyze(const FaceSession &session, const Finders &finders,
                      const std::string &path) {
    auto photo = session.detect(path);
    if (!photo)
        return photo;
    for (Face &face : photo->faces)
        for (const auto &finder : finders)
            if (auto found = finder->find(photo->image.view(), face, nullptr); !found)
                return fail(found.error().code, path, ": ", found.error().message);
    return photo;
}

Result<int> run(const Context &context) {
    const auto &paths = context.arguments.positionals();
    if (paths.empty())
        return fail(Errc::InvalidArgument,
                    "analyze: no picture given; usage: spherectl analyze IMAGE…");
    auto session_options = read_session_options(context.arguments, ThresholdMeans::Score);
    if (!session_options)
        return std::move(session_options).error();
    auto finders = make_attribute_finders(ModelStore::from_environment(),
                                          session_options->model, session_options->engine);
    if (!finders)
        return std::move(finders).error();
    auto session = FaceSession::open_detector(*session_options);
    if (!session)
        return std::move(session).error();

    std::vector<Failure> failures;
    Json images = Json::array();
    Progress progress("analyze", paths.size());
    for (std::size_t i = 0; i < paths.size(); ++i) {
        progress.update(i);
        auto photo = analyze(*session, *finders, paths[i]);
        if (!photo)
            note_failure(failures, paths[i], std::move(photo).error());
        else if (context.json)
            images.push_back(to_json(*photo, context.arguments.has("scores")));
        else
            print_text(*photo);
    }
    if (context.json) {
        Json models = Json::array();
        for (const auto &finder : *finders)
            models.push_back(finder->descriptor().name);
        print_line(Json{
            {"images", images},
            {"failed", failure_rows(failures)},
            {"detector", session->detector_name()},
            {"models",
             models}}.dump(-1, ' ', false, Json::error_handler_t::replace));
    }
    return exit_code_with(failures, kExitDone);
}

} // namespace

const Command kAnalyzeCommand = {
    "analyze",
    "estimate age, gender, expression and more",
    "[OPTION…] IMAGE…",
    "Prints a line a face: what the attribute models estimate, with the score of each class.\n"
    "They are estimates from a picture, wrong for many people, and unequally so for different\n"
    "groups: docs/models.md says what not to use them for.",
    "spherectl analyze --model fr_age,fr_expression photo.jpg",
    &options,
    &run,
};

} // namespace sphere::cli
