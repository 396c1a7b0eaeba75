// SPDX-License-Identifier: MIT
#include "pipelines/console/camera_api.h"

#include "pipelines/console/stream_bodies.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

namespace sphere::console {
namespace {

using nlohmann::json;

constexpr std::size_t kMostEvents = 200;

std::uint64_t number_of(const Request &request, const char *key, std::uint64_t otherwise) {
    const auto found = request.query.find(key);
    return found != request.query.end() ? std::strtoull(found->second.c_str(), nullptr, 10)
                                        : otherwise;
}

Response json_response(const json &value) {
    Response response;
    response.body = value.dump(-1, ' ', false, json::error_handler_t::replace);
    return response;
}

Response jpeg_response(const std::vector<std::uint8_t> &bytes) {
    Response response;
    response.type = "image/jpeg";
    response.body.assign(bytes.begin(), bytes.end());
    return response;
}

/// "NAME.mjpeg" without its ending; empty where it has another.
std::string without_ending(const std::string &name, const std::string &ending) {
    return name.ends_with(ending) ? name.substr(0, name.size() - ending.size()) : "";
}

json face_json(const FaceNow &face) {
    return {{"track", face.track},
            {"id", face.id},
            {"label", face.label},
            {"state", face.state},
            {"reason", face.reason},
            {"x", face.x},
            {"y", face.y},
            {"w", face.w},
            {"h", face.h},
            {"distance", face.distance},
            {"quality", face.quality}};
}

json camera_json(const CameraStatus &status) {
    json faces = json::array();
    for (const FaceNow &face : status.faces)
        faces.push_back(face_json(face));
    json camera{{"name", status.name},
                {"uri", status.uri},
                {"state", camera::state_name(status.state)},
                {"frames", status.frames},
                {"dropped", status.dropped},
                {"fps", status.frames_per_second},
                {"reconnects", status.reconnects},
                {"last_error", status.last_error},
                {"last_error_at_ms", status.last_error_at_ms},
                {"last_frame_age_ms", status.last_frame_age_ms},
                {"width", status.width},
                {"height", status.height},
                {"recording", !status.recording_file.empty()},
                {"recording_error", status.recording_error},
                {"faces", std::move(faces)}};
    const auto match = status.element_stats.find("match");
    if (match != status.element_stats.end()) {
        const auto strangers = match->second.find("strangers");
        if (strangers != match->second.end())
            camera["strangers"] = strangers->second;
    }
    return camera;
}

} // namespace

json CameraApi::cameras_json() {
    json galleries = json::array();
    json of_camera = json::object();
    for (const auto &gallery : galleries_.galleries()) {
        galleries.push_back({{"name", gallery.name}, {"shown", gallery.shown}});
        for (const std::string &camera : gallery.cameras)
            of_camera[camera] = gallery.name;
    }
    json cameras = json::array();
    for (const CameraStatus &status : source_.statuses()) {
        json camera = camera_json(status);
        camera["gallery"] = of_camera.value(status.name, json(nullptr));
        cameras.push_back(std::move(camera));
    }
    return {{"cameras", std::move(cameras)}, {"galleries", std::move(galleries)}};
}

bool CameraApi::is_camera(const std::string &name) {
    const auto statuses = source_.statuses();
    return std::any_of(statuses.begin(), statuses.end(),
                       [&](const CameraStatus &status) { return status.name == name; });
}

Response CameraApi::cameras() {
    return json_response(cameras_json());
}

Response CameraApi::events(const Request &request) {
    const std::size_t most =
        std::min<std::size_t>(number_of(request, "most", 100), kMostEvents);
    json list = json::array();
    for (const CameraEvent &event : history_.list(number_of(request, "before", 0), most))
        list.push_back(event_json(event));
    return json_response({{"events", list}});
}

Response CameraApi::shot(const Request &request) {
    const std::string number = without_ending(request.rest, ".jpg");
    const auto jpeg = history_.shot(std::strtoull(number.c_str(), nullptr, 10));
    if (!jpeg)
        return error_response(404, "there is no picture of this event");
    return jpeg_response(*jpeg);
}

Response CameraApi::still(const Request &request) {
    const std::string name = without_ending(request.rest, ".jpg");
    if (name.empty() || !is_camera(name))
        return error_response(404, "there is no such camera");
    const auto frame = source_.latest_jpeg(name);
    if (!frame || frame->sequence == number_of(request, "after", 0)) {
        Response none; // the view opens with the first call: ask again
        none.status = 204;
        return none;
    }
    Response response = jpeg_response(*frame->bytes);
    response.headers.emplace_back("X-Sequence", std::to_string(frame->sequence));
    return response;
}

std::unique_ptr<StreamBody> CameraApi::live(const Request &request) {
    const std::string name = without_ending(request.rest, ".mjpeg");
    if (name.empty() || !is_camera(name))
        return nullptr;
    return std::make_unique<MjpegBody>(source_, name);
}

std::vector<Route> CameraApi::routes() {
    Route live{"GET", "/live/", true};
    live.stream = [this](const Request &request) { return this->live(request); };
    return {
        {"GET", "/api/cameras", false, false, [this](const Request &) { return cameras(); }},
        {"GET", "/api/events", false, false,
         [this](const Request &request) { return events(request); }},
        {"GET", "/api/events/", true, false,
         [this](const Request &request) { return shot(request); }},
        {"GET", "/still/", true, false,
         [this](const Request &request) { return still(request); }},
        std::move(live),
    };
}

} // namespace sphere::console
