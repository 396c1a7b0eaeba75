// SPDX-License-Identifier: MIT
// Stands in for the OpenCV engine where the core is built without OpenCV.
#include "core/engine/backends.h"

namespace sphere {

Result<std::shared_ptr<Engine>> make_opencv_engine(const ResolvedModel &model,
                                                   const EngineOptions &) {
    return fail(Errc::Unsupported, "Model ", model.descriptor.name,
                " needs engine opencv, and this core was built without OpenCV (enable with "
                "-Dopencv=enabled).");
}

bool opencv_engine_built() {
    return false;
}

std::string opencv_engine_version() {
    return {};
}

} // namespace sphere
