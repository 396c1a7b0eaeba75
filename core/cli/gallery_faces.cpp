// SPDX-License-Identifier: MIT
// spherectl gallery: negatives, quarantine, counts.
#include "core/cli/gallery_actions.h"
#include "core/cli/gallery_session.h"
#include "core/cli/output.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

void print_json(const Json &json) {
    print_line(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

Result<int> list_negatives(const GalleryContext &context, const OpenGallery &gallery) {
    auto notes = gallery.admin->notes(0);
    if (!notes)
        return std::move(notes).error();
    Json rows = Json::array();
    for (const NegativeRecord &negative : notes->negatives) {
        rows.push_back({{"negative", negative.negative_id},
                        {"id", negative.person_id.empty() ? Json() : Json(negative.person_id)},
                        {"source", negative.source},
                        {"added_at", negative.added_at_ms}});
        if (!context.json())
            print_line(std::to_string(negative.negative_id) + "  " +
                       (negative.person_id.empty() ? "ignored" : "not " + negative.person_id) +
                       "  " + negative.source);
    }
    if (context.json())
        print_json({{"gallery", context.shown()}, {"negatives", rows}});
    else
        print_line(std::to_string(notes->negatives.size()) +
                   (notes->negatives.size() == 1 ? " negative" : " negatives"));
    return kExitDone;
}

/// Embeds the largest face of each picture by the gallery's own model.
Result<int> add_negatives(const GalleryContext &context, const OpenGallery &gallery,
                          const std::string &person) {
    auto session_options = read_session_options(context.arguments(), ThresholdMeans::Distance);
    if (!session_options)
        return std::move(session_options).error();
    auto snapshot = gallery.store->load();
    if (!snapshot)
        return std::move(snapshot).error();
    auto session = FaceSession::open(
        follow_stamp(for_gallery(*session_options), context.arguments(), snapshot->stamp));
    if (!session)
        return std::move(session).error();
    SPHERE_TRY(check_stamp(context.shown(), snapshot->stamp, *session));
    std::vector<GalleryChange> changes;
    std::vector<std::string> said;
    std::vector<Failure> failures;
    for (const std::string &path : context.words) {
        auto photo = session->embed_one(path, Pick::Largest);
        if (!photo) {
            note_failure(failures, path, std::move(photo).error());
            continue;
        }
        changes.emplace_back(
            AddNegative{session->stamp(), person, path, photo->faces[0].embedding->values});
        said.push_back("noted " + path +
                       (person.empty() ? " as a face to ignore" : " as not " + person));
    }
    auto code = apply_and_say(context, *gallery.admin, "negative", changes, said);
    if (!code)
        return code;
    return exit_code_with(failures, *code);
}

Result<int> run_negative(const GalleryContext &context) {
    const Arguments &arguments = context.arguments();
    const bool ignore = arguments.has("ignore");
    const std::string person = arguments.text("id");
    auto gallery = open_gallery(context.location);
    if (!gallery)
        return std::move(gallery).error();
    if (arguments.has("remove")) {
        SPHERE_TRY(check_words(context, kNegativeAction, 0, 0));
        const std::string word = arguments.text("remove");
        auto number = read_numbers({&word, 1}, "a negative");
        if (!number)
            return std::move(number).error();
        return apply_and_say(context, *gallery->admin, "negative",
                             {RemoveNegative{number->front()}}, {"removed negative " + word});
    }
    if (context.words.empty() && !ignore && person.empty())
        return list_negatives(context, *gallery);
    if (ignore == !person.empty() || context.words.empty())
        return fail(Errc::InvalidArgument,
                    "gallery negative: say who the pictures do not show with --id NAME, or "
                    "--ignore for faces to ignore, and give the pictures");
    return add_negatives(context, *gallery, person);
}

Result<int> list_quarantine(const GalleryContext &context, const OpenGallery &gallery) {
    auto faces = gallery.admin->list_faces("");
    if (!faces)
        return std::move(faces).error();
    Json rows = Json::array();
    for (const FaceRecord &face : *faces) {
        if (!face.quarantined)
            continue;
        rows.push_back(
            {{"face", face.face_id}, {"id", face.person_id}, {"source", face.source}});
        if (!context.json())
            print_line("face " + std::to_string(face.face_id) + "  " + face.person_id + "  " +
                       face.source);
    }
    if (context.json())
        print_json({{"gallery", context.shown()}, {"quarantine", rows}});
    else
        print_line(std::to_string(rows.size()) + (rows.size() == 1 ? " face" : " faces") +
                   " in quarantine");
    return kExitDone;
}

Result<int> run_quarantine(const GalleryContext &context) {
    auto gallery = open_gallery(context.location);
    if (!gallery)
        return std::move(gallery).error();
    if (context.words.empty())
        return list_quarantine(context, *gallery);
    auto faces = read_numbers(context.words, "a face");
    if (!faces)
        return std::move(faces).error();
    const bool on = !context.arguments().has("release");
    std::vector<std::string> said;
    for (const std::int64_t face : *faces)
        said.push_back((on ? "put face " : "released face ") + std::to_string(face) +
                       (on ? " into quarantine" : ""));
    return apply_and_say(context, *gallery->admin, "quarantine", {QuarantineFaces{*faces, on}},
                         said);
}

Json stamp_json(const std::optional<EmbeddingStamp> &stamp) {
    if (!stamp)
        return {};
    return {{"model", stamp->model},
            {"sha256", stamp->sha256},
            {"preprocessing", stamp->preprocessing},
            {"template", stamp->template_name},
            {"flip", stamp->flip},
            {"dims", stamp->dims}};
}

struct Counts {
    std::size_t people = 0;
    std::size_t faces = 0;
    std::size_t quarantined = 0;
    std::size_t thumbnails = 0;
};

void print_stats(const GalleryContext &context, const Counts &counts,
                 const GallerySnapshot &snapshot, const GalleryNotes &notes) {
    if (context.json()) {
        Json audit = Json::array();
        for (const AuditEntry &entry : notes.audit)
            audit.push_back({{"at", entry.at_ms},
                             {"user", entry.user},
                             {"action", entry.action},
                             {"subject", entry.subject},
                             {"detail", entry.detail}});
        print_json({{"gallery", context.shown()},
                    {"version", snapshot.version},
                    {"stamp", stamp_json(snapshot.stamp)},
                    {"people", counts.people},
                    {"faces", counts.faces},
                    {"quarantined", counts.quarantined},
                    {"thumbnails", counts.thumbnails},
                    {"negatives", notes.negatives.size()},
                    {"strangers", notes.strangers.size()},
                    {"own_thresholds", snapshot.thresholds.size()},
                    {"audit", audit}});
        return;
    }
    print_line("people      " + std::to_string(counts.people) + ", " +
               std::to_string(snapshot.thresholds.size()) + " with a threshold of their own");
    print_line("faces       " + std::to_string(counts.faces) + ", " +
               std::to_string(counts.quarantined) + " in quarantine, " +
               std::to_string(counts.thumbnails) + " with a thumbnail");
    print_line("negatives   " + std::to_string(notes.negatives.size()));
    print_line("strangers   " + std::to_string(notes.strangers.size()));
    if (snapshot.stamp)
        print_line("stamp       " + snapshot.stamp->model + ", " +
                   snapshot.stamp->preprocessing + ", " + snapshot.stamp->template_name +
                   ", flip " + snapshot.stamp->flip + ", " +
                   std::to_string(snapshot.stamp->dims) + " values");
    print_line("version     " + std::to_string(snapshot.version));
    for (const AuditEntry &entry : notes.audit)
        print_line("audit       " + time_text(entry.at_ms) + "  " + entry.user + "  " +
                   entry.action + (entry.subject.empty() ? "" : "  " + entry.subject) +
                   (entry.detail.empty() ? "" : "  " + entry.detail));
}

Result<int> run_stats(const GalleryContext &context) {
    SPHERE_TRY(check_words(context, kStatsAction, 0, 0));
    auto entries = context.arguments().integer("audit", 10, 0, 1'000'000);
    if (!entries)
        return std::move(entries).error();
    auto gallery = open_gallery(context.location);
    if (!gallery)
        return std::move(gallery).error();
    auto snapshot = gallery->store->load();
    if (!snapshot)
        return std::move(snapshot).error();
    auto people = gallery->store->list_people();
    if (!people)
        return std::move(people).error();
    auto faces = gallery->admin->list_faces("");
    if (!faces)
        return std::move(faces).error();
    auto notes = gallery->admin->notes(*entries);
    if (!notes)
        return std::move(notes).error();
    Counts counts{people->size(), faces->size(), 0, 0};
    for (const FaceRecord &face : *faces) {
        counts.quarantined += face.quarantined;
        counts.thumbnails += face.has_thumbnail;
    }
    print_stats(context, counts, *snapshot, *notes);
    return kExitDone;
}

} // namespace

const GalleryAction kNegativeAction = {
    "negative", "[(--id=NAME | --ignore) IMAGE… | --remove=N]", &run_negative};
const GalleryAction kQuarantineAction = {"quarantine", "[FACE…] [--release]", &run_quarantine};
const GalleryAction kStatsAction = {"stats", "[--audit=N]", &run_stats};

} // namespace sphere::cli
