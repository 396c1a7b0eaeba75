// SPDX-License-Identifier: MIT
// What this CPU is good at, measured, because its flags do not say.
#pragma once

#include "core/engine/onednn/plan.h"

#include <utility>

namespace sphere::onednn {

bool cpu_has_bf16();

/// Whether a convolution in bf16 beats the best one in fp32 (Winograd's included). Some CPUs
/// issue the bf16 dot product at a quarter of the rate of others, and without AMX it is then
/// slower than fp32. Measured once a process, in a few milliseconds.
bool bf16_is_faster();

/// Seconds that one input takes by each of two settings on one thread: the best of a few runs
/// in turns. Makes both plans, with weights of their own, for that while. Throws as Plan.
Result<std::pair<double, double>> time_plans(const Graph &graph, const Dims &input,
                                             const PlanSettings &first,
                                             const PlanSettings &second);

} // namespace sphere::onednn
