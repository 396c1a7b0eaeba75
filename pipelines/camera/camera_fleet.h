// SPDX-License-Identifier: MIT
// N cameras in one process, each with a pipeline and a supervisor thread of its own: what
// becomes of one does not touch the others. Models are shared by the elements.
//
// Everything here may be called from any thread. Nothing returned or logged has a password in
// it.
#pragma once

#include "core/base/result.h"
#include "pipelines/camera/camera_config.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sphere::camera {

enum class CameraState : std::uint8_t {
    Connecting, ///< started, no picture yet
    Playing,
    Stalled, ///< pictures stopped coming; about to connect again
    Waiting, ///< for the next try, after a failure
    Stopped, ///< removed, or a file at its end
    Failed,  ///< the settings cannot work (a missing element, a property that does not exist)
};
/// "connecting", ...
const char *state_name(CameraState state) noexcept;

/// A face in the newest frame. Box in pixels of the frame.
struct FaceNow {
    std::int64_t track = -1;
    std::string id;     ///< of the person, or of a stranger ("unknown-12"); empty if neither
    std::string label;  ///< what to show
    std::string state;  ///< known, unknown, ambiguous, unusable, undecided
    std::string reason; ///< why it is not known; "none" or empty otherwise
    double x = 0, y = 0, w = 0, h = 0;
    double score = 0;
    double distance = -1; ///< to the nearest candidate; -1 without one
    double quality = -1;  ///< 0..1; -1 where it was not assessed
};

struct CameraStatus {
    std::string name;
    std::string uri; ///< without credentials
    CameraState state = CameraState::Connecting;
    std::uint64_t frames = 0;     ///< analysed, since the camera was added
    std::uint64_t dropped = 0;    ///< decoded and left out because the analysis was behind
    double frames_per_second = 0; ///< analysed, over the last seconds
    /// From decoded to analysed, over the last frames of this connection; -1: no frame yet.
    double delay_p50_ms = -1, delay_p99_ms = -1;
    std::uint64_t reconnects = 0;        ///< tries after the first
    std::uint64_t events = 0;            ///< since the camera was added
    std::string last_error;              ///< empty: none so far
    std::int64_t last_error_at_ms = 0;   ///< Unix time; 0: none
    std::int64_t last_frame_age_ms = -1; ///< -1: no frame yet
    std::int64_t started_at_ms = 0;      ///< Unix time; when the camera was added
    int width = 0, height = 0;           ///< of the frames; 0: not known yet
    std::vector<FaceNow> faces;          ///< of the newest frame; empty unless playing
    bool watched = false;                ///< somebody looks at the live view
    std::string recording_file;          ///< being written now; empty: none
    std::string recording_error;         ///< why the last recording failed; empty: it did not
    std::uint64_t recordings = 0;        ///< files finished
    std::uint64_t recording_bytes = 0;   ///< of this camera's files on disk
    /// The `stats` of spherebin's children: "detect" -> {"frames": 12, ...}.
    std::map<std::string, std::map<std::string, double>> element_stats;
};

struct JpegFrame {
    std::shared_ptr<const std::vector<std::uint8_t>> bytes; ///< never null
    std::uint64_t sequence = 0; ///< grows by one a picture, also across reconnects
    int width = 0, height = 0;
};

/// One event of one camera (spherematch's: appeared, identified, renamed, left).
struct CameraEvent {
    std::uint64_t sequence = 0; ///< of the fleet; grows by one an event
    std::int64_t at_ms = 0;     ///< Unix time at which it was seen
    std::string camera;
    std::string event;
    std::string id, label, state;
    std::int64_t track = -1;
    double distance = 0;
    std::optional<std::uint64_t> pts_ns; ///< of the frame; empty where the stream broke off
    std::string json;                    ///< sphere.event/1, without best_shot
    /// The track's best picture so far, a JPEG of the face with some surroundings; null where
    /// there is none.
    std::shared_ptr<const std::vector<std::uint8_t>> best_shot;
};
using EventListener = std::function<void(const CameraEvent &)>;

class Camera; // internal
class EventDispatcher;

class CameraFleet {
  public:
    CameraFleet();
    ~CameraFleet(); ///< stop()
    CameraFleet(const CameraFleet &) = delete;
    CameraFleet &operator=(const CameraFleet &) = delete;

    /// Starts a camera; returns at once, what becomes of it is in its status. Errors:
    /// InvalidArgument (a doubled or unusable name), those of a gallery that cannot be made.
    Result<void> add(CameraConfig config);
    /// Returns when its pipeline is gone and its recording finished. Errors: NotFound.
    Result<void> remove(const std::string &name);
    /// Adds, removes and restarts cameras so that they are those of `config`; a camera whose
    /// settings did not change is not touched. Goes on after an error and returns the first.
    Result<void> apply(const FleetConfig &config);
    /// Whether `config` can work here: all elements are made and set, nothing is opened.
    /// Errors: NotFound (an element), InvalidArgument (a property).
    static Result<void> check(const CameraConfig &config);
    /// All cameras end in order: recordings are finished. Further add() calls are allowed.
    void stop();

    std::vector<std::string> names() const;
    std::vector<CameraStatus> statuses() const; ///< in the order of names
    std::optional<CameraStatus> status(const std::string &name) const;

    /// The newest picture of the live view, with boxes and names. Pictures are made only while
    /// somebody asks: the first call opens the view (and mostly returns nothing), and without a
    /// call for 5 s it is closed again. Cheap: poll it, and send what has another sequence.
    /// Nothing for a camera that does not exist or has no picture.
    std::optional<JpegFrame> latest_jpeg(const std::string &name);

    /// `listener` is called for each event, one call at a time, in order, from a thread of the
    /// fleet's own; a slow listener loses events (events_lost()), never pictures. It may call
    /// the fleet, except subscribe(), unsubscribe() and the destructor. Returns the number for
    /// unsubscribe().
    std::uint64_t subscribe(EventListener listener);
    /// When it returns the listener is not running and will not be called again.
    void unsubscribe(std::uint64_t subscription);
    std::uint64_t events_lost() const;

    /// Enrols the best picture of a face that `camera` sees or saw a moment ago (`track` of
    /// FaceNow or CameraEvent; -1: the largest face of the newest frame) as `person`, into the
    /// camera's gallery. It is recognised from the next frames on. Errors: NotFound (camera,
    /// face), InvalidArgument, those of the gallery.
    Result<void> enrol(const std::string &camera, std::int64_t track,
                       const std::string &person);
    /// Where the camera's gallery is, as open_store() takes it (it may hold a password if it
    /// is a server's); nothing for a camera that does not exist.
    std::optional<std::string> gallery_of(const std::string &camera) const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace sphere::camera
