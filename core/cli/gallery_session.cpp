// SPDX-License-Identifier: MIT
// What find and enrol share about galleries.
#include "core/cli/gallery_session.h"

#include "core/gallery/enrolment_check.h"
#include "core/model/store.h"

namespace sphere::cli {

Result<std::string> gallery_location(const Arguments &arguments) {
    return arguments.required("gallery", "give the gallery's path, as --gallery=people.db");
}

SessionOptions follow_stamp(SessionOptions options, const Arguments &arguments,
                            const std::optional<EmbeddingStamp> &stamp) {
    // A gallery may come from anywhere: its model must be a name, never a path to a descriptor.
    if (!stamp || stamp->model.find('/') != std::string::npos ||
        stamp->model.ends_with(".json"))
        return options;
    const bool own_model = options.model == "auto" || options.model == stamp->model;
    if (options.model == "auto")
        options.model = stamp->model;
    if (own_model && !arguments.has("flip"))
        options.flip = parse_flip_mode(stamp->flip);
    return options;
}

Result<Judgement> judge_by_stamp(const Arguments &arguments,
                                 const std::optional<EmbeddingStamp> &stamp) {
    if (!stamp)
        return fail(Errc::NotFound, "nobody is enrolled in this gallery: spherectl enrol "
                                    "--gallery PATH --id NAME IMAGE… adds a person");
    // Both given: the descriptor is not needed.
    const auto metric = parse_metric(arguments.text("metric", "auto"));
    if (metric && arguments.has("threshold"))
        return judge_by_model(arguments, ModelDescriptor{}, Question::Who);
    const auto model = ModelStore::from_environment().find(stamp->model);
    if (!model)
        return fail(model.error().code, model.error().message,
                    "; or give --metric and --threshold");
    return judge_by_model(arguments, *model, Question::Who);
}

Result<void> check_stamp(const std::string &gallery, const std::optional<EmbeddingStamp> &stamp,
                         const FaceSession &session) {
    if (!stamp || *stamp == session.stamp())
        return {};
    EmbeddingStamp other_flip = session.stamp();
    other_flip.flip = stamp->flip;
    other_flip.dims = stamp->dims;
    if (other_flip == *stamp)
        return fail(Errc::Mismatch, "gallery ", gallery, " holds embeddings of ", stamp->model,
                    " with flip ", stamp->flip, ", not with --flip=", session.stamp().flip,
                    ": leave --flip out, or enrol the photographs again into a new gallery");
    return stamp_mismatch(gallery, *stamp, session.stamp());
}

} // namespace sphere::cli
