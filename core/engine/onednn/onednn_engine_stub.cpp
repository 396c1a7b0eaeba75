// SPDX-License-Identifier: MIT
#include "core/engine/backends.h"

namespace sphere {

Result<std::shared_ptr<Engine>> make_onednn_engine(const ResolvedModel &,
                                                   const EngineOptions &) {
    return fail(Errc::Unsupported, "built without oneDNN (enable with -Donednn=enabled): use "
                                   "engine=opencv or engine=auto.");
}

bool onednn_engine_built() {
    return false;
}

} // namespace sphere
