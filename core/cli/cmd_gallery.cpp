// SPDX-License-Identifier: MIT
// spherectl gallery: who is enrolled, and taking people out.
#include "core/cli/command.h"
#include "core/cli/gallery_session.h"
#include "core/cli/output.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

std::vector<OptionSpec> options() {
    return {kGalleryOption, {"dry-run", "", "remove: say what would go, and change nothing"}};
}

void print_people(const Context &context, const std::string &location,
                  const std::vector<Person> &people) {
    if (context.json) {
        Json rows = Json::array();
        for (const Person &person : people)
            rows.push_back(
                {{"id", person.id}, {"label", person.label}, {"faces", person.faces}});
        print_line(Json{{"gallery", location}, {"people", rows}}.dump(
            -1, ' ', false, Json::error_handler_t::replace));
        return;
    }
    long long faces = 0;
    for (const Person &person : people) {
        faces += person.faces;
        print_line(person.id + "  " + std::to_string(person.faces) +
                   (person.faces == 1 ? " face" : " faces") +
                   (person.label == person.id ? "" : "  shown as " + person.label));
    }
    print_line(std::to_string(people.size()) +
               (people.size() == 1 ? " person, " : " people, ") + std::to_string(faces) +
               (faces == 1 ? " face" : " faces"));
}

/// All names are checked before the first is removed.
Result<void> check_names(const std::string &location, const std::vector<Person> &people,
                         std::span<const std::string> names) {
    if (names.empty())
        return fail(Errc::InvalidArgument,
                    "gallery remove: name the people to remove; spherectl gallery list shows "
                    "who is there");
    for (const std::string &name : names)
        if (std::none_of(people.begin(), people.end(),
                         [&](const Person &person) { return person.id == name; }))
            return fail(Errc::NotFound, location, ": nobody has the id ", name,
                        "; nothing was removed. spherectl gallery list --gallery ", location,
                        " shows who is there");
    return {};
}

Result<void> remove_people(const Context &context, Store &store, const std::string &location,
                           std::span<const std::string> names) {
    const bool dry_run = context.arguments.has("dry-run");
    std::vector<std::string> removed;
    for (const std::string &name : names) {
        if (std::find(removed.begin(), removed.end(), name) != removed.end())
            continue; // named twice
        if (!dry_run)
            SPHERE_TRY(store.remove_person(name));
        removed.push_back(name);
        if (!context.json)
            print_line((dry_run ? "would remove " : "removed ") + name);
    }
    if (context.json)
        print_line(Json{{"gallery", location}, {"removed", removed}, {"dry_run", dry_run}}.dump(
            -1, ' ', false, Json::error_handler_t::replace));
    return {};
}

Result<int> run(const Context &context) {
    const auto &words = context.arguments.positionals();
    if (words.empty() || (words[0] != "list" && words[0] != "remove"))
        return fail(Errc::InvalidArgument, "gallery: ",
                    words.empty() ? std::string("say what to do")
                                  : "unknown action " + words[0],
                    "; actions: list, remove");
    const std::span<const std::string> names = std::span(words).subspan(1);
    const bool list = words[0] == "list";
    if (list && !names.empty())
        return fail(Errc::InvalidArgument, "gallery list takes no names: ", names[0],
                    "; the gallery is given with --gallery");
    auto location = gallery_location(context.arguments);
    if (!location)
        return std::move(location).error();
    auto store = open_store(*location, OpenMode::Existing);
    if (!store)
        return std::move(store).error();
    auto people = (*store)->list_people();
    if (!people)
        return std::move(people).error();
    if (list) {
        print_people(context, *location, *people);
        return kExitDone;
    }
    SPHERE_TRY(check_names(*location, *people, names));
    SPHERE_TRY(remove_people(context, **store, *location, names));
    return kExitDone;
}

} // namespace

const Command kGalleryCommand = {
    "gallery",
    "list the people of a gallery, or remove some",
    "(list | remove NAME…) --gallery=PATH [OPTION…]",
    "list: a line a person with the number of faces. remove: takes people out with all their\n"
    "faces; if one of the names is not there, nothing is removed.",
    "spherectl gallery list --gallery people.db",
    &options,
    &run,
};

} // namespace sphere::cli
