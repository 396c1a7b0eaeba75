// SPDX-License-Identifier: MIT
// spherectl gallery index: the server's own index over its faces.
#include "core/cli/gallery_actions.h"
#include "core/cli/gallery_session.h"
#include "core/cli/output.h"

#include <nlohmann/json.hpp>

#include <optional>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

std::size_t faces_of(const std::vector<Person> &people) {
    std::size_t faces = 0;
    for (const Person &person : people)
        faces += static_cast<std::size_t>(person.faces);
    return faces;
}

Result<int> run_index(const GalleryContext &context) {
    SPHERE_TRY(check_words(context, kIndexAction, 0, 0));
    auto gallery = open_gallery(context.location);
    if (!gallery)
        return std::move(gallery).error();
    Store &store = *gallery->store;
    auto outline = store.load_outline();
    if (!outline)
        return std::move(outline).error();
    auto metric = parse_metric(context.arguments().text("metric", "auto"));
    if (!metric) {
        const auto judgement = judge_by_stamp(context.arguments(), outline->stamp);
        if (!judgement)
            return judgement.error();
        metric = judgement->metric;
    }
    const auto people = store.list_people();
    if (!people)
        return people.error();
    std::size_t faces = faces_of(*people);
    if (!context.dry_run) {
        Progress progress("index", faces);
        const auto made = store.prepare_search(*metric, [&progress](std::int64_t done) {
            progress.update(static_cast<std::size_t>(done));
        });
        if (!made)
            return made.error();
        faces = static_cast<std::size_t>(*made);
    }
    const std::string name = metric_name(*metric);
    if (context.json())
        print_line(Json{{"gallery", context.shown()},
                        {"metric", name},
                        {"faces", faces},
                        {"dry_run", context.dry_run}}
                       .dump(-1, ' ', false, Json::error_handler_t::replace));
    else
        print_line((context.dry_run ? "would have indexed " : "indexed ") +
                   std::to_string(faces) + (faces == 1 ? " face" : " faces") + " for metric " +
                   name);
    return kExitDone;
}

} // namespace

const GalleryAction kIndexAction = {"index", "[--metric=METRIC] [--dry-run]", &run_index};

} // namespace sphere::cli
