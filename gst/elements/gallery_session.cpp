// SPDX-License-Identifier: MIT
#include "gst/elements/gallery_session.h"

#include "core/model/store.h"

#include <set>

namespace sphere::gst {
namespace {

constexpr std::chrono::seconds kCheckInterval{1};

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
            return fail(Errc::NotFound, "Gallery ", settings.gallery, " was made with model ",
                        stamp->model,
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
            options.threshold = static_cast<float>(found->second.threshold);
        }
    }
    if (settings.threshold >= 0)
        options.threshold = settings.threshold;
    const auto parsed = parse_metric(metric == "auto" ? "cosine" : metric);
    if (!parsed)
        return parsed.error();
    options.metric = *parsed;
    options.margin = settings.margin < 0 ? default_margin(options.metric) : settings.margin;
    return options;
}

} // namespace

Result<void> GallerySession::open(const MatchSettings &settings) {
    if (settings.gallery.empty())
        return fail(Errc::InvalidArgument,
                    "No gallery is set: spherematch needs gallery=FILE. Make one with "
                    "'spherectl enrol --gallery people.db --id NAME photo.jpg'.");
    auto store = open_store(settings.gallery, OpenMode::Existing);
    if (!store)
        return std::move(store).error();
    store_ = std::move(*store);
    return load(settings);
}

void GallerySession::close() {
    matcher_.reset();
    store_.reset();
}

Result<void> GallerySession::load(const MatchSettings &settings) {
    auto snapshot = store_->load();
    if (!snapshot)
        return std::move(snapshot).error();
    const auto options = resolve_options(settings, snapshot->stamp);
    if (!options)
        return options.error();
    std::set<std::string> ids;
    for (const EnrolledFace &face : snapshot->faces)
        ids.insert(face.person_id);
    const std::int64_t version = snapshot->version;
    auto matcher = Matcher::build(std::move(*snapshot), *options);
    if (!matcher)
        return std::move(matcher).error();
    matcher_ = std::move(*matcher);
    people_ = ids.size();
    version_ = version;
    stale_ = false;
    next_check_ = std::chrono::steady_clock::now() + kCheckInterval;
    return {};
}

Result<void> GallerySession::refresh(const MatchSettings &settings) {
    if (stale_) {
        stale_ = false;
        return load(settings);
    }
    const auto now = std::chrono::steady_clock::now();
    if (!settings.reload || now < next_check_)
        return {};
    next_check_ = now + kCheckInterval;
    const auto version = store_->version();
    if (!version)
        return version.error();
    return *version == version_ ? Result<void>{} : load(settings);
}

} // namespace sphere::gst
