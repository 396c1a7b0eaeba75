// SPDX-License-Identifier: MIT
// spherectl verify: are two pictures of the same person?
#include "core/cli/command.h"
#include "core/cli/face_session.h"
#include "core/cli/output.h"

#include <nlohmann/json.hpp>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

std::vector<OptionSpec> options() {
    std::vector<OptionSpec> specs = image_options(ThresholdMeans::Distance);
    specs.push_back(kMetricOption);
    specs.push_back(kFlipOption);
    return specs;
}

Json face_of(const Photo &photo) {
    return {{"path", photo.path}, {"box", box_numbers(photo.faces[0].box)}};
}

Result<int> run(const Context &context) {
    const auto &paths = context.arguments.positionals();
    if (paths.size() != 2)
        return fail(Errc::InvalidArgument, "verify: two pictures are compared, ", paths.size(),
                    " given; usage: spherectl verify A B");
    auto session_options = read_session_options(context.arguments, ThresholdMeans::Distance);
    if (!session_options)
        return std::move(session_options).error();
    auto session = FaceSession::open(*session_options);
    if (!session)
        return std::move(session).error();
    auto judgement = session->judgement(context.arguments, Question::Same);
    if (!judgement)
        return std::move(judgement).error();
    auto a = session->embed_one(paths[0], Pick::Largest);
    if (!a)
        return std::move(a).error();
    auto b = session->embed_one(paths[1], Pick::Largest);
    if (!b)
        return std::move(b).error();

    const auto &values_a = a->faces[0].embedding->values;
    const auto &values_b = b->faces[0].embedding->values;
    const float distance = metric_distance(judgement->metric, values_a, values_b);
    const bool same = distance <= judgement->threshold;
    const char *metric = metric_name(judgement->metric);
    if (context.json)
        print_line(Json{{"same", same},
                        {"distance", tidy(distance)},
                        {"metric", metric},
                        {"threshold", judgement->threshold},
                        {"model", session->stamp().model},
                        {"similarity", tidy(cosine_similarity(values_a, values_b))},
                        {"detector", session->detector_name()},
                        {"faces", {face_of(*a), face_of(*b)}}}
                       .dump(-1, ' ', false, Json::error_handler_t::replace));
    else
        print_line(std::string(same ? "same person" : "different people") + ": " + metric +
                   " distance " + fixed(distance, 4) + (same ? " <= " : " > ") + "threshold " +
                   fixed(judgement->threshold, 4) + " (" + session->stamp().model + ")");
    return same ? kExitDone : kExitNegative;
}

} // namespace

const Command kVerifyCommand = {
    "verify",
    "tell whether two pictures show the same person",
    "[OPTION…] A B",
    "Compares the largest face of each picture. Exit code 0: same person; 1: different "
    "people;\n"
    "2: no face in one of them, or another error.",
    "spherectl verify anna1.jpg anna2.jpg",
    &options,
    &run,
};

} // namespace sphere::cli
