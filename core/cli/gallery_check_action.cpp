// SPDX-License-Identifier: MIT
// spherectl gallery check: is the threshold safe, are the photographs good?
#include "core/cli/gallery_actions.h"
#include "core/cli/gallery_session.h"
#include "core/cli/output.h"
#include "core/gallery/gallery_check.h"
#include "core/gallery/matcher.h"
#include "core/model/store.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>
#include <set>
#include <thread>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

/// --metric, --threshold, --margin and --far, or what the gallery's model says of itself: no
/// network is needed.
Result<CheckOptions> read_options(const GalleryContext &context,
                                  const std::optional<EmbeddingStamp> &stamp) {
    const Arguments &arguments = context.arguments();
    CheckOptions options;
    auto far = arguments.number("far", options.target_far, 0, 1);
    if (!far)
        return std::move(far).error();
    options.target_far = *far;
    auto judgement = judge_by_stamp(arguments, stamp);
    if (!judgement)
        return std::move(judgement).error();
    options.metric = judgement->metric;
    options.threshold = static_cast<float>(judgement->threshold);
    if (const auto own = own_threshold(stamp, options.metric))
        options.most_threshold = *own;
    auto margin = arguments.number("margin", default_margin(options.metric), 0, 1e9);
    if (!margin)
        return std::move(margin).error();
    options.margin = static_cast<float>(*margin);
    return options;
}

std::string describe(const Finding &finding) {
    std::string face = "face " + std::to_string(finding.face_id) + " of " + finding.person_id;
    const std::string other =
        "face " + std::to_string(finding.other_face_id) + " of " + finding.other_person_id;
    switch (finding.kind) {
    case FindingKind::Duplicate:
        return face + " is " + other + " once more";
    case FindingKind::TwoNames:
        return face + " and " + other + " are within the threshold (" +
               fixed(finding.value, 4) + "): one person under two names, or look-alikes";
    case FindingKind::Outlier:
        return face + " resembles no other of theirs (nearest " + fixed(finding.value, 4) +
               "): somebody else, or a bad picture";
    case FindingKind::Unusable:
        return face + " has a quality of " + fixed(finding.value, 2) +
               ": a sharper, larger, frontal picture would be recognised better";
    case FindingKind::NoEmbedding:
        return face + " has no embedding of the model in use";
    }
    return face;
}

Json to_json(const GalleryContext &context, const GalleryCheck &check,
             const CheckOptions &options, std::size_t faces,
             const std::vector<std::int64_t> &quarantined) {
    Json findings = Json::array();
    for (const Finding &finding : check.findings)
        findings.push_back(
            {{"kind", finding_name(finding.kind)},
             {"face", finding.face_id},
             {"id", finding.person_id},
             {"other_face", finding.other_face_id ? Json(finding.other_face_id) : Json()},
             {"other_id", finding.other_face_id ? Json(finding.other_person_id) : Json()},
             {"value", tidy(finding.value)}});
    return {{"gallery", context.shown()},
            {"metric", metric_name(options.metric)},
            {"threshold", tidy(options.threshold)},
            {"margin", tidy(options.margin)},
            {"target_far", options.target_far},
            {"faces", faces},
            {"sampled", check.probes},
            {"strangers", check.strangers},
            {"strangers_named", check.strangers_named},
            {"returning", check.returning},
            {"returning_named", check.returning_named},
            {"suggested_threshold",
             check.suggested_threshold ? Json(tidy(*check.suggested_threshold)) : Json()},
            {"returning_named_suggested", check.returning_named_suggested},
            {"unsafe", check.unsafe},
            {"findings", findings},
            {"quarantined", quarantined},
            {"dry_run", context.dry_run}};
}

std::string share(std::size_t part, std::size_t whole) {
    return std::to_string(part) + " of " + std::to_string(whole) +
           (whole == 0
                ? ""
                : " (" +
                      fixed(100.0 * static_cast<double>(part) / static_cast<double>(whole), 2) +
                      " %)");
}

