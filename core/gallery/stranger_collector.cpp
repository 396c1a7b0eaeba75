// SPDX-License-Identifier: MIT
// The queue in front of the gallery, and the thread behind it.
#include "core/gallery/stranger_collector.h"

#include "core/gallery/change_check.h"
#include "core/image/codec.h"

#include <algorithm>

namespace sphere {
namespace {

using Clock = std::chrono::steady_clock;

/// Somebody who stays in view is written this often at most: a visit's end is known as well.
constexpr std::int64_t kTouchMs = 5000;
constexpr std::chrono::seconds kLongestExpiryWait{60};
constexpr std::chrono::milliseconds kShortestExpiryWait{100};
constexpr int kJpegQuality = 90;
constexpr float kUnassessedQuality = 0.5F;

float quality_of(const StrangerSight &sight) {
    return sight.quality ? sight.quality->score : kUnassessedQuality;
}

std::int64_t touch_ms(const StrangerLimits &limits) {
    return std::min(kTouchMs, limits.same_visit_ms / 2);
}

} // namespace

Result<std::unique_ptr<StrangerCollector>> StrangerCollector::open(Settings settings) {
    std::unique_ptr<StrangerCollector> made(new StrangerCollector(std::move(settings)));
    auto admin = open_people_admin(made->settings_.location);
    if (!admin)
        return std::move(admin).error();
    made->admin_ = std::move(*admin);
    auto store = open_store(made->settings_.location, OpenMode::Existing);
    if (!store)
        return std::move(store).error();
    made->store_ = std::move(*store);
    SPHERE_TRY(made->reload());
    try {
        made->worker_ = std::thread([raw = made.get()] { raw->run(); });
    } catch (const std::system_error &error) {
        return fail(Errc::Internal,
                    "gallery: no thread to collect strangers with: ", error.what());
    }
    return made;
}

StrangerCollector::~StrangerCollector() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    wake_.notify_all();
    if (worker_.joinable())
        worker_.join();
}

std::string StrangerCollector::see(const StrangerSight &sight, std::int64_t at_ms) {
    if (!sight.embedding.stamp || sight.embedding.values.empty())
        return {};
    const auto known = this->known();
    std::string id;
    float part = 0; // of the threshold
    if (known->matcher) {
        const MatchResult match = known->matcher->match(sight.embedding);
        if (const Candidate *best = match.best()) {
            id = best->id;
            part = match.threshold > 0 ? best->distance / match.threshold : 0;
        }
    }
    const std::lock_guard lock(mutex_);
    const bool good = quality_of(sight) >= settings_.limits.min_quality;
    if (id.empty() && !good)
        return id;
    if (!id.empty()) {
        std::int64_t &seen = seen_ms_.try_emplace(id, INT64_MIN / 2).first->second;
        if (at_ms - seen < touch_ms(settings_.limits))
            return id;
        seen = at_ms;
    }
    if (queue_.size() >= kQueued) {
        ++counts_.dropped;
        return id;
    }
    Item item{sight, at_ms};
    if (!settings_.limits.thumbnails || (!id.empty() && part < 0.5F))
        item.sight.crop.reset();
    queue_.push_back(std::move(item));
    wake_.notify_all();
    return id;
}

bool StrangerCollector::knows(const std::string &id) const {
    return known()->faces.contains(id);
}

void StrangerCollector::set_limits(const StrangerLimits &limits) {
    const std::lock_guard lock(mutex_);
    if (settings_.limits == limits)
        return;
    settings_.limits = limits;
    resolve_changed_ = true; // it looks who is to go at once
    wake_.notify_all();
}

void StrangerCollector::set_resolve(ResolveOptions resolve) {
    const std::lock_guard lock(mutex_);
    settings_.resolve = std::move(resolve);
    resolve_changed_ = true;
    wake_.notify_all();
}

StrangerCollector::Counts StrangerCollector::counts() const {
    const std::lock_guard lock(mutex_);
    Counts counts = counts_;
    counts.strangers = known_->faces.size();
    return counts;
}

std::optional<Error> StrangerCollector::take_error() {
    const std::lock_guard lock(mutex_);
    return std::exchange(error_, std::nullopt);
}

bool StrangerCollector::idle() const {
    const std::lock_guard lock(mutex_);
    return !busy_ && queue_.empty();
}

StrangerCollector::Settings StrangerCollector::settings() const {
    const std::lock_guard lock(mutex_);
    return settings_;
}

std::shared_ptr<const StrangerCollector::Known> StrangerCollector::known() const {
    const std::lock_guard lock(mutex_);
    return known_;
}

void StrangerCollector::note(const Error &error) {
    const std::lock_guard lock(mutex_);
    error_ = error;
}

/// The strangers as the gallery has them.
Result<void> StrangerCollector::reload() {
    const auto version = store_->version(); // before: what comes meanwhile is seen as a change
    if (!version)
        return version.error();
    auto snapshot = admin_->load(FaceKind::Strangers);
    if (!snapshot)
        return std::move(snapshot).error();
    auto known = std::make_shared<Known>();
    for (const EnrolledFace &face : snapshot->faces)
        ++known->faces[face.person_id];
    if (!snapshot->faces.empty()) {
        auto options = settings().resolve(snapshot->stamp);
        if (!options)
            return options.error();
        options->margin = 0;
        options->top_k = 1;
        options->index = "auto";
        auto matcher = Matcher::build(std::move(*snapshot), *options);
        if (!matcher)
            return std::move(matcher).error();
        known->matcher = std::move(*matcher);
    }
    version_ = *version;
    const std::lock_guard lock(mutex_);
    std::erase_if(seen_ms_,
                  [&](const auto &item) { return !known->faces.contains(item.first); });
    known_ = std::move(known);
    return {};
}

