// SPDX-License-Identifier: MIT
// One thread looks for changes and takes them up; another makes an index anew.
#include "core/gallery/gallery_follower.h"

#include "core/base/log.h"
#include "core/gallery/gallery_key.h"
#include "core/gallery/index_file.h"

#include <algorithm>
#include <utility>

namespace sphere {
namespace {

constexpr std::chrono::seconds kRetryInterval{60}; ///< after an index could not be made
/// Beside a store that tells of changes: a look all the same, in case a message was lost.
constexpr std::chrono::milliseconds kToldInterval{5000};

} // namespace

Result<std::unique_ptr<GalleryFollower>> GalleryFollower::open(Settings settings) {
    std::unique_ptr<GalleryFollower> follower(new GalleryFollower(std::move(settings)));
    auto store = open_store(follower->settings_.location, OpenMode::Existing);
    if (!store)
        return std::move(store).error();
    follower->store_ = std::move(*store);
    if (!galleries_are_encrypted()) // an index file holds embeddings in the clear
        follower->file_ = gallery_file_of(follower->settings_.location);
    SPHERE_TRY(follower->load_first());
    follower->watch_ = follower->store_->watch([raw = follower.get()] {
        const std::lock_guard lock(raw->mutex_);
        raw->told_ = true;
        raw->wake_.notify_all();
    });
    try {
        follower->worker_ = std::thread([raw = follower.get()] { raw->run(); });
    } catch (const std::system_error &error) {
        return fail(Errc::Internal, "gallery: no thread to follow it with: ", error.what());
    }
    return follower;
}

GalleryFollower::~GalleryFollower() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    wake_.notify_all();
    if (worker_.joinable())
        worker_.join();
    watch_.reset();
    for (std::thread *thread : {&rebuilder_, &saver_})
        if (thread->joinable())
            thread->join();
}

std::shared_ptr<const Matcher> GalleryFollower::matcher() const {
    const std::lock_guard lock(mutex_);
    return matcher_;
}

void GalleryFollower::set_reload(bool reload) {
    const std::lock_guard lock(mutex_);
    settings_.reload = reload;
}

std::optional<Error> GalleryFollower::take_error() {
    const std::lock_guard lock(mutex_);
    return std::exchange(error_, std::nullopt);
}

bool GalleryFollower::idle() const {
    const std::lock_guard lock(mutex_);
    return !busy_ && !other_options_;
}

std::optional<Error> GalleryFollower::behind() const {
    const std::lock_guard lock(mutex_);
    return behind_;
}

bool GalleryFollower::is_told() const {
    return watch_ && watch_->live();
}

void GalleryFollower::note(const Error &error) {
    const std::lock_guard lock(mutex_);
    error_ = error;
}

/// What an outage has to say is said once: it may last for days.
void GalleryFollower::note_following(const Result<void> &followed) {
    const std::lock_guard lock(mutex_);
    if (!followed && (!behind_ || behind_->message != followed.error().message))
        error_ = followed.error();
    if (followed)
        behind_.reset();
    else
        behind_ = followed.error();
}

Result<MatchOptions>
GalleryFollower::resolve(const std::optional<EmbeddingStamp> &stamp) const {
    ResolveOptions resolve;
    {
        const std::lock_guard lock(mutex_);
        resolve = settings_.resolve;
    }
    return resolve(stamp); // it may read files: no search waits for that
}

Result<void> GalleryFollower::set_resolve(ResolveOptions resolve) {
    const auto current = matcher()->gallery();
    const auto options = resolve(current->snapshot().stamp);
    if (!options)
        return options.error();
    {
        const std::lock_guard lock(mutex_);
        settings_.resolve = std::move(resolve);
        ++resolves_;
        other_options_ = !(options->gallery() == current->options());
        if (other_options_) {
            wake_.notify_all();
            return {};
        }
    }
    return publish(current);
}

/// What serves from now on, under the options of now.
Result<void> GalleryFollower::publish(const Gallery &gallery) {
    for (;;) {
        ResolveOptions resolve;
        int resolves = 0;
        {
            const std::lock_guard lock(mutex_);
            resolve = settings_.resolve;
            resolves = resolves_;
        }
        const auto options = resolve(gallery->snapshot().stamp);
        if (!options)
            return options.error();
        auto matcher = Matcher::over(gallery, *options);
        if (!matcher)
            return std::move(matcher).error();
        const std::lock_guard lock(mutex_);
        if (resolves != resolves_)
            continue;
        // Not back in time: a change of options may meet a change of the gallery.
        if (!matcher_ || matcher_->snapshot().version <= gallery->snapshot().version ||
            matcher_->snapshot().stamp != gallery->snapshot().stamp)
            matcher_.swap(*matcher);
        return {}; // what was there is released after the lock, by whoever holds it last
    }
}

Result<GalleryFollower::Gallery> GalleryFollower::from_store(const MatchOptions &options) {
    if (options.gallery().in_store())
        return in_store();
    auto snapshot = store_->load();
    if (!snapshot)
        return std::move(snapshot).error();
    return MatchedGallery::build(std::move(*snapshot), options.gallery());
}

