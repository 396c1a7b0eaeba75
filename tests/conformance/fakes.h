// SPDX-License-Identifier: MIT
// The simplest Index, Store and Publisher that keep the contract, to hold the suites themselves
// to it.
#pragma once

#include "core/gallery/enrolment_check.h"
#include "core/gallery/index.h"
#include "core/gallery/store.h"
#include "core/publish/publisher.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>

namespace sphere::testing {

/// Brute force over a map, distances by metric_distance().
class FakeIndex final : public Index {
  public:
    FakeIndex(int dims, Metric metric)
        : dims_(static_cast<std::size_t>(dims)), metric_(metric) {}

    Result<void> add(std::span<const std::int64_t> ids,
                     std::span<const float> vectors) override {
        if (vectors.size() != ids.size() * dims_)
            return fail(Errc::InvalidArgument, "sizes");
        auto rows = rows_;
        for (std::size_t i = 0; i < ids.size(); ++i) {
            const auto row = vectors.subspan(i * dims_, dims_);
            if (!finite(row) ||
                !rows.emplace(ids[i], std::vector(row.begin(), row.end())).second)
                return fail(Errc::InvalidArgument, "a row");
        }
        rows_ = std::move(rows);
        return {};
    }
    Result<std::size_t> remove(std::span<const std::int64_t> ids) override {
        std::size_t removed = 0;
        for (const std::int64_t id : ids)
            removed += rows_.erase(id);
        return removed;
    }
    Result<HitLists> search_many(std::span<const float> queries, std::size_t count,
                                 std::size_t k) const override {
        if (queries.size() != count * dims_ || !finite(queries))
            return fail(Errc::InvalidArgument, "queries");
        HitLists lists;
        for (std::size_t q = 0; q < count; ++q)
            lists.push_back(search_one(queries.subspan(q * dims_, dims_), k));
        return lists;
    }
    std::size_t size() const override { return rows_.size(); }
    Result<std::unique_ptr<Index>> fork() const override {
        return std::unique_ptr<Index>(new FakeIndex(*this));
    }

  private:
    std::vector<Hit> search_one(std::span<const float> query, std::size_t k) const {
        std::vector<Hit> hits;
        for (const auto &[id, row] : rows_)
            hits.push_back({id, metric_distance(metric_, query, row)});
        std::stable_sort(hits.begin(), hits.end(),
                         [](const Hit &a, const Hit &b) { return a.distance < b.distance; });
        hits.resize(std::min(k, hits.size()));
        return hits;
    }
    static bool finite(std::span<const float> values) {
        return std::all_of(values.begin(), values.end(),
                           [](float v) { return std::isfinite(v); });
    }
    std::size_t dims_;
    Metric metric_;
    std::map<std::int64_t, std::vector<float>> rows_;
};

/// What several FakeStores of one location share, as several processes share a file.
struct FakeGallery {
    std::mutex mutex;
    std::int64_t version = 1;
    std::int64_t next_face = 1;
    std::optional<EmbeddingStamp> stamp;
    std::vector<EnrolledFace> faces;
};

class FakeStore final : public Store {
  public:
    explicit FakeStore(std::shared_ptr<FakeGallery> gallery) : gallery_(std::move(gallery)) {}

    Result<std::vector<std::int64_t>> enrol(const EmbeddingStamp &stamp,
                                            const std::vector<Enrolment> &faces) override {
        SPHERE_TRY(check_enrolments(stamp, faces));
        const std::lock_guard lock(gallery_->mutex);
        std::vector<std::int64_t> ids;
        if (faces.empty())
            return ids;
        if (gallery_->stamp && *gallery_->stamp != stamp)
            return stamp_mismatch("fake", *gallery_->stamp, stamp);
        gallery_->stamp = stamp;
        for (const Enrolment &face : faces) {
            ids.push_back(gallery_->next_face++);
            gallery_->faces.push_back(
                {ids.back(), face.person_id, face.person_id, face.embedding});
        }
        ++gallery_->version;
        return ids;
    }
    Result<void> remove_person(const std::string &person_id) override {
        const std::lock_guard lock(gallery_->mutex);
        if (std::erase_if(gallery_->faces, [&](const EnrolledFace &face) {
                return face.person_id == person_id;
            }) == 0)
            return fail(Errc::NotFound, "no person ", person_id);
        if (gallery_->faces.empty())
            gallery_->stamp.reset();
        ++gallery_->version;
        return {};
    }
    Result<std::vector<Person>> list_people() override {
        const std::lock_guard lock(gallery_->mutex);
        std::map<std::string, Person> people;
        for (const EnrolledFace &face : gallery_->faces) {
            Person &person = people[face.person_id];
            person = {face.person_id, face.label, person.faces + 1};
        }
        std::vector<Person> list;
        for (const auto &[id, person] : people)
            list.push_back(person);
        return list;
    }
    Result<GallerySnapshot> load() override {
        const std::lock_guard lock(gallery_->mutex);
        return GallerySnapshot{gallery_->version, gallery_->stamp, gallery_->faces};
    }
    Result<std::int64_t> version() override {
        const std::lock_guard lock(gallery_->mutex);
        return gallery_->version;
    }

  private:
    std::shared_ptr<FakeGallery> gallery_;
};

class FakePublisher final : public Publisher {
  public:
    FakePublisher(std::string &text, bool embeddings) : text_(text), embeddings_(embeddings) {}
    Result<void> publish(const FrameRecord &record) override {
        text_ += to_json_line(record, embeddings_) + "\n";
        return {};
    }
    Result<void> publish(const EventRecord &record) override {
        text_ += to_json_line(record) + "\n";
        return {};
    }
    Result<void> flush() override { return {}; }

  private:
    std::string &text_;
    bool embeddings_;
};

} // namespace sphere::testing
