// SPDX-License-Identifier: MIT
// Which version of the kernels runs.
#include "core/image/kernels.h"

namespace sphere::kernels {

const Kernels &kernels_in_use() noexcept {
    static const Kernels &chosen = []() -> const Kernels & {
        for (const Kernels *kernels : {kernels_avx512(), kernels_avx2()})
            if (kernels != nullptr && cpu_level_runs_on(kernels->level, cpu_level()))
                return *kernels;
        return *kernels_scalar();
    }();
    return chosen;
}

} // namespace sphere::kernels
