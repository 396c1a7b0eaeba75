// SPDX-License-Identifier: MIT
#include "gst/elements/threshold_check.h"

#include "core/gallery/gallery_sample_check.h"
#include "core/gallery/store.h"

#include <system_error>

namespace sphere::gst {
namespace {

/// So many are read from the gallery again: of 512 values 40 MB, for as long as it takes. Of
/// more faces a sample is taken from the index in use, which needs no memory.
constexpr std::size_t kMostFacesRead = 20'000;
constexpr int kProbes = 500;
constexpr std::chrono::seconds kMostTime{10};
constexpr double kTargetFar = 0.01;
/// Somebody may be enrolling a folder, face by face.
constexpr std::chrono::seconds kPause{5};
/// A server has others to serve, and a large gallery does not change much by one face.
constexpr std::chrono::minutes kPauseInStore{10};

/// Over a connection of its own: the stream's is not held up.
Result<ThresholdCheck::Outcome> look_in_store(Store &store, const CheckOptions &options,
                                              std::int64_t version,
                                              const std::atomic<bool> &stop) {
    const auto search = store.face_search(options.metric);
    if (!search)
        return search.error();
    if (*search == nullptr)
        return fail(Errc::NotFound, "nobody is enrolled");
    const auto sample = (*search)->sample(static_cast<std::size_t>(options.most_probes));
    if (!sample)
        return sample.error();
    auto check = check_sample(**search, *sample, options, kMostTime, stop);
    if (!check)
        return std::move(check).error();
    return ThresholdCheck::Outcome{version, static_cast<std::size_t>(sample->of_faces),
                                   options.threshold, kTargetFar, std::move(*check)};
}

Result<ThresholdCheck::Outcome> look(const std::string &location, const MatchedGallery &gallery,
                                     const MatchOptions &in_use,
                                     const std::atomic<bool> &stop) {
    CheckOptions options;
    options.metric = in_use.metric;
    options.threshold = in_use.threshold;
    options.margin = in_use.margin;
    if (const auto own = own_threshold(gallery.snapshot().stamp, in_use.metric))
        options.most_threshold = *own;
    options.target_far = kTargetFar;
    options.most_probes = kProbes;
    const bool in_store = gallery.options().in_store();
    if (const std::size_t faces = gallery.snapshot().faces.size();
        !in_store && faces > kMostFacesRead) {
        auto check = check_sample(gallery, options, kMostTime, stop);
        if (!check)
            return std::move(check).error();
        return ThresholdCheck::Outcome{gallery.snapshot().version, faces, in_use.threshold,
                                       kTargetFar, std::move(*check)};
    }
    auto store = open_store(location, OpenMode::Existing);
    if (!store)
        return std::move(store).error();
    if (in_store)
        return look_in_store(**store, options, gallery.snapshot().version, stop);
    const auto snapshot = (*store)->load();
    if (!snapshot)
        return snapshot.error();
    auto check = check_gallery(*snapshot, {}, options);
    if (!check)
        return std::move(check).error();
    return ThresholdCheck::Outcome{snapshot->version, snapshot->faces.size(), in_use.threshold,
                                   kTargetFar, std::move(*check)};
}

} // namespace

std::optional<ThresholdCheck::Outcome> ThresholdCheck::poll(const Matcher &matcher,
                                                            const std::string &location) {
    std::optional<Outcome> outcome;
    if (ready_.load()) {
        worker_.join();
        ready_ = false;
        if (found_ && found_->ok()) // a gallery that cannot be read is said elsewhere
            outcome = std::move(**found_);
        found_.reset();
    }
    const MatchOptions &options = matcher.options();
    const Key key = {matcher.snapshot().version, options.metric, options.threshold,
                     options.margin};
    const auto now = std::chrono::steady_clock::now();
    if (worker_.joinable() || checked_ == key || matcher.gallery()->empty() || now < next_)
        return outcome;
    checked_ = key;
    next_ = now + (options.gallery().in_store() ? std::chrono::seconds(kPauseInStore) : kPause);
    try {
        worker_ = std::thread([this, location, options, gallery = matcher.gallery()] {
            try {
                found_.emplace(look(location, *gallery, options, stop_));
            } catch (const std::exception &error) {
                found_.emplace(fail(Errc::Internal, "gallery check: ", error.what()));
            }
            ready_ = true;
        });
    } catch (const std::system_error &) { // at the next change then
    }
    return outcome;
}

void ThresholdCheck::reset() {
    stop_ = true;
    if (worker_.joinable())
        worker_.join();
    stop_ = false;
    ready_ = false;
    found_.reset();
    checked_.reset();
    next_ = {};
}

} // namespace sphere::gst
