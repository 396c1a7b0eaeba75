// SPDX-License-Identifier: MIT
// How a face's box moves: a Kalman filter of constant velocity.
#pragma once

#include "core/image/geometry.h"

#include <array>

namespace sphere {

/// One quantity and its rate of change, in units and units a second.
struct ScalarMotion {
    double value = 0;
    double rate = 0;
    double value_variance = 0;
    double covariance = 0;
    double rate_variance = 0;

    /// `acceleration_density`: of white noise, units^2 / s^3.
    void predict(double dt_s, double acceleration_density);
    void correct(double measured, double measured_variance);
};

/// Centre, aspect and height as in SORT (Bewley et al., "Simple online and realtime tracking",
/// ICIP 2016). With diagonal noise the four do not mix: each is a filter of two states. Noise
/// goes with the box's height, as in DeepSORT, and with time, so that frame rates and gaps
/// change nothing.
class BoxMotion {
  public:
    void start(const Box &box);
    /// `age_s`: time since the last detection, after this step. Unseen faces slow down: a
    /// head that turned or stopped is nearer to where it was than to where it was going.
    void predict(double dt_s, double age_s);
    void correct(const Box &box);
    Box box() const;
    double rate_x() const { return center_x_.rate; }
    double rate_y() const { return center_y_.rate; }

  private:
    ScalarMotion center_x_, center_y_, aspect_, height_;
    double seen_height_ = 0; ///< of the last detection
};

} // namespace sphere
