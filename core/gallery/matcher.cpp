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
    if (!std::isfinite(options.margin) || options.margin < 0)
        return fail(Errc::InvalidArgument, "margin ", options.margin,
                    " is not a distance: it must be 0 (off) or more");
    if (options.top_k < 1 || options.top_k > kMaxTopK)
        return fail(Errc::InvalidArgument, "top-k ", options.top_k, ": 1 to ", kMaxTopK,
                    " are possible");
    return {};
}

/// Every face's embedding into the index, with the face's place in the snapshot as id.
Result<void> fill_index(Index &index, GallerySnapshot &snapshot, Metric metric) {
    const auto dims = static_cast<std::size_t>(snapshot.stamp->dims);
    for (std::size_t i = 0; i < snapshot.faces.size(); ++i) {
        std::vector<float> &embedding = snapshot.faces[i].embedding;
        if (embedding.size() != dims)
            return fail(Errc::Corrupt, "gallery: face ", snapshot.faces[i].face_id, " has ",
                        embedding.size(), " values, its gallery ", dims);
        const std::int64_t id = static_cast<std::int64_t>(i);
        SPHERE_TRY(index.add({&id, 1}, embedding));
        // Similarity is the cosine whatever the metric: euclidean still needs the raw vector.
        if (metric == Metric::Cosine)
            std::vector<float>().swap(embedding);
    }
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

/// The first hit of each person, nearest person first, at most `people`. Asks the index for
/// more until there are enough: the nearest rows may all be of one person.
std::vector<Hit> nearest_people(const Index &index, const std::vector<EnrolledFace> &faces,
                                std::span<const float> query, std::size_t people) {
    for (std::size_t k = std::max<std::size_t>(16, 4 * people);; k *= 4) {
        const auto hits = index.search(query, k);
        if (!hits)
            return {};
        std::vector<Hit> best;
        for (const Hit &hit : *hits) {
            const std::string &person = faces[static_cast<std::size_t>(hit.id)].person_id;
            const bool seen = std::any_of(best.begin(), best.end(), [&](const Hit &other) {
                return faces[static_cast<std::size_t>(other.id)].person_id == person;
            });
            if (!seen)
                best.push_back(hit);
            if (best.size() == people)
                return best;
        }
        if (hits->size() < k)
            return best;
    }
}

} // namespace

float default_margin(Metric metric) {
    return metric == Metric::Cosine ? 0.05F : 0.0F;
}

Result<std::shared_ptr<const Matcher>> Matcher::build(GallerySnapshot snapshot,
                                                      const MatchOptions &options) {
    SPHERE_TRY(check_options(options));
    if (!snapshot.faces.empty() && !snapshot.stamp)
        return fail(Errc::InvalidArgument, "gallery: ", snapshot.faces.size(),
                    " faces without a stamp that says which model made them");
    SPHERE_TRY(check_negatives(snapshot));
    std::shared_ptr<Matcher> matcher(new Matcher);
    matcher->options_ = options;
    // An index is made for an empty gallery too: a wrong name must not wait for the first face.
    auto index = make_index(options.index, snapshot.faces.empty() ? 1 : snapshot.stamp->dims,
                            options.metric);
    if (!index)
        return index.error();
    matcher->index_ = std::move(*index);
    if (!snapshot.faces.empty())
        SPHERE_TRY(fill_index(*matcher->index_, snapshot, options.metric));
    matcher->snapshot_ = std::move(snapshot);
    return std::shared_ptr<const Matcher>(std::move(matcher));
}

float Matcher::threshold_of(const std::string &person) const {
    const auto own = snapshot_.thresholds.find(person);
    return own == snapshot_.thresholds.end() ? options_.threshold : own->second;
}

/// So many that enough are left when those are struck out whom the probe is known not to be.
std::size_t Matcher::wanted_people(std::size_t top_k) const {
    const auto named =
        std::count_if(snapshot_.negatives.begin(), snapshot_.negatives.end(),
                      [](const NegativeFace &n) { return !n.person_id.empty(); });
    return std::max<std::size_t>(top_k, 2) + static_cast<std::size_t>(named);
}

bool Matcher::is_ignored(std::span<const float> query, float nearest_person) const {
    const float distance = nearest_negative(snapshot_, {}, query, options_.metric);
    return distance <= options_.threshold && distance <= nearest_person;
}

/// Takes out the people of whom a negative is as near as they are themselves. Negatives farther
/// than the threshold say nothing about the probe.
void Matcher::strike_out(std::span<const float> query, std::vector<Hit> &people) const {
    if (snapshot_.negatives.empty())
        return;
    std::erase_if(people, [&](const Hit &hit) {
        const std::string &person = snapshot_.faces[static_cast<std::size_t>(hit.id)].person_id;
        const float distance = nearest_negative(snapshot_, person, query, options_.metric);
        return distance <= threshold_of(person) && distance <= hit.distance;
    });
}

MatchResult Matcher::match(const Embedding &probe) const {
    MatchResult result;
    result.metric = metric_name(options_.metric);
    result.threshold = options_.threshold;
    const auto decide = [&result](FaceState state, FaceReason reason) {
        result.state = state;
        result.reason = reason;
    };
    if (!usable_values(probe)) {
        decide(FaceState::Unusable, FaceReason::NotEmbedded);
        return result;
    }
    if (snapshot_.faces.empty()) {
        decide(FaceState::Unknown, FaceReason::EmptyGallery);
        return result;
    }
    if (!probe.stamp || *probe.stamp != *snapshot_.stamp ||
        probe.values.size() != static_cast<std::size_t>(snapshot_.stamp->dims)) {
        decide(FaceState::Unusable, FaceReason::WrongModel);
        return result;
    }

    const auto top_k = static_cast<std::size_t>(options_.top_k);
    std::vector<Hit> people =
        nearest_people(*index_, snapshot_.faces, probe.values, wanted_people(top_k));
    if (people.empty()) { // out of memory: this face stays undecided, the stream goes on
        decide(FaceState::Unusable, FaceReason::NotEmbedded);
        return result;
    }
    if (is_ignored(probe.values, people.front().distance)) {
        decide(FaceState::Unusable, FaceReason::Ignored);
        return result;
    }
    strike_out(probe.values, people);
    if (people.empty()) {
        decide(FaceState::Unknown, FaceReason::BelowThreshold);
        return result;
    }
    if (people.size() >= 2)
        result.margin = people[1].distance - people[0].distance;
    for (const Hit &hit : people) {
        if (result.candidates.size() == top_k)
            break;
        const EnrolledFace &face = snapshot_.faces[static_cast<std::size_t>(hit.id)];
        const float similarity = options_.metric == Metric::Cosine
                                     ? 1 - hit.distance
                                     : cosine_similarity(probe.values, face.embedding);
        result.candidates.push_back({face.person_id, face.label, hit.distance, similarity});
    }
    result.threshold = threshold_of(result.candidates.front().id);
    if (people.front().distance > result.threshold)
        decide(FaceState::Unknown, FaceReason::BelowThreshold);
    else if (options_.margin > 0 && result.margin && *result.margin < options_.margin)
        decide(FaceState::Ambiguous, FaceReason::Ambiguous);
    else
        decide(FaceState::Known, FaceReason::None);
    return result;
}

} // namespace sphere
