// SPDX-License-Identifier: MIT
// The Haar detector, which is loaded when somebody asks for it.
#include "core/face/haar_detector_part.h"

#include "core/base/part.h"

namespace sphere {

Result<std::shared_ptr<Detector>> make_haar(const ResolvedModel &model, const EngineOptions &,
                                            const std::shared_ptr<LandmarkFinder> &landmarks) {
    const auto opencv = part_table<HaarDetectorPart>("opencv", "sphere_opencv_haar_detector");
    if (!opencv)
        return opencv.error();
    return (*opencv)->make(model, landmarks);
}

} // namespace sphere