/// The faces stay where they are.
Result<GalleryFollower::Gallery> GalleryFollower::in_store() {
    auto outline = store_->load_outline();
    if (!outline)
        return std::move(outline).error();
    const auto options = resolve(outline->stamp);
    if (!options)
        return options.error();
    auto search = store_->face_search(options->metric);
    if (!search)
        return std::move(search).error();
    return MatchedGallery::in_store(std::move(*outline), options->gallery(),
                                    std::move(*search));
}

bool GalleryFollower::wants_store_index() const {
    const auto options = resolve(std::nullopt);
    return options.ok() && options->gallery().in_store();
}

Result<void> GalleryFollower::load_first() {
    if (wants_store_index()) {
        auto gallery = in_store();
        return gallery ? publish(*gallery) : Result<void>(std::move(gallery).error());
    }
    if (auto gallery = from_index_file(); gallery.ok())
        return publish(*gallery);
    auto snapshot = store_->load();
    if (!snapshot)
        return std::move(snapshot).error();
    const auto options = resolve(snapshot->stamp);
    if (!options)
        return options.error();
    auto gallery = MatchedGallery::build(std::move(*snapshot), options->gallery(), true);
    if (!gallery)
        return std::move(gallery).error();
    return publish(*gallery);
}

void GalleryFollower::run() {
    std::unique_lock lock(mutex_);
    while (!stop_) {
        busy_ = true;
        told_ = false;
        lock.unlock();
        Result<void> done;
        try {
            done = step();
        } catch (const std::exception &error) {
            done = fail(Errc::Internal, "gallery: ", error.what());
        }
        if (!done)
            note(done.error());
        lock.lock();
        busy_ = rebuilding_ || saving_;
        if (!stop_ && !rebuilt_ready_ && !told_)
            wake_.wait_for(lock, is_told() ? std::max(settings_.interval, kToldInterval)
                                           : settings_.interval);
    }
}

Result<void> GalleryFollower::step() {
    SPHERE_TRY(finish_rebuild());
    const Result<void> followed = follow();
    note_following(followed);
    if (!followed)
        return {};
    const auto current = matcher()->gallery();
    if (!rebuilding_ && current->wants_rebuild() &&
        std::chrono::steady_clock::now() >= next_rebuild_)
        start_rebuild(current);
    save_if_due();
    return {};
}

Result<void> GalleryFollower::follow() {
    bool reload = false;
    bool other_options = false;
    {
        const std::lock_guard lock(mutex_);
        reload = settings_.reload;
        other_options = other_options_;
    }
    const auto current = matcher()->gallery();
    if (other_options) {
        const auto options = resolve(current->snapshot().stamp);
        if (!options)
            return options.error();
        auto gallery = from_store(*options);
        if (!gallery)
            return std::move(gallery).error();
        {
            const std::lock_guard lock(mutex_);
            other_options_ = false;
        }
        return publish(*gallery);
    }
    if (!reload)
        return {};
    const auto version = store_->version();
    if (!version)
        return version.error();
    if (*version == current->snapshot().version)
        return {};
    if (wants_store_index()) {
        auto gallery = in_store();
        return gallery ? publish(*gallery) : Result<void>(std::move(gallery).error());
    }
    auto snapshot = store_->load();
    if (!snapshot)
        return std::move(snapshot).error();
    // Another model's embeddings may come with another metric.
    const auto options = resolve(snapshot->stamp);
    if (!options)
        return options.error();
    auto gallery = options->gallery() == current->options()
                       ? current->updated(std::move(*snapshot))
                       : MatchedGallery::build(std::move(*snapshot), options->gallery());
    if (!gallery)
        return std::move(gallery).error();
    return publish(*gallery);
}

void GalleryFollower::start_rebuild(const Gallery &current) {
    if (rebuilder_.joinable())
        rebuilder_.join();
    const auto options = resolve(current->snapshot().stamp);
    if (!options)
        return;
    rebuilding_ = true;
    try {
        rebuilder_ = std::thread([this, options = *options] {
            Result<Gallery> made = from_store(options);
            const std::lock_guard lock(mutex_);
            rebuilt_.emplace(std::move(made));
            rebuilt_ready_ = true;
            wake_.notify_all();
        });
    } catch (const std::system_error &) { // at the next change then
        rebuilding_ = false;
    }
}

/// What the rebuilding thread made takes the place of what serves, with the changes that came
/// meanwhile.
Result<void> GalleryFollower::finish_rebuild() {
    std::optional<Result<Gallery>> made;
    {
        const std::lock_guard lock(mutex_);
        if (!rebuilt_ready_)
            return {};
        made = std::exchange(rebuilt_, std::nullopt);
        rebuilt_ready_ = false;
    }
    rebuilding_ = false;
    if (!made->ok()) {
        next_rebuild_ = std::chrono::steady_clock::now() + kRetryInterval;
        return made->error();
    }
    Gallery gallery = std::move(made->value());
    if (gallery->snapshot().version < matcher()->snapshot().version) {
        auto snapshot = store_->load();
        if (!snapshot)
            return std::move(snapshot).error();
        auto updated = gallery->updated(std::move(*snapshot));
        if (!updated)
            return std::move(updated).error();
        gallery = std::move(*updated);
    }
    return publish(gallery);
}

} // namespace sphere