void StrangerCollector::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        if (queue_.empty() && !resolve_changed_ && !stop_)
            wake_.wait_for(lock, settings_.interval);
        if (stop_ && queue_.empty())
            return;
        busy_ = true;
        const std::deque<Item> items = std::exchange(queue_, {});
        const bool resolved = std::exchange(resolve_changed_, false);
        lock.unlock();
        try {
            work(items, resolved);
        } catch (const std::exception &error) {
            note(fail(Errc::Internal, "gallery: ", error.what()));
        }
        lock.lock();
        busy_ = false;
    }
}

void StrangerCollector::work(const std::deque<Item> &items, bool resolved) {
    if (resolved) {
        next_expiry_ = {};
        if (const auto done = reload(); !done)
            note(done.error());
    }
    for (const Item &item : items) {
        const auto done = record(item);
        if (!done)
            note(done.error());
        const std::lock_guard lock(mutex_);
        ++(done ? counts_.recorded : counts_.failed);
    }
    if (const auto done = follow(); !done)
        note(done.error());
    if (Clock::now() >= next_expiry_)
        if (const auto done = expire(); !done)
            note(done.error());
}

/// Looked up again: it may have been written meanwhile, by a sight before it in the queue or by
/// another process.
Result<void> StrangerCollector::record(const Item &item) {
    MatchResult match;
    const auto look = [&] {
        const auto known = this->known();
        match = known->matcher ? known->matcher->match(item.sight.embedding) : MatchResult{};
    };
    look();
    if (match.best() == nullptr) {
        SPHERE_TRY(reload());
        look();
    }
    const Candidate *best = match.best();
    if (best == nullptr) {
        const std::int64_t looked_in = item.sight.gallery_version;
        return looked_in != 0 && looked_in != version_ ? Result<void>{} : write(item, {}, true);
    }
    // Another look of somebody of whom few are kept.
    const auto known = this->known();
    const auto faces = known->faces.find(best->id);
    const bool keep = quality_of(item.sight) >= settings().limits.min_quality &&
                      best->distance > match.threshold / 2 && faces != known->faces.end() &&
                      faces->second < kFacesEach;
    return write(item, best->id, keep);
}

Result<void> StrangerCollector::write(const Item &item, const std::string &stranger,
                                      bool keep_face) {
    const Settings settings = this->settings();
    RecordSight change;
    change.stranger_id = stranger;
    change.camera = settings.camera;
    change.at_ms = item.at_ms;
    change.same_visit_ms = settings.limits.same_visit_ms;
    if (keep_face) {
        change.stamp = *item.sight.embedding.stamp;
        Enrolment face;
        face.source = settings.camera;
        face.quality = item.sight.quality;
        face.embedding = item.sight.embedding.values;
        face.added_at_ms = item.at_ms;
        if (item.sight.crop) {
            auto jpeg = encode_jpeg(*item.sight.crop, kJpegQuality);
            if (jpeg) {
                face.thumbnail_jpeg = std::move(*jpeg);
                face.thumbnail_template = item.sight.crop_template;
            }
        }
        change.face = std::move(face);
    }
    const auto applied = admin_->apply({change});
    if (!applied && applied.error().code == Errc::NotFound && !stranger.empty())
        return reload(); // promoted or removed meanwhile: whoever it is, the next sight says
    if (!applied)
        return applied.error();
    if (stranger.empty())
        next_expiry_ = {}; // there may be too many now
    return keep_face ? reload() : Result<void>{};
}

/// Somebody else may promote or remove a stranger.
Result<void> StrangerCollector::follow() {
    if (Clock::now() < next_follow_)
        return {};
    next_follow_ = Clock::now() + settings().interval;
    const auto version = store_->version();
    if (!version)
        return version.error();
    return *version == version_ ? Result<void>{} : reload();
}

Result<void> StrangerCollector::expire() {
    const StrangerLimits limits = settings().limits;
    const std::int64_t now = unix_time_ms();
    const auto wait = limits.retention_ms > 0
                          ? std::chrono::milliseconds(limits.retention_ms / 10)
                          : std::chrono::milliseconds(kLongestExpiryWait);
    next_expiry_ = Clock::now() + std::clamp<std::chrono::milliseconds>(
                                      wait, kShortestExpiryWait, kLongestExpiryWait);
    const auto notes = admin_->notes(0);
    if (!notes)
        return notes.error();
    ExpireStrangers change;
    change.before_ms = limits.retention_ms > 0 ? now - limits.retention_ms : 0;
    change.most = limits.most;
    // A change that removes nobody would still have everybody load the gallery again.
    const bool too_many = notes->strangers.size() > static_cast<std::size_t>(limits.most);
    const bool too_old =
        std::any_of(notes->strangers.begin(), notes->strangers.end(),
                    [&](const Stranger &s) { return s.last_seen_ms < change.before_ms; });
    if (!too_many && !too_old)
        return {};
    const auto applied = admin_->apply({change});
    return applied ? reload() : Result<void>(applied.error());
}

} // namespace sphere
