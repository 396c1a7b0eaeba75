// SPDX-License-Identifier: MIT
// Stands in for dlib's detector and shape predictor where the core is built without dlib.
#include "core/face/detector_backends.h"

namespace sphere {
namespace {

Error absent() {
    return fail(Errc::Unsupported, "dlib is not here: this core was built without it (install "
                                   "libdlib-dev, enable with -Ddlib=enabled)");
}

} // namespace

Result<std::shared_ptr<Detector>> make_dlib_hog(const ResolvedModel &, const EngineOptions &,
                                                const std::shared_ptr<LandmarkFinder> &) {
    return absent();
}

Result<std::shared_ptr<LandmarkFinder>> make_dlib_points68(const ResolvedModel &,
                                                           const EngineOptions &) {
    return absent();
}

} // namespace sphere
