// SPDX-License-Identifier: MIT
// The portable version: the reference for the others.
#include "core/image/kernel_loops.h"

namespace sphere::kernels {

const Kernels *kernels_scalar() noexcept {
    static constexpr Kernels kKernels = make_kernels(CpuLevel::Scalar);
    return &kKernels;
}

} // namespace sphere::kernels
