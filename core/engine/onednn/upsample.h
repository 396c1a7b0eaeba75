// SPDX-License-Identifier: MIT
// A small map enlarged and added to a large one, as feature pyramids do, in one pass over
// memory.
#pragma once

#include <cstdint>

namespace sphere::onednn {

/// out = addend + x, where each pixel of x counts for factor_y x factor_x pixels. Dense tensors
/// [pictures][rows][pixels][channels] of fp32. Memory is what it waits for: plain code is as
/// fast as wider vectors.
struct UpsampledSum {
    const float *x = nullptr;
    const float *addend = nullptr;
    float *out = nullptr;                                          ///< may be addend
    std::int64_t pictures = 0, rows = 0, pixels = 0, channels = 0; ///< of x
    std::int64_t factor_y = 1, factor_x = 1;
};

/// On up to `threads` threads.
void run_upsampled_sum(const UpsampledSum &sum, int threads);

} // namespace sphere::onednn
