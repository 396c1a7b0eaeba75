// SPDX-License-Identifier: MIT
// Leaving faces out of a gallery, and looking at them from it.
#include "core/gallery/gallery_check.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace sphere {
namespace {

/// A face as a probe against the others.
struct Probe {
    std::size_t face = 0;
    std::optional<Hit> own;    ///< nearest other face of the same person
    std::optional<Hit> other;  ///< nearest of another person
    std::optional<Hit> second; ///< nearest of a third person
};

class Checker {
  public:
    Checker(const GallerySnapshot &snapshot, const CheckOptions &options)
        : faces_(snapshot.faces), options_(options) {}

    Result<void> fill(int dims) {
        auto index = make_index("exact", dims, options_.metric);
        if (!index)
            return std::move(index).error();
        index_ = std::move(*index);
        for (std::size_t i = 0; i < faces_.size(); ++i) {
            const auto id = static_cast<std::int64_t>(i);
            SPHERE_TRY(index_->add({&id, 1}, faces_[i].embedding));
            by_person_[faces_[i].person_id].push_back(i);
        }
        return {};
    }
    Result<void> probe_all() {
        const std::size_t most = static_cast<std::size_t>(std::max(1, options_.most_probes));
        const std::size_t count = std::min(faces_.size(), most);
        for (std::size_t i = 0; i < count; ++i) {
            auto probe = look(i * faces_.size() / count);
            if (!probe)
                return std::move(probe).error();
            probes_.push_back(*probe);
        }
        return {};
    }
    GalleryCheck judge() const;
    void find_faults(GalleryCheck &check) const;

  private:
    Result<Probe> look(std::size_t face) const;
    /// Named as somebody else if the own person were not there.
    bool stranger_named(const Probe &probe, float threshold) const;
    bool return_named(const Probe &probe, float threshold) const;
    std::optional<float> suggest() const;
    bool clear_margin(const std::optional<Hit> &first, const std::optional<Hit> &second) const {
        return options_.margin <= 0 || !second ||
               second->distance - first->distance >= options_.margin;
    }
    const std::string &person(const Hit &hit) const {
        return faces_[static_cast<std::size_t>(hit.id)].person_id;
    }
    std::size_t returning_named(float threshold) const {
        return static_cast<std::size_t>(
            std::count_if(probes_.begin(), probes_.end(),
                          [&](const Probe &probe) { return return_named(probe, threshold); }));
    }

