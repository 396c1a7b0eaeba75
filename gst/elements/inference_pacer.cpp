// SPDX-License-Identifier: MIT
#include "gst/elements/inference_pacer.h"

#include <algorithm>

namespace sphere::gst {
namespace {

constexpr double kMostPressure = 16;
constexpr double kRise = 1.5;    ///< a report of lateness
constexpr double kFall = 0.97;   ///< a frame in time
constexpr double kNewCost = 0.2; ///< weight of the newest detection in the mean

} // namespace

void InferencePacer::restart() {
    frame_ = 0;
    last_looked_.reset();
    last_lateness_.reset();
    pressure_ = 1;
}

InferencePacer::Decision InferencePacer::decide(std::optional<std::uint64_t> pts,
                                                std::optional<std::int64_t> lateness) {
    const std::uint64_t frame = frame_++;
    if (!adapts()) {
        const std::uint64_t interval = std::max<std::uint32_t>(interval_, 1);
        return frame % interval == 0 ? Decision::Look : Decision::Interval;
    }
    // Late and not catching up: the same lateness again is a constant delay, not load.
    if (lateness && last_lateness_ && *lateness > kLate && *lateness > *last_lateness_)
        pressure_ = std::min(kMostPressure, pressure_ * kRise);
    else
        pressure_ = std::max(1.0, pressure_ * kFall);
    last_lateness_ = lateness;
    if (!pts)
        return Decision::Look;
    if (last_looked_ && *pts >= *last_looked_) {
        const auto since = static_cast<double>(*pts - *last_looked_);
        const double wait =
            std::min(cost_ / kShare * pressure_, static_cast<double>(kLongestWait));
        if (since < wait)
            return Decision::Load;
    }
    last_looked_ = pts;
    return Decision::Look;
}

void InferencePacer::detected(std::uint64_t elapsed) {
    const auto cost = static_cast<double>(elapsed);
    cost_ = cost_ == 0 ? cost : cost_ + (cost - cost_) * kNewCost;
}

void InferencePacer::reported(std::int64_t jitter) {
    if (jitter > kLate)
        pressure_ = std::min(kMostPressure, pressure_ * kRise);
}

} // namespace sphere::gst
