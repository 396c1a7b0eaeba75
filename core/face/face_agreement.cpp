// SPDX-License-Identifier: MIT
// Pairs faces by overlap and measures the pairs.
#include "core/face/face_agreement.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sphere {
namespace {

constexpr float kSameFaceIou = 0.5F;

struct Overlap {
    float iou;
    std::size_t fp32, int8;
};

double distance(Point2f a, Point2f b) {
    return std::hypot(static_cast<double>(a.x) - b.x, static_cast<double>(a.y) - b.y);
}

} // namespace

void FaceComparison::add(std::span<const Face> fp32, std::span<const Face> int8) {
    std::vector<Overlap> overlaps;
    for (std::size_t i = 0; i < fp32.size(); ++i)
        for (std::size_t k = 0; k < int8.size(); ++k) {
            const float iou = intersection_over_union(fp32[i].box, int8[k].box);
            if (iou >= kSameFaceIou)
                overlaps.push_back({iou, i, k});
        }
    std::stable_sort(overlaps.begin(), overlaps.end(),
                     [](const Overlap &a, const Overlap &b) { return a.iou > b.iou; });
    std::vector<bool> taken_fp32(fp32.size()), taken_int8(int8.size());
    for (const Overlap &overlap : overlaps) {
        if (taken_fp32[overlap.fp32] || taken_int8[overlap.int8])
            continue;
        taken_fp32[overlap.fp32] = taken_int8[overlap.int8] = true;
        add_pair(fp32[overlap.fp32], int8[overlap.int8], overlap.iou);
    }
    fp32_ += static_cast<int>(fp32.size());
    int8_ += static_cast<int>(int8.size());
}

void FaceComparison::add_pair(const Face &fp32, const Face &int8, float iou) {
    ++agreed_;
    iou_ += static_cast<double>(iou);
    score_ += std::abs(static_cast<double>(fp32.score) - int8.score);
    if (!fp32.landmarks || !int8.landmarks)
        return;
    const double eyes =
        std::max({distance((*fp32.landmarks)[0], (*fp32.landmarks)[1]),
                  static_cast<double>(fp32.box.w) / 4, static_cast<double>(least_eyes_px_)});
    for (std::size_t i = 0; i < fp32.landmarks->size(); ++i)
        point_distances_.push_back(distance((*fp32.landmarks)[i], (*int8.landmarks)[i]) / eyes);
}

FaceAgreement FaceComparison::result() const {
    FaceAgreement result;
    result.fp32 = fp32_;
    result.int8 = int8_;
    result.agreed = agreed_;
    if (agreed_ > 0) {
        result.iou = iou_ / agreed_;
        result.score_mean = score_ / agreed_;
    }
    if (point_distances_.empty())
        return result;
    std::vector<double> sorted = point_distances_;
    std::sort(sorted.begin(), sorted.end());
    const auto n = static_cast<double>(sorted.size());
    result.landmarks_mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / n;
    result.landmarks_p95 = sorted[static_cast<std::size_t>(std::ceil(0.95 * n)) - 1];
    return result;
}

} // namespace sphere
