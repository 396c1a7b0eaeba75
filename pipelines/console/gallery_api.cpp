// SPDX-License-Identifier: MIT
#include "pipelines/console/gallery_api.h"

#include "core/base/utf8.h"
#include "core/gallery/people_admin.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace sphere::console {
namespace {

using nlohmann::json;

constexpr std::size_t kMostPeople = 500;
constexpr std::size_t kLongestName = 200;

Response json_response(const json &value) {
    Response response;
    response.body = value.dump(-1, ' ', false, json::error_handler_t::replace);
    return response;
}

std::string query_of(const Request &request, const char *key) {
    const auto found = request.query.find(key);
    return found != request.query.end() ? found->second : "";
}

std::string text_of(const json &body, const char *key) {
    const auto found = body.is_object() ? body.find(key) : body.end();
    return found != body.end() && found->is_string() ? found->get<std::string>() : "";
}

std::optional<std::int64_t> integer_of(const json &body, const char *key) {
    const auto found = body.is_object() ? body.find(key) : body.end();
    if (found == body.end() || !found->is_number_integer())
        return std::nullopt;
    return found->get<std::int64_t>();
}

json body_of(const Request &request) {
    return json::parse(request.body, nullptr, false);
}

/// Without blanks around it. Errors: InvalidArgument.
Result<std::string> good_name(std::string name) {
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!name.empty() && blank(name.back()))
        name.pop_back();
    name.erase(name.begin(), std::find_if_not(name.begin(), name.end(), blank));
    if (name.empty())
        return fail(Errc::InvalidArgument, "give a name");
    const bool control = std::any_of(name.begin(), name.end(),
                                     [](unsigned char c) { return c < 32 || c == 127; });
    if (name.size() > kLongestName || control || !is_valid_utf8(name))
        return fail(Errc::InvalidArgument,
                    "a name has at most 200 bytes of UTF-8 and no control characters");
    if (name.starts_with("unknown-") &&
        name.find_first_not_of("0123456789", 8) == std::string::npos)
        return fail(Errc::InvalidArgument, "names like unknown-1 are those of strangers");
    return name;
}

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
        return static_cast<char>(c < 128 ? std::tolower(c) : c);
    });
    return text;
}

json face_json(const FaceRecord &face) {
    json object{{"face", face.face_id},
                {"source", face.source},
                {"added_at_ms", face.added_at_ms},
                {"picture", face.has_thumbnail},
                {"quarantined", face.quarantined}};
    if (face.quality)
        object["quality"] = face.quality->score;
    return object;
}

/// The face to show of somebody: the best that has a picture.
json best_picture(PeopleAdmin &admin, const std::string &id) {
    const auto faces = admin.list_faces(id);
    if (!faces)
        return nullptr;
    const FaceRecord *best = nullptr;
    const auto score = [](const FaceRecord &face) {
        return face.quality ? face.quality->score : 0.0F;
    };
    for (const FaceRecord &face : *faces)
        if (face.has_thumbnail && (best == nullptr || score(face) > score(*best)))
            best = &face;
    return best != nullptr ? json(best->face_id) : json(nullptr);
}

Response no_gallery() {
    return error_response(404, "there is no such gallery");
}

/// Running cameras follow within a second; a camera that is away now need not be asked.
Result<void> change_gallery(const std::string &location,
                            const std::vector<GalleryChange> &changes) {
    const auto admin = open_people_admin(location);
    if (!admin)
        return admin.error();
    const auto applied = (*admin)->apply(changes);
    return applied ? Result<void>{} : Result<void>(applied.error());
}

} // namespace

Response error_response(const Error &error) {
    unsigned status = 500;
    if (error.code == Errc::InvalidArgument)
        status = 400;
    else if (error.code == Errc::NotFound)
        status = 404;
    else if (error.code == Errc::Mismatch)
        status = 409;
    else if (error.code == Errc::Busy)
        status = 503;
    return error_response(status, error.message);
}

