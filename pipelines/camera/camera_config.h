// SPDX-License-Identifier: MIT
// What sphere-camera is told: a JSON file (docs/sphere-camera.md has every key).
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sphere::camera {

enum class Transport : std::uint8_t { Tcp, Udp, Auto };

/// Recording around events, of the stream as the camera sent it. Off without a directory.
struct RecordingConfig {
    std::string directory;
    unsigned pre_roll_ms = 5000;
    unsigned post_roll_ms = 5000;
    unsigned max_segment_ms = 60000;            ///< a longer recording goes on in another file
    std::uint64_t max_bytes = 2ULL << 30;       ///< of this camera's files; the oldest go first
    std::uint64_t min_free_bytes = 64ULL << 20; ///< the file system keeps this much free
    std::vector<std::string> events{"appeared"}; ///< that begin or prolong a recording
    bool operator==(const RecordingConfig &) const = default;
};

struct CameraConfig {
    std::string name; ///< unique; 1 to 64 of A-Z a-z 0-9 . _ - ; stream name in records
    /// rtsp://, rtsps://, http(s)://, file:///PATH or a path, /dev/videoN, any other URI that
    /// GStreamer has a source for, or test:PATTERN (videotestsrc, live). Never with a user and
    /// password after parsing: they are in the two fields below.
    std::string uri;
    std::string user;
    std::string
        password; ///< from the URI, password_env or password_file; never logged or shown
    Transport transport = Transport::Tcp;     ///< of RTSP
    unsigned latency_ms = 200;                ///< jitter buffer of RTSP
    int width = 0, height = 0, framerate = 0; ///< asked of test: and /dev/videoN; 0 = any
    bool loop = false;                        ///< files begin again at their end
    bool realtime = true; ///< files play at their own speed, not as fast as they can be read

    std::string gallery; ///< as spherematch's; made (empty) where a path is not there yet
    /// Further properties of spherebin ("detect-model", "inference-interval", ...) as text.
    std::map<std::string, std::string> recognition;
    /// Locations for spherepublish, one element each; each a map of its properties.
    std::vector<std::map<std::string, std::string>> publish;

    unsigned connect_timeout_ms = 8000;  ///< from the start to the first picture
    unsigned stall_timeout_ms = 5000;    ///< no picture for this long: connect again
    unsigned reconnect_initial_ms = 500; ///< first wait; doubles up to the next, +-20 %
    unsigned reconnect_max_ms = 3000;

    unsigned live_fps = 10;     ///< of the live view, while somebody watches
    unsigned live_width = 960;  ///< wider pictures are scaled down for it
    unsigned jpeg_quality = 80; ///< of live view and best shots
    RecordingConfig recording;
    bool operator==(const CameraConfig &) const = default;
};

/// The HTTP side; off unless the file has a member "http".
struct HttpConfig {
    bool enabled = false;
    std::string address = "127.0.0.1";
    unsigned port = 8787;
    std::string token_file; ///< holds the token; made with a new one (mode 0600) if missing
    std::vector<std::string> allowed_hosts; ///< names a browser may ask by, besides loopback's
    std::string events_file; ///< keeps the console's events; empty: in memory alone
    bool operator==(const HttpConfig &) const = default;
};

struct FleetConfig {
    std::vector<CameraConfig> cameras;
    HttpConfig http;
    bool operator==(const FleetConfig &) const = default;
};

/// Whether `text` can name a camera, and a folder for its recordings.
bool is_camera_name(const std::string &text);

/// Reads `text`; `name` stands for the file in errors, which name the key too
/// ("cameras.json: cameras[1].uri: ..."). Keys that are not known, values out of range, doubled
/// names are errors. Passwords by password_env and password_file are read here. Errors:
/// Corrupt (not JSON), InvalidArgument, NotFound and Permission (password_file).
Result<FleetConfig> parse_fleet_config(std::string_view text, const std::string &name);

/// The same of a file. A file with a password in it must be readable by its owner alone
/// (Permission otherwise). At most 1 MiB.
Result<FleetConfig> load_fleet_config(const std::string &path);

} // namespace sphere::camera
