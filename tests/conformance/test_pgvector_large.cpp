// SPDX-License-Identifier: MIT
// 100,000 faces on a PostgreSQL with pgvector: what its index finds of what is there.
// tests/system/test_pgvector_large.py makes the server and sets SPHERE_PGVECTOR_URI.
#include "core/gallery/store.h"
#include "tests/bench/bench_data.h"
#include "tests/support/gallery_testing.h"

#include <algorithm>
#include <chrono>
#include <libpq-fe.h>
#include <thread>

namespace sphere::testing {
namespace {

constexpr std::size_t kDims = 512;
constexpr std::size_t kQueries = 200;
constexpr std::size_t kRowsAtOnce = 2000;

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// How often the server has used the index of the embeddings. It counts with a delay.
int uses_of_index(const std::string &location) {
    int uses = 0;
    for (int i = 0; i < 100 && uses == 0; ++i) {
        PGconn *connection = PQconnectdb(location.c_str());
        PGresult *result =
            PQexec(connection, "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname "
                               "LIKE 'sphere_near_cosine_%'");
        if (PQntuples(result) == 1)
            uses = std::atoi(PQgetvalue(result, 0, 0));
        PQclear(result);
        PQfinish(connection);
        if (uses == 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    return uses;
}

TEST(PgvectorLarge, FindsNineteenOfTwentyOfTheTenNearest) {
    const char *location = std::getenv("SPHERE_PGVECTOR_URI");
    if (location == nullptr)
        GTEST_SKIP() << "SPHERE_PGVECTOR_URI is not set: a minutes-long test, run by "
                        "test_pgvector_large.py with SPHERE_SLOW_TESTS=1";
    const char *wanted = std::getenv("SPHERE_PGVECTOR_ROWS");
    const std::size_t rows = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 100'000;
    const auto data = bench::make_identities(rows, kDims, 7);
    const auto planted = bench::plant_near_duplicates(data, kDims, kQueries, 8);
    auto opened = open_store(location, OpenMode::CreateIfMissing);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    Store &store = **opened;
    auto exact = make_index("exact-int8", kDims, Metric::Cosine).value();
    auto start = std::chrono::steady_clock::now();
    for (std::size_t first = 0; first < rows; first += kRowsAtOnce) {
        const std::size_t count = std::min(kRowsAtOnce, rows - first);
        std::vector<Enrolment> faces;
        for (std::size_t row = first; row < first + count; ++row) {
            const float *values = &data[row * kDims];
            faces.push_back(
                test_face("person " + std::to_string(row / 10), {values, values + kDims}));
        }
        const auto ids = store.enrol(test_stamp(kDims), faces);
        ASSERT_TRUE(ids.ok()) << ids.error().message;
        ASSERT_TRUE(
            exact->add(*ids, std::span(data).subspan(first * kDims, count * kDims)).ok());
    }
    std::printf("enrolled in %.0f s\n", seconds_since(start));
    start = std::chrono::steady_clock::now();
    const auto made = store.prepare_search(Metric::Cosine, [](std::int64_t) {});
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_EQ(static_cast<std::size_t>(*made), rows);
    std::printf("indexed in %.0f s\n", seconds_since(start));

    const auto search = store.face_search(Metric::Cosine).value();
    const auto truth = *exact->search_many(planted.queries, kQueries, 10);
    std::size_t right = 0;
    std::size_t nearest = 0;
    start = std::chrono::steady_clock::now();
    for (std::size_t q = 0; q < kQueries; ++q) {
        const auto found =
            search->nearest(std::span(planted.queries).subspan(q * kDims, kDims), 10);
        ASSERT_TRUE(found.ok()) << found.error().message;
        nearest += !found->empty() && found->front().face_id == truth[q].front().id ? 1 : 0;
        for (const Hit &hit : truth[q])
            right += static_cast<std::size_t>(
                std::count_if(found->begin(), found->end(), [&](const FoundFace &face) {
                    return face.face_id == hit.id && face.distance == hit.distance;
                }));
    }
    std::printf("%.2f ms a query, recall@10 %.4f, recall@1 %.4f\n",
                seconds_since(start) * 1000 / kQueries,
                static_cast<double>(right) / (10 * kQueries),
                static_cast<double>(nearest) / kQueries);
    EXPECT_GE(right, 10 * kQueries * 95 / 100);
    EXPECT_GT(uses_of_index(location), 0) << "the rows were looked at one by one";
}

} // namespace
} // namespace sphere::testing
