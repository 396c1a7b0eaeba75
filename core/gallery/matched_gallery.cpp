// SPDX-License-Identifier: MIT
// People, their faces, and the index over them.
#include "core/gallery/matched_gallery.h"

#include "core/gallery/index_rows.h"
#include "core/gallery/index_stream.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <new>

namespace sphere {
namespace {

constexpr std::size_t kRowsAtOnce = 4096;
/// Another gallery's versions start elsewhere (sqlite_schema.cpp).
constexpr int kVersionLineBits = 20;

float norm_of(std::span<const float> values) {
    double squares = 0;
    for (const float value : values)
        squares += static_cast<double>(value) * value;
    return static_cast<float>(std::min(std::sqrt(squares), 3e38));
}

std::uint64_t print_of(const std::vector<float> &values) {
    StreamSum sum;
    sum.add(values.data(), values.size() * sizeof(float));
    return sum.value();
}

Result<void> check_snapshot(const GallerySnapshot &snapshot) {
    if (snapshot.faces.empty())
        return {};
    if (!snapshot.stamp)
        return fail(Errc::InvalidArgument, "gallery: ", snapshot.faces.size(),
                    " faces without a stamp that says which model made them");
    for (const EnrolledFace &face : snapshot.faces)
        if (face.embedding.size() != static_cast<std::size_t>(snapshot.stamp->dims))
            return fail(Errc::Corrupt, "gallery: face ", face.face_id, " has ",
                        face.embedding.size(), " values, its gallery ", snapshot.stamp->dims);
    return {};
}

void sort_faces(GallerySnapshot &snapshot) {
    const auto by_id = [](const EnrolledFace &a, const EnrolledFace &b) {
        return a.face_id < b.face_id;
    };
    if (!std::is_sorted(snapshot.faces.begin(), snapshot.faces.end(), by_id))
        std::sort(snapshot.faces.begin(), snapshot.faces.end(), by_id);
}

/// Rows on their way into an index, some thousand at once.
class Batch {
  public:
    Batch(Index &index, std::size_t dims) : index_(index), dims_(dims) {}
    Result<void> add(std::int64_t id, std::span<const float> values) {
        ids_.push_back(id);
        values_.insert(values_.end(), values.begin(), values.end());
        return ids_.size() < kRowsAtOnce ? Result<void>{} : flush();
    }
    Result<void> flush() {
        if (ids_.empty())
            return {};
        auto added = index_.add(ids_, {values_.data(), ids_.size() * dims_});
        ids_.clear();
        values_.clear();
        return added;
    }

