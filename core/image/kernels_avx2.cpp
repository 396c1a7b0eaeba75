// SPDX-License-Identifier: MIT
// Compiled for AVX2; null elsewhere.
#if defined(__AVX2__)
#include "core/image/kernel_loops.h"
#else
#include "core/image/kernels.h"
#endif

namespace sphere::kernels {

const Kernels *kernels_avx2() noexcept {
#if defined(__AVX2__)
    static constexpr Kernels kKernels = make_kernels(CpuLevel::Avx2);
    return &kKernels;
#else
    return nullptr;
#endif
}

} // namespace sphere::kernels
