// SPDX-License-Identifier: MIT
// Every scan kernel that the machine runs, against sums in double precision.
#include "core/gallery/scan_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>

#include <bit>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

namespace sphere::testing {
namespace {

/// `count` values that start on a 64-byte boundary, with a guard behind them that a test reads
/// back: kernels may not write past what they were given.
template <typename T> class Aligned {
  public:
    explicit Aligned(std::size_t count) : bytes_(count * sizeof(T) + 128), count_(count) {
        const auto address = reinterpret_cast<std::uintptr_t>(bytes_.data());
        data_ = reinterpret_cast<T *>(bytes_.data() + (64 - address % 64) % 64);
    }
    T *data() { return data_; }
    T &operator[](std::size_t i) { return data_[i]; }
    std::size_t size() const { return count_; }

  private:
    std::vector<unsigned char> bytes_;
    std::size_t count_;
    T *data_;
};

class Scan : public ::testing::TestWithParam<const ScanKernels *> {};

std::vector<const ScanKernels *> kernels_of_this_machine() {
    std::vector<const ScanKernels *> found = {scan_kernels_scalar()};
    for (const ScanKernels *kernels :
         {scan_kernels_avx2(), scan_kernels_avx512(),
          detected_cpu_extensions().avx512_vnni ? scan_kernels_avx512_vnni() : nullptr})
        if (kernels != nullptr && cpu_level_runs_on(kernels->level, detected_cpu_level()))
            found.push_back(kernels);
    return found;
}

struct Shape {
    std::size_t rows, queries, n;
};
Shape random_shape(std::mt19937 &random) {
    const std::size_t lanes = 1 + random() % (random() % 8 == 0 ? 64 : 20);
    return {1 + random() % (random() % 4 == 0 ? kScanRows : 20), 1 + random() % kScanQueries,
            lanes * kScanLanes};
}

void expect_sums(const float *out, const Shape &shape, const std::vector<double> &rows,
                 const std::vector<double> &queries) {
    for (std::size_t q = 0; q < shape.queries; ++q)
        for (std::size_t r = 0; r < shape.rows; ++r) {
            double dot = 0;
            double rr = 0;
            double qq = 0;
            for (std::size_t i = 0; i < shape.n; ++i) {
                const double x = rows[r * shape.n + i];
                const double y = queries[q * shape.n + i];
                dot += x * y;
                rr += x * x;
                qq += y * y;
            }
            ASSERT_NEAR(out[q * kScanRows + r], dot, kScanError * std::sqrt(rr * qq))
                << shape.rows << " rows " << shape.queries << " queries " << shape.n
                << " values: row " << r << " query " << q;
        }
}

TEST_P(Scan, FloatSumsAreWithinTheStatedError) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (int round = 0; round < 60; ++round) {
        const Shape shape = random_shape(random);
        Aligned<float> rows(shape.rows * shape.n);
        Aligned<float> queries(shape.queries * shape.n);
        Aligned<std::uint16_t> halves(rows.size());
        std::vector<double> row_values(rows.size());
        std::vector<double> half_values(rows.size());
        std::vector<double> query_values(queries.size());
        const float scale = std::exp(normal(random));
        for (std::size_t i = 0; i < rows.size(); ++i) {
            row_values[i] = rows[i] = scale * normal(random);
            halves[i] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(rows[i]) >> 16);
            half_values[i] = std::bit_cast<float>(std::uint32_t{halves[i]} << 16);
        }
        for (std::size_t i = 0; i < queries.size(); ++i)
            query_values[i] = queries[i] = normal(random);
        std::vector<float> out(kScanRows * kScanQueries, -777);
        GetParam()->f32(rows.data(), shape.rows, queries.data(), shape.queries, shape.n,
                        out.data());
        expect_sums(out.data(), shape, row_values, query_values);
        GetParam()->bf16(halves.data(), shape.rows, queries.data(), shape.queries, shape.n,
                         out.data());
        expect_sums(out.data(), shape, half_values, query_values);
        // Nothing but the pairs is written.
        for (std::size_t q = 0; q < kScanQueries; ++q)
            for (std::size_t r = 0; r < kScanRows; ++r)
                if (q >= shape.queries || r >= shape.rows) {
                    ASSERT_EQ(out[q * kScanRows + r], -777);
                }
    }
}

