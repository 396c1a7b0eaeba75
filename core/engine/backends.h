// SPDX-License-Identifier: MIT
// The factories of the inference backends; an absent one is a stub that says how to enable it.
#pragma once

#include "core/engine/engine.h"

namespace sphere {

Result<std::shared_ptr<Engine>> make_opencv_engine(const ResolvedModel &model,
                                                   const EngineOptions &options);
Result<std::shared_ptr<Engine>> make_fake_engine(const ResolvedModel &model,
                                                 const EngineOptions &options);

} // namespace sphere
