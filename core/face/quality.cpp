// SPDX-License-Identifier: MIT
// How much a face's picture is worth to a recogniser: cheap measures from the crop and the
// points.
#include "core/face/aligner.h"

#include "core/image/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

namespace sphere {
namespace {

// Variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield
// microscopy", ICPR 2000) of aligned 8-bit crops: about 20 for faces enlarged from 20 px, above
// 300 for sharp photographs. sharpness = v / (v + kHalfSharp).
constexpr double kHalfSharp = 100.0;

constexpr double kDegrees = 180 / std::numbers::pi;

// Yaw and pitch from where the nose tip lies between eyes and mouth. A head is taken for a
// sphere on whose surface the nose sticks out by about half the eye distance. Turning shortens
// the eyes' distance as seen as well: the nose's offset from the midline, in eye distances, is
// 0.5 tan(yaw). Nodding leaves it: the nose's lift, in eye distances, is 0.5 sin(pitch).
constexpr double kNoseDepth = 0.5;
// With a level gaze the nose tip lies this share of the way from the eyes to the mouth (the
// SphereFace template: (71.7366 - 51.5989) / (92.2848 - 51.5989)).
constexpr double kLevelNose = 0.495;

constexpr double kLumaUnit = 1000; ///< kernels count luma in thousandths

struct Measures {
    double mean = 0;
    double laplacian_variance = 0;
};

Measures measure(const Image &crop) {
    Measures measures;
    if (crop.width < 3 || crop.height < 3)
        return measures;
    const kernels::Kernels &loops = kernels::kernels_in_use();
    const std::ptrdiff_t w = crop.width;
    thread_local std::vector<std::int32_t> luma; // of three rows, one after another in turn
    luma.resize(3 * static_cast<std::size_t>(w));
    double sum = 0, total = 0, squares = 0;
    for (std::ptrdiff_t y = 0; y < crop.height; ++y) {
        std::int32_t *below = luma.data() + y % 3 * w;
        sum += static_cast<double>(
            loops.bytes_to_luma(crop.bgr.data() + 3 * y * w, crop.width, below));
        if (y < 2)
            continue;
        std::int64_t of_row[2] = {0, 0}; // whole numbers: the same in any order
        loops.sum_laplacians(luma.data() + (y - 2) % 3 * w + 1,
                             luma.data() + (y - 1) % 3 * w + 1, below + 1, crop.width - 2,
                             of_row);
        total += static_cast<double>(of_row[0]);
        squares += static_cast<double>(of_row[1]);
    }
    measures.mean = sum / kLumaUnit / (static_cast<double>(crop.width) * crop.height);
    const double n = static_cast<double>(crop.width - 2) * (crop.height - 2);
    measures.laplacian_variance =
        std::max(0.0, squares / n - (total / n) * (total / n)) / (kLumaUnit * kLumaUnit);
    return measures;
}

// Means over a crop of products of two of b, g, r and 1.
struct Moments {
    double b, g, r, bb, gg, rr, bg, br, gr;
};

Moments moments_of(const Image &crop) {
    const kernels::Kernels &loops = kernels::kernels_in_use();
    std::int64_t sums[9] = {};
    constexpr std::size_t kAtOnce = 1U << 20U;
    for (std::size_t at = 0; at < crop.bgr.size(); at += 3 * kAtOnce)
        loops.sum_moments(crop.bgr.data() + at,
                          static_cast<int>(std::min(kAtOnce, (crop.bgr.size() - at) / 3)),
                          sums);
    const double n = static_cast<double>(crop.width) * crop.height;
    const auto mean = [&](std::size_t i) { return static_cast<double>(sums[i]) / n; };
    return {mean(0), mean(1), mean(2), mean(3), mean(4), mean(5), mean(6), mean(7), mean(8)};
}

double luma(double b, double g, double r) { // BT.601
    return 0.114 * b + 0.587 * g + 0.299 * r;
}

// The variance of a colour less luma that luma does not account for: that of the residues of a
// straight line. Of the means of the colour, its square and its product with luma, and of luma
// alike.
double unexplained(double c, double cc, double cy, double y, double yy) {
    const double variance_y = yy - y * y;
    const double mean = c - y, covariance = (cy - yy) - mean * y;
    const double variance = (cc - 2 * cy + yy) - mean * mean;
    return variance_y > 0 ? variance - covariance * covariance / variance_y : variance;
}

// Leaves all at 0 where the points say nothing.
void estimate_pose(const Landmarks5 &points, Quality &quality) {
    if (!std::all_of(points.begin(), points.end(),
                     [](Point2f p) { return std::isfinite(p.x) && std::isfinite(p.y); }))
        return;
    const double ex = points[1].x - points[0].x, ey = points[1].y - points[0].y;
    const double eye_distance = std::hypot(ex, ey);
    quality.eye_distance_px = static_cast<float>(eye_distance);
    if (eye_distance < 1e-3)
        return;
    quality.roll_deg = static_cast<float>(std::atan2(ey, ex) * kDegrees);
    // Coordinates with the eyes level, from the midpoint between them.
    const double ux = ex / eye_distance, uy = ey / eye_distance;
    const double mx = (points[0].x + points[1].x) / 2, my = (points[0].y + points[1].y) / 2;
    const auto across = [&](double x, double y) { return (x - mx) * ux + (y - my) * uy; };
    const auto down = [&](double x, double y) { return -(x - mx) * uy + (y - my) * ux; };
    const double mouth_x = (points[3].x + points[4].x) / 2,
                 mouth_y = (points[3].y + points[4].y) / 2;
    const double mouth_down = down(mouth_x, mouth_y);
    const double nose_down = down(points[2].x, points[2].y);
    if (mouth_down < 1e-3)
        return;
    const double level = nose_down / mouth_down;
    const double midline = across(mouth_x, mouth_y) * level;
    const double offset = (across(points[2].x, points[2].y) - midline) / eye_distance;
    quality.yaw_deg = static_cast<float>(std::atan(offset / kNoseDepth) * kDegrees);
    const double lift = (kLevelNose - level) * mouth_down / eye_distance;
    quality.pitch_deg =
        static_cast<float>(std::asin(std::clamp(lift / kNoseDepth, -1.0, 1.0)) * kDegrees);
}

// 1 up to `good`, falling to 0 at `bad`.
double falling(double value, double good, double bad) {
    return std::clamp((bad - value) / (bad - good), 0.0, 1.0);
}

} // namespace

// In one hue, blue and red less luma are straight functions of luma. Of 1,583 photographs of
// LFW's development set the middle parts of three have a standard deviation of 0 about these
// lines, in grey levels, and all others of 2.3 or more.
bool is_monochrome(const Image &crop) {
    constexpr double kMostDeviation = 1.2;
    constexpr double kBlueToCb = 0.564, kRedToCr = 0.713; // BT.601, as luma
    if (crop.width < 1 || crop.height < 1)
        return false;
    const Moments m = moments_of(crop);
    const double y = luma(m.b, m.g, m.r);
    const double by = luma(m.bb, m.bg, m.br), gy = luma(m.bg, m.gg, m.gr),
                 ry = luma(m.br, m.gr, m.rr);
    const double yy = luma(by, gy, ry);
    return std::max(kBlueToCb * kBlueToCb * unexplained(m.b, m.bb, by, y, yy),
                    kRedToCr * kRedToCr * unexplained(m.r, m.rr, ry, y, yy)) <
           kMostDeviation * kMostDeviation;
}

// score = sharpness^0.5 * pose * exposure * size: each factor in [0, 1].
Quality assess_quality(const Face &face, const Image &crop) {
    Quality quality;
    const Measures measures = measure(crop);
    quality.sharpness = static_cast<float>(measures.laplacian_variance /
                                           (measures.laplacian_variance + kHalfSharp));
    quality.brightness = static_cast<float>(measures.mean / 255);
    if (face.landmarks)
        estimate_pose(*face.landmarks, quality);
    const double pose = falling(std::abs(quality.yaw_deg), 20, 75) *
                        falling(std::abs(quality.pitch_deg), 20, 75);
    const double exposure =
        falling(-quality.brightness, -0.2, 0.0) * falling(quality.brightness, 0.8, 1.0);
    // 10 px between the eyes is the least that recognisers make sense of, 40 px is plenty.
    const double size = face.landmarks ? falling(-quality.eye_distance_px, -40, -5) : 1;
    quality.score = static_cast<float>(std::sqrt(quality.sharpness) * pose * exposure * size);
    return quality;
}

} // namespace sphere
