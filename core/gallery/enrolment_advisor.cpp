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

/// The largest group of a person's faces that hang together, each within the threshold of
/// another; of equally large ones that which was there first. Places in `faces`.
std::vector<std::size_t>
EnrolmentAdvisor::main_group(const std::vector<std::size_t> &faces) const {
    std::vector<std::size_t> largest;
    std::vector<char> seen(faces.size(), 0);
    for (std::size_t first = 0; first < faces.size(); ++first) {
        if (seen[first] != 0)
            continue;
        std::vector<std::size_t> group = {first};
        seen[first] = 1;
        for (std::size_t next = 0; next < group.size(); ++next)
            for (std::size_t i = 0; i < faces.size(); ++i)
                if (seen[i] == 0 && distance(faces[group[next]], faces[i]) <= threshold_) {
                    seen[i] = 1;
                    group.push_back(i);
                }
        if (group.size() > largest.size())
            largest = std::move(group);
    }
    return largest;
}

float EnrolmentAdvisor::distance(std::size_t a, std::size_t b) const {
    return metric_distance(metric_, rows_[a].embedding, rows_[b].embedding);
}

std::vector<EnrolmentAdvisor::Misfit> EnrolmentAdvisor::misfits() const {
    std::vector<std::pair<std::size_t, float>> found; // rows
    for (const auto &[person, faces] : by_person_) {
        if (std::none_of(faces.begin(), faces.end(),
                         [this](std::size_t row) { return rows_[row].added; }))
            continue;
        const std::vector<std::size_t> main = main_group(faces);
        std::vector<char> fits(faces.size(), 0);
        for (const std::size_t place : main)
            fits[place] = 1;
        for (std::size_t i = 0; i < faces.size(); ++i) {
            if (fits[i] != 0 || !rows_[faces[i]].added)
                continue;
            float nearest = distance(faces[i], faces[main.front()]);
            for (const std::size_t place : main)
                nearest = std::min(nearest, distance(faces[i], faces[place]));
            found.emplace_back(faces[i], nearest);
        }
    }
    std::sort(found.begin(), found.end()); // as they came
    std::vector<Misfit> misfits;
    misfits.reserve(found.size());
    for (const auto &[row, nearest] : found)
        misfits.push_back({rows_[row].person_id, rows_[row].source, nearest});
    return misfits;
}

} // namespace sphere
