// SPDX-License-Identifier: MIT
// Dot products and squared distances by the compiler's own vector types.
#include "core/gallery/distance.h"

#include "core/base/cpu.h"

#include <algorithm>

namespace sphere {
namespace {

// may_alias: rows are stored as float and read as vectors.
using Float4 = float __attribute__((vector_size(16), may_alias));
using Float8 = float __attribute__((vector_size(32), may_alias));

constexpr std::size_t kBlock = 512;

enum class Sum { Products, SquaredDifferences };

template <typename Vector, Sum kSum>
[[gnu::always_inline]] inline double sum_over(const float *a, const float *b, std::size_t n) {
    constexpr std::size_t kWidth = sizeof(Vector) / sizeof(float);
    constexpr std::size_t kVectors = kDistanceLanes / kWidth;
    double total = 0;
    for (std::size_t start = 0; start < n; start += kBlock) {
        const std::size_t end = std::min(start + kBlock, n);
        Vector sums[kVectors] = {};
        for (std::size_t i = start; i < end; i += kDistanceLanes)
            for (std::size_t v = 0; v < kVectors; ++v) {
                const Vector x = *reinterpret_cast<const Vector *>(a + i + v * kWidth);
                const Vector y = *reinterpret_cast<const Vector *>(b + i + v * kWidth);
                if constexpr (kSum == Sum::Products)
                    sums[v] += x * y;
                else
                    sums[v] += (x - y) * (x - y);
            }
        for (std::size_t v = 1; v < kVectors; ++v)
            sums[0] += sums[v];
        float lane_sum = 0;
        for (std::size_t lane = 0; lane < kWidth; ++lane)
            lane_sum += sums[0][lane];
        total += static_cast<double>(lane_sum);
    }
    return total;
}

double dot_baseline(const float *a, const float *b, std::size_t n) {
    return sum_over<Float4, Sum::Products>(a, b, n);
}
double squared_distance_baseline(const float *a, const float *b, std::size_t n) {
    return sum_over<Float4, Sum::SquaredDifferences>(a, b, n);
}

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] double dot_avx2(const float *a, const float *b, std::size_t n) {
    return sum_over<Float8, Sum::Products>(a, b, n);
}
[[gnu::target("avx2,fma")]] double squared_distance_avx2(const float *a, const float *b,
                                                         std::size_t n) {
    return sum_over<Float8, Sum::SquaredDifferences>(a, b, n);
}

DistanceKernels choose() {
    if (cpu_level_runs_on(CpuLevel::Avx2, cpu_level()))
        return {dot_avx2, squared_distance_avx2};
    return {dot_baseline, squared_distance_baseline};
}
#else
DistanceKernels choose() {
    return {dot_baseline, squared_distance_baseline};
}
#endif

} // namespace

const DistanceKernels &distance_kernels() {
    static const DistanceKernels kernels = choose();
    return kernels;
}

} // namespace sphere
