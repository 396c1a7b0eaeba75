// SPDX-License-Identifier: MIT
#include "core/face/detector_backends.h"

namespace sphere {

Result<std::shared_ptr<Detector>> make_haar(const ResolvedModel &, const EngineOptions &,
                                            const std::shared_ptr<LandmarkFinder> &) {
    return fail(Errc::Unsupported, "built without OpenCV (enable with -Dopencv=enabled)");
}

} // namespace sphere
