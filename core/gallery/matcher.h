// SPDX-License-Identifier: MIT
// Who is it? The open-set decision over a gallery snapshot.
#pragma once

#include "core/base/result.h"
#include "core/face/face.h"
#include "core/gallery/index.h"
#include "core/gallery/matched_gallery.h"
#include "core/gallery/store.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sphere {

struct MatchOptions {
    Metric metric = Metric::Cosine;
    float threshold = 0; ///< known when the best distance <= threshold
    /// Of embeddings of crops without colours; empty = the same.
    std::optional<float> monochrome_threshold{};
    float margin = 0.05F; ///< ambiguous when the second person is nearer than this; 0 = off
    int top_k = 1;        ///< candidates reported (distinct people)
    std::string index = "auto";
    PersonTemplate compare = PersonTemplate::Best;
    int threads = 1; ///< of one search in a large gallery

    /// What of these an index depends on.
    GalleryOptions gallery() const { return {metric, index, compare, {.threads = threads}}; }
};

/// The default margin of a metric: 0.05 for cosine, 0 (off) for euclidean, whose scale is the
/// model's.
float default_margin(Metric metric);

/// Immutable: built from a snapshot, searched from any thread.
class Matcher {
  public:
    static Result<std::shared_ptr<const Matcher>> build(GallerySnapshot snapshot,
                                                        const MatchOptions &options);
    /// Over a gallery that is ready. InvalidArgument where it was made with other options
    /// (MatchOptions::gallery()).
    static Result<std::shared_ptr<const Matcher>>
    over(std::shared_ptr<const MatchedGallery> gallery, const MatchOptions &options);

    /// The decision for one probe. A person's distance is that of its nearest face (or
    /// of its mean: MatchOptions::compare). States:
    /// Known; Unknown/below-threshold; Ambiguous (known by threshold, second person within the
    /// margin); Unknown/empty-gallery; Unusable/wrong-model where the stamp differs from the
    /// gallery's; Unusable/ignored where a face to ignore is within the threshold and as near
    /// as anybody. A person with a threshold of their own is judged by it; one of whom a
    /// negative is as near as they are is no candidate.
    MatchResult match(const Embedding &probe) const;

    /// Faces by ascending id, without their embeddings.
    const GallerySnapshot &snapshot() const { return gallery_->snapshot(); }
    const std::shared_ptr<const MatchedGallery> &gallery() const { return gallery_; }
    const MatchOptions &options() const { return options_; }

  private:
    Matcher() = default;
    float common_threshold(const Embedding &probe) const;
    float threshold_of(const std::string &person, const Embedding &probe) const;
    std::size_t wanted_people(std::size_t top_k) const;
    bool is_ignored(const Embedding &probe, float nearest_person) const;
    void strike_out(const Embedding &probe, std::vector<NearPerson> &people) const;
    float similarity(const NearPerson &person, std::span<const float> query) const;

    std::shared_ptr<const MatchedGallery> gallery_;
    MatchOptions options_;
};

} // namespace sphere
