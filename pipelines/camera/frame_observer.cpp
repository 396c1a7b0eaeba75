// SPDX-License-Identifier: MIT
#include "pipelines/camera/frame_observer.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace sphere::camera {
namespace {

std::string text(const char *value) {
    return value != nullptr ? value : "";
}

FaceNow face_now(const GstSphereFace *face) {
    FaceNow now;
    now.track = gst_sphere_face_get_track_id(face);
    now.state = text(gst_sphere_face_state_to_string(gst_sphere_face_get_state(face)));
    now.reason = text(gst_sphere_face_reason_to_string(gst_sphere_face_get_reason(face)));
    now.id = text(gst_sphere_face_get_match_id(face));
    now.label = text(gst_sphere_face_get_match_label(face));
    if (now.id.empty()) {
        now.id = text(gst_sphere_face_get_stranger_id(face));
        now.label = text(gst_sphere_face_get_unknown_label(face));
    }
    gst_sphere_face_get_box(face, &now.x, &now.y, &now.w, &now.h);
    now.score = gst_sphere_face_get_score(face);
    double distance = 0, quality = 0;
    if (gst_sphere_face_get_candidate(face, 0, nullptr, nullptr, &distance, nullptr) != FALSE)
        now.distance = distance;
    if (gst_sphere_face_get_quality(face, &quality, nullptr, nullptr, nullptr) != FALSE)
        now.quality = quality;
    return now;
}

struct EventTimes {
    std::optional<std::uint64_t> pts_ns, stream_time_ns;
    std::optional<std::string> utc;
};

// Schema sphere.event/1 (docs/sphere-camera.md).
std::string event_json(const CameraEvent &event, const EventTimes &times) {
    using nlohmann::ordered_json;
    const auto or_null = [](const auto &value) {
        return value ? ordered_json(*value) : ordered_json(nullptr);
    };
    ordered_json json = {
        {"schema", "sphere.event/1"},   {"stream", event.camera},
        {"event", event.event},         {"id", event.id},
        {"label", event.label},         {"track", nullptr},
        {"state", event.state},         {"distance", event.distance},
        {"pts", or_null(times.pts_ns)}, {"stream_time", or_null(times.stream_time_ns)},
        {"time", or_null(times.utc)}};
    if (event.track >= 0)
        json["track"] = event.track;
    return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::optional<std::uint64_t> time_in(const GstStructure *structure, const char *name) {
    guint64 value = GST_CLOCK_TIME_NONE;
    if (gst_structure_get_uint64(structure, name, &value) == FALSE ||
        !GST_CLOCK_TIME_IS_VALID(value))
        return std::nullopt;
    return value;
}

std::int64_t unix_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

} // namespace

FrameObserver::FrameObserver(const CameraConfig &config, Targets targets)
    : camera_(config.name), jpeg_quality_(static_cast<int>(config.jpeg_quality)),
      targets_(std::move(targets)) {
    gst_video_info_init(&info_);
}

void FrameObserver::set_caps(const GstCaps *caps) {
    if (gst_video_info_from_caps(&info_, caps) == FALSE)
        gst_video_info_init(&info_);
}

CameraEvent FrameObserver::event_of(const GstStructure *structure) const {
    CameraEvent event;
    event.camera = camera_;
    event.event = text(gst_structure_get_string(structure, "event"));
    event.id = text(gst_structure_get_string(structure, "id"));
    event.label = text(gst_structure_get_string(structure, "label"));
    event.state = text(gst_structure_get_string(structure, "state"));
    gint64 track = -1;
    gst_structure_get_int64(structure, "track", &track);
    event.track = track;
    gst_structure_get_double(structure, "distance", &event.distance);
    event.at_ms = unix_ms();
    EventTimes times;
    times.pts_ns = event.pts_ns = time_in(structure, "pts");
    times.stream_time_ns = time_in(structure, "stream-time");
    if (const char *utc = gst_structure_get_string(structure, "utc"))
        times.utc = utc;
    event.json = event_json(event, times);
    return event;
}

void FrameObserver::see_event(const GstStructure *event) {
    pending_.push_back(event_of(event));
}

void FrameObserver::see_frame(GstBuffer *buffer) {
    std::vector<FaceNow> faces;
    if (const GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer)) {
        const guint n = gst_sphere_face_meta_get_n_faces(meta);
        faces.reserve(n);
        for (guint i = 0; i < n; ++i)
            faces.push_back(face_now(gst_sphere_face_meta_peek_face(meta, i)));
        if (n > 0 && GST_VIDEO_INFO_FORMAT(&info_) != GST_VIDEO_FORMAT_UNKNOWN)
            shots_.see(info_, buffer, meta);
    }
    targets_.stream.add_frame(GST_BUFFER_PTS(buffer), info_.width, info_.height,
                              std::move(faces));
    flush_events();
    if (targets_.on_frame)
        targets_.on_frame(info_, buffer);
}

void FrameObserver::flush_events() {
    for (CameraEvent &event : std::exchange(pending_, {}))
        send(std::move(event));
}

void FrameObserver::send(CameraEvent event) {
    const bool left = event.event == "left";
    const std::pair key(event.track, event.track >= 0 ? std::string() : event.id);
    if (left)
        present_.erase(key);
    else
        present_[key] = event;
    if (targets_.on_event)
        targets_.on_event(event);
    const std::int64_t track = event.track;
    targets_.dispatcher.post({std::move(event), shots_.of(track), jpeg_quality_});
    if (left)
        shots_.forget(track);
}

void FrameObserver::end() {
    flush_events();
    for (auto &[key, event] : std::exchange(present_, {})) {
        event.event = "left";
        event.at_ms = unix_ms();
        event.pts_ns.reset();
        event.json = event_json(event, {});
        send(std::move(event));
    }
    shots_.clear();
}

} // namespace sphere::camera
