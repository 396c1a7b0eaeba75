// SPDX-License-Identifier: MIT
// int8 calibration of a detector, judged by the faces that it finds.
#pragma once

#include "core/engine/calibration.h"
#include "core/face/detector.h"

#include <memory>
#include <span>

namespace sphere {

/// A detector in fp32, ready to be calibrated. Not thread-safe.
class DetectorCalibrator {
  public:
    /// Errors: Unsupported (not one network that engine onednn can run), as make_engine.
    static Result<DetectorCalibrator> make(const ResolvedModel &model);

    /// The network's input for `frame`, exactly as the detector makes it, and how many faces it
    /// finds there. Errors: InvalidArgument (an empty picture), Engine.
    struct Looked {
        Tensor input;
        int faces = 0;
    };
    Result<Looked> look(const ImageView &frame);

    /// Calibrates on what look() gave. The result's `faces` says how far int8 agrees with fp32
    /// at the detector's own threshold. Errors: NotFound (no faces in any of the pictures), as
    /// calibrate_int8.
    Result<Int8Calibration> calibrate(std::span<const Tensor> inputs,
                                      const CalibrationProgress &progress = {});

  private:
    class WatchedEngine;
    DetectorCalibrator() = default;

    ResolvedModel model_;
    std::shared_ptr<WatchedEngine> engine_;
    std::shared_ptr<Detector> detector_;
};

} // namespace sphere
