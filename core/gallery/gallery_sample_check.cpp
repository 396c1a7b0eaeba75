// SPDX-License-Identifier: MIT
// Leaving out some faces of many.
#include "core/gallery/gallery_sample_check.h"

#include "core/gallery/leave_one_out.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace sphere {
namespace {

constexpr std::size_t kAtOnce = 32; ///< faces a search
constexpr std::size_t kHits = 64;   ///< asked for at first: a person may have many faces
constexpr std::size_t kMostHits = 4096;

/// Of `count` places `wanted`, so that those of any first part are spread evenly, too: steps of
/// the golden ratio.
std::vector<std::size_t> spread_places(std::size_t count, std::size_t wanted) {
    constexpr double kStep = 0.6180339887498949;
    std::vector<std::size_t> places;
    std::unordered_set<std::size_t> taken;
    for (std::size_t i = 0; places.size() < std::min(count, wanted); ++i) {
        const double part = std::fmod((static_cast<double>(i) + 0.5) * kStep, 1.0);
        const auto place =
            std::min(count - 1, static_cast<std::size_t>(part * static_cast<double>(count)));
        if (taken.insert(place).second)
            places.push_back(place);
        else if (i > 8 * wanted) // of few faces nearly all were taken
            break;
    }
    return places;
}

/// A face that was found beside the one that is left out.
struct Neighbour {
    std::int64_t face_id = 0;
    std::string_view person;
    float distance = 0;
};

/// `neighbours`: nearest first; `every`: there are no more. False: two other people are not
/// among them, and more may be.
bool read_neighbours(std::int64_t self, std::string_view person, bool alone,
                     std::span<const Neighbour> neighbours, bool every, LeftOut &probe) {
    probe = {};
    if (!alone) // farther than all that is found, if not among it
        probe.own = std::numeric_limits<float>::infinity();
    const Neighbour *other = nullptr;
    for (const Neighbour &found : neighbours) {
        if (found.face_id == self)
            continue;
        if (found.person == person) {
            if (probe.own)
                probe.own = std::min(*probe.own, found.distance);
        } else if (other == nullptr) {
            other = &found;
            probe.other = found.distance;
        } else if (found.person != other->person) {
            probe.second = found.distance;
            return true;
        }
    }
    return every;
}

class SampleCheck {
  public:
    SampleCheck(const MatchedGallery &gallery, std::vector<std::size_t> places)
        : faces_(gallery.snapshot().faces), index_(*gallery.file().index),
          places_(std::move(places)) {
        for (const std::size_t place : places_)
            faces_of_[faces_[place].person_id] = 0;
        for (const EnrolledFace &face : faces_)
            if (const auto found = faces_of_.find(face.person_id); found != faces_of_.end())
                ++found->second;
        if (gallery.options().compare == PersonTemplate::Mean) // one row a person
            for (auto &[person, faces] : faces_of_)
                faces = 1;
    }
    std::size_t size() const { return places_.size(); }
    /// Some of the places, into `probes`.
    Result<void> look(std::size_t first, std::size_t count, std::vector<LeftOut> &probes) const;

  private:
    const EnrolledFace *face(std::int64_t id) const {
        const auto found = std::lower_bound(faces_.begin(), faces_.end(), id,
                                            [](const EnrolledFace &face, std::int64_t wanted) {
                                                return face.face_id < wanted;
                                            });
        return found != faces_.end() && found->face_id == id ? &*found : nullptr;
    }
    /// False: two others are not among `hits`, and more may be.
    bool read(const EnrolledFace &self, const std::vector<Hit> &hits, std::size_t asked,
              LeftOut &probe) const;

