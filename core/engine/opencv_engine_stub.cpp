// SPDX-License-Identifier: MIT
#include "core/engine/backends.h"

namespace sphere {

Result<std::shared_ptr<Engine>> make_opencv_engine(const ResolvedModel &,
                                                   const EngineOptions &) {
    return fail(Errc::Unsupported, "built without OpenCV (enable with -Dopencv=enabled)");
}

} // namespace sphere
