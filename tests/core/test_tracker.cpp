// SPDX-License-Identifier: MIT
// The tracker on made trajectories with known identities, and the assignment against all
// permutations.
#include "core/face/assignment.h"
#include "core/face/tracker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>

namespace sphere {
namespace {

// A person of a made scene: where the face is at a time, or nothing while it is not to be seen.
using Path = std::function<std::optional<Box>(double time_s)>;

Landmarks5 points_in(const Box &box) {
    return {{{box.x + 0.3F * box.w, box.y + 0.4F * box.h},
             {box.x + 0.7F * box.w, box.y + 0.4F * box.h},
             {box.x + 0.5F * box.w, box.y + 0.6F * box.h},
             {box.x + 0.35F * box.w, box.y + 0.8F * box.h},
             {box.x + 0.65F * box.w, box.y + 0.8F * box.h}}};
}

// Runs a scene and keeps which track ids each person's detections got.
struct Scene {
    explicit Scene(const TrackerOptions &options = {}) : tracker(options) {}

    void detect(const std::vector<Path> &people, double time_s, double jitter_share = 0.02) {
        std::vector<Detection> detections;
        std::vector<int> owners;
        for (std::size_t p = 0; p < people.size(); ++p) {
            const auto box = people[p](time_s);
            if (!box)
                continue;
            std::normal_distribution<float> jitter(0,
                                                   static_cast<float>(jitter_share) * box->h);
            Detection detection;
            detection.box = {box->x + jitter(random), box->y + jitter(random),
                             box->w + jitter(random), box->h + jitter(random)};
            detection.score = 0.9F;
            detection.landmarks = points_in(detection.box);
            if (p < embeddings.size())
                detection.embedding = embeddings[p];
            detections.push_back(detection);
            owners.push_back(static_cast<int>(p));
        }
        // The order of detections says nothing.
        std::vector<std::size_t> order(detections.size());
        std::iota(order.begin(), order.end(), 0U);
        std::shuffle(order.begin(), order.end(), random);
        std::vector<Detection> shuffled;
        for (const std::size_t i : order)
            shuffled.push_back(detections[i]);
        last = tracker.update(shuffled, time_s);
        for (const Track &track : last)
            if (track.detection >= 0)
                ids[owners[order[static_cast<std::size_t>(track.detection)]]].insert(track.id);
    }

    const Track *track(std::int64_t id) const {
        for (const Track &track : last)
            if (track.id == id)
                return &track;
        return nullptr;
    }

    void expect_one_id_each(std::size_t people) const {
        std::set<std::int64_t> all;
        ASSERT_EQ(ids.size(), people);
        for (const auto &[person, seen] : ids) {
            EXPECT_EQ(seen.size(), 1U) << "person " << person << " changed ids";
            all.insert(seen.begin(), seen.end());
        }
        EXPECT_EQ(all.size(), people) << "two people had one id";
    }

