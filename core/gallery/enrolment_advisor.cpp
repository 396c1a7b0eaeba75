// SPDX-License-Identifier: MIT
// A look at faces before they are enrolled.
#include "core/gallery/gallery_check.h"

#include <algorithm>

namespace sphere {

Result<EnrolmentAdvisor> EnrolmentAdvisor::make(const GallerySnapshot &snapshot, int dims,
                                                Metric metric, float threshold) {
    EnrolmentAdvisor advisor;
    advisor.metric_ = metric;
    advisor.threshold_ = threshold;
    auto index = make_index("exact", dims, metric);
    if (!index)
        return std::move(index).error();
    advisor.index_ = std::move(*index);
    for (const EnrolledFace &face : snapshot.faces)
        SPHERE_TRY(advisor.add(face.person_id, {}, face.embedding));
    for (Row &row : advisor.rows_)
        row.added = false;
    return advisor;
}

Result<EnrolmentAdvisor::Advice>
EnrolmentAdvisor::consider(const std::string &person_id,
                           std::span<const float> embedding) const {
    Advice advice;
    const auto own = by_person_.find(person_id);
    if (own != by_person_.end())
        for (const std::size_t i : own->second) {
            const float distance = 1 - cosine_similarity(embedding, rows_[i].embedding);
            if (distance > kSamePictureDistance)
                continue;
            advice.same_picture = true;
            advice.source = rows_[i].source;
            advice.distance = distance;
            return advice;
        }
    // Enough that a look-alike is not hidden behind the person's own faces.
    const std::size_t k = 4 + (own == by_person_.end() ? 0 : own->second.size());
    auto hits = index_->search(embedding, k);
    if (!hits)
        return std::move(hits).error();
    for (const Hit &hit : *hits) {
        const Row &row = rows_[static_cast<std::size_t>(hit.id)];
        if (row.person_id == person_id || hit.distance > threshold_)
            continue;
        advice.looks_like = row.person_id;
        advice.distance = hit.distance;
        break;
    }
    return advice;
}

Result<void> EnrolmentAdvisor::add(const std::string &person_id, const std::string &source,
                                   std::span<const float> embedding) {
    const auto id = static_cast<std::int64_t>(rows_.size());
    SPHERE_TRY(index_->add({&id, 1}, embedding));
    by_person_[person_id].push_back(rows_.size());
    rows_.push_back({person_id, source, {embedding.begin(), embedding.end()}, true});
    return {};
}

std::vector<EnrolmentAdvisor::Misfit> EnrolmentAdvisor::misfits() const {
    std::vector<Misfit> found;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        const Row &row = rows_[i];
        if (!row.added)
            continue;
        std::optional<float> nearest;
        for (const std::size_t other : by_person_.at(row.person_id))
            if (other != i) {
                const float distance =
                    metric_distance(metric_, row.embedding, rows_[other].embedding);
                nearest = std::min(nearest.value_or(distance), distance);
            }
        if (nearest && *nearest > threshold_)
            found.push_back({row.person_id, row.source, *nearest});
    }
    return found;
}

} // namespace sphere
