// SPDX-License-Identifier: MIT
#include "core/face/tracker.h"

#include "core/face/assignment.h"
#include "core/face/track_motion.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

namespace sphere {
namespace {

// Boxes grow on each side by this share before they are compared, so that small or fast faces
// overlap where they were in the frame before (Yang et al., "Hard to track objects with
// irregular motions and similar appearances? Make it easier by buffering the matching space",
// WACV 2023).
constexpr float kGrown = 0.25F;
constexpr float kGrownMore = 0.5F; ///< in the last attempt

// What is added to 1 - IoU. Of two tracks with one detection the one that was seen last has it.
constexpr float kLostCost = 0.25F;
constexpr float kDirectionWeight = 0.2F; ///< OC-SORT's
constexpr float kAppearanceWeight = 1.0F;
// Faces do not change their size by more than this between two detections of a track.
constexpr float kMostScale = 1.8F;
// The direction of motion is taken from what was seen so long ago, and means something from
// this many heights on.
constexpr double kDirectionSpanS = 0.12;
constexpr float kLeastMotion = 0.15F;
// Tracks that were never confirmed are given up after this share of max_lost_s.
constexpr double kNewShare = 0.4;
constexpr float kAppearanceMemory = 0.8F; ///< of the smoothed embedding
constexpr int kVirtualSteps = 8;

struct Seen {
    Point2f center;
    double time_s = 0;
};

struct Slot {
    Track track;
    BoxMotion motion;
    BoxMotion seen_motion; ///< as it was after the last detection
    double seen_time_s = 0;
    int detections = 0;
    std::array<Seen, 8> history{}; ///< ring of the last detections
    int history_size = 0;
    std::optional<Landmarks5> seen_landmarks;
    float seen_score = 0;
    std::vector<float> embedding; ///< unit length, smoothed; empty without
};

Point2f center_of(const Box &box) {
    return {box.x + box.w / 2, box.y + box.h / 2};
}

Box grown(const Box &box, float share) {
    return {box.x - box.w * share, box.y - box.h * share, box.w * (1 + 2 * share),
            box.h * (1 + 2 * share)};
}

bool is_usable(const Detection &detection) {
    const Box &box = detection.box;
    return std::isfinite(box.x) && std::isfinite(box.y) && std::isfinite(box.w) &&
           std::isfinite(box.h) && std::isfinite(detection.score) && box.w > 0 && box.h > 0;
}

float norm_of(std::span<const float> values) {
    double sum = 0;
    for (const float value : values)
        sum += double{value} * value;
    return static_cast<float>(std::sqrt(sum));
}

// Empty where the two cannot be compared.
std::optional<float> appearance_distance(const Slot &slot, const Detection &detection) {
    if (slot.embedding.empty() || slot.embedding.size() != detection.embedding.size())
        return std::nullopt;
    const float norm = norm_of(detection.embedding);
    if (!(norm > 0) || !std::isfinite(norm))
        return std::nullopt;
    double dot = 0;
    for (std::size_t i = 0; i < slot.embedding.size(); ++i)
        dot += double{slot.embedding[i]} * detection.embedding[i];
    return static_cast<float>(1 - dot / norm);
}

void remember_appearance(Slot &slot, std::span<const float> embedding) {
    const float norm = norm_of(embedding);
    if (embedding.empty() || !(norm > 0) || !std::isfinite(norm))
        return;
    const bool fresh = slot.embedding.size() != embedding.size();
    if (fresh)
        slot.embedding.assign(embedding.size(), 0);
    const float kept = fresh ? 0 : kAppearanceMemory;
    for (std::size_t i = 0; i < embedding.size(); ++i)
        slot.embedding[i] = kept * slot.embedding[i] + (1 - kept) * embedding[i] / norm;
    if (const float sum = norm_of(slot.embedding); sum > 0)
        for (float &value : slot.embedding)
            value /= sum;
}

// The points move and scale as the box they were found in.
Landmarks5 moved(const Landmarks5 &points, const Box &from, const Box &to) {
    Landmarks5 result = points;
    if (!(from.w > 0) || !(from.h > 0))
        return result;
    for (Point2f &point : result)
        point = {to.x + (point.x - from.x) * to.w / from.w,
                 to.y + (point.y - from.y) * to.h / from.h};
    return result;
}

// In [0, 1]: 0 for the direction that the track moves in, 1 for the opposite.
float turn_of(const Slot &slot, const Box &box) {
    const Point2f last = center_of(slot.track.seen_box);
    const Seen *before = nullptr;
    for (int i = 1; i < slot.history_size; ++i) {
        const auto &seen = slot.history[static_cast<std::size_t>(slot.detections - 1 - i) %
                                        slot.history.size()];
        before = &seen;
        if (slot.seen_time_s - seen.time_s >= kDirectionSpanS)
            break;
    }
    if (before == nullptr)
        return 0;
    const float ux = last.x - before->center.x, uy = last.y - before->center.y;
    const Point2f now = center_of(box);
    const float vx = now.x - last.x, vy = now.y - last.y;
    const float u = std::hypot(ux, uy), v = std::hypot(vx, vy);
    const float least = kLeastMotion * slot.track.seen_box.h;
    if (u < least || v < least)
        return 0;
    const float cosine = std::clamp((ux * vx + uy * vy) / (u * v), -1.0F, 1.0F);
    return std::acos(cosine) / std::numbers::pi_v<float>;
}

} // namespace

struct Tracker::Impl {
    TrackerOptions options;
    std::vector<Slot> slots;
    std::vector<Track> output;
    std::vector<char> matched;      ///< of each detection
    std::vector<int> rows, columns; ///< slots and detections of the stage at work
    std::vector<float> costs;
    Assignment assignment;
    std::int64_t next_id = 1;
    std::optional<double> time_s;