std::string GalleryApi::name_of(const std::string &location) {
    const std::lock_guard lock(mutex_);
    auto found = std::find(locations_.begin(), locations_.end(), location);
    if (found == locations_.end())
        found = locations_.insert(locations_.end(), location);
    return "g" + std::to_string(found - locations_.begin() + 1);
}

std::vector<GalleryApi::Gallery> GalleryApi::galleries() {
    std::vector<Gallery> galleries;
    for (const CameraStatus &camera : source_.statuses()) {
        const auto location = source_.gallery_of(camera.name);
        if (!location || location->empty())
            continue;
        const std::string name = name_of(*location);
        const auto same = [&](const Gallery &gallery) { return gallery.name == name; };
        auto found = std::find_if(galleries.begin(), galleries.end(), same);
        if (found == galleries.end()) {
            const bool server = location->starts_with("postgres");
            const std::string shown =
                server ? "PostgreSQL" : location->substr(location->find_last_of("/:") + 1);
            found = galleries.insert(galleries.end(), {name, *location, shown, {}});
        }
        found->cameras.push_back(camera.name);
    }
    return galleries;
}

std::optional<GalleryApi::Gallery> GalleryApi::find(const std::string &name) {
    for (Gallery &gallery : galleries())
        if (gallery.name == name)
            return std::move(gallery);
    return std::nullopt;
}

std::vector<Route> GalleryApi::routes() {
    const auto asks = [this](Response (GalleryApi::*answer)(const Request &, const Gallery &)) {
        return [this, answer](const Request &request) {
            const auto gallery = find(query_of(request, "gallery"));
            return gallery ? (this->*answer)(request, *gallery) : no_gallery();
        };
    };
    const auto changes = [this](Response (GalleryApi::*answer)(const json &, const Gallery &)) {
        return [this, answer](const Request &request) {
            const json body = body_of(request);
            const auto gallery = find(text_of(body, "gallery"));
            return gallery ? (this->*answer)(body, *gallery) : no_gallery();
        };
    };
    return {
        {"GET", "/api/people", false, false, asks(&GalleryApi::people)},
        {"GET", "/api/people/faces", false, false, asks(&GalleryApi::faces)},
        {"GET", "/api/strangers", false, false, asks(&GalleryApi::strangers)},
        {"GET", "/api/face.jpg", false, false, asks(&GalleryApi::picture)},
        {"POST", "/api/people/rename", false, false, changes(&GalleryApi::rename)},
        {"POST", "/api/people/remove", false, false, changes(&GalleryApi::remove)},
        {"POST", "/api/faces/remove", false, false, changes(&GalleryApi::remove_face)},
        {"POST", "/api/strangers/promote", false, false, changes(&GalleryApi::promote)},
        {"POST", "/api/enrol", false, false,
         [this](const Request &request) { return enrol(request); }},
    };
}

Response GalleryApi::people(const Request &request, const Gallery &gallery) {
    const auto store = open_store(gallery.location, OpenMode::Existing);
    if (!store)
        return error_response(store.error());
    const auto people = (*store)->list_people();
    if (!people)
        return error_response(people.error());
    const auto admin = open_people_admin(gallery.location);
    if (!admin)
        return error_response(admin.error());
    const std::string wanted = lower(query_of(request, "q"));
    json list = json::array();
    std::size_t matching = 0;
    for (const Person &person : *people) {
        if (!wanted.empty() && lower(person.label).find(wanted) == std::string::npos &&
            lower(person.id).find(wanted) == std::string::npos)
            continue;
        if (++matching > kMostPeople)
            continue;
        list.push_back({{"id", person.id},
                        {"label", person.label},
                        {"faces", person.faces},
                        {"picture", best_picture(**admin, person.id)}});
    }
    return json_response({{"people", list}, {"matching", matching}, {"all", people->size()}});
}

Response GalleryApi::faces(const Request &request, const Gallery &gallery) {
    const std::string id = query_of(request, "id");
    if (id.empty())
        return error_response(400, "say whose faces: id");
    const auto admin = open_people_admin(gallery.location);
    if (!admin)
        return error_response(admin.error());
    const auto faces = (*admin)->list_faces(id);
    if (!faces)
        return error_response(faces.error());
    json list = json::array();
    for (const FaceRecord &face : *faces)
        list.push_back(face_json(face));
    return json_response({{"faces", list}});
}

