// SPDX-License-Identifier: MIT
// Measures of verification.
#include "core/cli/accuracy.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sphere::cli {
namespace {

/// A place to cut between neighbouring distances, and what lies below it.
struct Cut {
    double threshold = 0;
    std::size_t same_below = 0;
    std::size_t different_below = 0;
};

struct Cuts {
    std::vector<Cut>
        cuts; ///< thresholds ascending; the first below all distances, the last above
    std::size_t same = 0; ///< of the pairs with a distance
    std::size_t different = 0;
};

/// Midway between two distances, and never as much as the upper one.
double between(double low, double high) {
    const double middle = low + (high - low) / 2;
    return middle < high ? middle : low;
}

Cuts all_cuts(std::span<const ScoredPair> pairs) {
    std::vector<const ScoredPair *> sorted;
    for (const ScoredPair &pair : pairs)
        if (!pair.failed)
            sorted.push_back(&pair);
    std::sort(sorted.begin(), sorted.end(), [](const ScoredPair *a, const ScoredPair *b) {
        return a->distance < b->distance;
    });
    Cuts result;
    if (sorted.empty())
        return result;
    result.cuts.push_back({std::nextafter(sorted.front()->distance, -1.0), 0, 0});
    for (std::size_t i = 0; i < sorted.size(); ++i) {
        (sorted[i]->same ? result.same : result.different) += 1;
        const bool last = i + 1 == sorted.size();
        if (last)
            result.cuts.push_back({sorted[i]->distance, result.same, result.different});
        else if (sorted[i]->distance < sorted[i + 1]->distance)
            result.cuts.push_back({between(sorted[i]->distance, sorted[i + 1]->distance),
                                   result.same, result.different});
    }
    return result;
}

struct Kinds {
    std::size_t same = 0;
    std::size_t different = 0;
};

/// Counts with the failed pairs.
Kinds count_kinds(std::span<const ScoredPair> pairs) {
    Kinds kinds;
    for (const ScoredPair &pair : pairs)
        (pair.same ? kinds.same : kinds.different) += 1;
    return kinds;
}

/// In bit, of `part` of `whole` and the rest.
double entropy(std::size_t part, std::size_t whole) {
    if (part == 0 || part == whole)
        return 0;
    const double p = static_cast<double>(part) / static_cast<double>(whole);
    return -p * std::log2(p) - (1 - p) * std::log2(1 - p);
}

double share(std::size_t part, std::size_t whole) {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

} // namespace

double accuracy_at(std::span<const ScoredPair> pairs, double threshold) {
    const auto right = std::count_if(pairs.begin(), pairs.end(), [&](const ScoredPair &pair) {
        return !pair.failed && (pair.distance <= threshold) == pair.same;
    });
    return share(static_cast<std::size_t>(right), pairs.size());
}

std::optional<double> best_threshold(std::span<const ScoredPair> pairs) {
    const Cuts all = all_cuts(pairs);
    std::vector<double> best;
    std::size_t most = 0;
    for (const Cut &cut : all.cuts) {
        const std::size_t right = cut.same_below + (all.different - cut.different_below);
        if (right > most || best.empty()) {
            most = right;
            best.clear();
        }
        if (right == most)
            best.push_back(cut.threshold);
    }
    if (best.empty())
        return std::nullopt;
    return best[(best.size() - 1) / 2];
}

std::optional<Verification> verify_by_folds(std::span<const ScoredPair> pairs, int folds,
                                            std::optional<double> fixed) {
    Verification result;
    for (int fold = 0; fold < folds; ++fold) {
        std::vector<ScoredPair> judged;
        std::vector<ScoredPair> others;
        for (const ScoredPair &pair : pairs)
            (pair.fold == fold ? judged : others).push_back(pair);
        const auto threshold = fixed ? fixed : best_threshold(folds == 1 ? judged : others);
        if (!threshold)
            return std::nullopt;
        result.folds.push_back({*threshold, accuracy_at(judged, *threshold)});
        result.accuracy += result.folds.back().accuracy / folds;
    }
    const double a = result.accuracy;
    if (folds == 1) {
        result.standard_error = std::sqrt(a * (1 - a) / static_cast<double>(pairs.size()));
        return result;
    }
    double squares = 0;
    for (const FoldAccuracy &fold : result.folds)
        squares += (fold.accuracy - a) * (fold.accuracy - a);
    result.standard_error = std::sqrt(squares / (folds - 1) / folds);
    return result;
}

std::optional<double> area_under_roc(std::span<const ScoredPair> pairs) {
    const Kinds kinds = count_kinds(pairs);
    if (kinds.same == 0 || kinds.different == 0)
        return std::nullopt;
    const Cuts all = all_cuts(pairs);
    // Failed pairs add nothing: no same pair is nearer than a failed different one, and no
    // different pair is farther than a failed same one.
    double area = 0;
    for (std::size_t i = 1; i < all.cuts.size(); ++i) {
        const auto same =
            static_cast<double>(all.cuts[i].same_below - all.cuts[i - 1].same_below);
        const auto different =
            static_cast<double>(all.cuts[i].different_below - all.cuts[i - 1].different_below);
        const auto different_above = static_cast<double>(all.different) -
                                     static_cast<double>(all.cuts[i].different_below);
        area += same * (different_above + different / 2);
    }
    return area / (static_cast<double>(kinds.same) * static_cast<double>(kinds.different));
}

std::optional<OperatingPoint> at_false_accept_rate(std::span<const ScoredPair> pairs,
                                                   double far) {
    const Kinds kinds = count_kinds(pairs);
    if (kinds.same == 0 || kinds.different == 0)
        return std::nullopt;
    const Cuts all = all_cuts(pairs);
    const std::size_t failed_different = kinds.different - all.different;
    // A little more, so that 0.01 of 300 is 3 although 0.01 * 300 may come out below.
    const double allowed = far * static_cast<double>(kinds.different) * (1 + 1e-12);
    std::optional<OperatingPoint> point;
    for (const Cut &cut : all.cuts) {
        const std::size_t accepted = cut.different_below + failed_different;
        if (static_cast<double>(accepted) > allowed)
            break;
        point = OperatingPoint{cut.threshold, share(cut.same_below, kinds.same),
                               share(accepted, kinds.different)};
    }
    return point;
}

std::optional<C45Split> c45_split(std::span<const ScoredPair> pairs) {
    const Cuts all = all_cuts(pairs);
    const std::size_t total = all.same + all.different;
    if (all.cuts.size() < 3 || all.same == 0 || all.different == 0)
        return std::nullopt;
    const double whole = entropy(all.same, total);
    std::vector<C45Split> splits;
    double gains = 0;
    // Without the first and the last cut, which leave one side empty.
    for (std::size_t i = 1; i + 1 < all.cuts.size(); ++i) {
        const Cut &cut = all.cuts[i];
        const std::size_t below = cut.same_below + cut.different_below;
        const double left = share(below, total);
        const double gain = whole - left * entropy(cut.same_below, below) -
                            (1 - left) * entropy(all.same - cut.same_below, total - below);
        splits.push_back({cut.threshold, gain, gain / entropy(below, total)});
        gains += gain;
    }
    const double mean_gain = gains / static_cast<double>(splits.size());
    std::optional<C45Split> best;
    for (const C45Split &split : splits)
        if (split.gain >= mean_gain * (1 - 1e-12) &&
            (!best || split.gain_ratio > best->gain_ratio))
            best = split;
    return best;
}

} // namespace sphere::cli
