// SPDX-License-Identifier: MIT
// A face in a picture, as far as it is known. Absent parts are empty, never sentinel numbers.
#pragma once

#include "core/image/geometry.h"
#include "core/image/image.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sphere {

/// Five points in frame pixels: eye, eye, nose, mouth corner, mouth corner; the image-left one
/// first in each pair.
using Landmarks5 = std::array<Point2f, 5>;

/// Five of the 68 points of the iBUG 300-W markup (0-based): eyes = mean of 37, 38, 40, 41 and
/// of 43, 44, 46, 47; nose 30; mouth = mean(48, 60) and mean(54, 64). `points` must hold 68.
Landmarks5 landmarks_from_68(const std::vector<Point2f> &points);

/// Swaps members of a pair that are not in image order, left first (after mirroring, say).
void order_landmarks(Landmarks5 &points);

struct Quality {
    float score = 0;           ///< [0, 1], all below together; 1 is best
    float sharpness = 0;       ///< [0, 1]
    float brightness = 0;      ///< mean luma of the crop, [0, 1]
    float yaw_deg = 0;         ///< estimated; positive: the face looks to the image's right
    float pitch_deg = 0;       ///< estimated; positive: it looks up
    float roll_deg = 0;        ///< positive: turned clockwise as seen
    float eye_distance_px = 0; ///< between the eye points, in the frame
};

/// What an embedding must have in common with another for a distance to mean something.
struct EmbeddingStamp {
    std::string model;
    std::string sha256; ///< of the weights
    std::string preprocessing;
    std::string template_name;
    std::string flip;
    int dims = 0; ///< after flip

    bool operator==(const EmbeddingStamp &) const = default;
    /// "model|sha256|preprocessing|template|flip|dims": equal exactly when the stamps are.
    std::string to_string() const;
    static std::optional<EmbeddingStamp> from_string(const std::string &text);
};

struct Embedding {
    std::shared_ptr<const EmbeddingStamp> stamp;
    std::vector<float> values; ///< raw network output after flip, not normalised
    bool monochrome = false;   ///< of a crop without colours, as cameras give them at night
};

enum class FaceState : std::uint8_t { Undecided, Known, Unknown, Ambiguous, Unusable };
const char *face_state_name(FaceState state); ///< "known" …; "" for Undecided

enum class FaceReason : std::uint8_t {
    None,
    TooSmall,
    Blurred,
    Profile,
    Truncated,
    NoLandmarks,
    LowQuality,
    NotEmbedded,
    BelowThreshold,
    Ambiguous,
    EmptyGallery,
    WrongModel,
    Ignored, ///< on the gallery's list of faces to ignore
};
const char *face_reason_name(FaceReason reason); ///< "too-small" …; "" for None

struct Candidate {
    std::string id;
    std::string label;
    float distance = 0;
    float similarity = 0; ///< always the cosine
    bool operator==(const Candidate &) const = default;
};

/// The decision's circumstances; `best` is set for known faces only.
struct MatchResult {
    FaceState state = FaceState::Undecided;
    FaceReason reason = FaceReason::None;
    std::vector<Candidate> candidates; ///< distinct people, nearest first
    std::string metric;
    float threshold = 0;
    std::optional<float>
        margin;           ///< second-best person's distance - best's; empty with one person
    std::string stranger; ///< "unknown-12": who it is among the strangers that are collected

    /// The recognised person, or null unless the state is Known.
    const Candidate *best() const {
        return state == FaceState::Known && !candidates.empty() ? &candidates.front() : nullptr;
    }
};

/// An estimate about a face: a number, or scores of classes.
struct Attribute {
    std::string name;  ///< "age", "gender", …
    std::string model; ///< who says so
    float number = 0;  ///< where there are no labels
    std::vector<std::string> labels;
    std::vector<float> scores; ///< of each label, in [0, 1]

    /// Index of the best score; labels must not be empty.
    std::size_t best() const;
    bool operator==(const Attribute &) const = default;
};

struct Face {
    Box box;
    float score = 0; ///< [0, 1]
    std::optional<Landmarks5> landmarks;
    std::vector<Point2f> dense_landmarks; ///< 68 points, where the landmark model gives them
    std::optional<float> eye_roll_deg;    ///< of two eyes found without other landmarks (Haar)
    std::optional<std::int64_t> track_id;
    bool carried = false; ///< not detected: where its track expects it
    std::optional<Quality> quality;
    std::shared_ptr<const Image> crop; ///< aligned, or null
    std::string crop_template;         ///< the template that `crop` was aligned to
    std::optional<Embedding> embedding;
    FaceReason reason = FaceReason::None; ///< why a stage passed it over
    std::optional<MatchResult> match;
    std::vector<Attribute> attributes;
};

} // namespace sphere
