// SPDX-License-Identifier: MIT
// Points, boxes and the similarity transforms between them. All in pixels, float; (0, 0) is the
// centre of the top-left pixel for points and warps; a box is its top-left corner and its size.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <vector>

namespace sphere {

struct Point2f {
    float x = 0;
    float y = 0;
    bool operator==(const Point2f &) const = default;
};

struct Box {
    float x = 0;
    float y = 0;
    float w = 0;
    float h = 0;
    bool operator==(const Box &) const = default;
    float area() const { return w > 0 && h > 0 ? w * h : 0; }
};

/// A 2x3 affine map: x' = m[0] x + m[1] y + m[2]; y' = m[3] x + m[4] y + m[5].
struct Affine {
    std::array<double, 6> m{1, 0, 0, 0, 1, 0};
    Point2f apply(Point2f p) const {
        return {static_cast<float>(m[0] * p.x + m[1] * p.y + m[2]),
                static_cast<float>(m[3] * p.x + m[4] * p.y + m[5])};
    }
    /// The inverse; empty where the determinant is zero or not finite.
    std::optional<Affine> inverse() const;
};

/// The similarity (rotation, uniform scale, translation, no reflection) that takes `from` to
/// `to` with the least sum of squared distances: Umeyama, "Least-squares estimation of
/// transformation parameters between two point patterns", PAMI 13(4) 1991, equations 34 to 43,
/// in the closed form that two dimensions allow. Empty where the sizes differ, are under two, a
/// value is not finite, or all points of `from` coincide.
std::optional<Affine> estimate_similarity(std::span<const Point2f> from,
                                          std::span<const Point2f> to);

/// Intersection over union, in [0, 1]; 0 for empty boxes.
float intersection_over_union(const Box &a, const Box &b);

/// Greedy non-maximum suppression. Returns the indices kept, best score first; equal scores
/// keep their order. A box goes when its IoU with a kept one is above `iou_threshold`.
std::vector<int> non_maximum_suppression(std::span<const Box> boxes,
                                         std::span<const float> scores, float iou_threshold);

} // namespace sphere
