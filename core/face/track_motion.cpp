// SPDX-License-Identifier: MIT
#include "core/face/track_motion.h"

#include <algorithm>
#include <cmath>

namespace sphere {
namespace {

// Standard deviations in box heights: detectors' boxes shake by some 4 %; a head picks up a
// speed of two heights a second within a second.
constexpr double kMeasuredShare = 0.04;
constexpr double kSpeedShare = 2.0;
constexpr double kFirstSpeedShare = 2.0;
// Height and aspect change more slowly than the place does.
constexpr double kGrowthShare = 0.5;
constexpr double kAspectDeviation = 0.05;

// A face that was not seen for longer than kFreeRun loses speed with this time constant.
constexpr double kFreeRunS = 0.15;
constexpr double kSlowDownS = 0.4;
// An unseen face grows or shrinks by no more than this.
constexpr double kMostGrowth = 1.5;

double square(double value) {
    return value * value;
}

} // namespace

void ScalarMotion::predict(double dt_s, double acceleration_density) {
    value += rate * dt_s;
    value_variance += 2 * dt_s * covariance + dt_s * dt_s * rate_variance +
                      acceleration_density * dt_s * dt_s * dt_s / 3;
    covariance += dt_s * rate_variance + acceleration_density * dt_s * dt_s / 2;
    rate_variance += acceleration_density * dt_s;
}

void ScalarMotion::correct(double measured, double measured_variance) {
    const double innovation = measured - value;
    const double variance = value_variance + measured_variance;
    if (!(variance > 0))
        return;
    const double value_gain = value_variance / variance, rate_gain = covariance / variance;
    value += value_gain * innovation;
    rate += rate_gain * innovation;
    rate_variance -= rate_gain * covariance;
    covariance *= 1 - value_gain;
    value_variance *= 1 - value_gain;
}

void BoxMotion::start(const Box &box) {
    const double h = std::max(1.0, double{box.h});
    seen_height_ = h;
    const auto fresh = [h](double value, double speed_share) {
        return ScalarMotion{value, 0, square(kMeasuredShare * h), 0, square(speed_share * h)};
    };
    center_x_ = fresh(box.x + box.w / 2.0, kFirstSpeedShare);
    center_y_ = fresh(box.y + box.h / 2.0, kFirstSpeedShare);
    height_ = fresh(h, kGrowthShare);
    aspect_ = {box.w / h, 0, square(kAspectDeviation), 0, square(kAspectDeviation)};
}

void BoxMotion::predict(double dt_s, double age_s) {
    const double h = std::max(1.0, height_.value);
    center_x_.predict(dt_s, square(kSpeedShare * h));
    center_y_.predict(dt_s, square(kSpeedShare * h));
    height_.predict(dt_s, square(kGrowthShare * h));
    aspect_.predict(dt_s, square(kAspectDeviation));
    aspect_.rate = 0;
    height_.value =
        std::clamp(height_.value, seen_height_ / kMostGrowth, seen_height_ * kMostGrowth);
    aspect_.value = std::clamp(aspect_.value, 0.1, 10.0);
    if (age_s <= kFreeRunS)
        return;
    const double kept = std::exp(-std::min(dt_s, age_s - kFreeRunS) / kSlowDownS);
    for (ScalarMotion *motion : {&center_x_, &center_y_, &height_})
        motion->rate *= kept;
}

void BoxMotion::correct(const Box &box) {
    const double h = std::max(1.0, double{box.h});
    seen_height_ = h;
    center_x_.correct(box.x + box.w / 2.0, square(kMeasuredShare * h));
    center_y_.correct(box.y + box.h / 2.0, square(kMeasuredShare * h));
    height_.correct(h, square(kMeasuredShare * h));
    aspect_.correct(box.w / h, square(kAspectDeviation));
}

Box BoxMotion::box() const {
    const double h = height_.value, w = aspect_.value * h;
    return {static_cast<float>(center_x_.value - w / 2),
            static_cast<float>(center_y_.value - h / 2), static_cast<float>(w),
            static_cast<float>(h)};
}

} // namespace sphere
