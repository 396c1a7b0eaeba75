// SPDX-License-Identifier: MIT
// spherectl cluster: groups faces that have no names.
#include "core/cli/command.h"
#include "core/cli/files.h"
#include "core/cli/gallery_session.h"
#include "core/cli/output.h"
#include "core/gallery/cluster.h"
#include "core/gallery/people_admin.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

std::vector<OptionSpec> options() {
    std::vector<OptionSpec> specs = image_options(ThresholdMeans::Distance);
    specs.push_back(kGalleryOption);
    specs.push_back(kMetricOption);
    specs.push_back(kFlipOption);
    specs.push_back({"method", "NAME", "whispers, density, or auto"});
    specs.push_back({"min-faces", "N", "groups of fewer faces are not shown (default 2)"});
    return specs;
}

/// Faces to group: where each came from, and its embedding.
struct Faces {
    std::vector<std::vector<float>> rows;
    std::vector<Json> places; ///< parallel
    std::vector<std::string> names;
    Judgement judgement;
    std::string model;
    std::vector<Failure> failures;
};

Result<std::vector<std::string>> pictures_of(const std::string &folder) {
    auto listing = list_folder(folder);
    if (!listing)
        return std::move(listing).error();
    std::vector<std::string> pictures = std::move(listing->pictures);
    for (const std::string &sub : listing->folders) {
        auto inner = list_folder(sub);
        if (!inner)
            return std::move(inner).error();
        pictures.insert(pictures.end(), inner->pictures.begin(), inner->pictures.end());
    }
    if (pictures.empty())
        return fail(Errc::NotFound, folder, ": has no pictures");
    return pictures;
}

/// Every face of every picture of a folder and its sub-folders.
Result<Faces> faces_of_folder(const Arguments &arguments, const std::string &folder) {
    auto session_options = read_session_options(arguments, ThresholdMeans::Distance);
    if (!session_options)
        return std::move(session_options).error();
    auto pictures = pictures_of(folder);
    if (!pictures)
        return std::move(pictures).error();
    auto session = FaceSession::open(for_gallery(*session_options));
    if (!session)
        return std::move(session).error();
    auto judgement = session->judgement(arguments, Question::Who);
    if (!judgement)
        return std::move(judgement).error();
    Faces faces;
    faces.judgement = *judgement;
    faces.model = session->stamp().model;
    Progress progress("embed", pictures->size());
    for (std::size_t i = 0; i < pictures->size(); ++i) {
        progress.update(i);
        const std::string &path = (*pictures)[i];
        auto photo = session->detect(path);
        std::vector<Face *> found;
        if (photo)
            for (Face &face : photo->faces)
                found.push_back(&face);
        const Result<void> done =
            photo ? session->embed(*photo, found) : Result<void>(photo.error());
        if (!done) {
            note_failure(faces.failures, path, done.error());
            continue;
        }
        for (std::size_t f = 0; f < found.size(); ++f) {
            if (!found[f]->embedding)
                continue;
            faces.rows.push_back(found[f]->embedding->values);
            faces.places.push_back(
                {{"path", path}, {"face", f}, {"box", box_numbers(found[f]->box)}});
            faces.names.push_back(path + "  face " + std::to_string(f) + "  box " +
                                  box_text(found[f]->box));
        }
    }
    return faces;
}

/// The strangers of a gallery: no picture is needed.
Result<Faces> faces_of_gallery(const Arguments &arguments, const std::string &location) {
    auto admin = open_people_admin(location);
    if (!admin)
        return std::move(admin).error();
    auto snapshot = (*admin)->load(FaceKind::Strangers);
    if (!snapshot)
        return std::move(snapshot).error();
    Faces faces;
    if (snapshot->faces.empty())
        return faces;
    auto judgement = judge_by_stamp(arguments, snapshot->stamp);
    if (!judgement)
        return std::move(judgement).error();
    faces.judgement = *judgement;
    faces.model = snapshot->stamp->model;
    for (EnrolledFace &face : snapshot->faces) {
        faces.rows.push_back(std::move(face.embedding));
        faces.places.push_back({{"id", face.person_id}, {"face", face.face_id}});
        faces.names.push_back(face.person_id + "  face " + std::to_string(face.face_id));
    }
    return faces;
}

