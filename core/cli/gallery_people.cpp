// SPDX-License-Identifier: MIT
// spherectl gallery: looking at people, and changing what is known of them.
#include "core/cli/face_session.h"
#include "core/cli/gallery_actions.h"
#include "core/cli/output.h"
#include "core/gallery/change_check.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

void print_json(const Json &json) {
    print_line(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string counted(long long count, const char *one, const char *many) {
    return std::to_string(count) + " " + (count == 1 ? one : many);
}

/// The object that a person's attributes are.
Json attributes_of(const Person &person) {
    Json json = Json::parse(person.attributes, nullptr, false);
    return json.is_object() ? json : Json::object();
}

Json to_json(const Person &person) {
    return {{"id", person.id},
            {"label", person.label},
            {"faces", person.faces},
            {"threshold", person.threshold ? Json(tidy(*person.threshold)) : Json()},
            {"attributes", attributes_of(person)}};
}

Json to_json(const FaceRecord &face) {
    return {{"face", face.face_id},
            {"source", face.source},
            {"added_at", face.added_at_ms},
            {"quality", face.quality ? Json(tidy(face.quality->score)) : Json()},
            {"quarantined", face.quarantined},
            {"embedded", face.embedded},
            {"thumbnail", face.has_thumbnail}};
}

void print_people(const GalleryContext &context, const std::vector<Person> &people) {
    if (context.json()) {
        Json rows = Json::array();
        for (const Person &person : people)
            rows.push_back(to_json(person));
        print_json({{"gallery", context.shown()}, {"people", rows}});
        return;
    }
    long long faces = 0;
    for (const Person &person : people) {
        faces += person.faces;
        print_line(person.id + "  " + counted(person.faces, "face", "faces") +
                   (person.label == person.id ? "" : "  shown as " + person.label) +
                   (person.threshold ? "  threshold " + fixed(*person.threshold, 4) : ""));
    }
    print_line(counted(static_cast<long long>(people.size()), "person", "people") + ", " +
               counted(faces, "face", "faces"));
}

void print_strangers(const GalleryContext &context, const std::vector<Stranger> &strangers) {
    Json rows = Json::array();
    for (const Stranger &stranger : strangers) {
        rows.push_back({{"id", stranger.id},
                        {"faces", stranger.faces},
                        {"visits", stranger.visits},
                        {"first_seen", stranger.first_seen_ms},
                        {"last_seen", stranger.last_seen_ms}});
        if (!context.json())
            print_line(stranger.id + "  " + counted(stranger.visits, "visit", "visits") + "  " +
                       counted(stranger.faces, "face", "faces") + "  " +
                       time_text(stranger.first_seen_ms) + " to " +
                       time_text(stranger.last_seen_ms));
    }
    if (context.json())
        print_json({{"gallery", context.shown()}, {"strangers", rows}});
    else
        print_line(counted(static_cast<long long>(strangers.size()), "stranger", "strangers"));
}

Result<int> run_list(const GalleryContext &context) {
    SPHERE_TRY(check_words(context, kListAction, 0, 0));
    auto gallery = open_gallery(context.location);
    if (!gallery)
        return std::move(gallery).error();
    if (context.arguments().has("strangers")) {
        auto notes = gallery->admin->notes(0);
        if (!notes)
            return std::move(notes).error();
        print_strangers(context, notes->strangers);
        return kExitDone;
    }
    auto people = gallery->store->list_people();
    if (!people)
        return std::move(people).error();
    print_people(context, *people);
    return kExitDone;
}

/// The person with `id`; a stranger as a person of that id.
Result<Person> find_person(const std::vector<Person> &people, const GalleryNotes &notes,
                           const std::string &id, const std::string &location) {
    for (const Person &person : people)
        if (person.id == id)
            return person;
    for (const Stranger &stranger : notes.strangers)
        if (stranger.id == id)
            return Person{id, id, stranger.faces, {}, "{}"};
    return fail(Errc::NotFound, location, ": nobody has the id ", id,
                "; spherectl gallery list --gallery ", location, " shows who is there");
}

void print_face(const FaceRecord &face) {
    print_line("  face " + std::to_string(face.face_id) + "  " + face.source + "  " +
               time_text(face.added_at_ms) +
               (face.quality ? "  quality " + fixed(face.quality->score, 2) : "") +
               (face.quarantined ? "  in quarantine" : "") +
               (face.embedded ? "" : "  without an embedding of the model in use") +
               (face.has_thumbnail ? "  thumbnail" : ""));
}

Result<int> run_show(const GalleryContext &context) {
    SPHERE_TRY(check_words(context, kShowAction, 1, 1000));
    auto gallery = open_gallery(context.location);
    if (!gallery)
        return std::move(gallery).error();
    auto people = gallery->store->list_people();
    if (!people)
        return std::move(people).error();
    auto notes = gallery->admin->notes(0);
    if (!notes)
        return std::move(notes).error();
    Json rows = Json::array();
    for (const std::string &id : context.words) {
        auto person = find_person(*people, *notes, id, context.shown());
        if (!person)
            return std::move(person).error();
        auto faces = gallery->admin->list_faces(id);
        if (!faces)
            return std::move(faces).error();
        Json row = to_json(*person);
        row["faces"] = Json::array();
        for (const FaceRecord &face : *faces)
            row["faces"].push_back(to_json(face));
        rows.push_back(row);
        if (context.json())
            continue;
        print_line(person->id +
                   (person->label == person->id ? "" : "  shown as " + person->label) +
                   (person->threshold ? "  threshold " + fixed(*person->threshold, 4) : "") +
                   (person->attributes == "{}" ? "" : "  " + attributes_of(*person).dump()));
        for (const FaceRecord &face : *faces)
            print_face(face);
    }
    if (context.json())
        print_json({{"gallery", context.shown()}, {"people", rows}});
    return kExitDone;
}

Result<int> run_set(const GalleryContext &context) {
    SPHERE_TRY(check_words(context, kSetAction, 1, 1));
    const Arguments &arguments = context.arguments();
    SetPerson change;
    change.id = context.words[0];
    if (arguments.has("label"))
        change.label = arguments.text("label");
    if (arguments.has("attributes"))
        change.attributes = arguments.text("attributes");
    if (arguments.has("threshold")) {
        auto threshold = arguments.number("threshold", 0, 0, 1e9);
        if (!threshold)
            return std::move(threshold).error();
        change.threshold = static_cast<float>(*threshold);
    }
    change.common_threshold = arguments.has("common-threshold");
    if (change.threshold && change.common_threshold)
        return fail(Errc::InvalidArgument,
                    "gallery set: --threshold and --common-threshold contradict each other");
    if (!change.label && !change.attributes && !change.threshold && !change.common_threshold)
        return fail(Errc::InvalidArgument, "gallery set: nothing to set; give --label, "
                                           "--threshold, --common-threshold or --attributes");
    auto gallery = open_gallery(context.location);
    if (!gallery)
        return std::move(gallery).error();
    return apply_and_say(context, *gallery->admin, "set", {change}, {"set " + change.id});
}

/// All names are checked before the first is removed, in a dry run too.
Result<void> check_names(const GalleryContext &context, const OpenGallery &gallery) {
    auto people = gallery.store->list_people();
    if (!people)
        return std::move(people).error();
    auto notes = gallery.admin->notes(0);
    if (!notes)
        return std::move(notes).error();
    for (const std::string &name : context.words)
        if (auto person = find_person(*people, *notes, name, context.shown()); !person)
            return fail(person.error().code, person.error().message, "; nothing was changed");
    return {};
}

/// "3,17" of --face.
Result<std::vector<std::int64_t>> read_faces(const std::string &text) {
    std::vector<std::string> words;
    for (std::size_t start = 0; start <= text.size();) {
        const std::size_t end = std::min(text.find(',', start), text.size());
        words.push_back(text.substr(start, end - start));
        start = end + 1;
    }
    return read_numbers(words, "a face");
}

Result<int> remove_faces(const GalleryContext &context) {
    SPHERE_TRY(check_words(context, kRemoveAction, 0, 0));
    auto faces = read_faces(context.arguments().text("face"));
    if (!faces)
        return std::move(faces).error();
    auto gallery = open_gallery(context.location);
    if (!gallery)
        return std::move(gallery).error();
    std::vector<std::string> said;
    for (const std::int64_t face : *faces) {
        if (auto there = gallery->admin->thumbnail(face); !there)
            return std::move(there).error();
        said.push_back("removed face " + std::to_string(face));
    }
    return apply_and_say(context, *gallery->admin, "remove", {RemoveFaces{*faces}}, said);
}

Result<int> run_remove(const GalleryContext &context) {
    if (context.arguments().has("face"))
        return remove_faces(context);
    if (context.words.empty())
        return fail(Errc::InvalidArgument,
                    "gallery remove: name the people to remove, or faces with --face=N; "
                    "spherectl gallery list shows who is there");
    auto gallery = open_gallery(context.location);
    if (!gallery)
        return std::move(gallery).error();
    SPHERE_TRY(check_names(context, *gallery));
    std::vector<GalleryChange> changes;
    std::vector<std::string> removed;
    for (const std::string &name : context.words) {
        if (std::find(removed.begin(), removed.end(), name) != removed.end())
            continue; // named twice
        changes.emplace_back(RemovePerson{name});
        removed.push_back(name);
    }
    auto done =
        context.dry_run ? gallery->admin->rehearse(changes) : gallery->admin->apply(changes);
    if (!done)
        return std::move(done).error();
    if (context.json())
        print_json(
            {{"gallery", context.shown()}, {"removed", removed}, {"dry_run", context.dry_run}});
    else
        for (const std::string &name : removed)
            print_line((context.dry_run ? "would remove " : "removed ") + name);
    return kExitDone;
}

/// The faces go over, then the empty person goes.
Result<int> merge(const GalleryContext &context, const OpenGallery &gallery) {
    SPHERE_TRY(check_names(context, gallery));
    if (context.words[0] == context.words[1])
        return fail(Errc::InvalidArgument, "gallery rename: both names are the same");
    auto faces = gallery.admin->list_faces(context.words[0]);
    if (!faces)
        return std::move(faces).error();
    MoveFaces move;
    move.to = context.words[1];
    for (const FaceRecord &face : *faces)
        move.face_ids.push_back(face.face_id);
    return apply_and_say(
        context, *gallery.admin, "rename", {move, RemovePerson{context.words[0]}},
        {"moved " + counted(static_cast<long long>(faces->size()), "face", "faces") + " of " +
         context.words[0] + " to " + context.words[1]});
}

Result<int> run_rename(const GalleryContext &context) {
    SPHERE_TRY(check_words(context, kRenameAction, 2, 2));
    auto gallery = open_gallery(context.location);
    if (!gallery)
        return std::move(gallery).error();
    if (context.arguments().has("merge"))
        return merge(context, *gallery);
    return apply_and_say(context, *gallery->admin, "rename",
                         {RenamePerson{context.words[0], context.words[1]}},
                         {"renamed " + context.words[0] + " to " + context.words[1]});
}

Result<int> run_promote(const GalleryContext &context) {
    SPHERE_TRY(check_words(context, kPromoteAction, 2, 2));
    auto gallery = open_gallery(context.location);
    if (!gallery)
        return std::move(gallery).error();
    return apply_and_say(context, *gallery->admin, "promote",
                         {PromoteStranger{context.words[0], context.words[1]}},
                         {"made " + context.words[1] + " of " + context.words[0]});
}

/// Who of `strangers` the change would remove.
std::vector<std::string> due_strangers(std::vector<Stranger> strangers,
                                       const ExpireStrangers &change) {
    std::stable_sort(
        strangers.begin(), strangers.end(),
        [](const Stranger &a, const Stranger &b) { return a.last_seen_ms > b.last_seen_ms; });
    std::vector<std::string> due;
    for (std::size_t i = 0; i < strangers.size(); ++i)
        if (strangers[i].last_seen_ms < change.before_ms ||
            i >= static_cast<std::size_t>(change.most))
            due.push_back(strangers[i].id);
    return due;
}

Result<int> run_expire(const GalleryContext &context) {
    SPHERE_TRY(check_words(context, kExpireAction, 0, 0));
    const Arguments &arguments = context.arguments();
    if (!arguments.has("retention-days") && !arguments.has("cap"))
        return fail(Errc::InvalidArgument,
                    "gallery expire: say who is to go: --retention-days=N (who was not seen "
                    "for N days), --cap=N (the longest unseen of more than N), or both");
    ExpireStrangers change;
    if (arguments.has("retention-days")) {
        auto days = arguments.number("retention-days", 0, 0, 36500);
        if (!days)
            return std::move(days).error();
        change.before_ms = unix_time_ms() - static_cast<std::int64_t>(*days * 24 * 3600 * 1000);
    }
    auto cap = arguments.number("cap", change.most, 0, change.most);
    if (!cap)
        return std::move(cap).error();
    change.most = static_cast<int>(*cap);
    auto gallery = open_gallery(context.location);
    if (!gallery)
        return std::move(gallery).error();
    auto notes = gallery->admin->notes(0);
    if (!notes)
        return std::move(notes).error();
    std::vector<std::string> said;
    for (const std::string &id : due_strangers(std::move(notes->strangers), change))
        said.push_back("removed " + id);
    std::vector<GalleryChange>
        changes; // without anybody to go, none: nobody need load it again
    if (!said.empty())
        changes.emplace_back(change);
    return apply_and_say(context, *gallery->admin, "expire", changes, said);
}

} // namespace

const GalleryAction kListAction = {"list", "[--strangers]", &run_list};
const GalleryAction kShowAction = {"show", "NAME…", &run_show};
const GalleryAction kSetAction = {
    "set", "NAME [--label TEXT] [--threshold DISTANCE] [--attributes JSON]", &run_set};
const GalleryAction kRemoveAction = {"remove", "NAME… | --face=N", &run_remove};
const GalleryAction kRenameAction = {"rename", "OLD NEW [--merge]", &run_rename};
const GalleryAction kPromoteAction = {"promote", "unknown-N NAME", &run_promote};
const GalleryAction kExpireAction = {"expire", "[--retention-days=N] [--cap=N]", &run_expire};

} // namespace sphere::cli
