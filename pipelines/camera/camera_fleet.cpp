// SPDX-License-Identifier: MIT
#include "pipelines/camera/camera_fleet.h"

#include "core/base/log.h"
#include "core/gallery/store.h"
#include "pipelines/camera/camera.h"
#include "pipelines/camera/event_dispatcher.h"
#include "pipelines/camera/uri.h"

#include <filesystem>
#include <utility>

namespace sphere::camera {
namespace {

Error no_camera(const std::string &name) {
    return fail(Errc::NotFound, "there is no camera named ", name);
}

// A first start should not need a first enrolment; spherematch wants a gallery that exists.
Result<void> make_gallery(const std::string &location) {
    constexpr std::string_view kScheme = "sqlite:";
    std::string path = location;
    if (path.starts_with(kScheme))
        path.erase(0, kScheme.size());
    std::error_code ignored;
    if (path.empty() || path.find("://") != std::string::npos ||
        std::filesystem::exists(path, ignored))
        return {};
    auto store = open_store(location, OpenMode::CreateIfMissing);
    if (!store)
        return std::move(store).error();
    log(LogLevel::Warning, "gallery " + path + " was made: nobody is enrolled in it yet");
    return {};
}

} // namespace

const char *state_name(CameraState state) noexcept {
    switch (state) {
    case CameraState::Connecting:
        return "connecting";
    case CameraState::Playing:
        return "playing";
    case CameraState::Stalled:
        return "stalled";
    case CameraState::Waiting:
        return "waiting";
    case CameraState::Stopped:
        return "stopped";
    case CameraState::Failed:
        return "failed";
    }
    return "unknown";
}

struct CameraFleet::State {
    EventDispatcher dispatcher; ///< outlives the cameras
    std::mutex changes;         ///< one add, remove or apply at a time
    mutable std::mutex mutex;   ///< guards cameras; not held while one of them stops
    std::map<std::string, std::shared_ptr<Camera>> cameras;

    std::shared_ptr<Camera> find(const std::string &name) const {
        const std::lock_guard lock(mutex);
        const auto found = cameras.find(name);
        return found == cameras.end() ? nullptr : found->second;
    }
    std::shared_ptr<Camera> take(const std::string &name) {
        const std::lock_guard lock(mutex);
        const auto found = cameras.find(name);
        if (found == cameras.end())
            return nullptr;
        std::shared_ptr<Camera> camera = std::move(found->second);
        cameras.erase(found);
        return camera;
    }
    void stop(const std::vector<std::string> &names) {
        std::vector<std::shared_ptr<Camera>> stopping;
        for (const std::string &name : names)
            if (auto camera = take(name)) {
                camera->request_stop(); // all at once: each may take its time to end in order
                stopping.push_back(std::move(camera));
            }
        for (const auto &camera : stopping)
            camera->stop();
    }
    Result<void> start(CameraConfig config) {
        if (!is_camera_name(config.name))
            return fail(Errc::InvalidArgument,
                        "a camera's name has 1 to 64 letters, digits, . _ or -, and does not "
                        "begin with .");
        const auto address = split_address(config.uri);
        if (!address)
            return fail(Errc::InvalidArgument, "camera ", config.name, ": ",
                        address.error().message);
        if (address->uri != config.uri) { // who calls may not know that we take them apart
            config.uri = address->uri;
            config.user = address->user;
            config.password = address->password;
        }
        if (find(config.name))
            return fail(Errc::InvalidArgument, "there is a camera named ", config.name,
                        " already");
        if (const auto made = make_gallery(config.gallery); !made)
            return fail(made.error().code, "camera ", config.name, ": ", made.error().message);
        const std::string name = config.name;
        auto camera = std::make_shared<Camera>(std::move(config), dispatcher);
        const std::lock_guard lock(mutex);
        cameras.emplace(name, std::move(camera));
        return {};
    }
};

CameraFleet::CameraFleet() : state_(std::make_unique<State>()) {}

CameraFleet::~CameraFleet() {
    stop();
}

Result<void> CameraFleet::add(CameraConfig config) {
    const std::lock_guard lock(state_->changes);
    return state_->start(std::move(config));
}

Result<void> CameraFleet::remove(const std::string &name) {
    const std::lock_guard lock(state_->changes);
    const auto camera = state_->take(name);
    if (!camera)
        return no_camera(name);
    camera->stop();
    return {};
}

Result<void> CameraFleet::check(const CameraConfig &config) {
    EventDispatcher dispatcher;
    StreamState stream;
    FrameObserver observer(config, {stream, dispatcher, nullptr, nullptr});
    const auto built = CameraPipeline::build(config, stream, observer, nullptr);
    if (!built)
        return fail(built.error().code, "camera ", config.name, ": ", built.error().message);
    return {};
}

Result<void> CameraFleet::apply(const FleetConfig &config) {
    const std::lock_guard lock(state_->changes);
    std::map<std::string, const CameraConfig *> wanted;
    for (const CameraConfig &camera : config.cameras)
        wanted.emplace(camera.name, &camera);
    std::vector<std::string> unwanted;
    for (const std::string &name : names()) {
        const auto found = wanted.find(name);
        if (found != wanted.end() && *found->second == state_->find(name)->config())
            wanted.erase(found);
        else
            unwanted.push_back(name);
    }
    state_->stop(unwanted);
    Result<void> first;
    for (const CameraConfig &camera : config.cameras)
        if (wanted.contains(camera.name))
            if (auto started = state_->start(camera); !started && first.ok())
                first = std::move(started);
    return first;
}

void CameraFleet::stop() {
    const std::lock_guard lock(state_->changes);
    state_->stop(names());
}

std::vector<std::string> CameraFleet::names() const {
    const std::lock_guard lock(state_->mutex);
    std::vector<std::string> names;
    for (const auto &[name, camera] : state_->cameras)
        names.push_back(name);
    return names;
}

std::vector<CameraStatus> CameraFleet::statuses() const {
    std::vector<CameraStatus> statuses;
    for (const std::string &name : names())
        if (auto found = status(name))
            statuses.push_back(std::move(*found));
    return statuses;
}

std::optional<CameraStatus> CameraFleet::status(const std::string &name) const {
    const auto camera = state_->find(name);
    if (!camera)
        return std::nullopt;
    return camera->status();
}

std::optional<JpegFrame> CameraFleet::latest_jpeg(const std::string &name) {
    const auto camera = state_->find(name);
    return camera ? camera->latest_jpeg() : std::nullopt;
}

std::uint64_t CameraFleet::subscribe(EventListener listener) {
    return state_->dispatcher.subscribe(std::move(listener));
}

void CameraFleet::unsubscribe(std::uint64_t subscription) {
    state_->dispatcher.unsubscribe(subscription);
}

std::uint64_t CameraFleet::events_lost() const {
    return state_->dispatcher.lost();
}

Result<void> CameraFleet::enrol(const std::string &camera, std::int64_t track,
                                const std::string &person) {
    const auto found = state_->find(camera);
    return found ? found->enrol(track, person) : Result<void>(no_camera(camera));
}

std::optional<std::string> CameraFleet::gallery_of(const std::string &camera) const {
    const auto found = state_->find(camera);
    if (!found)
        return std::nullopt;
    return found->config().gallery;
}

} // namespace sphere::camera
