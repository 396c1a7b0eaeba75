// SPDX-License-Identifier: MIT
// Names, the stamp as text, five landmarks of 68.
#include "core/face/face.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace sphere {
namespace {

TEST(Landmarks, FiveOfSixtyEight) {
    std::vector<Point2f> points(68);
    for (std::size_t i = 0; i < points.size(); ++i)
        points[i] = {static_cast<float>(i * i), static_cast<float>(1000 - static_cast<int>(i))};
    const Landmarks5 five = landmarks_from_68(points);
    // Means of squares, worked out by hand.
    EXPECT_FLOAT_EQ(five[0].x, (37 * 37 + 38 * 38 + 40 * 40 + 41 * 41) / 4.0F);
    EXPECT_FLOAT_EQ(five[0].y, 1000 - 39.0F);
    EXPECT_FLOAT_EQ(five[1].x, (43 * 43 + 44 * 44 + 46 * 46 + 47 * 47) / 4.0F);
    EXPECT_FLOAT_EQ(five[2].x, 900);
    EXPECT_FLOAT_EQ(five[3].x, (48 * 48 + 60 * 60) / 2.0F);
    EXPECT_FLOAT_EQ(five[4].x, (54 * 54 + 64 * 64) / 2.0F);
}

TEST(Landmarks, TooFewPointsAreNotReadBeyond) {
    EXPECT_EQ(landmarks_from_68(std::vector<Point2f>(67)), Landmarks5{});
}

TEST(Landmarks, PairsAreImageLeftFirst) {
    Landmarks5 points{{{30, 1}, {10, 2}, {20, 3}, {12, 4}, {28, 5}}};
    order_landmarks(points);
    EXPECT_EQ(points, (Landmarks5{{{10, 2}, {30, 1}, {20, 3}, {12, 4}, {28, 5}}}));
    order_landmarks(points);
    EXPECT_EQ(points[0], (Point2f{10, 2}));
}

EmbeddingStamp stamp() {
    return {"fr_feature", "87aa", "rgb-127.5", "arcface-112x112", "concat", 1024};
}

TEST(Stamp, TextAndBack) {
    EXPECT_EQ(stamp().to_string(), "fr_feature|87aa|rgb-127.5|arcface-112x112|concat|1024");
    const auto back = EmbeddingStamp::from_string(stamp().to_string());
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, stamp());
}

TEST(Stamp, EveryFieldCounts) {
    std::set<std::string> texts{stamp().to_string()};
    for (int field = 0; field < 6; ++field) {
        EmbeddingStamp other = stamp();
        std::string *const names[] = {&other.model, &other.sha256, &other.preprocessing,
                                      &other.template_name, &other.flip};
        if (field < 5)
            *names[field] += "x";
        else
            other.dims = 512;
        EXPECT_FALSE(other == stamp());
        texts.insert(other.to_string());
    }
    EXPECT_EQ(texts.size(), 7u);
}

TEST(Stamp, OtherTextIsNoStamp) {
    for (const char *text :
         {"", "a|b|c|d|e", "a|b|c|d|e|f|1", "a|b|c|d|e|", "a|b|c|d|e|x", "a|b|c|d|e|12x",
          "a|b|c|d|e|0", "a|b|c|d|e|-3", "a|b|c|d|e|99999999999999999999"})
        EXPECT_FALSE(EmbeddingStamp::from_string(text)) << text;
}

TEST(Names, AreTheContracts) {
    EXPECT_STREQ(face_state_name(FaceState::Undecided), "");
    EXPECT_STREQ(face_state_name(FaceState::Known), "known");
    EXPECT_STREQ(face_state_name(FaceState::Unknown), "unknown");
    EXPECT_STREQ(face_state_name(FaceState::Ambiguous), "ambiguous");
    EXPECT_STREQ(face_state_name(FaceState::Unusable), "unusable");
    const char *const reasons[] = {"",
                                   "too-small",
                                   "blurred",
                                   "profile",
                                   "truncated",
                                   "no-landmarks",
                                   "low-quality",
                                   "not-embedded",
                                   "below-threshold",
                                   "ambiguous",
                                   "empty-gallery",
                                   "wrong-model",
                                   "ignored"};
    for (std::size_t i = 0; i < std::size(reasons); ++i)
        EXPECT_STREQ(face_reason_name(static_cast<FaceReason>(i)), reasons[i]);
}

} // namespace
} // namespace sphere
