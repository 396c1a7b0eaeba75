// SPDX-License-Identifier: MIT
// What one core of this machine can do at most, measured on the spot: products and sums in
// registers, and bytes from memory.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <vector>

namespace sphere::bench {

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

#if defined(__x86_64__)
// Twelve independent sums hide the latency of four cycles at two instructions a cycle.
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

inline void print_peak() {
    std::printf("peak of one core, 1e9 operations/s:");
    if (__builtin_cpu_supports("avx512f")) {
        asm volatile("vpxord %%zmm30,%%zmm30,%%zmm30\n vpxord %%zmm31,%%zmm31,%%zmm31\n" ::
                         : "memory");
        std::printf(" fp32 %.0f", SPHERE_PEAK("vfmadd231ps", 32));
    }
    if (__builtin_cpu_supports("avx512bf16"))
        std::printf(", bf16 %.0f", SPHERE_PEAK("vdpbf16ps", 64));
    if (__builtin_cpu_supports("avx512vnni"))
        std::printf(", int8 %.0f", SPHERE_PEAK("vpdpbusd", 128));
    std::printf("\n");
}
#undef SPHERE_PEAK
#undef SPHERE_TWELVE
#else
inline void print_peak() {}
#endif

inline void print_bandwidth() {
    std::vector<char> from(std::size_t{512} << 20, 1), to(from.size());
    const double seconds =
        best_seconds(5, [&] { std::memcpy(to.data(), from.data(), from.size()); });
    std::printf("memory, one core: %.1f GB/s copied\n",
                static_cast<double>(from.size()) / seconds / 1e9);
}

} // namespace sphere::bench