void print_text(const GalleryCheck &check, const CheckOptions &options, std::size_t faces) {
    if (check.probes < faces)
        print_line("sample      " + std::to_string(check.probes) + " of " +
                   std::to_string(faces) + " faces, evenly chosen: findings are of these");
    print_line("strangers   " + share(check.strangers_named, check.strangers) +
               " would be named at threshold " + fixed(options.threshold, 4) + ", margin " +
               fixed(options.margin, 4));
    print_line("people      " + share(check.returning_named, check.returning) +
               " would be named rightly");
    if (check.suggested_threshold)
        print_line("suggested   threshold " + fixed(*check.suggested_threshold, 4) +
                   " for a share of " + fixed(options.target_far, 4) +
                   " strangers named; people named rightly there: " +
                   share(check.returning_named_suggested, check.returning));
    if (static_cast<double>(check.strangers) * options.target_far < 1 && check.strangers > 0)
        print_line("            too few faces for a share that small: take the suggestion as "
                   "a rough one");
    if (check.unsafe)
        print_warning("the threshold " + fixed(options.threshold, 4) +
                      " is not safe for this gallery: more strangers are named than wanted");
    for (const Finding &finding : check.findings)
        print_line(std::string(finding_name(finding.kind)) + ": " + describe(finding));
    print_line(std::to_string(check.findings.size()) +
               (check.findings.size() == 1 ? " finding" : " findings"));
}

/// Outliers, unusable faces and the second of each duplicate.
std::vector<std::int64_t> to_quarantine(const GalleryCheck &check) {
    std::set<std::int64_t> faces;
    for (const Finding &finding : check.findings)
        if (finding.kind == FindingKind::Outlier || finding.kind == FindingKind::Unusable ||
            finding.kind == FindingKind::Duplicate)
            faces.insert(finding.face_id);
    return {faces.begin(), faces.end()};
}

Result<int> run_check(const GalleryContext &context) {
    SPHERE_TRY(check_words(context, kCheckAction, 0, 0));
    auto gallery = open_gallery(context.location);
    if (!gallery)
        return std::move(gallery).error();
    auto snapshot = gallery->store->load();
    if (!snapshot)
        return std::move(snapshot).error();
    auto faces = gallery->admin->list_faces("");
    if (!faces)
        return std::move(faces).error();
    auto options = read_options(context, snapshot->stamp);
    if (!options)
        return std::move(options).error();
    options->threads = static_cast<int>(
        std::clamp(std::thread::hardware_concurrency(), 1U, unsigned{kMaxIndexThreads}));
    std::optional<Progress> bar;
    options->progress = [&bar](std::size_t done, std::size_t all) {
        if (!bar)
            bar.emplace("check", all);
        bar->update(done);
    };
    auto check = check_gallery(*snapshot, *faces, *options);
    bar.reset();
    if (!check)
        return std::move(check).error();
    std::vector<std::int64_t> quarantined;
    if (context.arguments().has("quarantine"))
        quarantined = to_quarantine(*check);
    if (!quarantined.empty() && !context.dry_run) {
        auto done = gallery->admin->apply({QuarantineFaces{quarantined, true}});
        if (!done)
            return std::move(done).error();
    }
    if (context.json()) {
        print_line(to_json(context, *check, *options, snapshot->faces.size(), quarantined)
                       .dump(-1, ' ', false, Json::error_handler_t::replace));
    } else {
        print_text(*check, *options, snapshot->faces.size());
        if (context.arguments().has("quarantine"))
            print_line((context.dry_run ? "would have put " : "put ") +
                       std::to_string(quarantined.size()) +
                       (quarantined.size() == 1 ? " face" : " faces") + " into quarantine");
    }
    return check->unsafe || !check->findings.empty() ? kExitNegative : kExitDone;
}

} // namespace

const GalleryAction kCheckAction = {
    "check", "[--far=RATE] [--threshold=DISTANCE] [--margin=DISTANCE] [--quarantine]",
    &run_check};

} // namespace sphere::cli
