// SPDX-License-Identifier: MIT
// The reference kernels, in plain C++, and the choice among all.
#include "core/gallery/scan_kernels.h"

#include "core/gallery/scan_tiles.h"

#include <bit>

namespace sphere {
namespace {

/// Sixteen sums side by side, as the widest vector has: compilers make of them what the target
/// has.
struct ScalarF32 {
    static constexpr std::size_t kStep = 16;
    static constexpr int kTileRows = 1;
    using Row = float;
    using Query = float;
    using Out = float;
    using Total = double;
    struct Accumulator {
        float lane[kStep];
    };
    using RowVector = const Row *;
    using QueryVector = const Query *;
    static Accumulator zero() { return {}; }
    static RowVector load_row(const Row *p) { return p; }
    static QueryVector load_query(const Query *p) { return p; }
    static Accumulator add_products(Accumulator sums, RowVector row, QueryVector query) {
        for (std::size_t i = 0; i < kStep; ++i)
            sums.lane[i] += row[i] * query[i];
        return sums;
    }
    static float sum(const Accumulator &sums) {
        float total = 0;
        for (const float lane : sums.lane)
            total += lane;
        return total;
    }
};

struct ScalarBf16 : ScalarF32 {
    using Row = std::uint16_t;
    using RowVector = const Row *;
    static RowVector load_row(const Row *p) { return p; }
    static Accumulator add_products(Accumulator sums, RowVector row, QueryVector query) {
        for (std::size_t i = 0; i < kStep; ++i)
            sums.lane[i] += std::bit_cast<float>(std::uint32_t{row[i]} << 16) * query[i];
        return sums;
    }
};

struct ScalarU8 {
    static constexpr std::size_t kStep = 16;
    static constexpr int kTileRows = 1;
    using Row = std::uint8_t;
    using Query = std::int8_t;
    using Out = std::int32_t;
    using Total = std::int32_t;
    using Accumulator = std::int32_t;
    using RowVector = const Row *;
    using QueryVector = const Query *;
    static Accumulator zero() { return 0; }
    static RowVector load_row(const Row *p) { return p; }
    static QueryVector load_query(const Query *p) { return p; }
    static Accumulator add_products(Accumulator sum, RowVector row, QueryVector query) {
        for (std::size_t i = 0; i < kStep; ++i)
            sum += std::int32_t{row[i]} * query[i];
        return sum;
    }
    static std::int32_t sum(Accumulator sum) { return sum; }
};

float bf16_pair(const std::uint16_t *a, const std::uint16_t *b, std::size_t n) {
    float sums[16] = {};
    for (std::size_t i = 0; i < n; i += 16)
        for (std::size_t lane = 0; lane < 16; ++lane)
            sums[lane] += std::bit_cast<float>(std::uint32_t{a[i + lane]} << 16) *
                          std::bit_cast<float>(std::uint32_t{b[i + lane]} << 16);
    float total = 0;
    for (const float lane : sums)
        total += lane;
    return total;
}

constexpr ScanKernels kScalar = {CpuLevel::Scalar,     "scalar",
                                 &scan_all<ScalarF32>, &scan_all<ScalarBf16>,
                                 &scan_all<ScalarU8>,  &bf16_pair};

const ScanKernels &choose() {
    const CpuLevel level = cpu_level();
    const bool vnni = cpu_extensions().avx512_vnni;
    for (const ScanKernels *kernels : {vnni ? scan_kernels_avx512_vnni() : nullptr,
                                       scan_kernels_avx512(), scan_kernels_avx2()})
        if (kernels != nullptr && cpu_level_runs_on(kernels->level, level))
            return *kernels;
    return kScalar;
}

} // namespace

const ScanKernels *scan_kernels_scalar() noexcept {
    return &kScalar;
}

const ScanKernels &scan_kernels() noexcept {
    static const ScanKernels &kernels = choose();
    return kernels;
}

} // namespace sphere
