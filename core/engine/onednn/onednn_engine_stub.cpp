// SPDX-License-Identifier: MIT
#include "core/engine/backends.h"
#include "core/engine/calibration.h"

namespace sphere {

Result<std::shared_ptr<Engine>> make_onednn_engine(const ResolvedModel &,
                                                   const EngineOptions &) {
    return fail(Errc::Unsupported, "built without oneDNN (enable with -Donednn=enabled): use "
                                   "engine=opencv or engine=auto.");
}

Result<Int8Calibration> calibrate_int8(const ResolvedModel &, std::span<const Tensor>,
                                       const CalibrationProgress &, Int8Judge *) {
    return fail(Errc::Unsupported, "int8 needs engine onednn, and this core was built without "
                                   "oneDNN (enable with -Donednn=enabled).");
}

bool onednn_engine_built() {
    return false;
}

std::string onednn_engine_version() {
    return {};
}

} // namespace sphere
