// SPDX-License-Identifier: MIT
#include "pipelines/camera/stream_state.h"

#include <algorithm>
#include <utility>

namespace sphere::camera {

using std::chrono::duration_cast;
using std::chrono::steady_clock;

namespace {

std::int64_t now_ns() {
    return duration_cast<std::chrono::nanoseconds>(steady_clock::now().time_since_epoch())
        .count();
}

} // namespace

void StreamState::add_decoded(std::uint64_t pts_ns, bool one_is_dropped) {
    const std::lock_guard lock(mutex_);
    last_decoded_ = steady_clock::now();
    underway_[decoded_count_++ % kUnderway] = {pts_ns, *last_decoded_};
    dropped_ += one_is_dropped ? 1 : 0;
}

void StreamState::add_frame(std::uint64_t pts_ns, int width, int height,
                            std::vector<FaceNow> faces) {
    const auto now = steady_clock::now();
    const std::lock_guard lock(mutex_);
    ++frames_;
    note_delay(pts_ns, now);
    width_ = width;
    height_ = height;
    faces_ = std::move(faces);
    last_frame_ = now;
    times_[times_count_++ % kWindow] = now;
}

void StreamState::note_delay(std::uint64_t pts_ns, SteadyTime now) {
    const std::uint64_t held = std::min<std::uint64_t>(decoded_count_, kUnderway);
    for (std::uint64_t back = 1; back <= held; ++back) {
        const Underway &picture = underway_[(decoded_count_ - back) % kUnderway];
        if (picture.pts_ns != pts_ns)
            continue;
        const float ms =
            std::chrono::duration<float, std::milli>(now - picture.decoded).count();
        if (delays_ms_.size() < kDelays)
            delays_ms_.push_back(ms);
        else
            delays_ms_[delays_count_ % kDelays] = ms;
        ++delays_count_;
        return;
    }
}

void StreamState::describe_delays(CameraStatus &status) const {
    if (delays_ms_.empty())
        return;
    std::vector<float> sorted = delays_ms_;
    std::ranges::sort(sorted);
    const auto at = [&](std::size_t percent) {
        return static_cast<double>(sorted[(sorted.size() - 1) * percent / 100]);
    };
    status.delay_p50_ms = at(50);
    status.delay_p99_ms = at(99);
}

void StreamState::set_jpeg(std::vector<std::uint8_t> bytes, int width, int height) {
    JpegFrame frame;
    frame.bytes = std::make_shared<const std::vector<std::uint8_t>>(std::move(bytes));
    frame.width = width;
    frame.height = height;
    const std::lock_guard lock(mutex_);
    frame.sequence = ++jpeg_sequence_;
    jpeg_ = std::move(frame);
}

bool StreamState::watched() const {
    return now_ns() < watched_until_ns_.load();
}

void StreamState::begin_attempt() {
    const std::lock_guard lock(mutex_);
    last_decoded_.reset();
    times_count_ = 0;
    decoded_count_ = 0;
    delays_ms_.clear();
    delays_count_ = 0;
}

std::optional<SteadyTime> StreamState::last_decoded() const {
    const std::lock_guard lock(mutex_);
    return last_decoded_;
}

void StreamState::end_attempt() {
    const std::lock_guard lock(mutex_);
    faces_.clear();
    times_count_ = 0;
}

std::optional<JpegFrame> StreamState::watch() {
    const bool was_watched = watched();
    watched_until_ns_ = now_ns() + duration_cast<std::chrono::nanoseconds>(kWatchedFor).count();
    const std::lock_guard lock(mutex_);
    if (!was_watched)
        jpeg_.reset(); // of the last time that somebody watched
    return jpeg_;
}

// Over the window, but no longer than five seconds back.
double StreamState::frames_per_second() const {
    const auto now = steady_clock::now();
    const std::uint64_t held = std::min<std::uint64_t>(times_count_, kWindow);
    std::uint64_t count = 0;
    SteadyTime first = now;
    for (; count < held; ++count) {
        const SteadyTime time = times_[(times_count_ - 1 - count) % kWindow];
        if (now - time > std::chrono::seconds(5))
            break;
        first = time;
    }
    const double seconds = std::chrono::duration<double>(now - first).count();
    return count < 2 || seconds <= 0 ? 0 : static_cast<double>(count - 1) / seconds;
}

void StreamState::describe(CameraStatus &status) const {
    const std::lock_guard lock(mutex_);
    status.frames = frames_;
    status.dropped = dropped_;
    status.width = width_;
    status.height = height_;
    status.faces = faces_;
    status.frames_per_second = frames_per_second();
    describe_delays(status);
    if (last_frame_)
        status.last_frame_age_ms =
            duration_cast<std::chrono::milliseconds>(steady_clock::now() - *last_frame_)
                .count();
    status.watched = watched();
}

} // namespace sphere::camera
