// SPDX-License-Identifier: MIT
#include "gst/elements/gallery_session.h"

#include "core/gallery/postgres_store.h"
#include "core/model/store.h"

#include <set>
#include <string_view>

namespace sphere::gst {
namespace {

// The settings with every "model's own" filled in.
Result<MatchOptions> resolve_options(const MatchSettings &settings,
                                     const std::optional<EmbeddingStamp> &stamp) {
    MatchOptions options;
    options.top_k = settings.top_k;
    options.index = settings.index;
    std::string metric = settings.metric;
    if (stamp) {
        const auto descriptor = ModelStore::from_environment().find(stamp->model);
        if (!descriptor && (metric == "auto" || settings.threshold < 0))
            return fail(Errc::NotFound, "Gallery ", shown_gallery(settings.gallery),
                        " was made with model ", stamp->model,
                        ", whose descriptor is not found: set metric and threshold, or "
                        "add its directory to SPHERE_MODEL_PATH.");
        if (metric == "auto")
            metric = descriptor->default_metric;
        if (settings.threshold < 0) {
            const auto found = descriptor->metrics.find(metric);
            if (found == descriptor->metrics.end())
                return fail(Errc::InvalidArgument, "Model ", stamp->model,
                            " has no threshold for ", "metric ", metric,
                            ": set threshold on spherematch.");
            options.threshold = static_cast<float>(found->second.identifying());
        }
    }
    if (settings.threshold >= 0)
        options.threshold = settings.threshold;
    if (settings.monochrome_threshold >= 0)
        options.monochrome_threshold = settings.monochrome_threshold;
    const auto parsed = parse_metric(metric == "auto" ? "cosine" : metric);
    if (!parsed)
        return parsed.error();
    options.metric = *parsed;
    options.margin = settings.margin < 0 ? default_margin(options.metric) : settings.margin;
    return options;
}

} // namespace

ResolveOptions match_resolver(const MatchSettings &settings) {
    return [settings](const std::optional<EmbeddingStamp> &stamp) {
        return resolve_options(settings, stamp);
    };
}

std::string shown_gallery(const std::string &location) {
    return shown_location(location);
}

Result<void> GallerySession::open(const MatchSettings &settings) {
    if (settings.gallery.empty())
        return fail(Errc::InvalidArgument,
                    "No gallery is set: spherematch needs gallery=FILE. Make one with "
                    "'spherectl enrol --gallery people.db --id NAME photo.jpg'.");
    GalleryFollower::Settings follow;
    follow.location = settings.gallery;
    follow.resolve = match_resolver(settings);
    follow.reload = settings.reload;
    auto follower = GalleryFollower::open(std::move(follow));
    if (!follower)
        return std::move(follower).error();
    follower_ = std::move(*follower);
    matcher_ = follower_->matcher();
    stale_ = false;
    return {};
}

Result<void> GallerySession::refresh(const MatchSettings &settings) {
    follower_->set_reload(settings.reload);
    Result<void> changed;
    if (stale_) {
        stale_ = false;
        changed = follower_->set_resolve(match_resolver(settings));
    }
    matcher_ = follower_->matcher();
    if (!changed)
        return changed;
    const auto error = follower_->take_error();
    return error ? Result<void>(*error) : Result<void>{};
}

std::size_t GallerySession::people() const {
    std::set<std::string_view> ids;
    for (const EnrolledFace &face : matcher_->snapshot().faces)
        ids.insert(face.person_id);
    return ids.size();
}

} // namespace sphere::gst
