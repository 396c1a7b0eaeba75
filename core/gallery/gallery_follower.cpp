// SPDX-License-Identifier: MIT
// One thread looks for changes and takes them up; another makes an index anew.
#include "core/gallery/gallery_follower.h"

#include "core/base/log.h"
#include "core/gallery/index_file.h"

#include <algorithm>
#include <string_view>
#include <unistd.h>
#include <unordered_map>

namespace sphere {
namespace {

constexpr std::size_t kFewFaces = 1000; ///< not worth a file
constexpr std::chrono::seconds kSaveInterval{60};
constexpr std::chrono::seconds kRetryInterval{60}; ///< after an index could not be made
/// A file is written again when this part of its faces changed (1/n), or when it was removed.
constexpr std::size_t kSavedPart = 20;

std::vector<std::string> kinds_to_try(const std::string &kind) {
    if (kind != "auto")
        return {kind};
    return {"hnsw", "exact-int8", "exact"};
}

/// Whether everybody in `snapshot` is in the store under the same label: a gallery that was put
/// back from a copy and changed may have come to the same version again.
bool same_people(Store &store, const GallerySnapshot &snapshot) {
    const auto people = store.list_people();
    if (!people)
        return false;
    std::unordered_map<std::string_view, std::string_view> labels;
    for (const Person &person : *people)
        labels.emplace(person.id, person.label);
    return std::all_of(snapshot.faces.begin(), snapshot.faces.end(),
                       [&labels](const EnrolledFace &face) {
                           const auto found = labels.find(face.person_id);
                           return found != labels.end() && found->second == face.label;
                       });
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
        if (current && !same_people(*store_, file->snapshot)) {
            log(LogLevel::Warning, "index file " + index_file_path(*file_, kind) +
                                       " is of another gallery of the same version");
            forget_file(*file_, kind);
            continue;
        }
        auto gallery = MatchedGallery::open(std::move(*file), options->gallery());
        if (!gallery || current) {
            if (gallery.ok())
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
        if (!stop_ && !rebuilt_ready_)
            wake_.wait_for(lock, settings_.interval);
    }
}

Result<void> GalleryFollower::step() {
    SPHERE_TRY(finish_rebuild());
    SPHERE_TRY(follow());
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

void GalleryFollower::save_if_due() {
    const auto gallery = matcher()->gallery();
    const GallerySnapshot &snapshot = gallery->snapshot();
    {
        const std::lock_guard lock(mutex_);
        if (saving_ || snapshot.version == saved_version_)
            return;
    }
    if (!file_ || snapshot.faces.size() < kFewFaces || rebuilding_ || !gallery->can_be_saved())
        return;
    const bool there = access(index_file_path(*file_, gallery->file().kind).c_str(), F_OK) == 0;
    const std::size_t changed = gallery->changed() >= saved_changed_
                                    ? gallery->changed() - saved_changed_
                                    : snapshot.faces.size();
    if (there && (std::chrono::steady_clock::now() < next_save_ ||
                  changed * kSavedPart < snapshot.faces.size()))
        return;
    saved_changed_ = gallery->changed();
    next_save_ = std::chrono::steady_clock::now() + kSaveInterval;
    if (saver_.joinable())
        saver_.join();
    const std::lock_guard lock(mutex_);
    try {
        saver_ = std::thread([this, gallery] { save(*gallery); });
        saving_ = true;
    } catch (const std::system_error &) { // next time then
    }
}

/// In a thread of its own: some gigabytes may take a while, and changes are not to wait.
void GalleryFollower::save(const MatchedGallery &gallery) {
    const std::int64_t version = gallery.snapshot().version;
    const auto written = write_index_file(*file_, gallery.file());
    // Somebody may have been removed while it was written.
    const auto now = store_->version();
    const bool current = now.ok() && *now == version;
    if (written.ok() && !current)
        forget_file(*file_, gallery.file().kind);
    if (!written.ok())
        log(LogLevel::Warning, written.error().message + ": the next start takes longer");
    const std::lock_guard lock(mutex_);
    saving_ = false;
    if (current)
        saved_version_ = version; // where it failed, too: not once more for the same
}

} // namespace sphere
