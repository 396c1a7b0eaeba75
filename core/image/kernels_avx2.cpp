// SPDX-License-Identifier: MIT
// Compiled for AVX2; null elsewhere.
#if defined(__AVX2__)
#include "core/image/kernel_loops.h"
#include "core/image/warp_row_avx2.h"
#else
#include "core/image/kernels.h"
#endif

namespace sphere::kernels {

const Kernels *kernels_avx2() noexcept {
#if defined(__AVX2__)
    static constexpr Kernels kKernels = with_warp_row(make_kernels(CpuLevel::Avx2));
    return &kKernels;
#else
    return nullptr;
#endif
}

} // namespace sphere::kernels
