// SPDX-License-Identifier: MIT
// Stands in for the ONNX Runtime engine where the core is built without it.
#include "core/engine/backends.h"

namespace sphere {

Result<std::shared_ptr<Engine>> make_onnxruntime_engine(const ResolvedModel &model,
                                                        const EngineOptions &) {
    return fail(Errc::Unsupported, "Model ", model.descriptor.name,
                ": this core was built without ONNX Runtime (enable with "
                "-Donnxruntime=enabled; Debian 13's package is libonnxruntime-dev); use "
                "engine=auto.");
}

bool onnxruntime_engine_built() {
    return false;
}

std::string onnxruntime_engine_version() {
    return {};
}

} // namespace sphere
