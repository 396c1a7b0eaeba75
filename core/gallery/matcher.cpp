// SPDX-License-Identifier: MIT
// The open-set decision.
#include "core/gallery/matcher.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

namespace sphere {
namespace {

constexpr int kMaxTopK = 1000;

Result<void> check_options(const MatchOptions &options) {
    if (!std::isfinite(options.threshold) || options.threshold < 0)
        return fail(Errc::InvalidArgument, "threshold ", options.threshold,
                    " is not a distance: it must be 0 or more");
    if (options.monochrome_threshold &&
        (!std::isfinite(*options.monochrome_threshold) || *options.monochrome_threshold < 0))
        return fail(Errc::InvalidArgument, "monochrome-threshold ",
                    *options.monochrome_threshold, " is not a distance: it must be 0 or more");
    if (!std::isfinite(options.margin) || options.margin < 0)
        return fail(Errc::InvalidArgument, "margin ", options.margin,
                    " is not a distance: it must be 0 (off) or more");
    if (options.top_k < 1 || options.top_k > kMaxTopK)
        return fail(Errc::InvalidArgument, "top-k ", options.top_k, ": 1 to ", kMaxTopK,
                    " are possible");
    return {};
}

bool usable_values(const Embedding &probe) {
    return !probe.values.empty() && std::all_of(probe.values.begin(), probe.values.end(),
                                                [](float v) { return std::isfinite(v); });
}

/// A gallery may come from anywhere.
Result<void> check_negatives(const GallerySnapshot &snapshot) {
    for (const NegativeFace &negative : snapshot.negatives)
        if (!snapshot.stamp ||
            negative.embedding.size() != static_cast<std::size_t>(snapshot.stamp->dims))
            return fail(Errc::Corrupt, "gallery: negative face ", negative.negative_id, " has ",
                        negative.embedding.size(), " values, not those of its gallery");
    return {};
}

/// The distance to the nearest negative of `person`, or of the faces to ignore where it is
/// empty.
float nearest_negative(const GallerySnapshot &snapshot, const std::string &person,
                       std::span<const float> query, Metric metric) {
    float nearest = std::numeric_limits<float>::infinity();
    for (const NegativeFace &negative : snapshot.negatives)
        if (negative.person_id == person)
            nearest = std::min(nearest, metric_distance(metric, query, negative.embedding));
    return nearest;
}

} // namespace

float default_margin(Metric metric) {
    return metric == Metric::Cosine ? 0.05F : 0.0F;
}

Result<std::shared_ptr<const Matcher>> Matcher::build(GallerySnapshot snapshot,
                                                      const MatchOptions &options) {
    SPHERE_TRY(check_options(options));
    auto gallery = MatchedGallery::build(std::move(snapshot), options.gallery());
    if (!gallery)
        return std::move(gallery).error();
    return over(std::move(*gallery), options);
}

Result<std::shared_ptr<const Matcher>>
Matcher::over(std::shared_ptr<const MatchedGallery> gallery, const MatchOptions &options) {
    SPHERE_TRY(check_options(options));
    SPHERE_TRY(check_negatives(gallery->snapshot()));
    if (!(gallery->options() == options.gallery()))
        return fail(Errc::InvalidArgument,
                    "matcher: the gallery was made ready for another metric or index");
    std::shared_ptr<Matcher> matcher(new Matcher);
    matcher->gallery_ = std::move(gallery);
    matcher->options_ = options;
    return std::shared_ptr<const Matcher>(std::move(matcher));
}

float Matcher::common_threshold(const Embedding &probe) const {
    return probe.monochrome ? options_.monochrome_threshold.value_or(options_.threshold)
                            : options_.threshold;
}

float Matcher::threshold_of(const std::string &person, const Embedding &probe) const {
    const auto own = snapshot().thresholds.find(person);
    return own == snapshot().thresholds.end() ? common_threshold(probe) : own->second;
}

/// So many that enough are left when those are struck out whom the probe is known not to be.
std::size_t Matcher::wanted_people(std::size_t top_k) const {
    const auto named =
        std::count_if(snapshot().negatives.begin(), snapshot().negatives.end(),
                      [](const NegativeFace &n) { return !n.person_id.empty(); });
    return std::max<std::size_t>(top_k, 2) + static_cast<std::size_t>(named);
}

bool Matcher::is_ignored(const Embedding &probe, float nearest_person) const {
    const float distance = nearest_negative(snapshot(), {}, probe.values, options_.metric);
    return distance <= common_threshold(probe) && distance <= nearest_person;
}

/// Takes out the people of whom a negative is as near as they are themselves. Negatives farther
/// than the threshold say nothing about the probe.
void Matcher::strike_out(const Embedding &probe, std::vector<NearPerson> &people) const {
    if (snapshot().negatives.empty())
        return;
    std::erase_if(people, [&](const NearPerson &person) {
        const float distance =
            nearest_negative(snapshot(), person.id, probe.values, options_.metric);
        return distance <= threshold_of(person.id, probe) && distance <= person.distance;
    });
}

/// The cosine whatever the metric: from |q - x|^2 = |q|^2 + |x|^2 - 2 q.x where it is not at
/// hand.
float Matcher::similarity(const NearPerson &person, std::span<const float> query) const {
    if (options_.metric == Metric::Cosine)
        return 1 - person.distance;
    double query_square = 0;
    for (const float value : query)
        query_square += static_cast<double>(value) * value;
    const double norm = person.norm;
    const double distance = person.distance;
    const double lengths = std::sqrt(query_square) * norm;
    if (lengths <= 0)
        return 0;
    const double dot = (query_square + norm * norm - distance * distance) / 2;
    return static_cast<float>(std::clamp(dot / lengths, -1.0, 1.0));
}

MatchResult Matcher::match(const Embedding &probe) const {
    MatchResult result;
    result.metric = metric_name(options_.metric);
    result.threshold = common_threshold(probe);
    const auto decide = [&result](FaceState state, FaceReason reason) {
        result.state = state;
        result.reason = reason;
    };
    if (!usable_values(probe)) {
        decide(FaceState::Unusable, FaceReason::NotEmbedded);
        return result;
    }
    if (gallery_->empty()) {
        decide(FaceState::Unknown, FaceReason::EmptyGallery);
        return result;
    }
    if (!probe.stamp || *probe.stamp != *snapshot().stamp ||
        probe.values.size() != static_cast<std::size_t>(snapshot().stamp->dims)) {
        decide(FaceState::Unusable, FaceReason::WrongModel);
        return result;
    }

    const auto top_k = static_cast<std::size_t>(options_.top_k);
    auto found = gallery_->find_people(probe.values, wanted_people(top_k));
    if (!found) { // no memory, no server: this face stays undecided, the stream goes on
        decide(FaceState::Unusable, FaceReason::NotEmbedded);
        return result;
    }
    std::vector<NearPerson> &people = *found;
    if (people.empty()) {
        decide(FaceState::Unknown, FaceReason::EmptyGallery);
        return result;
    }
    if (is_ignored(probe, people.front().distance)) {
        decide(FaceState::Unusable, FaceReason::Ignored);
        return result;
    }
    strike_out(probe, people);
    if (people.empty()) {
        decide(FaceState::Unknown, FaceReason::BelowThreshold);
        return result;
    }
    if (people.size() >= 2)
        result.margin = people[1].distance - people[0].distance;
    for (const NearPerson &person : people) {
        if (result.candidates.size() == top_k)
            break;
        result.candidates.push_back(
            {person.id, person.label, person.distance, similarity(person, probe.values)});
    }
    result.threshold = threshold_of(result.candidates.front().id, probe);
    if (people.front().distance > result.threshold)
        decide(FaceState::Unknown, FaceReason::BelowThreshold);
    else if (options_.margin > 0 && result.margin && *result.margin < options_.margin)
        decide(FaceState::Ambiguous, FaceReason::Ambiguous);
    else
        decide(FaceState::Known, FaceReason::None);
    return result;
}

} // namespace sphere