/// Rows of each group, largest group first.
std::vector<std::vector<std::size_t>> members_of(const std::vector<int> &groups) {
    std::vector<std::vector<std::size_t>> members;
    for (std::size_t i = 0; i < groups.size(); ++i) {
        const auto group = static_cast<std::size_t>(groups[i]);
        members.resize(std::max(members.size(), group + 1));
        members[group].push_back(i);
    }
    std::stable_sort(members.begin(), members.end(),
                     [](const auto &a, const auto &b) { return a.size() > b.size(); });
    return members;
}

void print_groups(const Context &context, const Faces &faces, const std::string &method,
                  const std::vector<std::vector<std::size_t>> &groups, std::size_t least) {
    Json rows = Json::array();
    std::size_t shown = 0;
    std::size_t in_groups = 0;
    for (const auto &members : groups) {
        if (members.size() < least)
            continue;
        ++shown;
        in_groups += members.size();
        Json list = Json::array();
        for (const std::size_t member : members)
            list.push_back(faces.places[member]);
        rows.push_back({{"group", shown}, {"faces", list}});
        if (context.json)
            continue;
        print_line("group " + std::to_string(shown) + "  " + std::to_string(members.size()) +
                   (members.size() == 1 ? " face" : " faces"));
        for (const std::size_t member : members)
            print_line("  " + faces.names[member]);
    }
    if (context.json)
        print_line(Json{{"method", method},
                        {"model", faces.model},
                        {"metric", metric_name(faces.judgement.metric)},
                        {"threshold", faces.judgement.threshold},
                        {"faces", faces.rows.size()},
                        {"ungrouped", faces.rows.size() - in_groups},
                        {"groups", rows},
                        {"failed", failure_rows(faces.failures)}}
                       .dump(-1, ' ', false, Json::error_handler_t::replace));
    else
        print_line(std::to_string(faces.rows.size()) + " faces in " + std::to_string(shown) +
                   (shown == 1 ? " group, " : " groups, ") +
                   std::to_string(faces.rows.size() - in_groups) + " in none (" + method + ")");
}

Result<int> run(const Context &context) {
    const Arguments &arguments = context.arguments;
    const bool of_gallery = arguments.has("gallery");
    if (arguments.positionals().size() != (of_gallery ? 0 : 1))
        return fail(Errc::InvalidArgument, "cluster: give one folder of pictures, or a gallery "
                                           "with strangers by --gallery");
    auto least = arguments.integer("min-faces", 2, 1, 1'000'000);
    if (!least)
        return std::move(least).error();
    auto faces = of_gallery ? faces_of_gallery(arguments, arguments.text("gallery"))
                            : faces_of_folder(arguments, arguments.positionals()[0]);
    if (!faces)
        return std::move(faces).error();
    ClusterOptions cluster;
    cluster.method = arguments.text("method", "auto");
    cluster.metric = faces->judgement.metric;
    cluster.threshold = static_cast<float>(faces->judgement.threshold);
    auto groups = cluster_faces(faces->rows, cluster);
    if (!groups)
        return std::move(groups).error();
    const std::string method =
        cluster.method == "auto" ? default_cluster_method() : cluster.method;
    print_groups(context, *faces, method, members_of(*groups),
                 static_cast<std::size_t>(*least));
    return exit_code_with(faces->failures, kExitDone);
}

} // namespace

const Command kClusterCommand = {
    "cluster",
    "group faces that have no names, a group a person",
    "(FOLDER | --gallery=PATH) [OPTION…]",
    "Of a FOLDER every face of every picture, sub-folders included; of a gallery its "
    "strangers.\n"
    "Faces up to --threshold from each other are neighbours. Largest group first.",
    "spherectl cluster photos/",
    &options,
    &run,
};

} // namespace sphere::cli
