// SPDX-License-Identifier: MIT
// What a network is computed in.
#pragma once

#include "core/engine/onednn/graph.h"
#include "core/engine/onednn/probe.h"
#include "core/model/store.h"

namespace sphere::onednn {

/// `precision` made ready; for Auto the fastest that keeps the model's accuracy: int8 where
/// somebody has calibrated it, the calibration says so and it is measured to be faster here;
/// bf16 where the CPU is made for it; else fp32. What the measuring made is kept. Throws as
/// Plan. Errors: those of Plan, and of Int8 alone those of load_calibration(), Unsupported
/// (this CPU), Mismatch (calibrated for another CPU).
Result<Preparation> prepare(const ResolvedModel &model, const Graph &graph,
                            Precision precision);

} // namespace sphere::onednn
