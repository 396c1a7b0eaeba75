// SPDX-License-Identifier: MIT
// The parts of a step's work, side by side.
#pragma once

#include <cstdint>

namespace sphere::onednn {

/// Calls band(i) for i of 0 to `bands` - 1, each on a thread of OpenMP's, where it is built in,
/// and returns when all are done. `band` must not throw where there are several.
template <typename Band> void run_bands(std::int64_t bands, const Band &band) {
    if (bands == 1)
        return band(0);
// ThreadSanitizer does not see how GNU OpenMP's threads wait for each other.
#if defined(_OPENMP) && !defined(__SANITIZE_THREAD__)
#pragma omp parallel for num_threads(static_cast <int>(bands)) schedule(static)
#endif
    for (std::int64_t i = 0; i < bands; ++i)
        band(i);
}

} // namespace sphere::onednn
