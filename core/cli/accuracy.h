// SPDX-License-Identifier: MIT
// How well distances tell same from different: accuracy by folds, ROC, thresholds.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace sphere::cli {

/// A labelled pair. `failed`: one of its pictures gave no embedding; it counts as decided
/// wrongly whatever the threshold (a same pair as infinitely far, a different one as infinitely
/// near).
struct ScoredPair {
    double distance = 0;
    bool same = false;
    bool failed = false;
    int fold = 0;
};

/// Share of pairs decided rightly by `distance <= threshold`; 0 of no pairs.
double accuracy_at(std::span<const ScoredPair> pairs, double threshold);

/// The threshold of the highest accuracy: a midpoint between neighbouring distances. Where
/// several are as good, the middle one of them. Empty where no pair has a distance.
std::optional<double> best_threshold(std::span<const ScoredPair> pairs);

struct FoldAccuracy {
    double threshold = 0;
    double accuracy = 0;
};

/// The protocol of Labeled Faces in the Wild (Huang et al., UMass Amherst TR 07-49, section 4,
/// View 2): each fold is judged by the threshold that is best on all others; mean, and standard
/// error = sample standard deviation / sqrt(folds).
struct Verification {
    std::vector<FoldAccuracy> folds;
    double accuracy = 0;
    double standard_error = 0;
};

/// With one fold the threshold is the best on the pairs themselves, and the standard error is
/// the binomial one, sqrt(a (1 - a) / n). `fixed` replaces the choice. Empty where a threshold
/// cannot be chosen because no pair has a distance.
std::optional<Verification> verify_by_folds(std::span<const ScoredPair> pairs, int folds,
                                            std::optional<double> fixed);

/// Area under the ROC curve: the chance that a same pair is nearer than a different one, ties
/// half (Hanley and McNeil 1982). Empty where one of the kinds is missing.
std::optional<double> area_under_roc(std::span<const ScoredPair> pairs);

/// At most this share of the different pairs is accepted.
struct OperatingPoint {
    double threshold = 0;   ///< the highest that keeps to it
    double true_accept = 0; ///< share of the same pairs accepted there
    double false_accept = 0;
};
/// Empty where one of the kinds is missing, or where failed pairs alone exceed `far`.
std::optional<OperatingPoint> at_false_accept_rate(std::span<const ScoredPair> pairs,
                                                   double far);

/// C4.5's split of the distances into same and different (Quinlan, "C4.5", 1993, chapter 2): of
/// all midpoints between neighbouring distances, the one of the largest gain ratio among those
/// whose information gain is at least the mean gain. Without that guard the ratio prefers to
/// cut off a single pair at an end.
struct C45Split {
    double threshold = 0;
    double gain = 0; ///< bit
    double gain_ratio = 0;
};
/// Failed pairs are left out. Empty where all labels or all distances are equal.
std::optional<C45Split> c45_split(std::span<const ScoredPair> pairs);

} // namespace sphere::cli
