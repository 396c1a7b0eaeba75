// SPDX-License-Identifier: MIT
#include "pipelines/camera/camera.h"

#include "core/base/log.h"
#include "gst/base/face_convert.h"
#include "gst/base/timestamps.h"
#include "pipelines/camera/backoff.h"

#include <utility>

namespace sphere::camera {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPoll{100};

std::int64_t unix_ms() {
    return std::chrono::duration_cast<milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

FrameRecord record_of(const std::string &camera, const GstVideoInfo &info, GstBuffer *buffer) {
    FrameRecord record;
    record.stream = camera;
    record.pts_ns = sphere::gst::pts_of(buffer);
    record.time_utc = sphere::gst::utc_of(buffer);
    record.width = info.width;
    record.height = info.height;
    if (const GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer)) {
        const guint n = gst_sphere_face_meta_get_n_faces(meta);
        for (guint i = 0; i < n; ++i)
            record.faces.push_back(sphere::gst::face_from_meta(
                gst_sphere_face_meta_peek_face(meta, i),
                sphere::gst::kQuality | sphere::gst::kMatch | sphere::gst::kAttributes));
    }
    return record;
}

std::unique_ptr<Recorder> make_recorder(const CameraConfig &config) {
    if (config.recording.directory.empty())
        return nullptr;
    return std::make_unique<Recorder>(config.recording, config.name);
}

} // namespace

Camera::Camera(CameraConfig config, EventDispatcher &dispatcher)
    : config_(std::move(config)), dispatcher_(dispatcher), started_at_ms_(unix_ms()),
      recorder_(make_recorder(config_)), thread_([this] { run(); }) {}

Camera::~Camera() {
    stop();
}

void Camera::request_stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
}

void Camera::stop() {
    request_stop();
    if (thread_.joinable())
        thread_.join();
}

bool Camera::stopping() const {
    const std::lock_guard lock(mutex_);
    return stopping_;
}

bool Camera::wait_for(milliseconds time) {
    std::unique_lock lock(mutex_);
    return wake_.wait_for(lock, time, [this] { return stopping_; });
}

void Camera::wait_for_stop() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_; });
}

// Each change of state is logged once, with the error that led to it; tries that end with the
// same error are one change.
void Camera::enter(CameraState state) {
    std::string line;
    {
        const std::lock_guard lock(mutex_);
        if (state_ == state)
            return;
        state_ = state;
        line = "camera " + config_.name + ": " + state_name(state);
        if (state == CameraState::Playing)
            told_error_.clear();
        if (state == CameraState::Connecting)
            return;
        if (state == CameraState::Waiting || state == CameraState::Failed) {
            line += ": " + last_error_;
            if (std::exchange(told_error_, last_error_) == last_error_)
                return;
        }
    }
    const bool bad = state == CameraState::Failed;
    log(bad ? LogLevel::Error : LogLevel::Info, line);
}

void Camera::tell_warning(const std::string &text) {
    {
        const std::lock_guard lock(mutex_);
        if (last_warning_ == text)
            return;
        last_warning_ = text;
    }
    log(LogLevel::Warning, "camera " + config_.name + ": " + text);
}

Camera::Outcome Camera::failed(const std::string &what) {
    const std::lock_guard lock(mutex_);
    last_error_ = what;
    last_error_at_ms_ = unix_ms();
    return Outcome::Again;
}

void Camera::run() {
    Backoff backoff(milliseconds(config_.reconnect_initial_ms),
                    milliseconds(config_.reconnect_max_ms));
    log(LogLevel::Info, "camera " + config_.name + ": connecting to " + config_.uri);
    for (;;) {
        was_playing_ = false;
        const Outcome outcome = attempt();
        if (outcome == Outcome::Stop || stopping())
            break;
        if (outcome == Outcome::Broken || (outcome == Outcome::End && !config_.loop)) {
            enter(outcome == Outcome::Broken ? CameraState::Failed : CameraState::Stopped);
            wait_for_stop();
            break;
        }
        if (was_playing_)
            backoff.reset();
        if (outcome == Outcome::Again) {
            enter(CameraState::Waiting);
            if (wait_for(backoff.next()))
                break;
            const std::lock_guard lock(mutex_);
            ++reconnects_;
        }
        enter(CameraState::Connecting);
    }
    enter(CameraState::Stopped);
}

