// SPDX-License-Identifier: MIT
#include "pipelines/console/event_history.h"

#include "core/base/base64.h"
#include "core/base/log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace sphere::console {
namespace {

using nlohmann::json;

using Clock = std::chrono::steady_clock;

constexpr std::size_t kLongestLine = 4U << 20;
/// By then every camera knows of a change of the gallery: it looks each second.
constexpr std::chrono::seconds kFollowed{30};

Error io_error(const std::string &path, int code) {
    return fail(code == EACCES || code == EPERM || code == ELOOP ? Errc::Permission : Errc::Io,
                "cannot keep events in ", path, ": ", std::strerror(code));
}

std::FILE *open_private(const std::string &path, int flags, const char *mode) {
    const int fd = ::open(path.c_str(), flags | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return nullptr;
    struct stat info {};
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || fchmod(fd, 0600) != 0) {
        ::close(fd);
        errno = EACCES;
        return nullptr;
    }
    return fdopen(fd, mode);
}

std::string text_of(const json &object, const char *key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

template <typename T> T number_of(const json &object, const char *key, T otherwise) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number() ? found->get<T>() : otherwise;
}

std::string line_of(const CameraEvent &event) {
    json line = event_json(event);
    if (event.best_shot)
        line["jpeg"] = base64_encode(*event.best_shot);
    return line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::optional<CameraEvent> event_of(const std::string &line) {
    const json object = json::parse(line, nullptr, false);
    if (!object.is_object() || text_of(object, "camera").empty())
        return std::nullopt;
    CameraEvent event;
    event.sequence = number_of<std::uint64_t>(object, "number", 0);
    event.at_ms = number_of<std::int64_t>(object, "at_ms", 0);
    event.camera = text_of(object, "camera");
    event.event = text_of(object, "event");
    event.id = text_of(object, "id");
    event.label = text_of(object, "label");
    event.state = text_of(object, "state");
    event.track = number_of<std::int64_t>(object, "track", -1);
    event.distance = number_of<double>(object, "distance", 0);
    const std::string jpeg = text_of(object, "jpeg");
    if (!jpeg.empty())
        if (auto bytes = base64_decode(jpeg))
            event.best_shot =
                std::make_shared<const std::vector<std::uint8_t>>(std::move(*bytes));
    return event;
}

std::size_t shot_size(const CameraEvent &event) {
    return event.best_shot ? event.best_shot->size() : 0;
}

} // namespace

json event_json(const CameraEvent &event) {
    return {{"number", event.sequence},
            {"at_ms", event.at_ms},
            {"camera", event.camera},
            {"event", event.event},
            {"id", event.id},
            {"label", event.label},
            {"state", event.state},
            {"track", event.track},
            {"distance", event.distance},
            {"shot", event.best_shot != nullptr}};
}

Result<std::unique_ptr<EventHistory>> EventHistory::open(const std::string &path,
                                                         Limits limits) {
    std::unique_ptr<EventHistory> history(new EventHistory(path, limits));
    if (!path.empty()) {
        SPHERE_TRY(history->load());
        SPHERE_TRY(history->rewrite());
    }
    return history;
}

EventHistory::~EventHistory() {
    if (file_ != nullptr)
        std::fclose(file_);
}

Result<void> EventHistory::load() {
    std::FILE *file = open_private(path_, O_RDWR, "r");
    if (file == nullptr)
        return io_error(path_, errno);
    char *line = nullptr;
    std::size_t room = 0;
    std::size_t read = 0;
    bool any_bad = false;
    for (ssize_t size = 0; (size = getline(&line, &room, file)) > 0;) {
        ++read;
        auto event = static_cast<std::size_t>(size) <= kLongestLine
                         ? event_of(std::string(line, static_cast<std::size_t>(size)))
                         : std::nullopt;
        if (!event) {
            any_bad = true; // the last line of a machine that lost power, for one
            continue;
        }
        event->sequence = ++last_;
        shot_bytes_ += shot_size(*event);
        events_.push_back(std::move(*event));
        trim();
    }
    std::free(line);
    std::fclose(file);
    if (read > 1 && events_.empty())
        return fail(Errc::Corrupt, path_, " holds no events: name another file for them");
    if (any_bad)
        log(LogLevel::Warning,
            "console: lines of " + path_ + " that are no events are dropped");
    return {};
}

Result<void> EventHistory::rewrite() {
    const std::string temporary = path_ + ".new";
    ::unlink(temporary.c_str());
    std::FILE *file = open_private(temporary, O_WRONLY | O_EXCL, "w");
    if (file == nullptr)
        return io_error(temporary, errno);
    bool good = true;
    for (const CameraEvent &event : events_)
        good = good && std::fputs(line_of(event).c_str(), file) >= 0;
    good = std::fflush(file) == 0 && good;
    if (!good || std::rename(temporary.c_str(), path_.c_str()) != 0) {
        const int code = errno;
        std::fclose(file);
        ::unlink(temporary.c_str());
        return io_error(path_, code);
    }
    if (file_ != nullptr)
        std::fclose(file_);
    file_ = file;
    lines_ = events_.size();
    return {};
}

void EventHistory::append(const CameraEvent &event) {
    if (path_.empty())
        return;
    if (file_ != nullptr && std::fputs(line_of(event).c_str(), file_) >= 0 &&
        std::fflush(file_) == 0 && ++lines_ <= 2 * limits_.most_events)
        return;
    const auto done = rewrite();
    if (!done)
        log(LogLevel::Warning, "console: " + done.error().message);
}

void EventHistory::trim() {
    while (events_.size() > limits_.most_events) {
        shot_bytes_ -= shot_size(events_.front());
        events_.pop_front();
    }
    for (auto each = events_.begin();
         each != events_.end() && shot_bytes_ > limits_.most_shot_bytes; ++each) {
        shot_bytes_ -= shot_size(*each);
        each->best_shot.reset();
    }
}

std::optional<CameraEvent> EventHistory::add(CameraEvent event) {
    const std::lock_guard lock(mutex_);
    for (auto mark = marks_.find(event.id);
         mark != marks_.end() && Clock::now() < mark->second.until;
         mark = marks_.find(event.id)) {
        if (mark->second.now_called.empty())
            return std::nullopt;
        event.id = event.label = mark->second.now_called;
    }
    event.sequence = ++last_;
    event.json.clear();
    shot_bytes_ += shot_size(event);
    events_.push_back(event);
    trim();
    if (!events_.empty())
        append(events_.back());
    return event;
}

std::vector<CameraEvent> EventHistory::list(std::uint64_t before, std::size_t most) const {
    const std::lock_guard lock(mutex_);
    std::vector<CameraEvent> events;
    for (auto each = events_.rbegin(); each != events_.rend() && events.size() < most; ++each)
        if (before == 0 || each->sequence < before)
            events.push_back(*each);
    return events;
}

std::shared_ptr<const std::vector<std::uint8_t>>
EventHistory::shot(std::uint64_t number) const {
    const std::lock_guard lock(mutex_);
    const auto found = std::lower_bound(
        events_.begin(), events_.end(), number,
        [](const CameraEvent &event, std::uint64_t wanted) { return event.sequence < wanted; });
    return found != events_.end() && found->sequence == number ? found->best_shot : nullptr;
}

void EventHistory::forget(const std::string &id) {
    {
        const std::lock_guard lock(mutex_);
        std::erase_if(events_, [&](const CameraEvent &event) {
            if (event.id != id)
                return false;
            shot_bytes_ -= shot_size(event);
            return true;
        });
        leave_mark(id, {});
        save();
    }
    if (rewritten_)
        rewritten_();
}

void EventHistory::rename(const std::string &from, const std::string &to) {
    {
        const std::lock_guard lock(mutex_);
        for (CameraEvent &event : events_)
            if (event.id == from)
                event.id = event.label = to;
        marks_.erase(to);
        if (from != to)
            leave_mark(from, to);
        save();
    }
    if (rewritten_)
        rewritten_();
}

void EventHistory::welcome(const std::string &id) {
    const std::lock_guard lock(mutex_);
    marks_.erase(id);
}

void EventHistory::leave_mark(const std::string &id, const std::string &now_called) {
    const auto now = Clock::now();
    std::erase_if(marks_, [now](const auto &mark) { return mark.second.until <= now; });
    if (!id.empty())
        marks_.insert_or_assign(id, Mark{now_called, now + kFollowed});
}

void EventHistory::save() {
    if (path_.empty())
        return;
    const auto done = rewrite();
    if (!done)
        log(LogLevel::Warning, "console: " + done.error().message);
}

} // namespace sphere::console
