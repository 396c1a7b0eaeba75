// SPDX-License-Identifier: MIT
// The picture of a calibration, as SVG: how far apart same and different pairs are, where
// thresholds cut, and the ROC curve.
#pragma once

#include "core/cli/accuracy.h"

#include <span>
#include <string>
#include <vector>

namespace sphere::cli {

/// A threshold to mark.
struct PlotThreshold {
    std::string label;
    double value = 0;
    double true_accept = 0;
    double false_accept = 0;
};

struct CalibrationPlot {
    std::string title;
    std::string distance_label;        ///< of the first axis, as "cosine distance"
    std::span<const ScoredPair> pairs; ///< failed ones are left out
    std::vector<PlotThreshold> thresholds;
};

/// Two panels: both distributions, each as shares of its kind, and true accepts over false ones
/// (logarithmic). Self-contained SVG 1.1 of 960 x 440. `pairs` must hold both kinds.
std::string calibration_svg(const CalibrationPlot &plot);

} // namespace sphere::cli
