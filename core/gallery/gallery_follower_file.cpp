// SPDX-License-Identifier: MIT
// The index file beside a followed gallery: read at the start, written as the gallery changes.
#include "core/base/log.h"
#include "core/gallery/gallery_follower.h"
#include "core/gallery/index_file.h"

#include <algorithm>
#include <string_view>
#include <unistd.h>
#include <unordered_map>

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