TEST_P(Scan, ByteSumsAreExact) {
    std::mt19937 random(2);
    for (int round = 0; round < 60; ++round) {
        const Shape shape = random_shape(random);
        Aligned<std::uint8_t> rows(shape.rows * shape.n);
        Aligned<std::int8_t> queries(shape.queries * shape.n);
        const bool extreme = round % 4 == 0; // where 16-bit sums may saturate
        const int most = GetParam()->most_query_byte;
        for (std::size_t i = 0; i < rows.size(); ++i)
            rows[i] = extreme ? 255 : static_cast<std::uint8_t>(random());
        for (std::size_t i = 0; i < queries.size(); ++i)
            queries[i] = static_cast<std::int8_t>(
                extreme ? (round % 8 == 0 ? most : -most)
                        : static_cast<int>(random() % (2 * static_cast<unsigned>(most) + 1)) -
                              most);
        std::vector<std::int32_t> out(kScanRows * kScanQueries);
        GetParam()->u8(rows.data(), shape.rows, queries.data(), shape.queries, shape.n,
                       out.data());
        for (std::size_t q = 0; q < shape.queries; ++q)
            for (std::size_t r = 0; r < shape.rows; ++r) {
                std::int64_t sum = 0;
                for (std::size_t i = 0; i < shape.n; ++i)
                    sum += std::int64_t{rows[r * shape.n + i]} * queries[q * shape.n + i];
                ASSERT_EQ(out[q * kScanRows + r], sum);
            }
    }
}

TEST_P(Scan, TheLargestByteSumFits) {
    constexpr std::size_t kDims = 16384;
    Aligned<std::uint8_t> row(kDims);
    Aligned<std::int8_t> query(kDims);
    std::fill_n(row.data(), kDims, 255);
    const int most = GetParam()->most_query_byte;
    std::fill_n(query.data(), kDims, -most);
    std::vector<std::int32_t> out(kScanRows);
    GetParam()->u8(row.data(), 1, query.data(), 1, kDims, out.data());
    EXPECT_EQ(out[0], -255 * most * 16384);
}

TEST_P(Scan, APairsBitsDoNotDependOnItsNeighbours) {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    const Shape shape{37, kScanQueries, 1088};
    Aligned<float> rows(shape.rows * shape.n);
    Aligned<float> queries(shape.queries * shape.n);
    for (std::size_t i = 0; i < rows.size(); ++i)
        rows[i] = normal(random);
    for (std::size_t i = 0; i < queries.size(); ++i)
        queries[i] = normal(random);
    std::vector<float> all(kScanRows * kScanQueries);
    GetParam()->f32(rows.data(), shape.rows, queries.data(), shape.queries, shape.n,
                    all.data());
    for (std::size_t q = 0; q < shape.queries; ++q)
        for (std::size_t r = 0; r < shape.rows; ++r) {
            float one = 0;
            std::vector<float> out(kScanRows);
            GetParam()->f32(rows.data() + r * shape.n, 1, queries.data() + q * shape.n, 1,
                            shape.n, out.data());
            one = out[0];
            ASSERT_EQ(std::bit_cast<std::uint32_t>(one),
                      std::bit_cast<std::uint32_t>(all[q * kScanRows + r]));
        }
}

INSTANTIATE_TEST_SUITE_P(All, Scan, ::testing::ValuesIn(kernels_of_this_machine()),
                         [](const auto &info) {
                             std::string name = info.param->name;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

TEST(ScanChoice, TheFastestThatTheMachineRuns) {
    const auto all = kernels_of_this_machine();
    EXPECT_STREQ(scan_kernels().name,
                 cpu_level() == detected_cpu_level() ? all.back()->name : scan_kernels().name);
    EXPECT_TRUE(cpu_level_runs_on(scan_kernels().level, cpu_level()));
}

} // namespace
} // namespace sphere::testing