    const std::vector<EnrolledFace> &faces_;
    CheckOptions options_;
    std::unique_ptr<Index> index_;
    std::unordered_map<std::string, std::vector<std::size_t>> by_person_;
    std::vector<Probe> probes_;
};

Result<Probe> Checker::look(std::size_t face) const {
    Probe probe;
    probe.face = face;
    const std::string &self = faces_[face].person_id;
    for (const std::size_t i : by_person_.at(self)) {
        if (i == face)
            continue;
        const float distance =
            metric_distance(options_.metric, faces_[face].embedding, faces_[i].embedding);
        if (!probe.own || distance < probe.own->distance)
            probe.own = Hit{static_cast<std::int64_t>(i), distance};
    }
    for (std::size_t k = 16;; k *= 4) {
        auto hits = index_->search(faces_[face].embedding, k);
        if (!hits)
            return std::move(hits).error();
        probe.other.reset();
        probe.second.reset();
        for (const Hit &hit : *hits) {
            if (person(hit) == self)
                continue;
            if (!probe.other)
                probe.other = hit;
            else if (person(hit) != person(*probe.other)) {
                probe.second = hit;
                return probe;
            }
        }
        if (hits->size() < k)
            return probe;
    }
}

bool Checker::stranger_named(const Probe &probe, float threshold) const {
    return probe.other && probe.other->distance <= threshold &&
           clear_margin(probe.other, probe.second);
}

bool Checker::return_named(const Probe &probe, float threshold) const {
    return probe.own && probe.own->distance <= threshold &&
           (!probe.other || (probe.own->distance < probe.other->distance &&
                             clear_margin(probe.own, probe.other)));
}

std::optional<float> Checker::suggest() const {
    std::vector<float> named; // at which threshold each stranger would be
    std::size_t strangers = 0;
    for (const Probe &probe : probes_) {
        if (!probe.other)
            continue;
        ++strangers;
        if (clear_margin(probe.other, probe.second))
            named.push_back(probe.other->distance);
    }
    if (strangers == 0)
        return std::nullopt;
    std::sort(named.begin(), named.end());
    const auto allowed = static_cast<std::size_t>(options_.target_far *
                                                  static_cast<double>(strangers) * (1 + 1e-9));
    if (allowed >= named.size()) // nobody more is ever named
        return named.empty() ? options_.threshold : std::max(options_.threshold, named.back());
    // Just below the first stranger too many. Too few of them to tell of a share that small
    // give no reason to go above the threshold in use.
    const float below = std::max(0.0F, std::nextafter(named[allowed], -1.0F));
    return allowed == 0 ? std::min(below, options_.threshold) : below;
}

GalleryCheck Checker::judge() const {
    GalleryCheck check;
    for (const Probe &probe : probes_) {
        check.strangers += probe.other.has_value();
        check.strangers_named += stranger_named(probe, options_.threshold);
        check.returning += probe.own.has_value();
    }
    check.returning_named = returning_named(options_.threshold);
    check.suggested_threshold = suggest();
    if (check.suggested_threshold)
        check.returning_named_suggested = returning_named(*check.suggested_threshold);
    check.unsafe = static_cast<double>(check.strangers_named) >
                   options_.target_far * static_cast<double>(check.strangers) * (1 + 1e-9);
    return check;
}

void Checker::find_faults(GalleryCheck &check) const {
    const auto add = [&](FindingKind kind, const Probe &probe, const Hit &hit) {
        const EnrolledFace &face = faces_[probe.face];
        const EnrolledFace &other = faces_[static_cast<std::size_t>(hit.id)];
        check.findings.push_back(
            {kind, face.face_id, face.person_id, other.face_id, other.person_id, hit.distance});
    };
    for (const Probe &probe : probes_) {
        const auto place = static_cast<std::int64_t>(probe.face);
        if (probe.own && probe.own->id < place && // once a pair
            1 - cosine_similarity(faces_[probe.face].embedding,
                                  faces_[static_cast<std::size_t>(probe.own->id)].embedding) <=
                kSamePictureDistance)
            add(FindingKind::Duplicate, probe, *probe.own);
        if (probe.own && probe.own->distance > options_.threshold)
            add(FindingKind::Outlier, probe, *probe.own);
        if (probe.other && probe.other->distance <= options_.threshold)
            add(FindingKind::TwoNames, probe, *probe.other);
    }
}

/// Of both sides of a pair of names, one is enough.
void drop_mirrored_pairs(std::vector<Finding> &findings) {
    const auto is_mirrored = [&](const Finding &finding) {
        return finding.kind == FindingKind::TwoNames &&
               finding.face_id > finding.other_face_id &&
               std::any_of(findings.begin(), findings.end(), [&](const Finding &other) {
                   return other.kind == FindingKind::TwoNames &&
                          other.face_id == finding.other_face_id &&
                          other.other_face_id == finding.face_id;
               });
    };
    std::vector<Finding> kept;
    std::copy_if(findings.begin(), findings.end(), std::back_inserter(kept),
                 [&](const Finding &finding) { return !is_mirrored(finding); });
    findings = std::move(kept);
}

} // namespace

const char *finding_name(FindingKind kind) {
    switch (kind) {
    case FindingKind::Duplicate:
        return "duplicate";
    case FindingKind::TwoNames:
        return "two-names";
    case FindingKind::Outlier:
        return "outlier";
    case FindingKind::Unusable:
        return "unusable";
    case FindingKind::NoEmbedding:
        return "no-embedding";
    }
    return "";
}

Result<GalleryCheck> check_gallery(const GallerySnapshot &snapshot,
                                   const std::vector<FaceRecord> &faces,
                                   const CheckOptions &options) {
    GalleryCheck check;
    if (snapshot.stamp && !snapshot.faces.empty()) {
        Checker checker(snapshot, options);
        SPHERE_TRY(checker.fill(snapshot.stamp->dims));
        SPHERE_TRY(checker.probe_all());
        check = checker.judge();
        checker.find_faults(check);
        drop_mirrored_pairs(check.findings);
    }
    for (const FaceRecord &face : faces) {
        if (face.quarantined)
            continue;
        if (!face.embedded)
            check.findings.push_back(
                {FindingKind::NoEmbedding, face.face_id, face.person_id, 0, {}, 0});
        if (face.quality && face.quality->score < kLowQualityScore)
            check.findings.push_back({FindingKind::Unusable,
                                      face.face_id,
                                      face.person_id,
                                      0,
                                      {},
                                      face.quality->score});
    }
    return check;
}

} // namespace sphere