    void advance(double now_s);
    float cost(const Slot &slot, const Detection &detection, const Box &expected,
               float growth) const;
    template <typename Rows, typename Columns>
    void associate(std::span<const Detection> detections, bool from_seen, Rows &&is_row,
                   Columns &&is_column);
    void take(Slot &slot, const Detection &detection, int index);
    void start(const Detection &detection, int index);
    void settle(Slot &slot) const;
    std::span<const Track> report();
};

Tracker::Tracker(const TrackerOptions &options) : impl_(std::make_unique<Impl>()) {
    const auto most = static_cast<std::size_t>(std::clamp(options.max_tracks, 1, 4096));
    impl_->options = options;
    impl_->options.max_tracks = static_cast<int>(most);
    impl_->slots.reserve(most);
    impl_->output.reserve(2 * most);
    impl_->matched.reserve(most);
    impl_->rows.reserve(most);
    impl_->columns.reserve(most);
    impl_->costs.reserve(most * most);
    impl_->assignment.reserve(most);
}

Tracker::~Tracker() = default;
Tracker::Tracker(Tracker &&) noexcept = default;
Tracker &Tracker::operator=(Tracker &&) noexcept = default;

void Tracker::reset() {
    impl_->slots.clear();
    impl_->time_s.reset();
}

void Tracker::set_options(const TrackerOptions &options) {
    const int most = impl_->options.max_tracks;
    impl_->options = options;
    impl_->options.max_tracks = most;
}

// Moves all tracks to where they are expected at `now_s`.
void Tracker::Impl::advance(double now_s) {
    if (!std::isfinite(now_s))
        now_s = time_s.value_or(0);
    const double dt_s = time_s ? now_s - *time_s : 0;
    time_s = now_s;
    if (dt_s < 0 || dt_s > options.max_lost_s) {
        for (Slot &slot : slots)
            slot.track.state = TrackState::Removed;
        return;
    }
    for (Slot &slot : slots) {
        slot.track.age_s = now_s - slot.seen_time_s;
        slot.track.detection = -1;
        slot.motion.predict(dt_s, slot.track.age_s);
    }
}

float Tracker::Impl::cost(const Slot &slot, const Detection &detection, const Box &expected,
                          float growth) const {
    const float scale = detection.box.h / std::max(1e-3F, slot.track.seen_box.h);
    if (scale > kMostScale || scale < 1 / kMostScale)
        return Assignment::kForbidden;
    const float overlap =
        intersection_over_union(grown(expected, growth), grown(detection.box, growth));
    if (!(overlap >= options.min_overlap))
        return Assignment::kForbidden;
    float total = 1 - overlap + kDirectionWeight * turn_of(slot, detection.box);
    if (slot.track.state == TrackState::Lost)
        total += kLostCost;
    if (const auto distance = appearance_distance(slot, detection)) {
        if (*distance > options.max_appearance_distance)
            return Assignment::kForbidden;
        total += kAppearanceWeight * *distance;
    }
    return total;
}

template <typename Rows, typename Columns>
void Tracker::Impl::associate(std::span<const Detection> detections, bool from_seen,
                              Rows &&is_row, Columns &&is_column) {
    rows.clear();
    columns.clear();
    for (std::size_t i = 0; i < slots.size(); ++i)
        if (slots[i].track.detection < 0 && slots[i].track.state != TrackState::Removed &&
            is_row(slots[i]))
            rows.push_back(static_cast<int>(i));
    for (std::size_t j = 0; j < detections.size(); ++j)
        if (!matched[j] && is_column(detections[j]))
            columns.push_back(static_cast<int>(j));
    if (rows.empty() || columns.empty())
        return;
    costs.clear();
    for (const int i : rows)
        for (const int j : columns) {
            const Slot &slot = slots[static_cast<std::size_t>(i)];
            costs.push_back(from_seen ? cost(slot, detections[static_cast<std::size_t>(j)],
                                             slot.track.seen_box, kGrownMore)
                                      : cost(slot, detections[static_cast<std::size_t>(j)],
                                             slot.motion.box(), kGrown));
        }
    const auto column_of = assignment.solve(costs, static_cast<int>(rows.size()),
                                            static_cast<int>(columns.size()));
    for (std::size_t r = 0; r < rows.size(); ++r)
        if (column_of[r] >= 0) {
            const int j = columns[static_cast<std::size_t>(column_of[r])];
            matched[static_cast<std::size_t>(j)] = 1;
            take(slots[static_cast<std::size_t>(rows[r])],
                 detections[static_cast<std::size_t>(j)], j);
        }
}

void Tracker::Impl::take(Slot &slot, const Detection &detection, int index) {
    const double gap_s = *time_s - slot.seen_time_s;
    if (slot.track.state == TrackState::Lost) {
        // What was predicted meanwhile is not evidence: the motion of the gap is the straight
        // way between what was seen at its ends.
        BoxMotion motion = slot.seen_motion;
        const Box from = slot.track.seen_box, to = detection.box;
        for (int i = 1; i < kVirtualSteps; ++i) {
            const float t = static_cast<float>(i) / kVirtualSteps;
            motion.predict(gap_s / kVirtualSteps, 0);
            motion.correct({from.x + t * (to.x - from.x), from.y + t * (to.y - from.y),
                            from.w + t * (to.w - from.w), from.h + t * (to.h - from.h)});
        }
        motion.predict(gap_s / kVirtualSteps, 0);
        slot.motion = motion;
    }
    slot.motion.correct(detection.box);
    slot.seen_motion = slot.motion;
    slot.seen_time_s = *time_s;
    slot.history[static_cast<std::size_t>(slot.detections) % slot.history.size()] = {
        center_of(detection.box), *time_s};
    slot.history_size = std::min(slot.history_size + 1, static_cast<int>(slot.history.size()));
    ++slot.detections;
    slot.seen_landmarks = detection.landmarks;
    slot.seen_score = detection.score;
    remember_appearance(slot, detection.embedding);
    slot.track.seen_box = detection.box;
    slot.track.detection = index;
    slot.track.age_s = 0;
    slot.track.state =
        slot.detections >= options.confirm_count || slot.track.state != TrackState::New
            ? TrackState::Confirmed
            : TrackState::New;
}

void Tracker::Impl::start(const Detection &detection, int index) {
    if (slots.size() >= static_cast<std::size_t>(options.max_tracks))
        return;
    Slot &slot = slots.emplace_back();
    slot.track.id = next_id++;
    slot.motion.start(detection.box);
    slot.seen_time_s = *time_s;
    take(slot, detection, index);
}

// Fills what a track reports from what is known of it.
void Tracker::Impl::settle(Slot &slot) const {
    Track &track = slot.track;
    if (track.detection >= 0) {
        track.box = track.seen_box;
        track.landmarks = slot.seen_landmarks;
        track.score = slot.seen_score;
        return;
    }
    track.box = slot.motion.box();
    if (slot.seen_landmarks)
        track.landmarks = moved(*slot.seen_landmarks, track.seen_box, track.box);
    const double left = 1 - track.age_s / std::max(1e-6, options.max_lost_s);
    track.score = slot.seen_score * static_cast<float>(std::clamp(left, 0.0, 1.0));
}

std::span<const Track> Tracker::Impl::report() {
    output.clear();
    for (Slot &slot : slots) {
        settle(slot);
        if (slot.track.state != TrackState::Removed)
            output.push_back(slot.track);
    }
    for (const Slot &slot : slots)
        if (slot.track.state == TrackState::Removed)
            output.push_back(slot.track);
    std::erase_if(slots,
                  [](const Slot &slot) { return slot.track.state == TrackState::Removed; });
    return output;
}

std::span<const Track> Tracker::update(std::span<const Detection> all, double time_s) {
    Impl &self = *impl_;
    const auto detections =
        all.first(std::min(all.size(), static_cast<std::size_t>(self.options.max_tracks)));
    self.advance(time_s);
    self.matched.assign(detections.size(), 0);
    for (std::size_t j = 0; j < detections.size(); ++j)
        self.matched[j] = is_usable(detections[j]) ? 0 : 1;
    const float high_score = self.options.high_score;
    const auto is_strong = [high_score](const Detection &d) { return d.score >= high_score; };
    const auto is_weak = [high_score](const Detection &d) { return d.score < high_score; };
    const auto in_state = [](auto... states) {
        return [=](const Slot &slot) { return ((slot.track.state == states) || ...); };
    };
    const auto any = [](const Slot &) { return true; };
    self.associate(detections, false, in_state(TrackState::Confirmed, TrackState::Lost),
                   is_strong);
    self.associate(detections, false, in_state(TrackState::Confirmed), is_weak);
    self.associate(detections, false, in_state(TrackState::New), is_strong);
    self.associate(detections, true, any, is_strong);
    for (Slot &slot : self.slots) {
        Track &track = slot.track;
        if (track.detection >= 0 || track.state == TrackState::Removed)
            continue;
        const double limit_s =
            self.options.max_lost_s * (track.state == TrackState::New ? kNewShare : 1.0);
        if (track.age_s > limit_s)
            track.state = TrackState::Removed;
        else if (track.state == TrackState::Confirmed)
            track.state = TrackState::Lost;
    }
    for (std::size_t j = 0; j < detections.size(); ++j)
        if (!self.matched[j] && is_strong(detections[j]))
            self.start(detections[j], static_cast<int>(j));
    return self.report();
}

std::span<const Track> Tracker::predict(double time_s) {
    Impl &self = *impl_;
    self.advance(time_s);
    for (Slot &slot : self.slots)
        if (slot.track.age_s > self.options.max_lost_s)
            slot.track.state = TrackState::Removed;
    return self.report();
}

} // namespace sphere
