// SPDX-License-Identifier: MIT
#include "core/engine/onednn/upsample.h"

#include "core/engine/onednn/bands.h"

#include <algorithm>

namespace sphere::onednn {
namespace {

/// Row `y` of all pictures' rows of the result.
void run_row(const UpsampledSum &sum, std::int64_t y) {
    const std::int64_t channels = sum.channels;
    const std::int64_t at = y * sum.pixels * sum.factor_x * channels;
    const float *x = sum.x + y / sum.factor_y * sum.pixels * channels;
    const float *addend = sum.addend + at;
    float *out = sum.out + at;
    for (std::int64_t p = 0; p < sum.pixels; ++p, x += channels)
        for (std::int64_t i = 0; i < sum.factor_x; ++i, addend += channels, out += channels)
            for (std::int64_t c = 0; c < channels; ++c)
                out[c] = addend[c] + x[c];
}

} // namespace

void run_upsampled_sum(const UpsampledSum &sum, int threads) {
    const std::int64_t rows = sum.pictures * sum.rows * sum.factor_y;
    const std::int64_t bands =
        std::clamp<std::int64_t>(threads, 1, std::max<std::int64_t>(rows, 1));
    run_bands(bands, [&](std::int64_t band) {
        for (std::int64_t y = band * rows / bands; y < (band + 1) * rows / bands; ++y)
            run_row(sum, y);
    });
}

} // namespace sphere::onednn
