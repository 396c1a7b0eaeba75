// SPDX-License-Identifier: MIT
// Entries of a walk: near rows have near sketches, whatever the rows' size and mean.
#include "core/gallery/entry_sketches.h"
#include "tests/bench/bench_data.h"
#include "tests/support/sanitizers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sphere {
namespace {

struct Rows {
    explicit Rows(std::size_t dims, float offset, std::size_t count = 3000)
        : data(bench::make_identities(count, dims, 7)), rows(dims, RowFormat::Bf16) {
        planted = bench::plant_near_duplicates(data, dims, 50, 8);
        for (float &value : data)
            value += offset;
        for (std::size_t i = 0; i < count; ++i)
            rows.append(std::span(data).subspan(i * dims, dims));
        for (std::size_t q = 0; q < 50; ++q) {
            queries.emplace_back(rows.stride());
            for (std::size_t d = 0; d < dims; ++d)
                queries.back()[d] = planted.queries[q * dims + d] + offset;
        }
    }
    std::vector<float> data;
    bench::Planted planted;
    ExactRows rows;
    std::vector<AlignedVector<float>> queries;
};

std::vector<std::uint32_t> all_of(const ExactRows &rows) {
    std::vector<std::uint32_t> entries(rows.size());
    std::iota(entries.begin(), entries.end(), 0U);
    return entries;
}

TEST(EntrySketches, ThePlantedRowsIdentityIsAmongTheNearest) {
    for (const std::size_t dims : {128, 512, 700})
        for (const float offset : {0.0F, 0.2F}) {
            SCOPED_TRACE(std::to_string(dims) + " values, all raised by " +
                         std::to_string(offset));
            const Rows made(dims, offset);
            EntrySketches sketches;
            sketches.make(made.rows, all_of(made.rows));
            std::size_t found = 0;
            for (std::size_t q = 0; q < 50; ++q) {
                const auto near = sketches.nearest(made.queries[q].data(), 8);
                ASSERT_EQ(near.size(), 8U);
                found += static_cast<std::size_t>(
                    std::any_of(near.begin(), near.end(), [&](std::uint32_t place) {
                        return sketches.entries()[place] % 300 == made.planted.rows[q] % 300;
                    }));
            }
            EXPECT_GE(found, 49U);
        }
}

/// As many people as a million faces have, one row each: a walk that begins at the wrong one
/// gets lost among them.
TEST(EntrySketches, AmongAHundredThousandPeopleTheRightOneIsNamed) {
#if SPHERE_ASAN || SPHERE_TSAN
    constexpr std::size_t kPeople = 5'000;
#else
    constexpr std::size_t kPeople = 100'000;
#endif
    constexpr std::size_t kDims = 512;
    constexpr std::size_t kQueries = 500;
    const float in_person = std::sqrt(0.8F);
    bench::Random random(1);
    ExactRows rows(kDims, RowFormat::Bf16);
    std::vector<std::vector<float>> queries;
    std::vector<float> middle(kDims);
    std::vector<float> face;
    for (std::size_t person = 0; person < kPeople; ++person) {
        std::generate(middle.begin(), middle.end(), [&] { return random.bell(); });
        face = middle;
        bench::blur(face.data(), kDims, in_person, random);
        rows.append(face);
        if (person % (kPeople / kQueries) != 0)
            continue;
        face = middle; // another face of theirs, and a near duplicate of that
        bench::blur(face.data(), kDims, in_person, random);
        bench::blur(face.data(), kDims, 0.95F, random);
        queries.push_back(face);
    }
    EntrySketches sketches;
    sketches.make(rows, all_of(rows));
    std::size_t found = 0;
    for (std::size_t q = 0; q < kQueries; ++q)
        for (const std::uint32_t place : sketches.nearest(queries[q].data(), 8))
            found += sketches.entries()[place] == q * (kPeople / kQueries);
    EXPECT_GE(found, kQueries * 999 / 1000);
}

TEST(EntrySketches, TooManyEntriesAreThinnedEvenly) {
    const Rows made(64, 0, 100);
    std::vector<std::uint32_t> entries;
    for (std::uint32_t i = 0; i < 3 * EntrySketches::kMostEntries; ++i)
        entries.push_back(i * 100 / (3 * EntrySketches::kMostEntries));
    EntrySketches sketches;
    sketches.make(made.rows, entries);
    EXPECT_EQ(sketches.entries().size(), EntrySketches::kMostEntries);
    EXPECT_EQ(sketches.entries().front(), 0U);
    EXPECT_EQ(sketches.entries().back(), 99U);
}

TEST(EntrySketches, NoneAndFewerThanAskedFor) {
    const Rows made(64, 0, 3);
    EntrySketches sketches;
    EXPECT_TRUE(sketches.nearest(made.queries[0].data(), 8).empty());
    sketches.make(made.rows, all_of(made.rows));
    EXPECT_EQ(sketches.nearest(made.queries[0].data(), 8).size(), 3U);
    EXPECT_TRUE(sketches.nearest(made.queries[0].data(), 0).empty());
    sketches.make(made.rows, {});
    EXPECT_TRUE(sketches.nearest(made.queries[0].data(), 8).empty());
}

} // namespace
} // namespace sphere
