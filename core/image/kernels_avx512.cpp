// SPDX-License-Identifier: MIT
// Compiled for AVX-512; null elsewhere.
#if defined(__AVX512F__)
#include "core/image/kernel_loops.h"
#include "core/image/warp_row_avx2.h"
#else
#include "core/image/kernels.h"
#endif

namespace sphere::kernels {

const Kernels *kernels_avx512() noexcept {
#if defined(__AVX512F__)
    static constexpr Kernels kKernels = with_warp_row(make_kernels(CpuLevel::Avx512));
    return &kKernels;
#else
    return nullptr;
#endif
}

} // namespace sphere::kernels
