// SPDX-License-Identifier: MIT
// How far two lists of faces of the same pictures agree.
#pragma once

#include "core/engine/calibration.h"
#include "core/face/face.h"

#include <span>
#include <vector>

namespace sphere {

/// Collects picture by picture what FaceAgreement holds. Not thread-safe.
class FaceComparison {
  public:
    /// `least_eyes_px`: landmarks of a face whose eyes are nearer to each other are measured
    /// by this many pixels in place of the eyes' distance. So are those of a profile by a
    /// quarter of the box's width.
    explicit FaceComparison(float least_eyes_px = 0) : least_eyes_px_(least_eyes_px) {}

    /// The faces of one picture. They are paired by the overlap of their boxes, the greatest
    /// first, each with one other at most.
    void add(std::span<const Face> fp32, std::span<const Face> int8);
    FaceAgreement result() const;

  private:
    void add_pair(const Face &fp32, const Face &int8, float iou);

    float least_eyes_px_;
    int fp32_ = 0, int8_ = 0, agreed_ = 0;
    double iou_ = 0, score_ = 0;          ///< sums
    std::vector<double> point_distances_; ///< of each landmark, in eye distances
};

} // namespace sphere
