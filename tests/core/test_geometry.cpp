// SPDX-License-Identifier: MIT
// Properties of the transforms, of box overlap and of non-maximum suppression.
#include "core/image/geometry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <random>

namespace sphere {
namespace {

using Rng = std::mt19937;

double real(Rng &rng, double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(rng);
}

Affine similarity(double scale, double angle, double dx, double dy) {
    const double a = scale * std::cos(angle), b = scale * std::sin(angle);
    return {{a, -b, dx, b, a, dy}};
}

std::vector<Point2f> random_points(Rng &rng, int n) {
    std::vector<Point2f> points;
    for (int i = 0; i < n; ++i)
        points.push_back({float(real(rng, 0, 1920)), float(real(rng, 0, 1080))});
    return points;
}

double error(const Affine &map, const std::vector<Point2f> &from,
             const std::vector<Point2f> &to) {
    double sum = 0;
    for (std::size_t i = 0; i < from.size(); ++i) {
        const double x = map.m[0] * from[i].x + map.m[1] * from[i].y + map.m[2] - to[i].x;
        const double y = map.m[3] * from[i].x + map.m[4] * from[i].y + map.m[5] - to[i].y;
        sum += x * x + y * y;
    }
    return sum;
}

void expect_similarity(const Affine &map) {
    EXPECT_DOUBLE_EQ(map.m[0], map.m[4]);
    EXPECT_DOUBLE_EQ(map.m[1], -map.m[3]);
}

TEST(EstimateSimilarity, RecoversTheTransform) {
    Rng rng(1);
    for (int i = 0; i < 500; ++i) {
        const auto from = random_points(rng, 2 + i % 9);
        const Affine truth = similarity(std::exp(real(rng, -2, 2)), real(rng, -3.14, 3.14),
                                        real(rng, -500, 500), real(rng, -500, 500));
        std::vector<Point2f> to;
        for (const Point2f &p : from)
            to.push_back(truth.apply(p));
        const auto map = estimate_similarity(from, to);
        ASSERT_TRUE(map);
        expect_similarity(*map);
        for (const Point2f &p : from) {
            EXPECT_NEAR(map->apply(p).x, truth.apply(p).x, 0.01);
            EXPECT_NEAR(map->apply(p).y, truth.apply(p).y, 0.01);
        }
    }
}

// No similarity near by does better, and none of a grid of rotations with its best scale.
TEST(EstimateSimilarity, IsTheLeastSquaresOne) {
    Rng rng(2);
    for (int i = 0; i < 200; ++i) {
        const auto from = random_points(rng, 5), to = random_points(rng, 5);
        const auto map = estimate_similarity(from, to);
        ASSERT_TRUE(map);
        expect_similarity(*map);
        const double best = error(*map, from, to);
        const double scale = std::hypot(map->m[0], map->m[3]);
        const double angle = std::atan2(map->m[3], map->m[0]);
        for (int j = 0; j < 50; ++j) {
            const Affine other =
                similarity(scale + real(rng, -0.2, 0.2), angle + real(rng, -1, 1),
                           map->m[2] + real(rng, -9, 9), map->m[5] + real(rng, -9, 9));
            EXPECT_GE(error(other, from, to), best * (1 - 1e-12));
        }
    }
}

// A reflection is not followed: the result keeps the determinant positive.
TEST(EstimateSimilarity, NeverReflects) {
    Rng rng(3);
    for (int i = 0; i < 200; ++i) {
        const auto from = random_points(rng, 5);
        std::vector<Point2f> to;
        for (const Point2f &p : from)
            to.push_back({-p.x, p.y});
        const auto map = estimate_similarity(from, to);
        ASSERT_TRUE(map);
        EXPECT_GE(map->m[0] * map->m[4] - map->m[1] * map->m[3], 0);
    }
}

TEST(EstimateSimilarity, RefusesWhatHasNoAnswer) {
    const std::vector<Point2f> two = {{1, 2}, {3, 4}}, three = {{1, 2}, {3, 4}, {5, 7}};
    const std::vector<Point2f> same = {{0.1F, 0.7F}, {0.1F, 0.7F}, {0.1F, 0.7F}};
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    constexpr float kInf = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(estimate_similarity(two, three));
    EXPECT_FALSE(estimate_similarity({}, {}));
    EXPECT_FALSE(estimate_similarity(std::span(two).first(1), std::span(two).first(1)));
    EXPECT_FALSE(estimate_similarity(same, three));
    for (const float bad : {kNan, kInf, -kInf}) {
        auto broken = three;
        broken[1].y = bad;
        EXPECT_FALSE(estimate_similarity(broken, three));
        EXPECT_FALSE(estimate_similarity(three, broken));
    }
    // All of `to` in one place has one: scale 0, which cannot be inverted.
    const auto collapsed = estimate_similarity(three, same);
    ASSERT_TRUE(collapsed);
    EXPECT_FALSE(collapsed->inverse());
}

TEST(AffineInverse, UndoesTheMap) {
    Rng rng(4);
    for (int i = 0; i < 500; ++i) {
        Affine map;
        for (double &v : map.m)
            v = real(rng, -3, 3);
        if (std::abs(map.m[0] * map.m[4] - map.m[1] * map.m[3]) < 0.1)
            continue;
        const auto inverse = map.inverse();
        ASSERT_TRUE(inverse);
        const Point2f p{float(real(rng, -100, 100)), float(real(rng, -100, 100))};
        const Point2f back = inverse->apply(map.apply(p));
        EXPECT_NEAR(back.x, p.x, 0.01);
        EXPECT_NEAR(back.y, p.y, 0.01);
    }
}

TEST(AffineInverse, EmptyWithoutOne) {
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    constexpr double kInf = std::numeric_limits<double>::infinity();
    EXPECT_FALSE((Affine{{1, 2, 0, 2, 4, 0}}.inverse()));
    EXPECT_FALSE((Affine{{0, 0, 5, 0, 0, 5}}.inverse()));
    for (const double bad : {kNan, kInf, -kInf})
        for (std::size_t i = 0; i < 6; ++i) {
            Affine map;
            map.m[i] = bad;
            EXPECT_FALSE(map.inverse()) << i;
        }
}

TEST(IntersectionOverUnion, KnownValues) {
    const Box a{0, 0, 10, 10};
    EXPECT_FLOAT_EQ(intersection_over_union(a, a), 1);
    EXPECT_FLOAT_EQ(intersection_over_union(a, {5, 0, 10, 10}), 50.0F / 150);
    EXPECT_FLOAT_EQ(intersection_over_union(a, {2, 2, 5, 5}), 0.25F);
    EXPECT_EQ(intersection_over_union(a, {10, 0, 10, 10}), 0);
    EXPECT_EQ(intersection_over_union(a, {20, 20, 1, 1}), 0);
    EXPECT_EQ(intersection_over_union(a, {0, 0, 0, 10}), 0);
    EXPECT_EQ(intersection_over_union(a, {5, 5, -5, -5}), 0);
    EXPECT_EQ(intersection_over_union(a, {0, 0, std::nanf(""), 10}), 0);
    EXPECT_EQ(intersection_over_union(a, {std::nanf(""), 0, 10, 10}), 0);
    EXPECT_FLOAT_EQ(intersection_over_union({0, 0, 1e30F, 1e30F}, {0, 0, 1e30F, 1e30F}), 1);
}

TEST(IntersectionOverUnion, Properties) {
    Rng rng(5);
    const auto random_box = [&] {
        return Box{float(real(rng, -50, 50)), float(real(rng, -50, 50)),
                   float(real(rng, 0, 60)), float(real(rng, 0, 60))};
    };
    for (int i = 0; i < 2000; ++i) {
        const Box a = random_box(), b = random_box();
        const float iou = intersection_over_union(a, b);
        EXPECT_EQ(iou, intersection_over_union(b, a));
        EXPECT_GE(iou, 0);
        EXPECT_LE(iou, 1);
    }
}

std::vector<Box> random_boxes(Rng &rng, int n) {
    std::vector<Box> boxes;
    for (int i = 0; i < n; ++i)
        boxes.push_back({float(real(rng, 0, 100)), float(real(rng, 0, 100)),
                         float(real(rng, 5, 40)), float(real(rng, 5, 40))});
    return boxes;
}

TEST(NonMaximumSuppression, Properties) {
    Rng rng(6);
    for (int i = 0; i < 100; ++i) {
        const auto boxes = random_boxes(rng, 40);
        std::vector<float> scores;
        for (int k = 0; k < 40; ++k)
            scores.push_back(float(int(real(rng, 0, 10)))); // with many equal scores
        const auto kept = non_maximum_suppression(boxes, scores, 0.3F);
        ASSERT_FALSE(kept.empty());
        const auto box = [&](int k) { return boxes[std::size_t(k)]; };
        const auto score = [&](int k) { return scores[std::size_t(k)]; };
        for (std::size_t k = 1; k < kept.size(); ++k) {
            EXPECT_GE(score(kept[k - 1]), score(kept[k]));
            if (score(kept[k - 1]) == score(kept[k])) {
                EXPECT_LT(kept[k - 1], kept[k]);
            }
        }
        for (int k = 0; k < 40; ++k) {
            const bool is_kept = std::ranges::find(kept, k) != kept.end();
            // Covered by a kept one that comes before it: gone; otherwise kept.
            const bool covered = std::ranges::any_of(kept, [&](int other) {
                const bool before =
                    score(other) > score(k) || (score(other) == score(k) && other < k);
                return before && intersection_over_union(box(other), box(k)) > 0.3F;
            });
            EXPECT_NE(is_kept, covered);
        }
    }
}

TEST(NonMaximumSuppression, Limits) {
    const std::vector<Box> twice = {{0, 0, 10, 10}, {0, 0, 10, 10}, {50, 50, 5, 5}};
    const std::vector<float> scores = {0.5F, 0.9F, 0.7F};
    EXPECT_EQ(non_maximum_suppression(twice, scores, 0.3F), (std::vector{1, 2}));
    EXPECT_EQ(non_maximum_suppression(twice, scores, 1), (std::vector{1, 2, 0}));
    EXPECT_TRUE(non_maximum_suppression({}, {}, 0.3F).empty());
    const std::vector<float> with_nan = {0.5F, std::nanf(""), 0.7F};
    EXPECT_EQ(non_maximum_suppression(twice, with_nan, 0.3F), (std::vector{2, 0}));
    EXPECT_EQ(non_maximum_suppression(twice, std::span(scores).first(2), 0.3F),
              (std::vector{1}));
}

} // namespace
} // namespace sphere
