// SPDX-License-Identifier: MIT
// What this CPU is good at, measured, because its flags do not say.
#pragma once

#include "core/engine/onednn/plan.h"

#include <memory>

namespace sphere::onednn {

/// As far as the library uses it.
bool cpu_has_bf16();

/// Whether a direct convolution in bf16 beats one in fp32; so do Winograd's then. Some CPUs
/// issue the bf16 dot product at a quarter of the rate of others, and without AMX it is then
/// slower than fp32. Measured once a process, in a few milliseconds.
bool bf16_is_faster();

/// What an engine starts with.
struct Preparation {
    explicit Preparation(PlanSettings of);

    PlanSettings settings;
    dnnl::engine engine;
    WeightStore weights;
    std::unique_ptr<Plan> plan; ///< of one input by one thread, and has run; or nullptr
};

struct Race {
    double first_s, second_s;
    Preparation winner;
    bool first_won() const { return first_s < second_s; }
};

/// Which of two settings takes one input faster on one thread, and in how many seconds: the
/// best of a few runs in turns, fewer where it is plain. Throws as Plan.
Result<Race> time_plans(const Graph &graph, const Dims &input, const PlanSettings &first,
                        const PlanSettings &second);

} // namespace sphere::onednn
