// SPDX-License-Identifier: MIT
// A gallery is searched while it changes.
#include "core/base/log.h"
#include "core/gallery/gallery_follower.h"
#include "core/gallery/index_file.h"
#include "tests/support/gallery_testing.h"
#include "tests/support/sanitizers.h"

#include <array>
#include <atomic>
#include <thread>

namespace sphere::testing {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kDims = 16;

std::vector<Enrolment> people(int first, int count) {
    std::vector<Enrolment> faces;
    for (int i = first; i < first + count; ++i) {
        std::mt19937 random(static_cast<std::uint32_t>(i));
        faces.push_back(test_face("person " + std::to_string(i), random_values(random, kDims)));
    }
    return faces;
}
Embedding probe_of(int person) {
    return {std::make_shared<EmbeddingStamp>(test_stamp(kDims)),
            people(person, 1).front().embedding};
}

GalleryFollower::Settings settings_for(const std::string &path,
                                       const std::string &kind = "auto",
                                       float threshold = 0.2F) {
    GalleryFollower::Settings settings;
    settings.location = path;
    settings.resolve = [=](const std::optional<EmbeddingStamp> &) {
        MatchOptions options;
        options.threshold = threshold;
        options.margin = 0;
        options.index = kind;
        return Result<MatchOptions>(options);
    };
    settings.interval = std::chrono::milliseconds(20);
    return settings;
}

std::unique_ptr<GalleryFollower> follow(const GalleryFollower::Settings &settings) {
    auto follower = GalleryFollower::open(settings);
    EXPECT_TRUE(follower.ok()) << follower.error().message;
    return std::move(*follower);
}

template <typename Condition> bool within(int seconds, const Condition &condition) {
    const auto end = Clock::now() + std::chrono::seconds(seconds);
    while (!condition()) {
        if (Clock::now() > end)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

std::string named(const GalleryFollower &follower, int person) {
    const auto result = follower.matcher()->match(probe_of(person));
    return result.best() != nullptr ? result.best()->id : "";
}

struct Gallery {
    TempDir dir;
    std::string path = dir / "people.db";
    std::unique_ptr<Store> store = open_store(path, OpenMode::CreateIfMissing).value();
    void enrol(int first, int count) const {
        const auto ids = store->enrol(test_stamp(kDims), people(first, count));
        ASSERT_TRUE(ids.ok()) << ids.error().message;
    }
};

TEST(GalleryFollower, TakesUpWhatOthersChange) {
    const Gallery gallery;
    gallery.enrol(0, 5);
    const auto follower = follow(settings_for(gallery.path));
    EXPECT_EQ(named(*follower, 3), "person 3");
    EXPECT_EQ(named(*follower, 8), "");
    gallery.enrol(8, 1);
    EXPECT_TRUE(within(20, [&] { return named(*follower, 8) == "person 8"; }));
    ASSERT_TRUE(gallery.store->remove_person("person 3").ok());
    EXPECT_TRUE(within(20, [&] { return named(*follower, 3).empty(); }));
    EXPECT_EQ(named(*follower, 8), "person 8");
    EXPECT_FALSE(follower->take_error().has_value());
}

TEST(GalleryFollower, StaysWhereItIsToldTo) {
    const Gallery gallery;
    gallery.enrol(0, 2);
    auto settings = settings_for(gallery.path);
    settings.reload = false;
    const auto follower = follow(settings);
    gallery.enrol(5, 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_EQ(named(*follower, 5), "");
    follower->set_reload(true);
    EXPECT_TRUE(within(20, [&] { return named(*follower, 5) == "person 5"; }));
}

TEST(GalleryFollower, AThresholdIsThereAtOnceAndAMetricSoon) {
    const Gallery gallery;
    gallery.enrol(0, 20);
    const auto follower = follow(settings_for(gallery.path));
    ASSERT_TRUE(follower->set_resolve(settings_for("", "auto", 2).resolve).ok());
    EXPECT_NE(named(*follower, 100), "");
    ASSERT_TRUE(follower
                    ->set_resolve([](const std::optional<EmbeddingStamp> &) {
                        MatchOptions options;
                        options.threshold = 1e-3F;
                        options.metric = Metric::Euclidean;
                        return Result<MatchOptions>(options);
                    })
                    .ok());
    EXPECT_TRUE(within(20, [&] {
        return follower->matcher()->options().metric == Metric::Euclidean &&
               named(*follower, 7) == "person 7";
    }));
    EXPECT_EQ(named(*follower, 100), "");
}

TEST(GalleryFollower, AnErrorLeavesThePeopleOfBefore) {
    const Gallery gallery;
    gallery.enrol(0, 3);
    const auto follower = follow(settings_for(gallery.path));
    const std::string good = read_bytes(gallery.path);
    std::filesystem::rename(gallery.path, gallery.path + ".away");
    write_bytes(gallery.path, std::string(5000, 'x'));
    std::optional<Error> error;
    EXPECT_TRUE(within(20, [&] {
        error = follower->take_error();
        return error.has_value();
    }));
    EXPECT_EQ(named(*follower, 2), "person 2");
}

// The one that ThreadSanitizer is for.
TEST(GalleryFollower, AThousandSearchesWhilePeopleAreEnrolled) {
    const Gallery gallery;
    gallery.enrol(0, 40);
    const auto follower = follow(settings_for(gallery.path));
    std::atomic<int> next{0};
    std::atomic<int> wrong{0};
    std::vector<std::thread> searchers;
    for (int t = 0; t < 4; ++t)
        searchers.emplace_back([&] {
            while (next++ < 1000) {
                const int person = next % 40;
                if (named(*follower, person) != "person " + std::to_string(person))
                    ++wrong;
                std::this_thread::sleep_for(std::chrono::microseconds(500));
            }
        });
    std::thread enroller([&] {
        for (int i = 0; i < 25; ++i) {
            gallery.enrol(100 + i, 1);
            if (i % 5 == 4) {
                EXPECT_TRUE(
                    gallery.store->remove_person("person " + std::to_string(100 + i)).ok());
            }
        }
    });
    for (std::thread &searcher : searchers)
        searcher.join();
    enroller.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_TRUE(within(20, [&] { return named(*follower, 123) == "person 123"; }));
    EXPECT_TRUE(within(20, [&] { return named(*follower, 124).empty(); }));
}

TEST(GalleryFollower, KeepsALargeGallerysIndexInAFile) {
    const Gallery gallery;
    gallery.enrol(0, 1500);
    const std::string path = index_file_path(gallery.path, "exact");
    const auto written = [&] { return std::filesystem::exists(path); };
    {
        const auto follower = follow(settings_for(gallery.path));
        ASSERT_TRUE(within(30, written));
    }
    const auto first = read_bytes(path);
    {
        const auto follower = follow(settings_for(gallery.path)); // from the file
        EXPECT_EQ(named(*follower, 1400), "person 1400");
    }
    // A file that is behind is brought up to date, one that is damaged is made again.
    gallery.enrol(3000, 1);
    EXPECT_EQ(named(*follow(settings_for(gallery.path)), 3000), "person 3000");
    for (const std::string &bad :
         {first.substr(0, first.size() / 2), std::string("no index"), std::string()}) {
        write_bytes(path, bad);
        std::string said;
        set_log_sink([&](LogLevel, std::string_view line) { said += line; });
        const auto follower = follow(settings_for(gallery.path));
        EXPECT_EQ(named(*follower, 1400), "person 1400");
        EXPECT_EQ(named(*follower, 3000), "person 3000");
        EXPECT_TRUE(within(30, [&] { return written() && read_bytes(path).size() > 1000; }));
        set_log_sink({});
        EXPECT_NE(said.find(path), std::string::npos);
    }
    // Whoever is removed is gone from it, at once and by whatever process.
    ASSERT_TRUE(gallery.store->remove_person("person 7").ok());
    EXPECT_FALSE(written());
    const auto follower = follow(settings_for(gallery.path));
    EXPECT_EQ(named(*follower, 7), "");
    ASSERT_TRUE(within(30, written));
    EXPECT_EQ(read_bytes(path).find("person 7\x08"), std::string::npos);
}

TEST(GalleryFollower, RebuildsAnApproximateIndexBehindItsBack) {
    if (!make_index("hnsw", 4, Metric::Cosine).ok())
        GTEST_SKIP() << "built without hnswlib";
#if SPHERE_TSAN
    GTEST_SKIP() << "hnswlib's 65,536 locks take ThreadSanitizer minutes";
#endif
    const Gallery gallery;
    gallery.enrol(0, 1200);
    const auto follower = follow(settings_for(gallery.path, "hnsw"));
    gallery.enrol(2000, 300); // more than a tenth
    EXPECT_TRUE(within(30, [&] { return named(*follower, 2299) == "person 2299"; }));
    EXPECT_TRUE(within(60, [&] { return follower->matcher()->gallery()->changed() == 0; }));
    EXPECT_EQ(follower->matcher()->gallery()->file().kind, "hnsw");
    for (const int person : {0, 700, 1199, 2000, 2299})
        EXPECT_EQ(named(*follower, person), "person " + std::to_string(person));
    EXPECT_FALSE(follower->take_error().has_value());
}

} // namespace
} // namespace sphere::testing
