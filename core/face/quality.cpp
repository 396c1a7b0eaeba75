// SPDX-License-Identifier: MIT
// How much a face's picture is worth to a recogniser: cheap measures from the crop and the
// points.
#include "core/face/aligner.h"

#include <algorithm>
#include <cmath>
#include <numbers>

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

double luma(const std::uint8_t *bgr) { // BT.601
    return 0.114 * bgr[0] + 0.587 * bgr[1] + 0.299 * bgr[2];
}

struct Measures {
    double mean = 0;
    double laplacian_variance = 0;
};

Measures measure(const Image &crop) {
    Measures measures;
    if (crop.width < 3 || crop.height < 3)
        return measures;
    std::vector<float> grey(static_cast<std::size_t>(crop.width) * crop.height);
    double sum = 0;
    for (std::size_t i = 0; i < grey.size(); ++i) {
        grey[i] = static_cast<float>(luma(crop.bgr.data() + 3 * i));
        sum += grey[i];
    }
    measures.mean = sum / static_cast<double>(grey.size());
    double total = 0, squares = 0;
    const int w = crop.width;
    for (int y = 1; y + 1 < crop.height; ++y)
        for (int x = 1; x + 1 < w; ++x) {
            const float *p = grey.data() + static_cast<std::ptrdiff_t>(y) * w + x;
            const double value = p[-1] + p[1] + p[-w] + p[w] - 4 * p[0];
            total += value;
            squares += value * value;
        }
    const double n = static_cast<double>(crop.width - 2) * (crop.height - 2);
    measures.laplacian_variance = std::max(0.0, squares / n - (total / n) * (total / n));
    return measures;
}

// Sums over a crop of one colour difference next to luma.
struct HueSums {
    double c = 0, cc = 0, cy = 0;

    void add(double difference, double luma_value) {
        c += difference;
        cc += difference * difference;
        cy += difference * luma_value;
    }
    // The variance that luma does not account for: that of the residues of a straight line.
    double unexplained(double n, double mean_y, double variance_y) const {
        const double mean = c / n, covariance = cy / n - mean * mean_y;
        const double variance = cc / n - mean * mean;
        return variance_y > 0 ? variance - covariance * covariance / variance_y : variance;
    }
};

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
    const double n = static_cast<double>(crop.width) * crop.height;
    if (n < 1)
        return false;
    double y_sum = 0, y_squares = 0;
    HueSums blue, red;
    for (std::size_t i = 0; i + 2 < crop.bgr.size(); i += 3) {
        const std::uint8_t *bgr = crop.bgr.data() + i;
        const double y = luma(bgr);
        y_sum += y;
        y_squares += y * y;
        blue.add(0.564 * (bgr[0] - y), y); // Cb and Cr of BT.601
        red.add(0.713 * (bgr[2] - y), y);
    }
    const double mean = y_sum / n, variance = y_squares / n - mean * mean;
    return std::max(blue.unexplained(n, mean, variance), red.unexplained(n, mean, variance)) <
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
