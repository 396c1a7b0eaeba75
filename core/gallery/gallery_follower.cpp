// SPDX-License-Identifier: MIT
// One thread looks for changes and takes them up; another makes an index anew.
#include "core/gallery/gallery_follower.h"

#include "core/base/log.h"
#include "core/gallery/index_file.h"

#include <algorithm>
#include <unistd.h>

namespace sphere {
namespace {

constexpr std::size_t kFewFaces = 1000; ///< not worth a file
constexpr std::chrono::seconds kSaveInterval{60};
/// A file is written again when this part of its faces changed (1/n), or when it was removed.
constexpr std::size_t kSavedPart = 20;

std::vector<std::string> kinds_to_try(const std::string &kind) {
    if (kind != "auto")
        return {kind};
    return {"hnsw", "exact-int8", "exact"};
}

void forget_file(const std::string &gallery, const std::string &kind) {
    (void)unlink(index_file_path(gallery, kind).c_str());
}

} // namespace

Result<std::unique_ptr<GalleryFollower>> GalleryFollower::open(Settings settings) {
    std::unique_ptr<GalleryFollower> follower(new GalleryFollower(std::move(settings)));
    auto store = open_store(follower->settings_.location, OpenMode::Existing);
    if (!store)
        return std::move(store).error();
    follower->store_ = std::move(*store);
    follower->file_ = gallery_file_of(follower->settings_.location);
    SPHERE_TRY(follower->load_first());
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
    if (rebuilder_.joinable())
        rebuilder_.join();
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

void GalleryFollower::note(const Error &error) {
    const std::lock_guard lock(mutex_);
    error_ = error;
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
Result<void> GalleryFollower::publish(Gallery gallery) {
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
    auto snapshot = store_->load();
    if (!snapshot)
        return std::move(snapshot).error();
    return MatchedGallery::build(std::move(*snapshot), options.gallery());
}

/// What an index file has, brought up to date where the gallery moved on. NotFound where there
/// is none to be used.
Result<GalleryFollower::Gallery> GalleryFollower::from_index_file() {
    const auto wanted = resolve(std::nullopt);
    const auto version = store_->version();
    if (!file_ || !version || !wanted || wanted->compare != PersonTemplate::Best)
        return fail(Errc::NotFound, "no index file");
    for (const std::string &kind : kinds_to_try(wanted->index)) {
        auto file = read_index_file(*file_, kind, {.threads = wanted->threads});
        if (!file) {
            if (file.error().code != Errc::NotFound) {
                log(LogLevel::Warning, file.error().message);
                forget_file(*file_, kind);
            }
            continue;
        }
        const auto options = resolve(file->snapshot.stamp);
        if (!options)
            return options.error();
        if (options->metric != file->metric)
            continue;
        const bool current = file->snapshot.version == *version;
        auto gallery = MatchedGallery::open(std::move(*file), options->gallery());
        if (!gallery || current) {
            saved_version_ = *version;
            return gallery;
        }
        log(LogLevel::Info, "index file " + index_file_path(*file_, kind) +
                                " is of an earlier version of the gallery: brought up to date");
        auto snapshot = store_->load();
        if (!snapshot)
            return std::move(snapshot).error();
        return (*gallery)->updated(std::move(*snapshot));
    }
    return fail(Errc::NotFound, "no index file");
}

Result<void> GalleryFollower::load_first() {
    if (auto gallery = from_index_file(); gallery.ok())
        return publish(std::move(*gallery));
    auto snapshot = store_->load();
    if (!snapshot)
        return std::move(snapshot).error();
    const auto options = resolve(snapshot->stamp);
    if (!options)
        return options.error();
    auto gallery = MatchedGallery::build(std::move(*snapshot), options->gallery());
    if (!gallery)
        return std::move(gallery).error();
    return publish(std::move(*gallery));
}

void GalleryFollower::run() {
    std::unique_lock lock(mutex_);
    while (!stop_) {
        busy_ = true;
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
        busy_ = rebuilding_;
        if (!stop_ && !rebuilt_ready_)
            wake_.wait_for(lock, settings_.interval);
    }
}

Result<void> GalleryFollower::step() {
    SPHERE_TRY(finish_rebuild());
    SPHERE_TRY(follow());
    const auto current = matcher()->gallery();
    if (!rebuilding_ && current->wants_rebuild())
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
        return publish(std::move(*gallery));
    }
    if (!reload)
        return {};
    const auto version = store_->version();
    if (!version)
        return version.error();
    if (*version == current->snapshot().version)
        return {};
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
    return publish(std::move(*gallery));
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
    if (!made->ok())
        return made->error();
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
    return publish(std::move(gallery));
}

void GalleryFollower::save_if_due() {
    const auto gallery = matcher()->gallery();
    const GallerySnapshot &snapshot = gallery->snapshot();
    if (!file_ || snapshot.faces.size() < kFewFaces || snapshot.version == saved_version_ ||
        rebuilding_ || !gallery->can_be_saved())
        return;
    const auto now = std::chrono::steady_clock::now();
    const bool there = access(index_file_path(*file_, gallery->file().kind).c_str(), F_OK) == 0;
    const std::size_t changed = gallery->changed() >= saved_changed_
                                    ? gallery->changed() - saved_changed_
                                    : snapshot.faces.size();
    if (there && (now < next_save_ || changed * kSavedPart < snapshot.faces.size()))
        return;
    if (const auto written = write_index_file(*file_, gallery->file()); !written) {
        log(LogLevel::Warning, written.error().message + ": the next start takes longer");
        saved_version_ = snapshot.version; // not once more for the same
        return;
    }
    // Somebody may have been removed while it was written.
    const auto version = store_->version();
    if (!version || *version != snapshot.version)
        forget_file(*file_, gallery->file().kind);
    else
        saved_version_ = snapshot.version;
    saved_changed_ = gallery->changed();
    next_save_ = now + kSaveInterval;
}

} // namespace sphere
