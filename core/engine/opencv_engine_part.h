// SPDX-License-Identifier: MIT
// What the part "opencv" exports of OpenCV's dnn module (core/base/part.h).
#pragma once

#include "core/engine/backends.h"

namespace sphere {

struct OpencvEnginePart {
    Result<std::shared_ptr<Engine>> (*make)(const ResolvedModel &model,
                                            const EngineOptions &options);
    std::string (*version)();
};

} // namespace sphere

extern "C" const sphere::OpencvEnginePart sphere_opencv_engine;
