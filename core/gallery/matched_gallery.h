// SPDX-License-Identifier: MIT
// A gallery's people and the index over their faces, as a Matcher searches them.
#pragma once

#include "core/gallery/face_search.h"
#include "core/gallery/index_file.h"

#include <memory>

namespace sphere {

/// What of a person is compared.
enum class PersonTemplate : std::uint8_t {
    Best, ///< every face of theirs: the nearest counts
    Mean, ///< the mean of their faces (of unit length each, for cosine)
};

struct GalleryOptions {
    Metric metric = Metric::Cosine;
    std::string index = "auto";
    PersonTemplate compare = PersonTemplate::Best;
    IndexOptions search{};
    /// The faces stay in the store, which searches them.
    bool in_store() const { return index == kStoreIndex; }
    bool operator==(const GalleryOptions &other) const {
        return metric == other.metric && index == other.index && compare == other.compare &&
               search.threads == other.search.threads;
    }
};

/// Somebody who may be it.
struct NearPerson {
    std::string id;
    std::string label;
    float distance = 0; ///< of the nearest face, or of the mean
    float norm = 0;     ///< the length of that embedding
};

/// Immutable; searched from any thread.
class MatchedGallery {
  public:
    /// `at_once`: with an index that is made in no time, where the wanted one may take minutes;
    /// wants_rebuild() says so then.
    static Result<std::shared_ptr<const MatchedGallery>>
    build(GallerySnapshot snapshot, const GalleryOptions &options, bool at_once = false);
    /// What an index file of these options held.
    static Result<std::shared_ptr<const MatchedGallery>> open(IndexFile file,
                                                              const GalleryOptions &options);
    /// Searched by the store (GalleryOptions::in_store()): `outline` has no faces, and `search`
    /// is null where the store has none either.
    static Result<std::shared_ptr<const MatchedGallery>>
    in_store(GallerySnapshot outline, const GalleryOptions &options,
             std::shared_ptr<const FaceSearch> search);
    /// As `fresh` has it: only what changed goes into (a fork of) the index. This one goes on
    /// serving whoever has it.
    Result<std::shared_ptr<const MatchedGallery>> updated(GallerySnapshot fresh) const;

    /// The first face of each of the nearest people, nearest first, at most `people`: hits'
    /// ids are places in snapshot().faces. Empty where there is no memory to search.
    std::vector<Hit> nearest_people(std::span<const float> query, std::size_t people) const;
    /// The same with all that is to be known of them, and in a store, too. Errors: as
    /// FaceSearch::nearest, Internal (memory).
    Result<std::vector<NearPerson>> find_people(std::span<const float> query,
                                                std::size_t people) const;
    /// Nobody is to be found. (In a store there may be nobody all the same.)
    bool empty() const;

    /// Faces by ascending id, without their embeddings: the index has them.
    const GallerySnapshot &snapshot() const { return file_.snapshot; }
    float norm(std::size_t place) const { return file_.norms[place]; }
    const GalleryOptions &options() const { return options_; }
    /// The index is approximate and much changed since it was made, or another kind would suit
    /// its size: build() anew when there is time.
    bool wants_rebuild() const;
    /// How many faces were added or removed since build() or open().
    std::size_t changed() const { return changed_; }
    /// For write_index_file().
    const IndexFile &file() const { return file_; }
    bool can_be_saved() const;

  private:
    MatchedGallery() = default;
    Result<void> fill(Index &index);
    Result<void> fill_means(Index &index);
    std::optional<std::size_t> place_of(std::int64_t face_id) const;

    GalleryOptions options_;
    IndexFile file_;
    std::shared_ptr<const FaceSearch> search_; ///< in a store; null where nobody is there
    std::size_t built_ = 0;
    std::size_t changed_ = 0;
};

} // namespace sphere