    const std::vector<EnrolledFace> &faces_;
    const Index &index_;
    std::vector<std::size_t> places_;
    std::unordered_map<std::string_view, std::size_t> faces_of_; ///< people of the sample
};

bool SampleCheck::read(const EnrolledFace &self, const std::vector<Hit> &hits,
                       std::size_t asked, LeftOut &probe) const {
    std::vector<Neighbour> neighbours;
    for (const Hit &hit : hits)
        if (const EnrolledFace *found = face(hit.id))
            neighbours.push_back({hit.id, found->person_id, hit.distance});
    return read_neighbours(self.face_id, self.person_id, faces_of_.at(self.person_id) <= 1,
                           neighbours, hits.size() < asked, probe);
}

Result<void> SampleCheck::look(std::size_t first, std::size_t count,
                               std::vector<LeftOut> &probes) const {
    std::vector<const EnrolledFace *> selves;
    std::vector<float> queries;
    for (std::size_t i = first; i < first + count; ++i) {
        auto row = index_.row(faces_[places_[i]].face_id);
        if (!row.ok() && row.error().code == Errc::NotFound)
            continue; // means are kept under their first face
        if (!row)
            return std::move(row).error();
        selves.push_back(&faces_[places_[i]]);
        queries.insert(queries.end(), row->begin(), row->end());
    }
    if (selves.empty())
        return {};
    const std::size_t dims = queries.size() / selves.size();
    auto lists = index_.search_many(queries, selves.size(), kHits);
    if (!lists)
        return std::move(lists).error();
    for (std::size_t i = 0; i < selves.size(); ++i) {
        LeftOut probe;
        bool done = read(*selves[i], (*lists)[i], kHits, probe);
        for (std::size_t k = 4 * kHits; !done && k <= kMostHits; k *= 4) {
            const auto hits = index_.search(std::span(queries).subspan(i * dims, dims), k);
            if (!hits)
                return hits.error();
            done = read(*selves[i], *hits, k, probe);
        }
        probes.push_back(probe);
    }
    return {};
}

Result<LeftOut> look_in_store(const FaceSearch &search, const SampledFace &self) {
    LeftOut probe;
    for (std::size_t k = kHits;; k *= 4) {
        const auto found = search.nearest(self.embedding, k);
        if (!found)
            return found.error();
        std::vector<Neighbour> neighbours;
        for (const FoundFace &face : *found)
            neighbours.push_back({face.face_id, face.person_id, face.distance});
        if (read_neighbours(self.face_id, self.person_id, self.faces_of_person <= 1, neighbours,
                            found->size() < k, probe) ||
            k >= kMostHits)
            return probe;
    }
}

} // namespace

Result<GalleryCheck> check_sample(const MatchedGallery &gallery, const CheckOptions &options,
                                  std::chrono::milliseconds most_time,
                                  const std::atomic<bool> &stop) {
    if (gallery.options().in_store())
        return fail(Errc::Unsupported, "a gallery that its server searches is checked by "
                                       "spherectl gallery check");
    const auto end = std::chrono::steady_clock::now() + most_time;
    std::vector<LeftOut> probes;
    try {
        const std::size_t wanted = static_cast<std::size_t>(std::max(1, options.most_probes));
        const SampleCheck sample(gallery,
                                 spread_places(gallery.snapshot().faces.size(), wanted));
        for (std::size_t first = 0; first < sample.size() && !stop; first += kAtOnce) {
            if (first > 0 && std::chrono::steady_clock::now() >= end)
                break;
            SPHERE_TRY(sample.look(first, std::min(kAtOnce, sample.size() - first), probes));
        }
    } catch (const std::bad_alloc &) {
        return fail(Errc::Internal, "gallery: not enough memory to check it");
    }
    return judge_left_out(probes, options);
}

Result<GalleryCheck> check_sample(const FaceSearch &search, const FaceSample &sample,
                                  const CheckOptions &options,
                                  std::chrono::milliseconds most_time,
                                  const std::atomic<bool> &stop) {
    const auto end = std::chrono::steady_clock::now() + most_time;
    std::vector<LeftOut> probes;
    for (const std::size_t place : spread_places(
             sample.faces.size(), static_cast<std::size_t>(std::max(1, options.most_probes)))) {
        if (stop || (!probes.empty() && std::chrono::steady_clock::now() >= end))
            break;
        const auto probe = look_in_store(search, sample.faces[place]);
        if (!probe)
            return probe.error();
        probes.push_back(*probe);
    }
    return judge_left_out(probes, options);
}

} // namespace sphere
