// SPDX-License-Identifier: MIT
// What every Index must do.
#include "core/gallery/index_stream.h"
#include "tests/bench/bench_data.h"
#include "tests/conformance/fakes.h"
#ifdef SPHERE_TEST_PGVECTOR
#include "tests/conformance/pglite_server.h"
#endif
#include "tests/support/gallery_testing.h"
#include "tests/support/sanitizers.h"

#include <cctype>
#include <cstdio>
#include <limits>
#include <numeric>
#include <thread>

namespace sphere::testing {
namespace {

/// `kind` as make_index knows it, or "fake".
struct IndexCase {
    std::string kind;
    Metric metric;
    IndexOptions options = {};
};

std::string case_name(const IndexCase &c) {
    std::string name = c.kind + "_" + metric_name(c.metric);
    if (c.options.threads > 1)
        name += "_threads";
    for (char &letter : name)
        if (std::isalnum(static_cast<unsigned char>(letter)) == 0)
            letter = '_';
    return name;
}

std::unique_ptr<Index> make_case(const IndexCase &c, int dims) {
    if (c.kind == "fake")
        return std::make_unique<FakeIndex>(dims, c.metric);
#ifdef SPHERE_TEST_PGVECTOR
    auto index = c.kind == kStoreIndex
                     ? make_index(c.kind + ":" + PgliteServer::get().location(), dims, c.metric)
                     : make_index(c.kind, dims, c.metric, c.options);
#else
    auto index = make_index(c.kind, dims, c.metric, c.options);
#endif
    EXPECT_TRUE(index.ok()) << index.error().message;
    return index.ok() ? std::move(*index) : nullptr;
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
#ifdef SPHERE_TEST_PGVECTOR
    void SetUp() override {
        if (const std::string &why = PgliteServer::get().unavailable(); !why.empty())
            GTEST_SKIP() << why;
    }
#endif
    std::unique_ptr<Index> make(int dims) {
        return make_case(GetParam(), dims);
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

TEST_P(IndexConformance, GivesBackTheRowsThatItKeeps) {
    const auto index = make_case(GetParam(), 3);
    const std::vector<float> rows = {3, 0, 4, 0, -2, 0};
    ASSERT_TRUE(index->add(std::vector<std::int64_t>{7, 9}, rows).ok());
    const auto row = index->row(7);
    if (!row.ok() && row.error().code == Errc::Unsupported)
        GTEST_SKIP() << row.error().message;
    ASSERT_TRUE(row.ok()) << row.error().message;
    const bool cosine = GetParam().metric == Metric::Cosine;
    const std::vector<float> wanted =
        cosine ? std::vector<float>{0.6F, 0, 0.8F} : std::vector<float>{3, 0, 4};
    ASSERT_EQ(row->size(), 3u);
    for (std::size_t d = 0; d < 3; ++d)
        EXPECT_FLOAT_EQ((*row)[d], wanted[d]);
    EXPECT_EQ(index->row(8).error().code, Errc::NotFound);
    ASSERT_TRUE(index->remove(std::vector<std::int64_t>{7}).ok());
    EXPECT_EQ(index->row(7).error().code, Errc::NotFound);
    EXPECT_FLOAT_EQ(index->row(9).value()[1], cosine ? -1 : -2);
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

/// `count` unit-length-ish vectors around `centres` centres, a tenth of them planted twice.
Floats clustered(std::mt19937 &random, int dims, std::size_t count, std::size_t centres) {
    const Floats middle = random_values(random, dims * static_cast<int>(centres));
    Floats rows = random_values(random, dims * static_cast<int>(count));
    for (std::size_t i = 0; i < count; ++i)
        for (std::size_t d = 0; d < static_cast<std::size_t>(dims); ++d) {
            float &value = rows[i * static_cast<std::size_t>(dims) + d];
            value = 0.5F * value + middle[i % centres * static_cast<std::size_t>(dims) + d];
            if (i % 10 == 9)
                value = rows[(i - 1) * static_cast<std::size_t>(dims) + d];
        }
    return rows;
}
Ids first_ids(std::size_t count) {
    Ids ids(count);
    std::iota(ids.begin(), ids.end(), 1);
    return ids;
}

TEST_P(IndexConformance, SeveralQueriesAtOnceFindWhatEachFindsAlone) {
    std::mt19937 random(21);
    for (const int dims : {3, 64, 200}) {
        const auto index = make(dims);
        const Floats rows = clustered(random, dims, 900, 90);
        ASSERT_TRUE(index->add(first_ids(900), rows).ok());
        for (const std::size_t count : {0, 1, 3, 32, 33, 70}) {
            Floats queries(rows.begin(),
                           rows.begin() + static_cast<std::ptrdiff_t>(count) * dims);
            for (float &value : queries)
                value += 0.01F * static_cast<float>(random() % 100);
            const auto lists = index->search_many(queries, count, 7);
            ASSERT_TRUE(lists.ok());
            ASSERT_EQ(lists->size(), count);
            for (std::size_t q = 0; q < count; ++q)
                EXPECT_EQ((*lists)[q], *index->search(std::span(queries).subspan(
                                                          q * static_cast<std::size_t>(dims),
                                                          static_cast<std::size_t>(dims)),
                                                      7));
        }
        EXPECT_FALSE(index->search_many(Floats(static_cast<std::size_t>(dims) * 2), 3, 1).ok());
    }
}

TEST_P(IndexConformance, ForksChangeApart) {
    std::mt19937 random(31);
    constexpr int kDims = 24;
    auto original = make(kDims);
    const Floats rows = random_values(random, kDims * 400);
    ASSERT_TRUE(original->add(first_ids(400), rows).ok());
    auto fork = original->fork();
    ASSERT_TRUE(fork.ok());
    auto row = [&rows](std::size_t i) { return std::span(rows).subspan(i * kDims, kDims); };
    const auto nearest = [](const Index &index, std::span<const float> query) {
        const auto hits = index.search(query, 1);
        return hits.ok() && hits->size() == 1 ? hits->front() : Hit{-1, -1};
    };
    for (int round = 0; round < 60; ++round) {
        Index &changed = round % 2 == 0 ? **fork : *original;
        const std::size_t removed = 3 * static_cast<std::size_t>(round);
        ASSERT_EQ(*changed.remove(Ids{static_cast<std::int64_t>(removed) + 1}), 1U);
        const Floats fresh = random_values(random, kDims);
        ASSERT_TRUE(changed.add(Ids{5000 + round}, fresh).ok());
        EXPECT_EQ(changed.size(), 400U);
        EXPECT_EQ(nearest(changed, fresh).id, 5000 + round);
        EXPECT_NE(nearest(changed, row(removed)).id, static_cast<std::int64_t>(removed) + 1);
        const Index &other = round % 2 == 0 ? *original : **fork;
        EXPECT_NE(nearest(other, fresh).id, 5000 + round);
        EXPECT_EQ(nearest(other, row(removed)).id, static_cast<std::int64_t>(removed) + 1);
    }
    // What stays untouched in both is found by both, after the other one is gone too.
    original.reset();
    for (std::size_t i = 200; i < 400; ++i)
        EXPECT_EQ(nearest(**fork, row(i)).id, static_cast<std::int64_t>(i) + 1);
}

TEST_P(IndexConformance, ChangesAndForksFollowAModel) {
    std::mt19937 random(41);
    constexpr int kDims = 8;
    std::unique_ptr<Index> index = make(kDims);
    std::map<std::int64_t, Floats> model;
    for (int round = 0; round < 400; ++round) {
        const auto id = static_cast<std::int64_t>(random() % 150);
        if (model.contains(id)) {
            ASSERT_EQ(*index->remove(Ids{id}), 1U);
            model.erase(id);
        } else {
            model[id] = random_values(random, kDims);
            ASSERT_TRUE(index->add(Ids{id}, model[id]).ok());
        }
        if (round % 7 == 0)
            index = index->fork().value();
        if (round % 20 != 0 || model.empty())
            continue;
        const Floats query = random_values(random, kDims);
        std::vector<std::pair<double, std::int64_t>> expected;
        expected.reserve(model.size());
        for (const auto &[known, values] : model)
            expected.emplace_back(reference_distance(GetParam().metric, query, values), known);
        std::sort(expected.begin(), expected.end());
        const auto hits = *index->search(query, 5);
        ASSERT_EQ(hits.size(), std::min<std::size_t>(5, model.size()));
        for (std::size_t i = 0; i < hits.size(); ++i)
            EXPECT_EQ(hits[i].id, expected[i].second) << round;
    }
}

#ifdef SPHERE_TEST_PGVECTOR
INSTANTIATE_TEST_SUITE_P(Server, IndexConformance,
                         ::testing::Values(IndexCase{kStoreIndex, Metric::Cosine},
                                           IndexCase{kStoreIndex, Metric::Euclidean}),
                         [](const auto &info) { return case_name(info.param); });

TEST(PgvectorRecall, OfTheTenNearestOfFiveThousand) {
    if (const std::string &why = PgliteServer::get().unavailable(); !why.empty())
        GTEST_SKIP() << why;
    constexpr int kDims = 128;
    constexpr std::size_t kRows = 5000;
    const auto data = bench::make_identities(kRows, kDims, 7);
    const auto planted = bench::plant_near_duplicates(data, kDims, 100, 8);
    const auto exact = make_case({"exact", Metric::Cosine}, kDims);
    const auto index = make_case({kStoreIndex, Metric::Cosine}, kDims);
    ASSERT_TRUE(exact->add(first_ids(kRows), data).ok());
    ASSERT_TRUE(index->add(first_ids(kRows), data).ok());
    const auto truth = *exact->search_many(planted.queries, 100, 10);
    const auto found = index->search_many(planted.queries, 100, 10);
    ASSERT_TRUE(found.ok()) << found.error().message;
    std::size_t right = 0;
    std::size_t nearest = 0;
    for (std::size_t q = 0; q < 100; ++q) {
        nearest += (*found)[q].front() == truth[q].front() ? 1 : 0;
        for (const Hit &hit : truth[q]) // the distance, too, to the bit
            right += static_cast<std::size_t>(
                std::count((*found)[q].begin(), (*found)[q].end(), hit));
    }
    std::printf("recall@10 %.4f, recall@1 %.4f\n", static_cast<double>(right) / 1000,
                static_cast<double>(nearest) / 100);
    EXPECT_GE(right, 950U);
    EXPECT_EQ(nearest, 100U);
}
#else

/// The rows that a scan in fewer bits must look at again are found by bounds, not by luck: the
/// answers are those of full precision, to the bit.
class ExactConformance : public ::testing::TestWithParam<IndexCase> {};

TEST_P(ExactConformance, FindsWhatFullPrecisionFinds) {
    std::mt19937 random(51);
    for (int round = 0; round < 12; ++round) {
        const int dims = round == 0 ? 1 : static_cast<int>(1 + random() % 300);
        const std::size_t count = 200 + random() % 3000;
        const auto reference = make_case({"exact", GetParam().metric}, dims);
        const auto index = make_case(GetParam(), dims);
        Floats rows = clustered(random, dims, count, 1 + count / 10);
        if (round % 3 == 2) // some rows of other sizes
            for (std::size_t i = 0; i < count; i += 50)
                for (float &value : std::span(rows).subspan(i * static_cast<std::size_t>(dims),
                                                            static_cast<std::size_t>(dims)))
                    value *= std::pow(10.0F, static_cast<float>(random() % 60) - 30);
        ASSERT_TRUE(reference->add(first_ids(count), rows).ok());
        ASSERT_TRUE(index->add(first_ids(count), rows).ok());
        const std::size_t kQueries = 40;
        Floats queries = random_values(random, dims * static_cast<int>(kQueries));
        std::copy_n(rows.begin(), queries.size() / 2, queries.begin()); // half: enrolled ones
        for (const std::size_t k : {std::size_t{1}, std::size_t{10}, count}) {
            const auto expected = *reference->search_many(queries, kQueries, k);
            const auto found = *index->search_many(queries, kQueries, k);
            for (std::size_t q = 0; q < kQueries; ++q)
                ASSERT_EQ(found[q], expected[q]) << "round " << round << " query " << q;
        }
    }
}

TEST_P(ExactConformance, LargeEnoughForThreadsFindsTheSame) {
    std::mt19937 random(61);
    constexpr int kDims = 256;
    constexpr std::size_t kRows = 50'000; // 12 MB in the smallest format
    const Floats rows = clustered(random, kDims, kRows, kRows / 10);
    const auto index = make_case(GetParam(), kDims);
    ASSERT_TRUE(index->add(first_ids(kRows), rows).ok());
    const std::size_t kQueries = 3;
    for (std::size_t q = 0; q < kQueries; ++q) {
        const auto query = std::span(rows).subspan(q * 6001 * kDims, kDims);
        std::vector<std::pair<double, std::int64_t>> expected;
        for (std::size_t i = 0; i < kRows; ++i)
            expected.emplace_back(reference_distance(GetParam().metric, query,
                                                     std::span(rows).subspan(i * kDims, kDims)),
                                  i + 1);
        std::partial_sort(expected.begin(), expected.begin() + 20, expected.end());
        const auto hits = *index->search(query, 20);
        ASSERT_EQ(hits.size(), 20U);
        for (std::size_t i = 0; i < 20; ++i)
            EXPECT_NEAR(hits[i].distance, expected[i].first, 1e-5) << i;
    }
}

/// Written and read again; null for a kind that is not saved.
std::unique_ptr<Index> through_a_file(const Index &index, const char *kind, int dims) {
    const auto *saved = dynamic_cast<const SavedIndex *>(&index);
    if (saved == nullptr)
        return nullptr;
    const std::unique_ptr<std::FILE, int (*)(std::FILE *)> file(std::tmpfile(), &std::fclose);
    IndexSink sink(file.get());
    saved->save(sink);
    EXPECT_TRUE(sink.ok());
    std::rewind(file.get());
    IndexSource source(file.get(), sink.count());
    auto read = make_index(kind, dims, Metric::Cosine).value();
    EXPECT_TRUE(dynamic_cast<SavedIndex &>(*read).restore(source));
    EXPECT_TRUE(source.ok());
    EXPECT_EQ(source.left(), 0U);
    return read;
}

/// Large enough for a structure beside the scan; the answers' distances are exact, and nearly
/// all of them are found. Not a timed test.
struct RecallCase {
    const char *kind;
    std::size_t rows;
    double at_least;
};
class Recall : public ::testing::TestWithParam<RecallCase> {};

TEST_P(Recall, OfTheTenNearest) {
    constexpr int kDims = 128;
#if SPHERE_TSAN
    GTEST_SKIP() << "hnswlib's 65,536 locks and Faiss take ThreadSanitizer minutes";
#endif
#if SPHERE_TSAN || SPHERE_ASAN
    const std::size_t rows = GetParam().rows / 10;
#else
    const std::size_t rows = GetParam().rows;
#endif
    auto made = make_index(GetParam().kind, kDims, Metric::Cosine, {.expected_rows = rows});
    if (!made.ok())
        GTEST_SKIP() << made.error().message;
    std::unique_ptr<Index> index = std::move(*made);
    const auto exact = make_case({"exact", Metric::Cosine}, kDims);
    const std::vector<float> data = bench::make_identities(rows, kDims, 7);
    ASSERT_TRUE(exact->add(first_ids(rows), data).ok());
    // In two halves: the second is there when the structure is made.
    const std::size_t half = rows / 2;
    const Ids ids = first_ids(rows);
    ASSERT_TRUE(
        index->add(std::span(ids).first(half), std::span(data).first(half * kDims)).ok());
    ASSERT_TRUE(
        index->add(std::span(ids).subspan(half), std::span(data).subspan(half * kDims)).ok());
    const auto planted = bench::plant_near_duplicates(data, kDims, 200, 8);
    const auto recall = [&](const Index &tested) {
        const auto truth = *exact->search_many(planted.queries, 200, 10);
        const auto found = *tested.search_many(planted.queries, 200, 10);
        std::size_t right = 0;
        for (std::size_t q = 0; q < 200; ++q)
            for (const Hit &hit : truth[q])
                right +=
                    static_cast<std::size_t>(std::count(found[q].begin(), found[q].end(), hit));
        return static_cast<double>(right) / 2000;
    };
    EXPECT_GE(recall(*index), GetParam().at_least);
    if (const auto read = through_a_file(*index, GetParam().kind, kDims)) {
        EXPECT_EQ(read->size(), index->size());
        EXPECT_EQ(*read->search_many(planted.queries, 200, 10),
                  *index->search_many(planted.queries, 200, 10));
    }

    // A fork that loses every twentieth row and gains some, beside the one it came from.
    auto fork = index->fork().value();
    Ids order = first_ids(rows);
    std::shuffle(order.begin(), order.end(), std::mt19937(10));
    const Ids gone(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(rows / 20));
    ASSERT_EQ(*fork->remove(gone), gone.size());
    ASSERT_EQ(*exact->remove(gone), gone.size());
    Floats more = bench::make_identities(300, kDims, 9);
    Ids more_ids(300);
    std::iota(more_ids.begin(), more_ids.end(), 10'000'000);
    ASSERT_TRUE(fork->add(more_ids, more).ok());
    ASSERT_TRUE(exact->add(more_ids, more).ok());
    EXPECT_EQ(fork->size(), exact->size());
    EXPECT_GE(recall(*fork), GetParam().at_least);
    EXPECT_EQ(fork->search(std::span(more).first(kDims), 1)->front().id, 10'000'000);

    // Alone, it makes its structure anew when a tenth is gone.
    index.reset();
    const Ids more_gone(order.end() - static_cast<std::ptrdiff_t>(rows / 10), order.end());
    ASSERT_EQ(*fork->remove(more_gone), more_gone.size());
    ASSERT_EQ(*exact->remove(more_gone), more_gone.size());
    EXPECT_EQ(fork->size(), exact->size());
    EXPECT_GE(recall(*fork), GetParam().at_least);
    // More than a structure is asked for: the rows themselves answer.
    const auto all = *fork->search(std::span(data).first(kDims), rows + 300);
    EXPECT_EQ(all.size(), fork->size());
}

INSTANTIATE_TEST_SUITE_P(All, Recall,
                         ::testing::Values(RecallCase{"hnsw", 50'000, 0.99},
                                           RecallCase{"faiss", 5'000, 1.0},
                                           RecallCase{"faiss:IVF64,Flat", 12'000, 0.85},
                                           RecallCase{"faiss:SQ8", 5'000, 0.95}),
                         [](const auto &info) {
                             std::string name = info.param.kind;
                             for (char &letter : name)
                                 if (std::isalnum(static_cast<unsigned char>(letter)) == 0)
                                     letter = '_';
                             return name;
                         });

std::vector<IndexCase> exact_cases() {
    std::vector<IndexCase> cases;
    for (const Metric metric : {Metric::Cosine, Metric::Euclidean})
        for (const char *kind : {"exact", "exact-bf16", "exact-int8"}) {
            cases.push_back({kind, metric});
            cases.push_back({kind, metric, {.threads = 3}});
        }
    return cases;
}
std::vector<IndexCase> all_cases() {
    std::vector<IndexCase> cases = exact_cases();
    for (const Metric metric : {Metric::Cosine, Metric::Euclidean})
        for (const char *kind : {"auto", "fake", "hnsw", "faiss", "faiss:HNSW8"})
            if (kind == std::string("fake") || make_index(kind, 4, metric).ok())
                cases.push_back({kind, metric});
    return cases;
}

INSTANTIATE_TEST_SUITE_P(All, IndexConformance, ::testing::ValuesIn(all_cases()),
                         [](const auto &info) { return case_name(info.param); });
INSTANTIATE_TEST_SUITE_P(All, ExactConformance, ::testing::ValuesIn(exact_cases()),
                         [](const auto &info) { return case_name(info.param); });

TEST(IndexFactory, SaysWhatIsNotThere) {
    const auto in_store = make_index(kStoreIndex, 4, Metric::Cosine);
    EXPECT_EQ(in_store.error().code, Errc::InvalidArgument);
    EXPECT_NE(in_store.error().message.find("where they are"), std::string::npos);
    for (const char *kind : {"hnsw", "faiss", "faiss:IVF16,Flat"}) {
        const auto index = make_index(kind, 4, Metric::Cosine);
        if (!index.ok()) {
            EXPECT_EQ(index.error().code, Errc::Unsupported);
            EXPECT_NE(index.error().message.find("enable with -D"), std::string::npos);
            EXPECT_NE(index.error().message.find("index=exact"), std::string::npos);
        }
    }
    for (const char *kind : {"faiss:", "faiss:Nonsense", "faiss:IVF16,Flat,", "faissFlat"})
        EXPECT_FALSE(make_index(kind, 4, Metric::Cosine).ok() && kind != std::string("faiss:"))
            << kind;
    EXPECT_EQ(make_index("exakt", 4, Metric::Cosine).error().code, Errc::InvalidArgument);
    EXPECT_EQ(make_index("", 4, Metric::Cosine).error().code, Errc::InvalidArgument);
    for (const int threads : {-1, 0, 257})
        EXPECT_EQ(make_index("exact", 4, Metric::Cosine, {.threads = threads}).error().code,
                  Errc::InvalidArgument);
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
#endif

} // namespace
} // namespace sphere::testing
