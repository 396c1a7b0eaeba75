// SPDX-License-Identifier: MIT
// Runs a plan of engine onednn without the engine around it.
#pragma once

#include "core/engine/onednn/plan.h"

#include <vector>

namespace sphere::testing_support {

/// All outputs for `x`, of the second of two runs: it finds what the first left in memory.
inline std::vector<std::vector<float>> run_twice(onednn::Plan &plan,
                                                 const std::vector<float> &x) {
    std::vector<std::vector<float>> results;
    std::vector<float *> places;
    for (std::size_t i = 0; i < plan.output_count(); ++i)
        results.emplace_back(
            static_cast<std::size_t>(onednn::count_elements(plan.output_dims(i))));
    for (std::vector<float> &result : results)
        places.push_back(result.data());
    plan.run(x.data(), places);
    plan.run(x.data(), places);
    return results;
}

} // namespace sphere::testing_support
