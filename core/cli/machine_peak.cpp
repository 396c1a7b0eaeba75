// SPDX-License-Identifier: MIT
// What one core can do at most, by timing it.
#include "core/cli/machine_peak.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>
#include <vector>

namespace sphere::cli {
namespace {

template <typename Work> double best_seconds(int turns, Work work) {
    double best = 1e9;
    for (int i = 0; i < turns; ++i) {
        const auto start = std::chrono::steady_clock::now();
        work();
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        best = std::min(best, took.count());
    }
    return best;
}

} // namespace

#if defined(__x86_64__)
#define SPHERE_TWELVE(i)                                                                       \
    i " %%zmm30,%%zmm31,%%zmm0\n" i " %%zmm30,%%zmm31,%%zmm1\n" i                              \
      " %%zmm30,%%zmm31,%%zmm2\n" i " %%zmm30,%%zmm31,%%zmm3\n" i                              \
      " %%zmm30,%%zmm31,%%zmm4\n" i " %%zmm30,%%zmm31,%%zmm5\n" i                              \
      " %%zmm30,%%zmm31,%%zmm6\n" i " %%zmm30,%%zmm31,%%zmm7\n" i                              \
      " %%zmm30,%%zmm31,%%zmm8\n" i " %%zmm30,%%zmm31,%%zmm9\n" i                              \
      " %%zmm30,%%zmm31,%%zmm10\n" i " %%zmm30,%%zmm31,%%zmm11\n"
#define SPHERE_PEAK(instruction, operations)                                                   \
    [] {                                                                                       \
        constexpr int kLoops = 100000;                                                         \
        const double seconds = best_seconds(30, [] {                                           \
            for (int i = 0; i < kLoops; ++i)                                                   \
                asm volatile(SPHERE_TWELVE(instruction)::                                      \
                                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",     \
                                   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11");                  \
        });                                                                                    \
        return kLoops * 12.0 * (operations) / seconds / 1e9;                                   \
    }()

ArithmeticPeak measure_peak() {
    ArithmeticPeak peak;
    if (!__builtin_cpu_supports("avx512f"))
        return peak;
    asm volatile("vpxord %%zmm30,%%zmm30,%%zmm30\n vpxord %%zmm31,%%zmm31,%%zmm31\n" ::
                     : "memory");
    peak.fp32 = SPHERE_PEAK("vfmadd231ps", 32);
    if (__builtin_cpu_supports("avx512bf16"))
        peak.bf16 = SPHERE_PEAK("vdpbf16ps", 64);
    if (__builtin_cpu_supports("avx512vnni"))
        peak.int8 = SPHERE_PEAK("vpdpbusd", 128);
    return peak;
}
#undef SPHERE_PEAK
#undef SPHERE_TWELVE
#else
ArithmeticPeak measure_peak() {
    return {};
}
#endif

double measure_copied_gb_per_s() {
    try {
        std::vector<char> from(std::size_t{512} << 20, 1), to(from.size());
        const double seconds =
            best_seconds(5, [&] { std::memcpy(to.data(), from.data(), from.size()); });
        return static_cast<double>(from.size()) / seconds / 1e9;
    } catch (const std::bad_alloc &) {
        return 0;
    }
}

} // namespace sphere::cli
