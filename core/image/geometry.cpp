// SPDX-License-Identifier: MIT
// Similarity transforms, overlap of boxes, non-maximum suppression.
#include "core/image/geometry.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace sphere {

std::optional<Affine> Affine::inverse() const {
    const double det = m[0] * m[4] - m[1] * m[3];
    if (!std::isfinite(det) || det == 0)
        return std::nullopt;
    Affine inv;
    inv.m[0] = m[4] / det;
    inv.m[1] = -m[1] / det;
    inv.m[3] = -m[3] / det;
    inv.m[4] = m[0] / det;
    inv.m[2] = -(inv.m[0] * m[2] + inv.m[1] * m[5]);
    inv.m[5] = -(inv.m[3] * m[2] + inv.m[4] * m[5]);
    if (!std::ranges::all_of(inv.m, [](double v) { return std::isfinite(v); }))
        return std::nullopt;
    return inv;
}

// Umeyama's rotation maximises tr(R^T C), C the covariance of the centred points (equation 38).
// In two dimensions tr(R^T C) = dot cos(t) + cross sin(t), whose maximum over proper rotations
// lies at (cos t, sin t) = (dot, cross) / hypot(dot, cross), and the scale there (equation 42)
// is hypot(dot, cross) / spread. Their product needs no SVD: (dot, cross) / spread.
std::optional<Affine> estimate_similarity(std::span<const Point2f> from,
                                          std::span<const Point2f> to) {
    const std::size_t n = from.size();
    if (n != to.size() || n < 2)
        return std::nullopt;

    double from_x = 0, from_y = 0, to_x = 0, to_y = 0;
    for (std::size_t i = 0; i < n; ++i) {
        from_x += from[i].x;
        from_y += from[i].y;
        to_x += to[i].x;
        to_y += to[i].y;
    }
    const auto count = static_cast<double>(n);
    from_x /= count;
    from_y /= count;
    to_x /= count;
    to_y /= count;

    double spread = 0, dot = 0, cross = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const double fx = from[i].x - from_x, fy = from[i].y - from_y;
        const double tx = to[i].x - to_x, ty = to[i].y - to_y;
        spread += fx * fx + fy * fy;
        dot += fx * tx + fy * ty;
        cross += fx * ty - fy * tx;
    }
    // Also false for NaN, which any value that is not finite has led to by now.
    if (!(spread > 0) || !std::isfinite(spread) || !std::isfinite(dot) || !std::isfinite(cross))
        return std::nullopt;

    const double a = dot / spread, b = cross / spread;
    Affine map;
    map.m = {a, -b, to_x - (a * from_x - b * from_y), b, a, to_y - (b * from_x + a * from_y)};
    if (!std::ranges::all_of(map.m, [](double v) { return std::isfinite(v); }))
        return std::nullopt;
    return map;
}

float intersection_over_union(const Box &a, const Box &b) {
    // In double: areas of large boxes overflow float.
    const double aw = a.w, ah = a.h, bw = b.w, bh = b.h;
    const double corners = double{a.x} + a.y + b.x + b.y; // min and max below would hide a NaN
    if (!(aw > 0 && ah > 0 && bw > 0 && bh > 0) || !std::isfinite(corners))
        return 0;
    const double w = std::min(a.x + aw, b.x + bw) - std::max<double>(a.x, b.x);
    const double h = std::min(a.y + ah, b.y + bh) - std::max<double>(a.y, b.y);
    if (!(w > 0 && h > 0))
        return 0;
    const double both = w * h;
    const double iou = both / (aw * ah + bw * bh - both);
    return std::isfinite(iou) ? static_cast<float>(std::clamp(iou, 0.0, 1.0)) : 0;
}

std::vector<int> non_maximum_suppression(std::span<const Box> boxes,
                                         std::span<const float> scores, float iou_threshold) {
    std::vector<int> order(std::min(boxes.size(), scores.size()));
    std::iota(order.begin(), order.end(), 0);
    const auto score = [&](int i) { return scores[static_cast<std::size_t>(i)]; };
    std::erase_if(
        order, [&](int i) { return std::isnan(score(i)); }); // they have no place in an order
    std::ranges::stable_sort(order, [&](int a, int b) { return score(a) > score(b); });

    std::vector<int> kept;
    for (const int i : order) {
        const Box &box = boxes[static_cast<std::size_t>(i)];
        const bool covered = std::ranges::any_of(kept, [&](int k) {
            return intersection_over_union(box, boxes[static_cast<std::size_t>(k)]) >
                   iou_threshold;
        });
        if (!covered)
            kept.push_back(i);
    }
    return kept;
}

} // namespace sphere
