// SPDX-License-Identifier: MIT
#include "pipelines/console/stream_bodies.h"

#include <utility>

namespace sphere::console {
namespace {

constexpr const char *kBoundary = "sphere-frame";

} // namespace

std::string MjpegBody::type() const {
    return std::string("multipart/x-mixed-replace; boundary=") + kBoundary;
}

std::optional<std::string> MjpegBody::next(std::chrono::steady_clock::time_point /*now*/) {
    const auto frame = source_.latest_jpeg(camera_);
    if (!frame || (begun_ && frame->sequence == sequence_))
        return std::nullopt;
    std::string part;
    if (!begun_)
        part = std::string("--") + kBoundary + "\r\n";
    begun_ = true;
    sequence_ = frame->sequence;
    part +=
        "Content-Type: image/jpeg\r\nContent-Length: " + std::to_string(frame->bytes->size()) +
        "\r\n\r\n";
    part.append(reinterpret_cast<const char *>(frame->bytes->data()), frame->bytes->size());
    // The next boundary right away: a browser shows a picture when it sees where it ends.
    part += std::string("\r\n--") + kBoundary + "\r\n";
    return part;
}

EventHub::Listener::Listener(EventHub &hub) : hub_(hub) {
    const std::lock_guard lock(hub_.mutex_);
    waiting_.push_back("retry: 1000\nevent: hello\ndata: {}\n\n");
    hub_.listeners_.insert(this);
}

EventHub::Listener::~Listener() {
    const std::lock_guard lock(hub_.mutex_);
    hub_.listeners_.erase(this);
}

std::optional<std::string> EventHub::Listener::next(std::chrono::steady_clock::time_point now) {
    const std::lock_guard lock(hub_.mutex_);
    std::string text;
    if (behind_) {
        waiting_.clear();
        behind_ = false;
        text = "event: behind\ndata: {}\n\n";
    }
    for (const std::string &message : waiting_)
        text += message;
    waiting_.clear();
    if (text.empty() && now - last_ > kQuiet)
        text = ": still here\n\n"; // a client that has gone is found out by this
    if (text.empty())
        return std::nullopt;
    last_ = now;
    return text;
}

void EventHub::send(const std::string &event, const std::string &data) {
    const std::string message = "event: " + event + "\ndata: " + data + "\n\n";
    const std::lock_guard lock(mutex_);
    for (Listener *listener : listeners_) {
        if (listener->waiting_.size() >= kMostWaiting)
            listener->behind_ = true;
        else
            listener->waiting_.push_back(message);
    }
}

bool EventHub::anybody() const {
    const std::lock_guard lock(mutex_);
    return !listeners_.empty();
}

} // namespace sphere::console
