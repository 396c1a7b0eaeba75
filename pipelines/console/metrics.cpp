// SPDX-License-Identifier: MIT
#include "pipelines/console/metrics.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace sphere::console {
namespace {

std::string escaped(std::string_view value) {
    std::string text;
    for (const char c : value) {
        if (c == '\\' || c == '"')
            text += '\\';
        if (c == '\n')
            text += "\\n";
        else
            text += c;
    }
    return text;
}

std::string number(double value) {
    if (std::isnan(value))
        return "NaN";
    if (std::isinf(value))
        return value > 0 ? "+Inf" : "-Inf";
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "%.15g", value);
    return text.data();
}

class Page {
  public:
    using Labels = std::vector<std::pair<const char *, std::string>>;

    void family(const char *name, const char *type, const char *help) {
        name_ = name;
        text_ += "# HELP " + name_ + " " + help + "\n# TYPE " + name_ + " " + type + "\n";
    }
    void sample(const Labels &labels, double value) {
        text_ += name_;
        const char *separator = "{";
        for (const auto &[label, content] : labels) {
            text_ += separator + std::string(label) + "=\"" + escaped(content) + "\"";
            separator = ",";
        }
        text_ += (labels.empty() ? " " : "} ") + number(value) + "\n";
    }
    std::string take() { return std::move(text_); }

  private:
    std::string name_, text_;
};

struct CameraMetric {
    const char *name, *type, *help;
    std::function<double(const CameraStatus &)> value;
};

double count(std::uint64_t value) {
    return static_cast<double>(value);
}
double seconds(std::int64_t ms) {
    return static_cast<double>(ms) / 1000;
}

const std::array<CameraMetric, 11> kCameraMetrics{{
    {"sphere_camera_up", "gauge", "1 while pictures come.",
     [](const CameraStatus &c) { return c.state == camera::CameraState::Playing ? 1.0 : 0.0; }},
    {"sphere_camera_frames_total", "counter", "Frames analysed.",
     [](const CameraStatus &c) { return count(c.frames); }},
    {"sphere_camera_frames_dropped_total", "counter",
     "Frames decoded and left out because the analysis was behind.",
     [](const CameraStatus &c) { return count(c.dropped); }},
    {"sphere_camera_frames_per_second", "gauge", "Frames analysed over the last seconds.",
     [](const CameraStatus &c) { return c.frames_per_second; }},
    {"sphere_camera_reconnects_total", "counter", "Tries to connect after the first.",
     [](const CameraStatus &c) { return count(c.reconnects); }},
    {"sphere_camera_events_total", "counter", "Events: appeared, identified, renamed, left.",
     [](const CameraStatus &c) { return count(c.events); }},
    {"sphere_camera_recordings_total", "counter", "Recordings finished.",
     [](const CameraStatus &c) { return count(c.recordings); }},
    {"sphere_camera_recording_bytes", "gauge", "Bytes of the camera's recordings on disk.",
     [](const CameraStatus &c) { return count(c.recording_bytes); }},
    {"sphere_camera_recording", "gauge", "1 while a recording is written.",
     [](const CameraStatus &c) { return c.recording_file.empty() ? 0.0 : 1.0; }},
    {"sphere_camera_watched", "gauge", "1 while somebody looks at the live view.",
     [](const CameraStatus &c) { return c.watched ? 1.0 : 0.0; }},
    {"sphere_camera_added_timestamp_seconds", "gauge",
     "When the camera was added, in seconds since 1970.",
     [](const CameraStatus &c) { return seconds(c.started_at_ms); }},
}};

void write_faces(Page &page, const std::vector<CameraStatus> &cameras) {
    page.family("sphere_camera_faces", "gauge", "Faces in the newest frame, by state.");
    for (const CameraStatus &camera : cameras) {
        std::map<std::string, int> faces{
            {"known", 0}, {"unknown", 0}, {"ambiguous", 0}, {"unusable", 0}};
        for (const FaceNow &face : camera.faces)
            ++faces[face.state];
        for (const auto &[state, amount] : faces)
            page.sample({{"camera", camera.name}, {"state", state}}, amount);
    }
}

void write_states(Page &page, const std::vector<CameraStatus> &cameras) {
    using camera::CameraState;
    page.family("sphere_camera_state", "gauge", "1 for the state that the camera is in.");
    for (const CameraStatus &status : cameras)
        for (const CameraState state :
             {CameraState::Connecting, CameraState::Playing, CameraState::Stalled,
              CameraState::Waiting, CameraState::Stopped, CameraState::Failed})
            page.sample({{"camera", status.name}, {"state", camera::state_name(state)}},
                        status.state == state ? 1 : 0);
}

void write_elements(Page &page, const std::vector<CameraStatus> &cameras) {
    page.family("sphere_camera_element_stat", "gauge",
                "What an element of the camera's pipeline counts: its property stats.");
    for (const CameraStatus &camera : cameras)
        for (const auto &[element, stats] : camera.element_stats)
            for (const auto &[stat, value] : stats)
                page.sample({{"camera", camera.name}, {"element", element}, {"stat", stat}},
                            value);
}

/// Resident memory from /proc, where there is one.
void write_process(Page &page) {
    std::FILE *file = std::fopen("/proc/self/statm", "re");
    if (file == nullptr)
        return;
    unsigned long pages = 0;
    const bool read = std::fscanf(file, "%*u %lu", &pages) == 1;
    std::fclose(file);
    if (!read)
        return;
    page.family("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.");
    page.sample({}, static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE)));
}

} // namespace

std::string metrics_text(const std::vector<CameraStatus> &cameras, std::uint64_t events_lost,
                         const HttpCounts &http) {
    Page page;
    page.family("sphere_build_info", "gauge", "The version that runs.");
    page.sample({{"version", SPHERE_VERSION}}, 1);
    for (const CameraMetric &metric : kCameraMetrics) {
        page.family(metric.name, metric.type, metric.help);
        for (const CameraStatus &camera : cameras)
            page.sample({{"camera", camera.name}}, metric.value(camera));
    }
    page.family("sphere_camera_last_frame_age_seconds", "gauge",
                "Time since the newest frame; absent before the first.");
    for (const CameraStatus &camera : cameras)
        if (camera.last_frame_age_ms >= 0)
            page.sample({{"camera", camera.name}}, seconds(camera.last_frame_age_ms));
    page.family("sphere_camera_delay_seconds", "gauge",
                "Time from decoded to analysed, over the last thousand frames.");
    for (const CameraStatus &camera : cameras)
        if (camera.delay_p50_ms >= 0) {
            page.sample({{"camera", camera.name}, {"quantile", "0.5"}},
                        camera.delay_p50_ms / 1000);
            page.sample({{"camera", camera.name}, {"quantile", "0.99"}},
                        camera.delay_p99_ms / 1000);
        }
    write_states(page, cameras);
    write_faces(page, cameras);
    write_elements(page, cameras);
    page.family("sphere_events_lost_total", "counter",
                "Events that a listener in this process was too slow for.");
    page.sample({}, count(events_lost));
    page.family("sphere_console_responses_total", "counter", "HTTP responses, by status.");
    for (const auto &[status, amount] : http.responses)
        page.sample({{"code", std::to_string(status)}}, count(amount));
    page.family("sphere_console_streams", "gauge", "Live views and pages that listen.");
    page.sample({}, count(http.streams));
    page.family("sphere_console_connections", "gauge", "Open connections.");
    page.sample({}, count(http.connections));
    write_process(page);
    return page.take();
}

} // namespace sphere::console
