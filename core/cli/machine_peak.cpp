// SPDX-License-Identifier: MIT
// What one core can do at most, by timing it.
#include "core/cli/machine_peak.h"

#include "core/base/cpu.h"

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
// Each block starts from zeros (denormal numbers would cost more), which vzeroall makes of
// registers 0 to 15; sums are in 0 to 11, operands in 12 and 13.
#define SPHERE_TWELVE(r)                                                                       \
    SPHERE_STEP(r "0", r)                                                                      \
    SPHERE_STEP(r "1", r)                                                                      \
    SPHERE_STEP(r "2", r)                                                                      \
    SPHERE_STEP(r "3", r)                                                                      \
    SPHERE_STEP(r "4", r)                                                                      \
    SPHERE_STEP(r "5", r)                                                                      \
    SPHERE_STEP(r "6", r)                                                                      \
    SPHERE_STEP(r "7", r)                                                                      \
    SPHERE_STEP(r "8", r)                                                                      \
    SPHERE_STEP(r "9", r)                                                                      \
    SPHERE_STEP(r "10", r)                                                                     \
    SPHERE_STEP(r "11", r)
#define SPHERE_PEAK(registers, operations)                                                     \
    [] {                                                                                       \
        constexpr int kLoops = 2500;                                                           \
        const double seconds = best_seconds(30, [] {                                           \
            for (int i = 0; i < kLoops; ++i)                                                   \
                asm volatile("vzeroall\n .rept 40\n" SPHERE_TWELVE(registers) ".endr\n" ::     \
                                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",     \
                                   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", \
                                   "xmm14", "xmm15");                                          \
        });                                                                                    \
        return kLoops * 40 * 12.0 * (operations) / seconds / 1e9;                              \
    }()

ArithmeticPeak measure_peak() {
    ArithmeticPeak peak;
    const CpuExtensions extensions = detected_cpu_extensions();
    if (detected_cpu_level() == CpuLevel::Avx512) {
#define SPHERE_STEP(sum, r) "vfmadd231ps " r "12," r "13," sum "\n"
        peak.fp32 = SPHERE_PEAK("%%zmm", 32);
#undef SPHERE_STEP
#define SPHERE_STEP(sum, r) "vdpbf16ps " r "12," r "13," sum "\n"
        if (extensions.avx512_bf16)
            peak.bf16 = SPHERE_PEAK("%%zmm", 64);
#undef SPHERE_STEP
#define SPHERE_STEP(sum, r) "vpdpbusd " r "12," r "13," sum "\n"
        if (extensions.avx512_vnni)
            peak.int8 = SPHERE_PEAK("%%zmm", 128);
#undef SPHERE_STEP
    } else if (detected_cpu_level() == CpuLevel::Avx2) {
#define SPHERE_STEP(sum, r) "vfmadd231ps " r "12," r "13," sum "\n"
        peak.fp32 = SPHERE_PEAK("%%ymm", 16);
#undef SPHERE_STEP
        // Four times bytes in pairs to 16 bits, their sum in pairs to 32, and the sum of these.
#define SPHERE_MORE(r) "vpmaddubsw " r "12," r "13," r "14\n vpaddw " r "14," r "15," r "15\n"
#define SPHERE_STEP(sum, r)                                                                    \
    "vpmaddubsw " r "12," r "13," r "15\n" SPHERE_MORE(r) SPHERE_MORE(r)                       \
        SPHERE_MORE(r) "vpmaddwd " r "13," r "15," r "15\n vpaddd " r "15," sum "," sum "\n"
        peak.int8 = SPHERE_PEAK("%%ymm", 256);
#undef SPHERE_STEP
#undef SPHERE_MORE
    }
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
