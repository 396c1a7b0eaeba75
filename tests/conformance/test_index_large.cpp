// SPDX-License-Identifier: MIT
// A million rows of 512: what is found of them, in a graph, in its file, in bytes. Only with
// SPHERE_SLOW_TESTS=1: takes about an hour and 7 GB. SPHERE_INDEX_ROWS: fewer, to try it.
#include "core/gallery/matched_gallery.h"
#include "tests/bench/bench_data.h"
#include "tests/support/gallery_testing.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <thread>

namespace sphere::testing {
namespace {

constexpr std::size_t kDims = 512;
constexpr std::size_t kQueries = 200;
constexpr std::size_t kNearest = 10;

std::size_t wanted_rows() {
    const char *wanted = std::getenv("SPHERE_INDEX_ROWS");
    return wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 1'000'000;
}

bool is_asked_for() {
    const char *slow = std::getenv("SPHERE_SLOW_TESTS");
    return slow != nullptr && std::string_view(slow) == "1";
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Faces 1, 2, ... of ten a person.
GallerySnapshot people_of(const std::vector<float> &data) {
    GallerySnapshot snapshot;
    snapshot.version = 1;
    snapshot.stamp = test_stamp(kDims);
    const std::size_t rows = data.size() / kDims;
    for (std::size_t row = 0; row < rows; ++row) {
        const std::string person = "p" + std::to_string(row % (rows / 10));
        const auto values = std::span(data).subspan(row * kDims, kDims);
        snapshot.faces.push_back({static_cast<std::int64_t>(row) + 1, person, person,
                                  std::vector<float>(values.begin(), values.end())});
    }
    return snapshot;
}

std::shared_ptr<const MatchedGallery> build(const char *kind, const std::vector<float> &data) {
    GalleryOptions options;
    options.index = kind;
    options.search.threads = static_cast<int>(std::clamp(
        std::thread::hardware_concurrency(), 1U, static_cast<unsigned>(kMaxIndexThreads)));
    const auto start = std::chrono::steady_clock::now();
    auto gallery = MatchedGallery::build(people_of(data), options);
    EXPECT_TRUE(gallery.ok()) << gallery.error().message;
    std::printf("%s: built in %.0f s by %d threads\n", kind, seconds_since(start),
                options.search.threads);
    std::fflush(stdout);
    return gallery.ok() ? *gallery : nullptr;
}

/// The share of `truth` that `index` finds, one query at a time; prints it and the time.
double recall(const char *what, const Index &index, const std::vector<float> &queries,
              const HitLists &truth) {
    std::size_t right = 0;
    std::size_t wanted = 0;
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t q = 0; q < truth.size(); ++q) {
        const auto found =
            index.search(std::span(queries).subspan(q * kDims, kDims), kNearest).value();
        for (const Hit &hit : truth[q])
            right += static_cast<std::size_t>(std::count(found.begin(), found.end(), hit));
        wanted += truth[q].size();
    }
    const double share = static_cast<double>(right) / static_cast<double>(wanted);
    std::printf("%s: %.3f ms a query, recall@10 %.4f\n", what,
                seconds_since(start) * 1e3 / static_cast<double>(truth.size()), share);
    std::fflush(stdout);
    return share;
}

TEST(IndexLarge, OfAMillionRows) {
    if (!is_asked_for())
        GTEST_SKIP() << "takes about an hour and 7 GB: set SPHERE_SLOW_TESTS=1";
    if (const auto made = make_index("hnsw", kDims, Metric::Cosine); !made)
        GTEST_SKIP() << made.error().message;
    const std::vector<float> data = bench::make_identities(wanted_rows(), kDims, 1);
    const bench::Planted planted = bench::plant_near_duplicates(data, kDims, kQueries, 2);
    HitLists truth;
    {
        const auto exact = build("exact-int8", data);
        ASSERT_NE(exact, nullptr);
        truth = exact->file().index->search_many(planted.queries, kQueries, kNearest).value();
    }
    for (std::size_t q = 0; q < kQueries; ++q)
        EXPECT_EQ(truth[q].front().id, static_cast<std::int64_t>(planted.rows[q]) + 1)
            << "planted neighbour " << q;

    const TempDir folder;
    const std::string file = folder / "people.db";
    {
        const auto graph = build("hnsw", data);
        ASSERT_NE(graph, nullptr);
        EXPECT_GE(recall("hnsw", *graph->file().index, planted.queries, truth), 0.99);
        const auto written = write_index_file(file, graph->file());
        ASSERT_TRUE(written.ok()) << written.error().message;
    }
    const auto start = std::chrono::steady_clock::now();
    const auto read = read_index_file(file, "hnsw", {});
    ASSERT_TRUE(read.ok()) << read.error().message;
    std::printf("hnsw: read from its file in %.1f s\n", seconds_since(start));
    EXPECT_GE(recall("hnsw from its file", *read->index, planted.queries, truth), 0.99);
}

} // namespace
} // namespace sphere::testing
