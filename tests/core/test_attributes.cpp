// SPDX-License-Identifier: MIT
// Regions of a face, and what is remembered of a track.
#include "core/face/attributes.h"

#include "core/publish/record.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace sphere {
namespace {

Face face_at(float x, float y, float w, float h) {
    Face face;
    face.box = {x, y, w, h};
    face.score = 1;
    return face;
}

Box region(const char *kind, double scale, const Face &face, std::size_t eye = 0) {
    const auto box = attribute_region(kind, scale, face, 200, 100, eye);
    EXPECT_TRUE(box) << kind;
    return box.value_or(Box{});
}

TEST(AttributeRegion, GrowsAboutTheCentre) {
    const Face face = face_at(80, 40, 20, 10);
    EXPECT_EQ(region("box", 2, face), (Box{70, 35, 40, 20}));
    EXPECT_EQ(region("square", 2, face), (Box{70, 25, 40, 40}));
    EXPECT_EQ(region("shifted-box", 2, face), (Box{70, 35, 40, 20}));
}

TEST(AttributeRegion, AtTheFramesEdge) {
    const Face face = face_at(-5, 0, 40, 20);
    EXPECT_EQ(region("box", 1.5, face), (Box{0, 0, 45, 25}));         // cut
    EXPECT_EQ(region("square", 1, face), (Box{-5, -10, 40, 40}));     // as it is
    EXPECT_EQ(region("shifted-box", 1.5, face), (Box{0, 0, 60, 30})); // moved
    // No larger than the frame: (100 - 1) / 60 is the least of the ratios.
    const Box most = region("shifted-box", 3, face_at(50, 20, 60, 60));
    EXPECT_FLOAT_EQ(most.w, 99);
    EXPECT_FLOAT_EQ(most.h, 99);
    EXPECT_GE(most.y, 0);
}

TEST(AttributeRegion, EyesNeedLandmarks) {
    Face face = face_at(50, 20, 60, 60);
    EXPECT_FALSE(attribute_region("eyes", 1.6, face, 200, 100));
    face.landmarks = Landmarks5{{{60, 40}, {100, 40}, {80, 55}, {65, 70}, {95, 70}}};
    const Box right = region("eyes", 1, face, 1);
    EXPECT_FLOAT_EQ(right.w, 0.42F * 40);
    EXPECT_FLOAT_EQ(right.x + right.w / 2, 100);
    // 68 points have the corners themselves: 36 and 39 of the image-left eye.
    face.dense_landmarks.assign(68, {0, 0});
    for (const std::size_t i : {36, 37, 38, 39, 40, 41})
        face.dense_landmarks[i] = {i == 36 ? 50.0F : i == 39 ? 70.0F : 60.0F, 30};
    EXPECT_EQ(region("eyes", 1.5, face, 0), (Box{45, 15, 30, 30}));
}

TEST(AttributeRegion, NothingOfNoBox) {
    EXPECT_FALSE(attribute_region("box", 1, face_at(0, 0, 0, 10), 200, 100));
    EXPECT_FALSE(attribute_region("shifted-box", 1, face_at(0, 0, NAN, 10), 200, 100));
}

Attribute classes(std::vector<float> scores) {
    Attribute attribute;
    attribute.name = "mood";
    attribute.labels = {"fine", "poor"};
    attribute.scores = std::move(scores);
    return attribute;
}

Face tracked(std::int64_t track, std::vector<float> scores, float age) {
    Face face = face_at(0, 0, 10, 10);
    face.track_id = track;
    Attribute number;
    number.name = "age";
    number.number = age;
    face.attributes = {classes(std::move(scores)), number};
    return face;
}

TEST(AttributeSmoother, AveragesATracksScoresAndNumbers) {
    AttributeSmoother smoother(10);
    Face first = tracked(1, {0.9F, 0.1F}, 30), second = tracked(1, {0.2F, 0.8F}, 40);
    Face other = tracked(2, {0, 1}, 5);
    smoother.smooth(first);
    smoother.smooth(other);
    smoother.smooth(second);
    EXPECT_FLOAT_EQ(second.attributes[0].scores[0], 0.55F);
    EXPECT_EQ(second.attributes[0].best(), 0U) << "alone it would have been the other class";
    EXPECT_FLOAT_EQ(second.attributes[1].number, 35);
    EXPECT_FLOAT_EQ(other.attributes[1].number, 5);
}

TEST(AttributeSmoother, FollowsAChangeWithinTheWindow) {
    AttributeSmoother smoother(5);
    Face face;
    for (int i = 0; i < 60; ++i) {
        face = tracked(1, {1, 0}, i < 30 ? 20.0F : 50.0F);
        smoother.smooth(face);
    }
    EXPECT_NEAR(face.attributes[1].number, 50, 0.1);
}

TEST(AttributeSmoother, OffOrWithoutATrackNothingChanges) {
    AttributeSmoother off(1), on(10);
    for (const float age : {10.0F, 50.0F}) {
        Face face = tracked(1, {1, 0}, age);
        off.smooth(face);
        EXPECT_EQ(face.attributes[1].number, age);
        face.track_id.reset();
        on.smooth(face);
        EXPECT_EQ(face.attributes[1].number, age);
    }
}

TEST(AttributeSmoother, KeepsWhatItHadForAnInterval) {
    AttributeSmoother smoother;
    Face face = tracked(7, {0.7F, 0.3F}, 33);
    EXPECT_FALSE(smoother.reuse(face, 3)) << "nothing is known yet";
    smoother.smooth(face);
    for (int frame = 0; frame < 2; ++frame) {
        Face later = face_at(0, 0, 10, 10);
        later.track_id = 7;
        ASSERT_TRUE(smoother.reuse(later, 3)) << frame;
        EXPECT_EQ(later.attributes, face.attributes);
    }
    Face due = face_at(0, 0, 10, 10);
    due.track_id = 7;
    EXPECT_FALSE(smoother.reuse(due, 3));
    due.track_id = 8;
    EXPECT_FALSE(smoother.reuse(due, 3));
}

TEST(AttributeSmoother, ForgetsTheOldestTrackBeyondItsBound) {
    AttributeSmoother smoother;
    for (std::size_t i = 0; i <= AttributeSmoother::kMaxTracks; ++i) {
        Face face = tracked(static_cast<std::int64_t>(i), {1, 0}, 1);
        smoother.smooth(face);
    }
    Face oldest = face_at(0, 0, 1, 1), newest = oldest;
    oldest.track_id = 0;
    newest.track_id = static_cast<std::int64_t>(AttributeSmoother::kMaxTracks);
    EXPECT_FALSE(smoother.reuse(oldest, 10));
    EXPECT_TRUE(smoother.reuse(newest, 10));
}

TEST(AttributeFinders, ModelsByNameOrAnErrorThatNamesThem) {
    const ModelStore store = ModelStore::from_environment();
    const auto found = make_attribute_finders(store, "fake-attribute,fake-attribute", {});
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->size(), 2U);
    const auto missing = make_attribute_finders(store, "fake-attribute,no-such", {});
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().message.find("no-such"), std::string::npos);
    EXPECT_FALSE(make_attribute_finders(store, "fake-detect", {})) << "of another task";
    const auto none = make_attribute_finders(ModelStore({}), "auto", {});
    ASSERT_FALSE(none);
    EXPECT_NE(none.error().message.find("spherectl models fetch"), std::string::npos);
}

