// SPDX-License-Identifier: MIT
// Strangers: who is the same, who is too many, and what may not happen while they are written.
#include "core/gallery/stranger_collector.h"
#include "tests/support/gallery_testing.h"

#include <set>
#include <thread>

namespace sphere::testing {
namespace {

constexpr int kDims = 16;
/// The tests' times are of 1970.
constexpr StrangerLimits kForever = {.retention_ms = 0};

/// Somebody's face; two of one person are near each other.
StrangerSight sight_of(int person, std::uint32_t picture = 0) {
    std::mt19937 random(static_cast<std::uint32_t>(person));
    StrangerSight sight;
    sight.embedding = {std::make_shared<EmbeddingStamp>(test_stamp(kDims)),
                       random_values(random, kDims)};
    std::mt19937 noise(1000 + picture);
    if (picture > 0)
        for (const float value : random_values(noise, kDims))
            sight.embedding.values[picture % kDims] += 0.02F * value;
    sight.quality = Quality{.score = 0.8F};
    return sight;
}

class Strangers : public ::testing::Test {
  protected:
    Strangers() {
        auto store = open_store(path_, OpenMode::CreateIfMissing);
        const auto enrolled = (*store)->enrol(
            test_stamp(kDims), {test_face("somebody", sight_of(-1).embedding.values)});
        EXPECT_TRUE(enrolled.ok());
    }
    std::unique_ptr<StrangerCollector> open(StrangerLimits limits = kForever,
                                            const std::string &camera = "door") {
        StrangerCollector::Settings settings;
        settings.location = path_;
        settings.camera = camera;
        settings.limits = limits;
        settings.interval = std::chrono::milliseconds(10);
        settings.resolve = [](const std::optional<EmbeddingStamp> &) {
            MatchOptions options;
            options.threshold = 0.1F;
            return Result<MatchOptions>(options);
        };
        auto collector = StrangerCollector::open(settings);
        EXPECT_TRUE(collector.ok()) << collector.error().message;
        return std::move(*collector);
    }
    std::vector<Stranger> strangers() {
        auto admin = open_people_admin(path_);
        return (*admin)->notes(0)->strangers;
    }
    static void wait_for(const StrangerCollector &collector) {
        while (!collector.idle())
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }

    const TempDir dir_;
    const std::string path_ = dir_ / "people.db";
};

TEST_F(Strangers, EachKeepsAnIdOfTheirOwn) {
    std::map<int, std::string> ids;
    {
        const auto collector = open();
        for (int person = 1; person <= 8; ++person)
            EXPECT_EQ(collector->see(sight_of(person), 1000), "");
        wait_for(*collector);
        std::set<std::string> different;
        for (int person = 1; person <= 8; ++person)
            different.insert(ids[person] = collector->see(sight_of(person, 3), 1010));
        EXPECT_EQ(different.size(), 8U);
        EXPECT_TRUE(different.contains("unknown-1"));
        EXPECT_EQ(collector->counts().strangers, 8U);
        EXPECT_EQ(collector->counts().failed, 0U);
    }
    const auto collector = open(kForever, "garage"); // the next day
    for (int person = 1; person <= 8; ++person)
        EXPECT_EQ(collector->see(sight_of(person, 5), 90'000'000), ids[person]);
    wait_for(*collector);
    for (const Stranger &stranger : strangers())
        EXPECT_EQ(stranger.visits, 2) << stranger.id;
}

TEST_F(Strangers, ManySightsBeforeTheFirstIsWrittenAreOneStranger) {
    const auto collector = open();
    for (std::uint32_t picture = 0; picture < 20; ++picture)
        (void)collector->see(sight_of(1, picture), 1000 + picture);
    wait_for(*collector);
    ASSERT_EQ(strangers().size(), 1U);
    EXPECT_EQ(strangers()[0].visits, 1);
}

TEST_F(Strangers, VisitsCountByTheGapBetweenSights) {
    const auto collector = open();
    std::int64_t at_ms = 1000;
    for (const std::int64_t gap : {0, 20'000, 20'000, 61'000, 10'000, 120'000}) {
        at_ms += gap;
        (void)collector->see(sight_of(1), at_ms);
        wait_for(*collector);
    }
    ASSERT_EQ(strangers().size(), 1U);
    EXPECT_EQ(strangers()[0].visits, 3);
    EXPECT_EQ(strangers()[0].last_seen_ms, at_ms);
}

TEST_F(Strangers, OfTooManyTheLongestUnseenGo) {
    const auto collector = open({.retention_ms = 0, .most = 2});
    for (int person = 1; person <= 3; ++person) {
        (void)collector->see(sight_of(person), 1000 * person);
        wait_for(*collector);
    }
    ASSERT_EQ(strangers().size(), 2U);
    EXPECT_EQ(strangers()[0].id, "unknown-2");
    EXPECT_FALSE(collector->knows("unknown-1"));
    EXPECT_TRUE(collector->knows("unknown-3"));
}

TEST_F(Strangers, NobodyIsNewWhoWasJudgedByAnOlderGallery) {
    const auto collector = open();
    auto opened = open_store(path_, OpenMode::Existing);
    const auto &store = *opened;
    StrangerSight sight = sight_of(1);
    sight.gallery_version = *store->version();
    const auto enrolled =
        store->enrol(test_stamp(kDims), {test_face("ada", sight.embedding.values)});
    ASSERT_TRUE(enrolled.ok());
    (void)collector->see(sight, 1000);
    wait_for(*collector);
    EXPECT_TRUE(strangers().empty());
    sight.gallery_version = *store->version();
    (void)collector->see(sight, 2000);
    wait_for(*collector);
    EXPECT_EQ(strangers().size(), 1U) << "the control";
    EXPECT_EQ(*store->version(), sight.gallery_version) << "pipelines load nothing again";
}

TEST_F(Strangers, PoorPicturesWrongModelsAndWhatIsNoEmbeddingMakeNone) {
    const auto collector = open();
    StrangerSight poor = sight_of(1);
    poor.quality->score = 0.2F;
    StrangerSight empty = sight_of(2);
    empty.embedding.values.clear();
    StrangerSight unstamped = sight_of(3);
    unstamped.embedding.stamp.reset();
    for (const StrangerSight &sight : {poor, empty, unstamped})
        EXPECT_EQ(collector->see(sight, 1000), "");
    wait_for(*collector);
    EXPECT_FALSE(collector->take_error());
    StrangerSight other = sight_of(4);
    other.embedding.stamp = std::make_shared<EmbeddingStamp>(test_stamp(kDims + 1));
    EXPECT_EQ(collector->see(other, 1000), "");
    wait_for(*collector);
    EXPECT_TRUE(collector->take_error());
    EXPECT_EQ(collector->counts().failed, 1U);
    EXPECT_TRUE(strangers().empty());
}

/// While the gallery cannot be written sights are dropped, and counted; nobody waits.
TEST_F(Strangers, AFullQueueDropsSights) {
    StrangerLimits limits = kForever;
    limits.most = 100000;
    const auto collector = open(limits);
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 500; ++i)
                (void)collector->see(sight_of(1000 * t + i), 1000 + i);
        });
    for (std::thread &thread : threads)
        thread.join();
    wait_for(*collector);
    const auto counts = collector->counts();
    EXPECT_GT(counts.dropped, 0U);
    EXPECT_EQ(counts.failed, 0U);
    EXPECT_EQ(counts.recorded + counts.dropped, 2000U);
    EXPECT_EQ(strangers().size(), counts.strangers);
}

} // namespace
} // namespace sphere::testing