  private:
    Index &index_;
    std::size_t dims_;
    std::vector<std::int64_t> ids_;
    std::vector<float> values_;
};

void release(std::vector<float> &values) {
    std::vector<float>().swap(values);
}

/// The first face of each person, in the order of nearest first.
template <typename Face, typename SamePerson>
std::vector<Face> first_of_each(std::vector<Face> faces, std::size_t people,
                                const SamePerson &same_person) {
    std::vector<Face> best;
    for (Face &face : faces) {
        if (best.size() == people)
            break;
        if (std::none_of(best.begin(), best.end(),
                         [&](const Face &other) { return same_person(other, face); }))
            best.push_back(std::move(face));
    }
    return best;
}

/// Asks for more until there are enough: the nearest faces may all be of one person. `faces`:
/// of k, nearest first.
template <typename Faces, typename SamePerson>
auto enough_people(std::size_t people, const Faces &faces, const SamePerson &same_person)
    -> decltype(faces(people)) {
    for (std::size_t k = std::max<std::size_t>(16, 4 * people), had = 0;; k *= 4) {
        auto found = faces(k);
        if (!found)
            return found;
        const std::size_t count = found->size();
        auto best = first_of_each(std::move(*found), people, same_person);
        // There are no more, or no more are to be had.
        if (best.size() == people || count < k || count == had)
            return best;
        had = count;
    }
}

} // namespace

Result<void> MatchedGallery::fill(Index &index) {
    Batch batch(index, static_cast<std::size_t>(file_.snapshot.stamp->dims));
    for (EnrolledFace &face : file_.snapshot.faces) {
        SPHERE_TRY(batch.add(face.face_id, face.embedding));
        release(face.embedding);
    }
    return batch.flush();
}

/// A row a person, under the id of their first face.
Result<void> MatchedGallery::fill_means(Index &index) {
    const auto dims = static_cast<std::size_t>(file_.snapshot.stamp->dims);
    std::map<std::string, std::vector<std::size_t>> people;
    for (std::size_t i = 0; i < file_.snapshot.faces.size(); ++i)
        people[file_.snapshot.faces[i].person_id].push_back(i);
    Batch batch(index, dims);
    std::vector<float> row(dims);
    for (const auto &[person, places] : people) {
        std::vector<double> sums(dims);
        for (const std::size_t place : places) {
            make_index_row(options_.metric, file_.snapshot.faces[place].embedding, row.data());
            for (std::size_t d = 0; d < dims; ++d)
                sums[d] += static_cast<double>(row[d]) / static_cast<double>(places.size());
        }
        for (std::size_t d = 0; d < dims; ++d)
            row[d] = static_cast<float>(sums[d]);
        file_.norms[places.front()] = norm_of(row);
        SPHERE_TRY(batch.add(file_.snapshot.faces[places.front()].face_id, row));
    }
    for (EnrolledFace &face : file_.snapshot.faces)
        release(face.embedding);
    return batch.flush();
}

Result<std::shared_ptr<const MatchedGallery>>
MatchedGallery::build(GallerySnapshot snapshot, const GalleryOptions &options, bool at_once) {
    SPHERE_TRY(check_snapshot(snapshot));
    try {
        std::shared_ptr<MatchedGallery> gallery(new MatchedGallery);
        gallery->options_ = options;
        IndexFile &file = gallery->file_;
        file.snapshot = std::move(snapshot);
        sort_faces(file.snapshot);
        const std::size_t rows = file.snapshot.faces.size();
        file.kind = choose_index_kind(options.index, rows);
        if (at_once && !file.kind.starts_with("exact")) {
            // A wrong name is said now, not when it is too late.
            if (const auto wanted =
                    make_index(file.kind, rows > 0 ? file.snapshot.stamp->dims : 1,
                               options.metric, options.search);
                !wanted)
                return wanted.error();
            file.kind = "exact-int8";
        }
        file.metric = options.metric;
        for (const EnrolledFace &face : file.snapshot.faces) {
            file.norms.push_back(norm_of(face.embedding));
            file.prints.push_back(print_of(face.embedding));
        }
        IndexOptions search = options.search;
        if (options.compare == PersonTemplate::Best)
            search.expected_rows = rows;
        // An index is made for an empty gallery too: a wrong name must not wait for a face.
        auto index = make_index(file.kind, rows > 0 ? file.snapshot.stamp->dims : 1,
                                options.metric, search);
        if (!index)
            return std::move(index).error();
        if (rows > 0)
            SPHERE_TRY(options.compare == PersonTemplate::Best ? gallery->fill(**index)
                                                               : gallery->fill_means(**index));
        file.index = std::move(*index);
        gallery->built_ = rows;
        return std::shared_ptr<const MatchedGallery>(std::move(gallery));
    } catch (const std::bad_alloc &) {
        return fail(Errc::Internal, "gallery: not enough memory to search it");
    }
}

Result<std::shared_ptr<const MatchedGallery>>
MatchedGallery::in_store(GallerySnapshot outline, const GalleryOptions &options,
                         std::shared_ptr<const FaceSearch> search) {
    if (options.compare != PersonTemplate::Best)
        return fail(Errc::InvalidArgument, "index ", kStoreIndex,
                    " compares every face of a person, not their mean: choose another index");
    std::shared_ptr<MatchedGallery> gallery(new MatchedGallery);
    gallery->options_ = options;
    gallery->file_.snapshot = std::move(outline);
    gallery->file_.kind = options.index;
    gallery->file_.metric = options.metric;
    gallery->search_ = std::move(search);
    return std::shared_ptr<const MatchedGallery>(std::move(gallery));
}

Result<std::shared_ptr<const MatchedGallery>>
MatchedGallery::open(IndexFile file, const GalleryOptions &options) {
    std::shared_ptr<MatchedGallery> gallery(new MatchedGallery);
    gallery->options_ = options;
    gallery->file_ = std::move(file);
    gallery->built_ = gallery->file_.snapshot.faces.size();
    return std::shared_ptr<const MatchedGallery>(std::move(gallery));
}

Result<std::shared_ptr<const MatchedGallery>>
MatchedGallery::updated(GallerySnapshot fresh) const {
    const GallerySnapshot &old = file_.snapshot;
    if (old.stamp != fresh.stamp || old.faces.empty() || fresh.faces.empty() ||
        options_.compare != PersonTemplate::Best ||
        old.version >> kVersionLineBits != fresh.version >> kVersionLineBits)
        return build(std::move(fresh), options_);
    SPHERE_TRY(check_snapshot(fresh));
    auto index = file_.index->fork();
    if (!index)
        return std::move(index).error();
    try {
        std::shared_ptr<MatchedGallery> gallery(new MatchedGallery);
        gallery->options_ = options_;
        gallery->built_ = built_;
        IndexFile &file = gallery->file_;
        file.kind = file_.kind;
        file.metric = file_.metric;
        sort_faces(fresh);
        // Both lists are sorted by id. One of the same id and another hash is another face.
        std::vector<std::int64_t> gone;
        std::vector<std::size_t> added;
        std::size_t place = 0;
        for (std::size_t i = 0; i < fresh.faces.size(); ++i) {
            const EnrolledFace &face = fresh.faces[i];
            for (; place < old.faces.size() && old.faces[place].face_id < face.face_id; ++place)
                gone.push_back(old.faces[place].face_id);
            const std::uint64_t print = print_of(face.embedding);
            const bool known =
                place < old.faces.size() && old.faces[place].face_id == face.face_id;
            const bool kept = known && file_.prints[place] == print;
            if (known && !kept)
                gone.push_back(face.face_id);
            if (!kept)
                added.push_back(i);
            place += known ? 1 : 0;
            file.norms.push_back(norm_of(face.embedding));
            file.prints.push_back(print);
        }
        for (; place < old.faces.size(); ++place)
            gone.push_back(old.faces[place].face_id);
        gallery->changed_ = changed_ + gone.size() + added.size();
        if (const auto removed = (*index)->remove(gone); !removed)
            return removed.error();
        Batch batch(**index, static_cast<std::size_t>(fresh.stamp->dims));
        for (const std::size_t i : added)
            SPHERE_TRY(batch.add(fresh.faces[i].face_id, fresh.faces[i].embedding));
        SPHERE_TRY(batch.flush());
        for (EnrolledFace &face : fresh.faces)
            release(face.embedding);
        file.snapshot = std::move(fresh);
        file.index = std::move(*index);
        return std::shared_ptr<const MatchedGallery>(std::move(gallery));
    } catch (const std::bad_alloc &) {
        return fail(Errc::Internal, "gallery: not enough memory to take up its changes");
    }
}

std::optional<std::size_t> MatchedGallery::place_of(std::int64_t face_id) const {
    const auto &faces = file_.snapshot.faces;
    const auto found = std::lower_bound(
        faces.begin(), faces.end(), face_id,
        [](const EnrolledFace &face, std::int64_t id) { return face.face_id < id; });
    if (found == faces.end() || found->face_id != face_id)
        return std::nullopt;
    return static_cast<std::size_t>(found - faces.begin());
}

std::vector<Hit> MatchedGallery::nearest_people(std::span<const float> query,
                                                std::size_t people) const {
    const auto &faces = file_.snapshot.faces;
    auto best = enough_people(
        people,
        [&](std::size_t k) -> Result<std::vector<Hit>> {
            auto hits = file_.index->search(query, k);
            if (!hits)
                return hits;
            for (Hit &hit : *hits) // a damaged index file may name faces that are not there
                hit.id = static_cast<std::int64_t>(place_of(hit.id).value_or(faces.size()));
            return hits;
        },
        [&](const Hit &a, const Hit &b) {
            const auto i = static_cast<std::size_t>(a.id);
            const auto j = static_cast<std::size_t>(b.id);
            return i == j || (i < faces.size() && j < faces.size() &&
                              faces[i].person_id == faces[j].person_id);
        });
    if (!best)
        return {};
    std::erase_if(*best, [&](const Hit &hit) {
        return static_cast<std::size_t>(hit.id) >= faces.size();
    });
    return std::move(*best);
}

Result<std::vector<NearPerson>> MatchedGallery::find_people(std::span<const float> query,
                                                            std::size_t people) const {
    std::vector<NearPerson> found;
    if (!options_.in_store()) {
        for (const Hit &hit : nearest_people(query, people)) {
            const auto place = static_cast<std::size_t>(hit.id);
            const EnrolledFace &face = file_.snapshot.faces[place];
            found.push_back({face.person_id, face.label, hit.distance, file_.norms[place]});
        }
        if (found.empty() && !empty())
            return fail(Errc::Internal, "gallery: not enough memory to search it");
        return found;
    }
    if (!search_)
        return found;
    auto faces = enough_people(
        people, [&](std::size_t k) { return search_->nearest(query, k); },
        [](const FoundFace &a, const FoundFace &b) { return a.person_id == b.person_id; });
    if (!faces)
        return std::move(faces).error();
    for (FoundFace &face : *faces)
        found.push_back(
            {std::move(face.person_id), std::move(face.label), face.distance, face.norm});
    return found;
}

bool MatchedGallery::empty() const {
    return options_.in_store() ? search_ == nullptr : file_.snapshot.faces.empty();
}

bool MatchedGallery::wants_rebuild() const {
    if (choose_index_kind(options_.index, file_.snapshot.faces.size()) != file_.kind)
        return true;
    return !options_.in_store() && !file_.kind.starts_with("exact") && changed_ * 10 > built_;
}

bool MatchedGallery::can_be_saved() const {
    return options_.compare == PersonTemplate::Best && file_.snapshot.stamp &&
           dynamic_cast<const SavedIndex *>(file_.index.get()) != nullptr;
}

} // namespace sphere