Response GalleryApi::strangers(const Request &, const Gallery &gallery) {
    const auto admin = open_people_admin(gallery.location);
    if (!admin)
        return error_response(admin.error());
    auto notes = (*admin)->notes(0);
    if (!notes)
        return error_response(notes.error());
    std::sort(
        notes->strangers.begin(), notes->strangers.end(),
        [](const Stranger &a, const Stranger &b) { return a.last_seen_ms > b.last_seen_ms; });
    json list = json::array();
    for (const Stranger &stranger : notes->strangers) {
        if (list.size() >= kMostPeople)
            break;
        list.push_back({{"id", stranger.id},
                        {"faces", stranger.faces},
                        {"visits", stranger.visits},
                        {"first_seen_ms", stranger.first_seen_ms},
                        {"last_seen_ms", stranger.last_seen_ms},
                        {"picture", best_picture(**admin, stranger.id)}});
    }
    return json_response({{"strangers", list}, {"all", notes->strangers.size()}});
}

Response GalleryApi::picture(const Request &request, const Gallery &gallery) {
    const auto admin = open_people_admin(gallery.location);
    if (!admin)
        return error_response(admin.error());
    const std::string face = query_of(request, "face");
    const auto jpeg = (*admin)->thumbnail(std::strtoll(face.c_str(), nullptr, 10));
    if (!jpeg)
        return error_response(jpeg.error());
    if (jpeg->empty())
        return error_response(404, "no picture was kept of this face");
    Response response;
    response.type = "image/jpeg";
    response.body.assign(jpeg->begin(), jpeg->end());
    return response;
}

Response GalleryApi::rename(const json &body, const Gallery &gallery) {
    const auto name = good_name(text_of(body, "name"));
    if (!name)
        return error_response(name.error());
    const std::string id = text_of(body, "id");
    std::vector<GalleryChange> changes;
    if (id != *name)
        changes.emplace_back(RenamePerson{id, *name});
    SetPerson shown;
    shown.id = shown.label.emplace(*name);
    changes.emplace_back(std::move(shown));
    const auto done = change_gallery(gallery.location, changes);
    if (!done)
        return error_response(done.error());
    history_.rename(id, *name);
    return json_response({{"id", *name}});
}

Response GalleryApi::remove(const json &body, const Gallery &gallery) {
    const std::string id = text_of(body, "id");
    if (id.empty() || text_of(body, "confirm") != id)
        return error_response(400, "removing cannot be undone: \"confirm\" must repeat \"id\"");
    const auto done = change_gallery(gallery.location, {RemovePerson{id}});
    if (!done)
        return error_response(done.error());
    history_.forget(id);
    return json_response(json::object());
}

Response GalleryApi::remove_face(const json &body, const Gallery &gallery) {
    const auto face = integer_of(body, "face");
    if (!face)
        return error_response(400, "say which face: a number");
    const auto done = change_gallery(gallery.location, {RemoveFaces{{*face}}});
    return done ? json_response(json::object()) : error_response(done.error());
}

Response GalleryApi::promote(const json &body, const Gallery &gallery) {
    const auto name = good_name(text_of(body, "name"));
    if (!name)
        return error_response(name.error());
    const std::string stranger = text_of(body, "stranger");
    const auto done = change_gallery(gallery.location, {PromoteStranger{stranger, *name}});
    if (!done)
        return error_response(done.error());
    history_.rename(stranger, *name);
    return json_response({{"id", *name}});
}

Response GalleryApi::enrol(const Request &request) {
    const json body = body_of(request);
    const auto name = good_name(text_of(body, "name"));
    if (!name)
        return error_response(name.error());
    const auto track = integer_of(body, "track");
    if (!track)
        return error_response(400, "say which track: a number");
    const auto done = source_.enrol(text_of(body, "camera"), *track, *name);
    if (!done)
        return error_response(done.error());
    history_.welcome(*name);
    return json_response({{"id", *name}});
}

} // namespace sphere::console