    Tracker tracker;
    std::mt19937 random{1};
    std::vector<std::vector<float>> embeddings;
    std::span<const Track> last;
    std::map<int, std::set<std::int64_t>> ids;
};

Path straight(Box from, double vx, double vy) {
    return [=](double t) -> std::optional<Box> {
        return Box{from.x + static_cast<float>(vx * t), from.y + static_cast<float>(vy * t),
                   from.w, from.h};
    };
}

Path hidden_between(Path path, double from_s, double to_s) {
    return [path = std::move(path), from_s, to_s](double t) -> std::optional<Box> {
        return t >= from_s && t < to_s ? std::nullopt : path(t);
    };
}

TEST(Assignment, IsTheBestOfAllPermutations) {
    std::mt19937 random(7);
    std::uniform_real_distribution<float> any(0, 1);
    Assignment assignment;
    for (int round = 0; round < 300; ++round) {
        const int rows = 1 + static_cast<int>(random() % 5);
        const int columns = 1 + static_cast<int>(random() % 5);
        std::vector<float> costs(static_cast<std::size_t>(rows) * columns);
        for (float &cost : costs)
            cost = any(random);
        const auto found = assignment.solve(costs, rows, columns);
        float total = 0;
        std::set<int> used;
        for (int r = 0; r < rows; ++r)
            if (found[r] >= 0) {
                total += costs[static_cast<std::size_t>(r) * columns + found[r]];
                EXPECT_TRUE(used.insert(found[r]).second);
            }
        EXPECT_EQ(static_cast<int>(used.size()), std::min(rows, columns));
        // All ways to give each of the fewer side one of the other.
        const bool turned = rows > columns;
        std::vector<int> order(static_cast<std::size_t>(std::max(rows, columns)));
        std::iota(order.begin(), order.end(), 0);
        float best = std::numeric_limits<float>::max();
        do {
            float sum = 0;
            for (int k = 0; k < std::min(rows, columns); ++k)
                sum += turned ? costs[static_cast<std::size_t>(order[k]) * columns + k]
                              : costs[static_cast<std::size_t>(k) * columns + order[k]];
            best = std::min(best, sum);
        } while (std::next_permutation(order.begin(), order.end()));
        EXPECT_NEAR(total, best, 1e-4F);
    }
}

TEST(Assignment, ForbiddenPairsStayApart) {
    constexpr float kNo = Assignment::kForbidden;
    Assignment assignment;
    const std::vector<float> costs{kNo, 0.5F, kNo, kNo, 0.1F, kNo};
    const auto found = assignment.solve(costs, 2, 3);
    EXPECT_EQ(found[0] + found[1], 0) << "column 1 and none";
    EXPECT_TRUE(assignment.solve({}, 0, 3).empty());
    EXPECT_EQ(assignment.solve({}, 2, 0)[1], -1);
}

TEST(Tracker, ConfirmsAfterTheSecondDetectionAndReportsTheEndOnce) {
    Scene scene;
    const std::vector<Path> man{straight({100, 100, 60, 80}, 0, 0)};
    scene.detect(man, 0.0);
    ASSERT_EQ(scene.last.size(), 1U);
    EXPECT_EQ(scene.last[0].state, TrackState::New);
    EXPECT_EQ(scene.last[0].id, 1);
    EXPECT_EQ(scene.last[0].detection, 0);
    scene.detect(man, 0.04);
    EXPECT_EQ(scene.last[0].state, TrackState::Confirmed);
    const std::vector<Path> nobody{};
    scene.detect(nobody, 0.08);
    EXPECT_EQ(scene.last[0].state, TrackState::Lost);
    EXPECT_EQ(scene.last[0].detection, -1);
    EXPECT_LT(scene.last[0].score, 0.9F);
    scene.detect(nobody, 1.0);
    ASSERT_EQ(scene.last.size(), 1U);
    scene.detect(nobody, 1.1);
    ASSERT_EQ(scene.last.size(), 1U);
    EXPECT_EQ(scene.last[0].state, TrackState::Removed);
    scene.detect(nobody, 1.2);
    EXPECT_TRUE(scene.last.empty());
    scene.detect(man, 1.3);
    EXPECT_EQ(scene.last[0].id, 2) << "an id came twice";
}

TEST(Tracker, OneStrayDetectionIsGivenUpSooner) {
    Scene scene;
    scene.detect({straight({100, 100, 60, 80}, 0, 0)}, 0.0);
    scene.detect({}, 0.3);
    EXPECT_EQ(scene.last.size(), 1U);
    scene.detect({}, 0.5);
    ASSERT_EQ(scene.last.size(), 1U);
    EXPECT_EQ(scene.last[0].state, TrackState::Removed);
}

TEST(Tracker, PredictedBoxesFollowTheMotionWithTheirLandmarks) {
    Scene scene;
    const std::vector<Path> man{straight({100, 100, 60, 80}, 200, 50)};
    double t = 0;
    for (; t < 1; t += 0.04)
        scene.detect(man, t, 0.0);
    for (int skipped = 0; skipped < 4; ++skipped, t += 0.04) {
        const auto tracks = scene.tracker.predict(t);
        ASSERT_EQ(tracks.size(), 1U);
        EXPECT_EQ(tracks[0].detection, -1);
        EXPECT_EQ(tracks[0].state, TrackState::Confirmed) << "a skipped frame loses nobody";
        const Box expected = *man[0](t);
        EXPECT_NEAR(tracks[0].box.x, expected.x, 4);
        EXPECT_NEAR(tracks[0].box.y, expected.y, 4);
        EXPECT_NEAR(tracks[0].box.w, 60, 2);
        ASSERT_TRUE(tracks[0].landmarks.has_value());
        const Landmarks5 there = points_in(tracks[0].box);
        for (std::size_t i = 0; i < there.size(); ++i) {
            EXPECT_NEAR((*tracks[0].landmarks)[i].x, there[i].x, 0.01);
            EXPECT_NEAR((*tracks[0].landmarks)[i].y, there[i].y, 0.01);
        }
    }
}

struct Timing {
    double fps;
    int interval; ///< each so many frames are looked at
};

class Crossing : public testing::TestWithParam<Timing> {};

// Two people walk through each other; while they overlap, only the nearer one is found.
TEST_P(Crossing, TwoPeopleKeepTheirIds) {
    const auto [fps, interval] = GetParam();
    for (unsigned seed = 0; seed < 20; ++seed) {
        Scene scene;
        scene.random.seed(seed);
        const double speed = 150 + 10.0 * (seed % 8);
        const Path right = straight({40, 200, 60, 80}, speed, 8);
        const Path left_whole = straight({640, 205, 60, 80}, -speed, -6);
        const Path left = [&](double t) -> std::optional<Box> {
            const auto a = right(t), b = left_whole(t);
            return intersection_over_union(*a, *b) > 0.2F ? std::nullopt : b;
        };
        int frame = 0;
        for (double t = 0; t < 600 / speed; t = ++frame / fps) {
            if (frame % interval == 0)
                scene.detect({right, left}, t);
            else
                scene.tracker.predict(t);
        }
        SCOPED_TRACE("seed " + std::to_string(seed));
        scene.expect_one_id_each(2);
    }
}

INSTANTIATE_TEST_SUITE_P(Rates, Crossing,
                         testing::Values(Timing{60, 1}, Timing{60, 5}, Timing{30, 1},
                                         Timing{30, 3}, Timing{25, 2}, Timing{15, 1},
                                         Timing{12, 1}));

TEST(Tracker, CrossingOfFourAtOnce) {
    Scene scene;
    const std::vector<Path> people{
        straight({50, 250, 50, 60}, 220, 0), straight({550, 250, 50, 60}, -220, 0),
        straight({300, 20, 50, 60}, 0, 200), straight({300, 480, 50, 60}, 0, -200)};
    for (int i = 0; i < 60; ++i) {
        const double t = i / 25.0;
        std::vector<Path> seen;
        for (std::size_t p = 0; p < people.size(); ++p)
            seen.emplace_back([&, p](double time) -> std::optional<Box> {
                const auto box = people[p](time);
                for (std::size_t q = 0; q < p; ++q)
                    if (intersection_over_union(*box, *people[q](time)) > 0.3F)
                        return std::nullopt;
                return box;
            });
        scene.detect(seen, t, 0.01);
    }
    scene.expect_one_id_each(4);
}

TEST(Tracker, IdSurvivesOcclusionUpToTheLimit) {
    for (const double hidden_s : {0.2, 0.5, 0.9}) {
        Scene scene;
        const auto man = hidden_between(straight({100, 100, 60, 80}, 60, 0), 1, 1 + hidden_s);
        for (int i = 0; i < 75; ++i)
            scene.detect({man}, i / 25.0);
        SCOPED_TRACE(hidden_s);
        scene.expect_one_id_each(1);
    }
    Scene scene;
    const auto gone = hidden_between(straight({100, 100, 60, 80}, 60, 0), 1, 2.5);
    for (int i = 0; i < 100; ++i)
        scene.detect({gone}, i / 25.0);
    EXPECT_EQ(scene.ids[0].size(), 2U);
}

// A face that is lost in motion and found where it was last seen (it stopped or turned).
TEST(Tracker, RecoversWhereTheFaceWasLastSeen) {
    Scene scene;
    const auto path = [](double t) -> std::optional<Box> {
        if (t >= 1 && t < 1.8)
            return std::nullopt;
        return Box{static_cast<float>(100 + 180 * std::min(t, 1.0)), 100, 60, 80};
    };
    for (int i = 0; i < 75; ++i)
        scene.detect({path}, i / 25.0);
    scene.expect_one_id_each(1);
}

TEST(Tracker, MissedDetectionsAtRandom) {
    for (unsigned seed = 0; seed < 10; ++seed) {
        Scene scene;
        scene.random.seed(seed);
        std::mt19937 luck(seed + 100);
        std::set<std::pair<int, int>> missed; // a third of all
        for (int i = 0; i < 250; ++i)
            for (int p = 0; p < 3; ++p)
                if (i > 2 && luck() % 3 == 0)
                    missed.insert({i, p});
        int i = 0;
        std::vector<Path> people;
        for (int p = 0; p < 3; ++p)
            people.emplace_back([&, p](double t) -> std::optional<Box> {
                if (missed.count({i, p}) > 0)
                    return std::nullopt;
                return Box{static_cast<float>(100 + 150 * p + 40 * std::sin(2 * t + p)),
                           static_cast<float>(100 + 30 * std::cos(1.5 * t)), 60, 80};
            });
        for (; i < 250; ++i)
            scene.detect(people, i / 25.0);
        SCOPED_TRACE(seed);
        scene.expect_one_id_each(3);
    }
}

TEST(Tracker, FrameRateMayChange) {
    Scene scene;
    const std::vector<Path> people{straight({50, 100, 60, 80}, 70, 0),
                                   straight({600, 110, 60, 80}, -70, 0)};
    double t = 0;
    const double steps[] = {1 / 60.0, 1 / 25.0, 1 / 10.0, 1 / 30.0, 1 / 8.0};
    for (int i = 0; i < 120 && t < 3.5; ++i, t += steps[(i / 10) % 5])
        scene.detect(people, t);
    scene.expect_one_id_each(2);
}

TEST(Tracker, AnotherSceneIsOtherPeople) {
    Scene scene;
    for (int i = 0; i < 25; ++i)
        scene.detect({straight({50, 60, 60, 80}, 0, 0), straight({250, 60, 60, 80}, 0, 0)},
                     i / 25.0);
    // The same number of faces elsewhere and of another size.
    const std::vector<Path> after{straight({150, 260, 160, 200}, 0, 0),
                                  straight({450, 40, 160, 200}, 0, 0)};
    scene.detect(after, 1.0);
    int fresh = 0;
    for (const Track &track : scene.last)
        if (track.detection >= 0) {
            EXPECT_GT(track.id, 2);
            ++fresh;
        }
    EXPECT_EQ(fresh, 2);
}

TEST(Tracker, TimeThatJumpsEndsAllTracks) {
    for (const double jump_s : {5.0, -3.0}) {
        Scene scene;
        const std::vector<Path> man{straight({100, 100, 60, 80}, 0, 0)};
        for (int i = 0; i < 25; ++i)
            scene.detect(man, 10 + i / 25.0);
        scene.detect(man, 11 + jump_s);
        ASSERT_EQ(scene.last.size(), 2U);
        EXPECT_EQ(scene.last[0].id, 2);
        EXPECT_EQ(scene.last[0].state, TrackState::New);
        EXPECT_EQ(scene.last[1].id, 1);
        EXPECT_EQ(scene.last[1].state, TrackState::Removed);
    }
}

TEST(Tracker, GapOfHalfASecondKeepsIds) {
    Scene scene;
    const std::vector<Path> people{straight({100, 100, 60, 80}, 40, 0),
                                   straight({400, 100, 60, 80}, -40, 0)};
    for (int i = 0; i < 25; ++i)
        scene.detect(people, i / 25.0);
    for (int i = 0; i < 25; ++i)
        scene.detect(people, 1.5 + i / 25.0);
    scene.expect_one_id_each(2);
}

TEST(Tracker, WeakDetectionsContinueTracksAndStartNone) {
    Tracker tracker;
    Detection strong{{100, 100, 60, 80}, 0.9F, {}, {}};
    Detection weak{{101, 100, 60, 80}, 0.3F, {}, {}};
    Detection stray{{400, 100, 60, 80}, 0.3F, {}, {}};
    EXPECT_TRUE(tracker.update(std::span(&stray, 1), 0.0).empty());
    for (int i = 0; i < 3; ++i)
        tracker.update(std::span(&strong, 1), 0.04 * (i + 1));
    const std::vector<Detection> both{stray, weak};
    for (int i = 0; i < 50; ++i) {
        const auto tracks = tracker.update(both, 0.2 + 0.04 * i);
        ASSERT_EQ(tracks.size(), 1U);
        EXPECT_EQ(tracks[0].detection, 1);
        EXPECT_EQ(tracks[0].state, TrackState::Confirmed);
    }
}

// Two people change places out of sight: only their embeddings tell.
TEST(Tracker, EmbeddingsTellWhoIsWho) {
    for (const bool with_embeddings : {true, false}) {
        Scene scene;
        if (with_embeddings)
            scene.embeddings = {{1, 0, 0, 0.1F}, {0, 1, 0.1F, 0}};
        const auto place = [](int person) {
            return [person](double t) -> std::optional<Box> {
                if (t >= 1 && t < 1.5)
                    return std::nullopt;
                const bool left = (person == 0) == (t < 1);
                return Box{left ? 100.0F : 160.0F, 100, 60, 80};
            };
        };
        for (int i = 0; i < 60; ++i)
            scene.detect({place(0), place(1)}, i / 25.0, 0.01);
        if (with_embeddings)
            scene.expect_one_id_each(2);
        else
            EXPECT_EQ(scene.ids[0].size(), 2U) << "the test would pass without embeddings";
    }
}

TEST(Tracker, IsDeterministicAndOneTrackNeverHasTwoDetections) {
    const auto run = [](unsigned seed) {
        std::mt19937 random(seed);
        std::uniform_real_distribution<float> place(0, 600), side(10, 90), score(0, 1);
        Tracker tracker;
        std::vector<std::int64_t> ids;
        for (int i = 0; i < 200; ++i) {
            std::vector<Detection> detections(random() % 12);
            for (Detection &d : detections)
                d = {{place(random), place(random), side(random), side(random)},
                     score(random),
                     {},
                     {}};
            const auto tracks = tracker.update(detections, i / 25.0);
            std::set<int> used;
            std::set<std::int64_t> seen;
            for (const Track &track : tracks) {
                if (track.detection >= 0) {
                    EXPECT_TRUE(used.insert(track.detection).second);
                }
                EXPECT_TRUE(seen.insert(track.id).second);
                EXPECT_TRUE(std::isfinite(track.box.x) && track.box.w > 0);
                ids.push_back(track.id * 100 + track.detection);
            }
        }
        return ids;
    };
    for (unsigned seed = 0; seed < 5; ++seed)
        EXPECT_EQ(run(seed), run(seed));
}

TEST(Tracker, BadNumbersAndMoreFacesThanItHoldsDoNoHarm) {
    TrackerOptions options;
    options.max_tracks = 4;
    Tracker tracker(options);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::vector<Detection> detections;
    for (int i = 0; i < 20; ++i)
        detections.push_back({{100.0F * static_cast<float>(i), 0, 50, 60}, 0.9F, {}, {}});
    detections[1].box.x = nan;
    detections[2].box.w = -4;
    detections[3].score = nan;
    const auto tracks = tracker.update(detections, 0);
    ASSERT_EQ(tracks.size(), 1U);
    EXPECT_EQ(tracks[0].detection, 0);
    EXPECT_EQ(tracker.update(detections, nan).size(), 1U);
}

TEST(Tracker, ResetForgetsWithoutAWord) {
    Scene scene;
    const std::vector<Path> man{straight({100, 100, 60, 80}, 0, 0)};
    scene.detect(man, 5.0);
    scene.tracker.reset();
    scene.detect(man, 0.0);
    ASSERT_EQ(scene.last.size(), 1U);
    EXPECT_EQ(scene.last[0].id, 2);
}

} // namespace
} // namespace sphere