TEST(AttributeFinders, AFaceBeyondTheFrameGetsNothingAndRepeatsReplace) {
    const auto found =
        make_attribute_finders(ModelStore::from_environment(), "fake-attribute", {});
    ASSERT_TRUE(found) << found.error().message;
    Image image(64, 48);
    std::iota(image.bgr.begin(), image.bgr.end(), std::uint8_t{0});
    Face outside = face_at(500, 500, 20, 20), inside = face_at(10, 10, 20, 20);
    Face half = face_at(-10, -10, 20, 20);
    for (Face *face : {&outside, &inside, &half})
        for (int again = 0; again < 2; ++again)
            ASSERT_TRUE((*found)[0]->find(image.view(), *face, nullptr));
    EXPECT_TRUE(outside.attributes.empty());
    for (const Face *face : {&inside, &half}) {
        ASSERT_EQ(face->attributes.size(), 1U);
        const Attribute &mood = face->attributes[0];
        EXPECT_EQ(mood.name, "mood");
        ASSERT_EQ(mood.scores.size(), 2U);
        EXPECT_NEAR(mood.scores[0] + mood.scores[1], 1, 1e-6);
    }
    EXPECT_NE(inside.attributes, half.attributes);
}

TEST(AttributeRecord, IsInTheJsonOfAFrame) {
    FrameRecord record;
    record.faces = {tracked(1, {0.25F, 0.75F}, 33.5F), face_at(0, 0, 1, 1)};
    Attribute live = classes({0.875F, 0.125F});
    live.name = "live";
    live.labels = {"true", "false"};
    record.faces[0].attributes.push_back(live);
    const std::string line = to_json_line(record, false);
    EXPECT_NE(line.find(R"("attributes":{"mood":"poor","mood_score":0.75,"age":33.5,)"
                        R"("live":true,"live_score":0.875})"),
              std::string::npos)
        << line;
    EXPECT_EQ(line.find("attributes", line.find("attributes") + 1), std::string::npos)
        << "a face without them has no key";
}

} // namespace
} // namespace sphere
