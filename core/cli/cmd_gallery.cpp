// SPDX-License-Identifier: MIT
// spherectl gallery: the table of its actions, and what they share.
#include "core/cli/gallery_actions.h"
#include "core/cli/gallery_session.h"
#include "core/cli/output.h"

#include <nlohmann/json.hpp>

#include <ctime>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

const GalleryAction *const kActions[] = {
    &kListAction,    &kShowAction,   &kSetAction,    &kRemoveAction,   &kRenameAction,
    &kPromoteAction, &kExpireAction, &kCheckAction,  &kNegativeAction, &kQuarantineAction,
    &kReembedAction, &kExportAction, &kImportAction, &kStatsAction,    &kIndexAction,
};

std::vector<OptionSpec> options() {
    std::vector<OptionSpec> specs = image_options(ThresholdMeans::Distance);
    const OptionSpec own[] = {
        kGalleryOption,
        kMetricOption,
        kFlipOption,
        {"dry-run", "", "say what would be changed, and change nothing"},
        {"strangers", "", "list: the strangers instead of the people"},
        {"label", "TEXT", "set: what is shown instead of the id"},
        {"attributes", "JSON", "set: a JSON object of your own"},
        {"common-threshold", "", "set: no threshold of their own any more"},
        {"face", "N,N…", "remove: these faces only"},
        {"retention-days", "N", "expire: strangers who were not seen for N days"},
        {"cap", "N", "expire: the longest unseen of more than N strangers"},
        {"merge", "", "rename, import: into a person who is there already"},
        {"id", "NAME", "negative: who it is not"},
        {"ignore", "", "negative: faces to ignore altogether"},
        {"remove", "N", "negative: take this one off the list"},
        {"release", "", "quarantine: out of it again"},
        {"quarantine", "", "check: put outliers and unusable faces into quarantine"},
        {"far", "RATE", "check: wanted share of strangers that are named (default 0.01)"},
        {"margin", "DISTANCE", "check: margin to judge by (default as find)"},
        {"partial", "", "re-embed: although faces without a thumbnail will be lost"},
        {"no-thumbnails", "", "export: without them"},
        {"audit", "N", "stats: the newest N entries of the audit table (default 10)"},
    };
    specs.insert(specs.end(), std::begin(own), std::end(own));
    return specs;
}

Result<int> run(const Context &context) {
    const auto &words = context.arguments.positionals();
    std::string names;
    for (const GalleryAction *action : kActions) {
        names += (names.empty() ? "" : ", ") + std::string(action->name);
        if (words.empty() || words[0] != action->name)
            continue;
        auto location = gallery_location(context.arguments);
        if (!location)
            return std::move(location).error();
        return action->run({context, std::move(*location), std::span(words).subspan(1),
                            context.arguments.has("dry-run")});
    }
    return fail(Errc::InvalidArgument, "gallery: ",
                words.empty() ? std::string("say what to do") : "unknown action " + words[0],
                "; actions: ", names);
}

} // namespace

Result<OpenGallery> open_gallery(const std::string &location) {
    OpenGallery gallery;
    auto store = open_store(location, OpenMode::Existing);
    if (!store)
        return std::move(store).error();
    auto admin = open_people_admin(location);
    if (!admin)
        return std::move(admin).error();
    gallery.store = std::move(*store);
    gallery.admin = std::move(*admin);
    return gallery;
}

Result<void> check_words(const GalleryContext &context, const GalleryAction &action,
                         std::size_t least, std::size_t most) {
    if (context.words.size() >= least && context.words.size() <= most)
        return {};
    return fail(Errc::InvalidArgument, "gallery ", std::string(action.name), ": ",
                context.words.size() < least ? "something is missing"
                                             : "unexpected " + context.words[most],
                "; usage: spherectl gallery ", std::string(action.name), " ",
                std::string(action.usage));
}

Result<std::vector<std::int64_t>> read_numbers(std::span<const std::string> words,
                                               const char *what) {
    std::vector<std::int64_t> numbers;
    for (const std::string &word : words) {
        const auto number = parse_number(word);
        if (!number || *number < 1 || *number > 9e15 ||
            *number != static_cast<double>(static_cast<std::int64_t>(*number)))
            return fail(Errc::InvalidArgument, word, " is not the number of ", what,
                        ": spherectl gallery show lists them");
        numbers.push_back(static_cast<std::int64_t>(*number));
    }
    return numbers;
}

Result<int> apply_and_say(const GalleryContext &context, PeopleAdmin &admin,
                          std::string_view action, const std::vector<GalleryChange> &changes,
                          const std::vector<std::string> &said) {
    auto done = context.dry_run ? admin.rehearse(changes) : admin.apply(changes);
    if (!done)
        return std::move(done).error();
    if (context.json()) {
        print_line(Json{{"gallery", context.shown()},
                        {"action", action},
                        {"done", said},
                        {"dry_run", context.dry_run}}
                       .dump(-1, ' ', false, Json::error_handler_t::replace));
        return kExitDone;
    }
    if (said.empty())
        print_line("nothing to change");
    for (const std::string &line : said)
        print_line((context.dry_run ? "would have " : "") + line);
    return kExitDone;
}

std::string time_text(std::int64_t unix_ms) {
    const std::time_t seconds = static_cast<std::time_t>(unix_ms / 1000);
    struct tm parts {};
    char text[64];
    if (!gmtime_r(&seconds, &parts) ||
        std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts) == 0)
        return "?";
    return text;
}

const Command kGalleryCommand = {
    "gallery",
    "look after a gallery: list, show, set, remove, rename, check, export …",
    "ACTION --gallery=PATH [OPTION…] …",
    "list [--strangers]             who is enrolled, or was seen without being known\n"
    "show NAME…                     a person's faces, with numbers, and all that is set\n"
    "set NAME [--label TEXT] [--threshold DISTANCE | --common-threshold] [--attributes JSON]\n"
    "remove NAME… | --face=N,N…     takes people or faces out, and overwrites the bytes\n"
    "rename OLD NEW [--merge]       --merge: the faces go to a person who is there\n"
    "promote unknown-N NAME         makes a person of a stranger\n"
    "expire [--retention-days=N] [--cap=N]  removes strangers whose time is over\n"
    "check [--far=RATE] [--quarantine]  is the threshold safe, are the photographs good? Exit\n"
    "                               code 1: there are findings\n"
    "negative [(--id=NAME | --ignore) IMAGE… | --remove=N]  faces that are not somebody, or\n"
    "                               nobody's business; without pictures: lists them\n"
    "quarantine [FACE…] [--release] faces that are kept and not looked for; without: lists "
    "them\n"
    "re-embed --model=MODEL         all faces by another model, from their thumbnails\n"
    "index [--metric=METRIC]        on PostgreSQL: makes pgvector's index, for index=pgvector\n"
    "export FOLDER, import FOLDER   plain files with checksums (docs/gallery.md)\n"
    "stats                          counts, stamp, the newest entries of the audit table",
    "spherectl gallery list --gallery people.db",
    &options,
    &run,
};

} // namespace sphere::cli