Camera::Outcome Camera::attempt() {
    stream_.begin_attempt();
    FrameObserver observer(config_, targets());
    EncodedListener encoded;
    if (recorder_)
        encoded = [this](GstSample *sample) { recorder_->add_encoded(sample); };
    auto built = CameraPipeline::build(config_, stream_, observer, std::move(encoded));
    if (!built) {
        failed(built.error().message);
        return Outcome::Broken;
    }
    const std::shared_ptr<CameraPipeline> pipeline(std::move(*built));
    {
        const std::lock_guard lock(mutex_);
        pipeline_ = pipeline;
    }
    Outcome outcome = Outcome::Stop;
    if (const auto started = pipeline->start(); !started)
        outcome = failed(started.error().message);
    else
        outcome = watch(*pipeline);
    {
        const std::lock_guard lock(mutex_);
        pipeline_.reset();
    }
    pipeline->stop();
    observer.end();
    if (recorder_)
        recorder_->end_stream();
    stream_.end_attempt();
    return outcome;
}

FrameObserver::Targets Camera::targets() {
    FrameObserver::Targets targets{stream_, dispatcher_, nullptr, nullptr};
    targets.on_event = [this](const CameraEvent &event) {
        {
            const std::lock_guard lock(mutex_);
            ++events_;
        }
        if (recorder_)
            recorder_->see_event(event);
    };
    if (recorder_)
        targets.on_frame = [this](const GstVideoInfo &info, GstBuffer *buffer) {
            recorder_->add_record(record_of(config_.name, info, buffer));
        };
    return targets;
}

Camera::Outcome Camera::watch(CameraPipeline &pipeline) {
    const auto begun = steady_clock::now();
    while (!stopping()) {
        const CameraPipeline::Report report = pipeline.poll(kPoll);
        if (recorder_) {
            recorder_->set_obstacle(pipeline.encoded_error());
            recorder_->poll();
        }
        switch (report.news) {
        case CameraPipeline::News::Error:
            return failed(report.text);
        case CameraPipeline::News::End:
            return pipeline.live() ? failed("the camera ended the stream") : Outcome::End;
        case CameraPipeline::News::Warning:
            tell_warning(report.text);
            break;
        case CameraPipeline::News::None:
            break;
        }
        const auto now = steady_clock::now();
        const auto last = stream_.last_decoded();
        if (!last) {
            if (now - begun > milliseconds(config_.connect_timeout_ms))
                return failed("no picture within " +
                              std::to_string(config_.connect_timeout_ms) + " ms");
            continue;
        }
        enter(CameraState::Playing);
        was_playing_ = *last - begun > milliseconds(config_.reconnect_max_ms);
        // A file waits for the analysis, and has no reason to stall.
        if (pipeline.live() && now - *last > milliseconds(config_.stall_timeout_ms)) {
            failed("no picture for " + std::to_string(config_.stall_timeout_ms) + " ms");
            enter(CameraState::Stalled);
            return Outcome::Again;
        }
    }
    return Outcome::Stop;
}

std::shared_ptr<CameraPipeline> Camera::pipeline() const {
    const std::lock_guard lock(mutex_);
    return pipeline_;
}

CameraStatus Camera::status() const {
    CameraStatus status;
    status.name = config_.name;
    status.uri = config_.uri;
    status.started_at_ms = started_at_ms_;
    std::shared_ptr<CameraPipeline> pipeline;
    {
        const std::lock_guard lock(mutex_);
        status.state = state_;
        status.reconnects = reconnects_;
        status.events = events_;
        status.last_error = last_error_;
        status.last_error_at_ms = last_error_at_ms_;
        pipeline = pipeline_;
    }
    stream_.describe(status);
    if (recorder_)
        recorder_->describe(status);
    if (pipeline)
        status.element_stats = pipeline->element_stats();
    return status;
}

Result<void> Camera::enrol(std::int64_t track, const std::string &person) {
    const auto running = pipeline();
    if (!running)
        return fail(Errc::NotFound, "camera ", config_.name, " is not playing now");
    return running->enrol(person, track);
}

} // namespace sphere::camera
