// SPDX-License-Identifier: MIT
// Engine opencv, which is loaded when somebody asks for it.
#include "core/engine/opencv_engine_part.h"

#include "core/base/part.h"

namespace sphere {
namespace {

Result<const OpencvEnginePart *> part() {
    return part_table<OpencvEnginePart>("opencv", "sphere_opencv_engine");
}

} // namespace

Result<std::shared_ptr<Engine>> make_opencv_engine(const ResolvedModel &model,
                                                   const EngineOptions &options) {
    const auto opencv = part();
    if (!opencv)
        return opencv.error();
    return (*opencv)->make(model, options);
}

bool opencv_engine_built() {
    return true;
}

std::string opencv_engine_version() {
    const auto opencv = part();
    return opencv ? (*opencv)->version() : std::string();
}

} // namespace sphere
