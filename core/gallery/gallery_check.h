// SPDX-License-Identifier: MIT
// Is a gallery fit to be used: is its threshold safe, are its photographs good, are its names
// right? And the same questions of a single face before it is enrolled.
#pragma once

#include "core/gallery/index.h"
#include "core/gallery/people_admin.h"
#include "core/gallery/store.h"

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace sphere {

struct CheckOptions {
    Metric metric = Metric::Cosine;
    float threshold = 0;                                           ///< the one in use
    float margin = 0;                                              ///< likewise; 0 = off
    float most_threshold = std::numeric_limits<float>::infinity(); ///< that is suggested
    double target_far = 0.01; ///< wanted share of strangers who are named
    int most_probes = 4000;   ///< of more faces, evenly chosen ones are tried
    int threads = 1;          ///< of a search in a large gallery
    /// Told of probes that are done, of so many.
    std::function<void(std::size_t done, std::size_t all)> progress{};
};

enum class FindingKind : std::uint8_t {
    Duplicate,   ///< the same picture twice for one person
    TwoNames,    ///< faces of two people within the threshold: one person, or too much alike
    Outlier,     ///< farther than the threshold from all other faces of its person
    Unusable,    ///< a photograph of low quality
    NoEmbedding, ///< kept, without an embedding of the model in use
};
const char *finding_name(FindingKind kind); ///< "duplicate", "two-names" …

struct Finding {
    FindingKind kind = FindingKind::Duplicate;
    std::int64_t face_id = 0;
    std::string person_id;
    std::int64_t other_face_id = 0; ///< 0: none
    std::string other_person_id;
    float value = 0; ///< distance by the metric, or the quality's score
};

/// What leaving one out shows. A face of which all of its person's faces are taken out of the
/// gallery stands for a stranger; one that is taken out alone, for a person who comes by.
struct GalleryCheck {
    std::size_t probes = 0;          ///< faces that were left out
    std::size_t strangers = 0;       ///< tried
    std::size_t strangers_named = 0; ///< at the threshold and margin in use
    std::size_t returning = 0;       ///< tried: faces of people with two or more
    std::size_t returning_named = 0; ///< rightly
    /// The highest threshold at which no more than target_far of the strangers are named, with
    /// the margin in use, and never above most_threshold; empty where there are fewer than two
    /// people.
    std::optional<float> suggested_threshold;
    /// At the suggested one.
    std::size_t returning_named_suggested = 0;
    bool unsafe = false; ///< more than target_far of the strangers are named
    std::vector<Finding> findings;
};

/// What a recogniser says of itself, for a face against a whole gallery: a CheckOptions::
/// most_threshold. The faces of a gallery are few beside all strangers there are: that few of
/// them would be taken for another gives no reason to go beyond it. Empty where its descriptor
/// is not found or has none.
std::optional<float> own_threshold(const std::optional<EmbeddingStamp> &stamp, Metric metric);

/// `faces` are those of `snapshot` with what else is known of them; may be empty. Cosine
/// distances of 1e-4 or less are the same picture. Errors: InvalidArgument, as make_index.
Result<GalleryCheck> check_gallery(const GallerySnapshot &snapshot,
                                   const std::vector<FaceRecord> &faces,
                                   const CheckOptions &options);

/// A picture below this quality gives wrong matches later (the scale is
/// core/face/quality.cpp's; sharp frontal photographs score above 0.6).
inline constexpr float kLowQualityScore = 0.3F;

/// Cosine distance up to which two embeddings are of one picture.
inline constexpr float kSamePictureDistance = 1e-4F;

/// Looks at faces one by one as they come to be enrolled.
class EnrolmentAdvisor {
  public:
    /// Knows the faces of `snapshot` from the start; `dims` are those of the faces to come.
    static Result<EnrolmentAdvisor> make(const GallerySnapshot &snapshot, int dims,
                                         Metric metric, float threshold);

    struct Advice {
        bool same_picture = false; ///< the person has this face already: do not enrol it
        std::string looks_like;    ///< another person within the threshold, or empty
        float distance = 0;        ///< to them, or to the same picture
        std::string source;        ///< of the same picture, where it was added here
    };
    Result<Advice> consider(const std::string &person_id,
                            std::span<const float> embedding) const;

    Result<void> add(const std::string &person_id, const std::string &source,
                     std::span<const float> embedding);

    /// Of the faces that were added: those that do not belong to most of their person's, each
    /// of which is within the threshold of another. A folder with mixed people shows so.
    struct Misfit {
        std::string person_id;
        std::string source;
        float distance = 0; ///< to the nearest of most
    };
    std::vector<Misfit> misfits() const;

  private:
    std::vector<std::size_t> main_group(const std::vector<std::size_t> &faces) const;
    float distance(std::size_t a, std::size_t b) const;
    struct Row {
        std::string person_id;
        std::string source;
        std::vector<float> embedding;
        bool added = false;
    };
    EnrolmentAdvisor() = default;
    Metric metric_ = Metric::Cosine;
    float threshold_ = 0;
    std::unique_ptr<Index> index_;
    std::vector<Row> rows_; ///< by the index's ids
    std::unordered_map<std::string, std::vector<std::size_t>> by_person_;
};

} // namespace sphere
