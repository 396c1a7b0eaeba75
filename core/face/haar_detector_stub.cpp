// SPDX-License-Identifier: MIT
// Stands in for the Haar detector where the core is built without OpenCV.
#include "core/face/detector_backends.h"

namespace sphere {

Result<std::shared_ptr<Detector>> make_haar(const ResolvedModel &, const EngineOptions &,
                                            const std::shared_ptr<LandmarkFinder> &) {
    return fail(Errc::Unsupported, "The Haar detector is not here: this core was built without "
                                   "OpenCV (enable with -Dopencv=enabled)");
}

} // namespace sphere
