// SPDX-License-Identifier: MIT
// What every Index must do.
#include "tests/conformance/fakes.h"
#include "tests/support/gallery_testing.h"

#include <limits>
#include <thread>

namespace sphere::testing {
namespace {

struct IndexCase {
    const char *name;
    Result<std::unique_ptr<Index>> (*make)(int dims, Metric metric);
    Metric metric;
};

Result<std::unique_ptr<Index>> make_exact(int dims, Metric metric) {
    return make_index("exact", dims, metric);
}
Result<std::unique_ptr<Index>> make_auto(int dims, Metric metric) {
    return make_index("auto", dims, metric);
}
Result<std::unique_ptr<Index>> make_fake(int dims, Metric metric) {
    return std::unique_ptr<Index>(new FakeIndex(dims, metric));
}

/// Written out here, so that nothing of ours checks itself.
double reference_distance(Metric metric, std::span<const float> a, std::span<const float> b) {
    double dot = 0;
    double aa = 0;
    double bb = 0;
    double difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        dot += double(a[i]) * b[i];
        aa += double(a[i]) * a[i];
        bb += double(b[i]) * b[i];
        difference += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    }
    if (metric == Metric::Euclidean)
        return std::sqrt(difference);
    return aa > 0 && bb > 0 ? 1 - dot / std::sqrt(aa * bb) : 1;
}

class IndexConformance : public ::testing::TestWithParam<IndexCase> {
  protected:
    std::unique_ptr<Index> make(int dims) {
        auto index = GetParam().make(dims, GetParam().metric);
        EXPECT_TRUE(index.ok());
        return std::move(*index);
    }
};

using Ids = std::vector<std::int64_t>;
using Floats = std::vector<float>;

TEST_P(IndexConformance, EmptyFindsNothing) {
    const auto index = make(3);
    EXPECT_EQ(index->size(), 0u);
    const auto hits = index->search(Floats{1, 2, 3}, 5);
    ASSERT_TRUE(hits.ok());
    EXPECT_TRUE(hits->empty());
}

TEST_P(IndexConformance, AgreesWithDoublePrecision) {
    std::mt19937 random(7);
    // Around the kernel's lanes (32) and blocks (512).
    for (const int dims : {1, 2, 31, 32, 33, 128, 511, 512, 513, 1024, 4096}) {
        const auto index = make(dims);
        constexpr std::size_t kRows = 60;
        const Floats rows = random_values(random, dims * static_cast<int>(kRows));
        Ids ids;
        for (std::size_t i = 0; i < kRows; ++i)
            ids.push_back(static_cast<std::int64_t>(i) * 37 - 500);
        ASSERT_TRUE(index->add(ids, rows).ok());
        for (int round = 0; round < 10; ++round) {
            const Floats query = random_values(random, dims);
            const auto hits = index->search(query, kRows);
            ASSERT_TRUE(hits.ok());
            ASSERT_EQ(hits->size(), kRows);
            std::map<std::int64_t, double> expected;
            for (std::size_t i = 0; i < kRows; ++i)
                expected[ids[i]] = reference_distance(
                    GetParam().metric, query,
                    std::span(rows).subspan(i * static_cast<std::size_t>(dims),
                                            static_cast<std::size_t>(dims)));
            for (std::size_t i = 0; i < kRows; ++i) {
                const Hit &hit = (*hits)[i];
                ASSERT_TRUE(expected.contains(hit.id));
                EXPECT_NEAR(hit.distance, expected[hit.id],
                            2e-6 * std::max(1.0, expected[hit.id]))
                    << dims;
                if (i > 0) {
                    EXPECT_LE((*hits)[i - 1].distance, hit.distance);
                }
                expected.erase(hit.id);
            }
        }
    }
}

TEST_P(IndexConformance, NearestFirstTiesById) {
    const auto index = make(2);
    ASSERT_TRUE(index->add(Ids{9, -4, 5, 1}, Floats{1, 0, 1, 0, 0, 1, 1, 0}).ok());
    const auto hits = index->search(Floats{1, 0}, 3);
    ASSERT_TRUE(hits.ok());
    EXPECT_EQ(*hits, (std::vector<Hit>{{-4, 0}, {1, 0}, {9, 0}}));
}

TEST_P(IndexConformance, AtMostKAndAtMostAll) {
    const auto index = make(2);
    ASSERT_TRUE(index->add(Ids{1, 2, 3}, Floats{1, 0, 0, 1, 1, 1}).ok());
    EXPECT_EQ(index->search(Floats{1, 0}, 0)->size(), 0u);
    EXPECT_EQ(index->search(Floats{1, 0}, 2)->size(), 2u);
    EXPECT_EQ(index->search(Floats{1, 0}, 99)->size(), 3u);
    EXPECT_EQ(index->search(Floats{1, 0}, std::numeric_limits<std::size_t>::max())->size(), 3u);
}

TEST_P(IndexConformance, RefusesBadRowsWhole) {
    const auto index = make(2);
    ASSERT_TRUE(index->add(Ids{1}, Floats{1, 0}).ok());
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float infinity = std::numeric_limits<float>::infinity();
    const std::vector<std::pair<Ids, Floats>> bad = {
        {{2}, {1, 2, 3}},
        {{2, 3}, {1, 2}},
        {{2}, {}},
        {{2, 3}, {0, 1, nan, 0}},
        {{2, 3}, {0, 1, infinity, 0}},
        {{2, 1}, {0, 1, 0, 1}}, // there already
        {{2, 2}, {0, 1, 0, 1}}, // twice at once
    };
    for (const auto &[ids, vectors] : bad) {
        const auto added = index->add(ids, vectors);
        ASSERT_FALSE(added.ok());
        EXPECT_EQ(added.error().code, Errc::InvalidArgument);
        EXPECT_EQ(index->size(), 1u);
    }
    EXPECT_TRUE(index->add(Ids{2, 3}, Floats{0, 1, 0, 2}).ok());
    EXPECT_EQ(index->size(), 3u);
}

TEST_P(IndexConformance, RefusesBadQueries) {
    const auto index = make(2);
    ASSERT_TRUE(index->add(Ids{1}, Floats{1, 0}).ok());
    for (const Floats &query :
         {Floats{}, Floats{1}, Floats{1, 2, 3}, Floats{std::nanf(""), 0}}) {
        const auto hits = index->search(query, 1);
        ASSERT_FALSE(hits.ok());
        EXPECT_EQ(hits.error().code, Errc::InvalidArgument);
    }
}

TEST_P(IndexConformance, RemovesAndTakesIdsAgain) {
    std::mt19937 random(3);
    const auto index = make(5);
    std::map<std::int64_t, Floats> rows;
    for (int round = 0; round < 300; ++round) {
        const auto id = static_cast<std::int64_t>(random() % 20);
        if (rows.contains(id)) {
            ASSERT_EQ(*index->remove(Ids{id, 1000, id}), 1u);
            rows.erase(id);
        } else {
            rows[id] = random_values(random, 5);
            ASSERT_TRUE(index->add(Ids{id}, rows[id]).ok());
        }
        ASSERT_EQ(index->size(), rows.size());
        for (const auto &[known, values] : rows) {
            const auto hits = index->search(values, 1);
            ASSERT_EQ(hits->size(), 1u);
            ASSERT_EQ(hits->front().id, known);
            ASSERT_NEAR(hits->front().distance, 0, 1e-6);
        }
    }
}

TEST_P(IndexConformance, ZeroVectorsAreOrthogonalToAll) {
    const auto index = make(2);
    ASSERT_TRUE(index->add(Ids{1, 2}, Floats{0, 0, 3, 4}).ok());
    const auto hits = index->search(Floats{0, 0}, 2);
    ASSERT_TRUE(hits.ok());
    if (GetParam().metric == Metric::Cosine)
        EXPECT_EQ(*hits, (std::vector<Hit>{{1, 1}, {2, 1}}));
    else
        EXPECT_EQ(*hits, (std::vector<Hit>{{1, 0}, {2, 5}}));
}

TEST_P(IndexConformance, ExtremeValuesStayInRange) {
    for (const float scale : {1e-38F, 1e-30F, 1e-15F, 1e15F, 1e30F, 1e38F}) {
        const auto index = make(3);
        const Floats rows{scale, 0, 0, -scale, 0, 0, 0, scale, 0};
        ASSERT_TRUE(index->add(Ids{1, 2, 3}, rows).ok());
        const auto hits = index->search(Floats{scale, 0, 0}, 3);
        ASSERT_TRUE(hits.ok());
        const double unit = GetParam().metric == Metric::Cosine ? 1 : scale;
        const double expected[] = {
            0, GetParam().metric == Metric::Cosine ? unit : unit * M_SQRT2, 2 * unit};
        const std::int64_t ids[] = {1, 3, 2};
        for (std::size_t i = 0; i < 3; ++i) {
            EXPECT_EQ((*hits)[i].id, ids[i]) << scale;
            const double most =
                std::min(expected[i], double{std::numeric_limits<float>::max()});
            EXPECT_NEAR((*hits)[i].distance, most, 1e-5 * most) << scale;
            EXPECT_TRUE(std::isfinite((*hits)[i].distance));
        }
    }
}

TEST_P(IndexConformance, DistancesBeyondFloatAreTheLargestFloat) {
    const auto index = make(2);
    ASSERT_TRUE(index->add(Ids{1}, Floats{3e38F, 3e38F}).ok());
    const auto hits = index->search(Floats{-3e38F, -3e38F}, 1);
    ASSERT_TRUE(hits.ok());
    EXPECT_FLOAT_EQ(hits->front().distance, GetParam().metric == Metric::Cosine
                                                ? 2
                                                : std::numeric_limits<float>::max());
}

TEST_P(IndexConformance, CosineNeverLeavesItsRange) {
    if (GetParam().metric != Metric::Cosine) {
        SUCCEED();
        return;
    }
    std::mt19937 random(11);
    for (int round = 0; round < 200; ++round) {
        const auto index = make(37);
        Floats row = random_values(random, 37);
        ASSERT_TRUE(index->add(Ids{1}, row).ok());
        EXPECT_GE(index->search(row, 1)->front().distance, 0);
        for (float &value : row)
            value *= -3;
        EXPECT_LE(index->search(row, 1)->front().distance, 2);
    }
}

TEST_P(IndexConformance, SearchesFromManyThreads) {
    std::mt19937 random(5);
    const auto index = make(64);
    Ids ids(500);
    for (std::size_t i = 0; i < ids.size(); ++i)
        ids[i] = static_cast<std::int64_t>(i);
    ASSERT_TRUE(index->add(ids, random_values(random, 500 * 64)).ok());
    const Floats query = random_values(random, 64);
    const auto expected = *index->search(query, 10);
    std::vector<std::thread> threads;
    std::array<int, 4> wrong{};
    threads.reserve(wrong.size());
    for (int &count : wrong)
        threads.emplace_back([&] {
            for (int i = 0; i < 50; ++i)
                if (*index->search(query, 10) != expected)
                    ++count;
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(wrong, (std::array<int, 4>{}));
}

INSTANTIATE_TEST_SUITE_P(
    All, IndexConformance,
    ::testing::Values(IndexCase{"exact_cosine", make_exact, Metric::Cosine},
                      IndexCase{"exact_euclidean", make_exact, Metric::Euclidean},
                      IndexCase{"auto_cosine", make_auto, Metric::Cosine},
                      IndexCase{"fake_cosine", make_fake, Metric::Cosine},
                      IndexCase{"fake_euclidean", make_fake, Metric::Euclidean}),
    [](const auto &info) { return std::string(info.param.name); });

TEST(IndexFactory, SaysWhatIsNotThere) {
    EXPECT_EQ(make_index("hnsw", 4, Metric::Cosine).error().code, Errc::Unsupported);
    EXPECT_EQ(make_index("faiss", 4, Metric::Cosine).error().code, Errc::Unsupported);
    EXPECT_NE(make_index("faiss", 4, Metric::Cosine).error().message.find("index=exact"),
              std::string::npos);
    EXPECT_EQ(make_index("exakt", 4, Metric::Cosine).error().code, Errc::InvalidArgument);
    EXPECT_EQ(make_index("", 4, Metric::Cosine).error().code, Errc::InvalidArgument);
    for (const int dims : {-1, 0, 16385})
        EXPECT_EQ(make_index("exact", dims, Metric::Cosine).error().code,
                  Errc::InvalidArgument);
    EXPECT_TRUE(make_index("exact", 16384, Metric::Cosine).ok());
}

TEST(Metrics, NamesBothWays) {
    for (const Metric metric : {Metric::Cosine, Metric::Euclidean})
        EXPECT_EQ(*parse_metric(metric_name(metric)), metric);
    const auto wrong = parse_metric("manhattan");
    ASSERT_FALSE(wrong.ok());
    EXPECT_EQ(wrong.error().code, Errc::InvalidArgument);
    EXPECT_NE(wrong.error().message.find("manhattan"), std::string::npos);
    EXPECT_FALSE(parse_metric("auto").ok());
}

TEST(Metrics, KnownPairs) {
    const Floats a{3, 4};
    const Floats b{4, -3};
    const Floats zero{0, 0};
    EXPECT_FLOAT_EQ(cosine_similarity(a, a), 1);
    EXPECT_FLOAT_EQ(cosine_similarity(a, b), 0);
    EXPECT_FLOAT_EQ(cosine_similarity(a, Floats{-6, -8}), -1);
    EXPECT_FLOAT_EQ(cosine_similarity(a, zero), 0);
    EXPECT_FLOAT_EQ(euclidean_distance(a, b), std::sqrt(50.0F));
    EXPECT_FLOAT_EQ(euclidean_distance(a, zero), 5);
    EXPECT_FLOAT_EQ(metric_distance(Metric::Cosine, a, b), 1);
    EXPECT_FLOAT_EQ(metric_distance(Metric::Euclidean, a, zero), 5);
    // Products of these squares leave the range of double.
    const Floats huge(16384, 3e38F);
    EXPECT_FLOAT_EQ(cosine_similarity(huge, huge), 1);
}

} // namespace
} // namespace sphere::testing
