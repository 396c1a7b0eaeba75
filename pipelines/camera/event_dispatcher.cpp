// SPDX-License-Identifier: MIT
#include "pipelines/camera/event_dispatcher.h"

#include "core/base/log.h"
#include "core/image/codec.h"

#include <exception>
#include <utility>

namespace sphere::camera {

EventDispatcher::EventDispatcher() : thread_([this] { run(); }) {}

EventDispatcher::~EventDispatcher() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

void EventDispatcher::post(PendingEvent event) {
    {
        const std::lock_guard lock(mutex_);
        if (waiting_.size() >= kMaxWaiting) {
            waiting_.pop_front();
            ++lost_;
        }
        event.event.sequence = ++last_sequence_;
        waiting_.push_back(std::move(event));
    }
    wake_.notify_one();
}

std::uint64_t EventDispatcher::subscribe(EventListener listener) {
    const std::lock_guard lock(listeners_mutex_);
    listeners_.emplace(++last_subscription_, std::move(listener));
    return last_subscription_;
}

void EventDispatcher::unsubscribe(std::uint64_t subscription) {
    const std::lock_guard lock(listeners_mutex_);
    listeners_.erase(subscription);
}

std::uint64_t EventDispatcher::lost() const {
    const std::lock_guard lock(mutex_);
    return lost_;
}

void EventDispatcher::run() {
    for (;;) {
        PendingEvent next;
        {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
            if (waiting_.empty())
                return; // what was waiting when the end came is delivered first
            next = std::move(waiting_.front());
            waiting_.pop_front();
        }
        deliver(std::move(next));
    }
}

void EventDispatcher::deliver(PendingEvent pending) {
    const std::lock_guard lock(listeners_mutex_);
    if (listeners_.empty())
        return;
    if (pending.shot) {
        auto jpeg = encode_jpeg(*pending.shot, pending.jpeg_quality);
        if (jpeg)
            pending.event.best_shot =
                std::make_shared<const std::vector<std::uint8_t>>(std::move(*jpeg));
        else
            log(LogLevel::Warning, "best shot: " + jpeg.error().message);
    }
    for (const auto &[subscription, listener] : listeners_) {
        try {
            listener(pending.event);
        } catch (const std::exception &exception) {
            log(LogLevel::Error, std::string("a listener of events: ") + exception.what());
        }
    }
}

} // namespace sphere::camera
