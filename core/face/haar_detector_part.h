// SPDX-License-Identifier: MIT
// What the part "opencv" exports of OpenCV's cascades (core/base/part.h).
#pragma once

#include "core/face/detector_backends.h"

namespace sphere {

struct HaarDetectorPart {
    Result<std::shared_ptr<Detector>> (*make)(const ResolvedModel &model,
                                              const std::shared_ptr<LandmarkFinder> &landmarks);
};

} // namespace sphere

extern "C" const sphere::HaarDetectorPart sphere_opencv_haar_detector;
