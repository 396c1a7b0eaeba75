// SPDX-License-Identifier: MIT
// Leaving faces out of a gallery, and looking at them from it.
#include "core/gallery/gallery_check.h"

#include "core/gallery/leave_one_out.h"
#include "core/model/store.h"

#include <algorithm>
#include <span>
#include <unordered_map>

namespace sphere {
namespace {

constexpr std::size_t kAtOnce = 32; ///< faces a search

/// A face as a probe against the others.
struct Probe {
    std::size_t face = 0;
    std::optional<Hit> own;    ///< nearest other face of the same person
    std::optional<Hit> other;  ///< nearest of another person
    std::optional<Hit> second; ///< nearest of a third person
};

std::optional<float> distance_of(const std::optional<Hit> &hit) {
    return hit ? std::optional(hit->distance) : std::nullopt;
}

class Checker {
  public:
    Checker(const GallerySnapshot &snapshot, const CheckOptions &options)
        : faces_(snapshot.faces), options_(options) {}

    Result<void> fill(int dims) {
        auto index = make_index(choose_index_kind("auto", faces_.size()), dims, options_.metric,
                                {.threads = options_.threads});
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
    Result<void> probe_all();
    GalleryCheck judge() const;
    void find_faults(GalleryCheck &check) const;

  private:
    Result<void> look(std::span<const std::size_t> faces);
    void find_own(Probe &probe) const;
    /// False: two others are not among `hits`, and more may be.
    bool find_others(const std::vector<Hit> &hits, std::size_t asked, Probe &probe) const;
    const std::string &person(const Hit &hit) const {
        return faces_[static_cast<std::size_t>(hit.id)].person_id;
    }

    const std::vector<EnrolledFace> &faces_;
    CheckOptions options_;
    std::unique_ptr<Index> index_;
    std::unordered_map<std::string, std::vector<std::size_t>> by_person_;
    std::vector<Probe> probes_;
};

Result<void> Checker::probe_all() {
    const std::size_t most = static_cast<std::size_t>(std::max(1, options_.most_probes));
    const std::size_t count = std::min(faces_.size(), most);
    std::vector<std::size_t> group;
    for (std::size_t i = 0; i < count; ++i) {
        group.push_back(i * faces_.size() / count);
        if (group.size() < kAtOnce && i + 1 < count)
            continue;
        SPHERE_TRY(look(group));
        group.clear();
        if (options_.progress)
            options_.progress(i + 1, count);
    }
    return {};
}

void Checker::find_own(Probe &probe) const {
    for (const std::size_t i : by_person_.at(faces_[probe.face].person_id)) {
        if (i == probe.face)
            continue;
        const float distance =
            metric_distance(options_.metric, faces_[probe.face].embedding, faces_[i].embedding);
        if (!probe.own || distance < probe.own->distance)
            probe.own = Hit{static_cast<std::int64_t>(i), distance};
    }
}

bool Checker::find_others(const std::vector<Hit> &hits, std::size_t asked, Probe &probe) const {
    probe.other.reset();
    for (const Hit &hit : hits) {
        if (person(hit) == faces_[probe.face].person_id)
            continue;
        if (!probe.other)
            probe.other = hit;
        else if (person(hit) != person(*probe.other)) {
            probe.second = hit;
            return true;
        }
    }
    return hits.size() < asked;
}

/// Several at once: that costs a fraction of one by one.
Result<void> Checker::look(std::span<const std::size_t> faces) {
    constexpr std::size_t kFirst = 16;
    std::vector<float> queries;
    for (const std::size_t face : faces)
        queries.insert(queries.end(), faces_[face].embedding.begin(),
                       faces_[face].embedding.end());
    const auto lists = index_->search_many(queries, faces.size(), kFirst);
    if (!lists)
        return lists.error();
    for (std::size_t i = 0; i < faces.size(); ++i) {
        Probe probe;
        probe.face = faces[i];
        find_own(probe);
        bool done = find_others((*lists)[i], kFirst, probe);
        for (std::size_t k = 4 * kFirst; !done; k *= 4) {
            const auto hits = index_->search(faces_[probe.face].embedding, k);
            if (!hits)
                return hits.error();
            done = find_others(*hits, k, probe);
        }
        probes_.push_back(probe);
    }
    return {};
}

GalleryCheck Checker::judge() const {
    std::vector<LeftOut> distances;
    distances.reserve(probes_.size());
    for (const Probe &probe : probes_)
        distances.push_back(
            {distance_of(probe.own), distance_of(probe.other), distance_of(probe.second)});
    return judge_left_out(distances, options_);
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

std::optional<float> own_threshold(const std::optional<EmbeddingStamp> &stamp, Metric metric) {
    if (!stamp)
        return std::nullopt;
    const auto descriptor = ModelStore::from_environment().find(stamp->model);
    if (!descriptor)
        return std::nullopt;
    const auto found = descriptor->metrics.find(metric_name(metric));
    if (found == descriptor->metrics.end())
        return std::nullopt;
    return static_cast<float>(found->second.identifying());
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
