// SPDX-License-Identifier: MIT
// Index files: what was written is found again; what is damaged, of others or removed is not.
#include "core/base/log.h"
#include "core/gallery/gallery_follower.h"
#include "core/gallery/index_file.h"
#include "tests/support/gallery_testing.h"
#include "tests/support/sanitizers.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <sys/stat.h>
#include <thread>

namespace sphere::testing {
namespace {

constexpr int kDims = 24;

GallerySnapshot snapshot_of(std::size_t faces, std::uint32_t seed = 1) {
    std::mt19937 random(seed);
    GallerySnapshot snapshot;
    snapshot.version = 1 << 20;
    snapshot.stamp = test_stamp(kDims);
    for (std::size_t i = 0; i < faces; ++i)
        snapshot.faces.push_back(
            {static_cast<std::int64_t>(3 * i + 5), "person " + std::to_string(i / 3),
             "label " + std::to_string(i / 3), random_values(random, kDims)});
    snapshot.thresholds["person 1"] = 0.25F;
    snapshot.negatives.push_back({7, "person 2", random_values(random, kDims)});
    return snapshot;
}

std::shared_ptr<const MatchedGallery> built(GallerySnapshot snapshot, const std::string &kind,
                                            Metric metric = Metric::Cosine) {
    GalleryOptions options;
    options.index = kind;
    options.metric = metric;
    auto gallery = MatchedGallery::build(std::move(snapshot), options);
    EXPECT_TRUE(gallery.ok()) << gallery.error().message;
    return *gallery;
}

using Place = std::vector<Hit>;
std::vector<Place> answers(const MatchedGallery &gallery) {
    std::mt19937 random(77);
    std::vector<Place> all;
    for (int q = 0; q < 30; ++q)
        all.push_back(gallery.nearest_people(random_values(random, kDims), 5));
    return all;
}

std::vector<std::string> kinds() {
    std::vector<std::string> found = {"exact", "exact-bf16", "exact-int8"};
    // One thread alone runs here: hnswlib's 65,536 locks would give ThreadSanitizer minutes of
    // work and nothing to find.
#if !SPHERE_TSAN
    for (const char *kind : {"hnsw", "faiss"})
        if (make_index(kind, 4, Metric::Cosine).ok())
            found.emplace_back(kind);
#endif
    return found;
}

TEST(IndexFile, WhatWasWrittenIsFoundAgain) {
    for (const std::string &kind : kinds())
        for (const Metric metric : {Metric::Cosine, Metric::Euclidean})
            for (const std::size_t faces : {1, 40, 3000}) {
                const TempDir dir;
                const std::string gallery = dir / "people.db";
                const auto written = built(snapshot_of(faces), kind, metric);
                const auto done = write_index_file(gallery, written->file());
                ASSERT_TRUE(done.ok()) << done.error().message;
                struct stat info {};
                ASSERT_EQ(stat(index_file_path(gallery, kind).c_str(), &info), 0);
                EXPECT_EQ(info.st_mode & 0777, 0600U);
                auto file = read_index_file(gallery, kind, {});
                ASSERT_TRUE(file.ok()) << kind << ": " << file.error().message;
                EXPECT_EQ(file->snapshot.version, 1 << 20);
                EXPECT_EQ(*file->snapshot.stamp, test_stamp(kDims));
                EXPECT_EQ(file->snapshot.thresholds.at("person 1"), 0.25F);
                EXPECT_EQ(file->snapshot.negatives[0].embedding,
                          snapshot_of(faces).negatives[0].embedding);
                EXPECT_EQ(file->norms, written->file().norms);
                const auto read =
                    MatchedGallery::open(std::move(*file), written->options()).value();
                EXPECT_EQ(answers(*read), answers(*written)) << kind << ' ' << faces;
                EXPECT_EQ(read->snapshot().faces.back().label,
                          written->snapshot().faces.back().label);
            }
}

TEST(IndexFile, ARowThatWasRemovedIsNotInIt) {
    for (const std::string &kind : kinds()) {
        const TempDir dir;
        const std::string gallery = dir / "people.db";
        const GallerySnapshot before = snapshot_of(3000);
        auto made = built(before, kind);
        GallerySnapshot after = before;
        after.version += 1;
        after.faces.erase(after.faces.begin() + 30, after.faces.begin() + 33);
        made = made->updated(after).value();
        ASSERT_TRUE(write_index_file(gallery, made->file()).ok());
        const std::string bytes = read_bytes(index_file_path(gallery, kind));
        // The row as the index keeps it: at unit length; its upper halves where they lie apart.
        const auto traces = [&](std::size_t face) {
            std::vector<float> unit = before.faces[face].embedding;
            const double norm =
                std::sqrt(std::inner_product(unit.begin(), unit.end(), unit.begin(), 0.0));
            std::string whole;
            std::string halves;
            for (std::size_t i = 0; i < 8; ++i) {
                const auto value = static_cast<float>(unit[i] * (1 / norm));
                char four[4];
                std::memcpy(four, &value, 4);
                whole.append(four, 4);
                halves.append(four + 2, 2);
            }
            return bytes.find(whole) != std::string::npos ||
                   bytes.find(halves) != std::string::npos;
        };
        EXPECT_TRUE(traces(29)) << kind << ": the search finds nothing at all";
        EXPECT_TRUE(traces(33)) << kind;
        for (const std::size_t face : {30, 31, 32})
            EXPECT_FALSE(traces(face)) << kind << " face " << face;
        EXPECT_EQ(bytes.find("person 10\n"), std::string::npos);
        auto file = read_index_file(gallery, kind, {});
        ASSERT_TRUE(file.ok()) << kind << file.error().message;
        const auto read = MatchedGallery::open(std::move(*file), made->options()).value();
        EXPECT_EQ(answers(*read), answers(*made)) << kind;
    }
}

TEST(IndexFile, DamageIsSeen) {
    std::mt19937 random(5);
    for (const std::string &kind : kinds()) {
        const TempDir dir;
        const std::string gallery = dir / "people.db";
        EXPECT_EQ(read_index_file(gallery, kind, {}).error().code, Errc::NotFound);
        ASSERT_TRUE(write_index_file(gallery, built(snapshot_of(1500), kind)->file()).ok());
        const std::string path = index_file_path(gallery, kind);
        const std::string good = read_bytes(path);
        for (int round = 0; round < 60; ++round) {
            std::string bad = good;
            if (round % 3 == 0)
                bad.resize(random() % good.size());
            else if (round % 3 == 1)
                bad[random() % (round % 2 == 0 ? bad.size() : 300)] ^=
                    static_cast<char>(1U << (random() % 8));
            else
                bad += "more";
            write_bytes(path, bad);
            const auto file = read_index_file(gallery, kind, {});
            ASSERT_FALSE(file.ok()) << kind << " round " << round;
            EXPECT_NE(file.error().message.find(path), std::string::npos);
        }
        write_bytes(path, good);
        EXPECT_TRUE(read_index_file(gallery, kind, {}).ok());
    }
}

TEST(IndexFile, AnotherKindIsRefused) {
    const TempDir dir;
    const std::string gallery = dir / "people.db";
    ASSERT_TRUE(write_index_file(gallery, built(snapshot_of(50), "exact")->file()).ok());
    std::filesystem::rename(index_file_path(gallery, "exact"),
                            index_file_path(gallery, "exact-int8"));
    EXPECT_EQ(read_index_file(gallery, "exact-int8", {}).error().code, Errc::Mismatch);
    EXPECT_EQ(make_index("fake", 4, Metric::Cosine).error().code, Errc::InvalidArgument);
}

TEST(IndexFile, AllAreRemovedAndOnlyThose) {
    const TempDir dir;
    for (const char *name : {"people.db", "people.db-wal", "people.db.index-exact",
                             "people.db.index-hnsw.tmp-a1b2c3", "other.db.index-exact"})
        write_bytes(dir / name, "x");
    remove_index_files(dir / "people.db");
    std::vector<std::string> left;
    for (const auto &entry : std::filesystem::directory_iterator(dir.path()))
        left.push_back(entry.path().filename().string());
    std::sort(left.begin(), left.end());
    EXPECT_EQ(left,
              (std::vector<std::string>{"other.db.index-exact", "people.db", "people.db-wal"}));
}

TEST(MatchedGallery, AnUpdateIsWhatABuildWouldBe) {
    std::mt19937 random(9);
    for (const std::string &kind : kinds()) {
        GallerySnapshot snapshot = snapshot_of(60);
        auto followed = built(snapshot, kind);
        for (int round = 0; round < 40; ++round) {
            snapshot.version += 1;
            const std::size_t at = random() % snapshot.faces.size();
            switch (random() % 4) {
            case 0:
                snapshot.faces.erase(snapshot.faces.begin() + static_cast<std::ptrdiff_t>(at));
                break;
            case 1: // the same face in another's place
                snapshot.faces[at].embedding = random_values(random, kDims);
                break;
            case 2:
                snapshot.faces[at].label = "renamed " + std::to_string(round);
                break;
            default:
                snapshot.faces.push_back({1000 + round, "new " + std::to_string(round), "l",
                                          random_values(random, kDims)});
            }
            followed = followed->updated(snapshot).value();
            const auto fresh = built(snapshot, kind);
            ASSERT_EQ(answers(*followed), answers(*fresh)) << kind << " round " << round;
            for (std::size_t i = 0; i < snapshot.faces.size(); ++i)
                ASSERT_EQ(followed->snapshot().faces[i].label,
                          fresh->snapshot().faces[i].label);
        }
    }
}

TEST(MatchedGallery, AnotherGalleryInItsPlaceIsTakenWhole) {
    const auto first = built(snapshot_of(60, 1), "exact");
    GallerySnapshot other = snapshot_of(60, 2); // the same face ids
    other.version = 9 << 20;
    const auto second = first->updated(other).value();
    EXPECT_EQ(answers(*second), answers(*built(snapshot_of(60, 2), "exact")));
    EXPECT_NE(answers(*second), answers(*first));
}

TEST(MatchedGallery, MeansAreOneRowAPerson) {
    GallerySnapshot snapshot;
    snapshot.stamp = test_stamp(2);
    snapshot.faces = {{1, "wide", "wide", {1, 0}},
                      {2, "wide", "wide", {0, 5}},
                      {3, "narrow", "narrow", {1, 0.1F}}};
    GalleryOptions options;
    options.compare = PersonTemplate::Mean;
    const auto gallery = MatchedGallery::build(snapshot, options).value();
    EXPECT_EQ(gallery->file().index->size(), 2U);
    const auto diagonal = gallery->nearest_people(std::vector<float>{3, 3}, 2);
    ASSERT_EQ(diagonal.size(), 2U);
    EXPECT_EQ(diagonal[0].id, 0); // the mean of unit vectors points half way
    EXPECT_NEAR(diagonal[0].distance, 0, 1e-6);
    EXPECT_FALSE(gallery->can_be_saved());
}

} // namespace
} // namespace sphere::testing
