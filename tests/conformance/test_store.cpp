// SPDX-License-Identifier: MIT
// What every Store must do. What only a file can do is in test_sqlite_store.cpp.
#include "tests/conformance/places.h"

#include <limits>
#include <set>
#include <thread>

namespace sphere::testing {
namespace {

class StoreConformance : public ::testing::TestWithParam<PlaceCase> {
  protected:
    void SetUp() override {
        place_ = GetParam().make();
        if (const std::string why = place_->unavailable(); !why.empty())
            GTEST_SKIP() << why;
        store_ = place_->open();
        ASSERT_TRUE(store_);
    }
    void expect_unchanged(const GallerySnapshot &before) {
        const auto after = store_->load();
        ASSERT_TRUE(after.ok());
        EXPECT_EQ(after->version, before.version);
        EXPECT_EQ(after->stamp, before.stamp);
        EXPECT_EQ(after->faces.size(), before.faces.size());
    }
    std::unique_ptr<Place> place_;
    std::unique_ptr<Store> store_;
};

TEST_P(StoreConformance, NewOneIsEmpty) {
    const auto snapshot = store_->load();
    ASSERT_TRUE(snapshot.ok());
    EXPECT_FALSE(snapshot->stamp);
    EXPECT_TRUE(snapshot->faces.empty());
    EXPECT_EQ(snapshot->version, *store_->version());
    EXPECT_TRUE(store_->list_people()->empty());
}

TEST_P(StoreConformance, GivesBackWhatWasEnrolled) {
    const EmbeddingStamp stamp = test_stamp();
    const std::vector<float> exact{1.5F, -0.0F, std::numeric_limits<float>::denorm_min(),
                                   3.4e38F};
    Enrolment with_all = test_face("ana", exact);
    with_all.quality = Quality{.score = 0.5F, .sharpness = std::nanf("")};
    with_all.thumbnail_jpeg = {0xFF, 0xD8, 0x00, 0xFF};
    const auto ids = store_->enrol(
        stamp, {with_all, test_face("bo", {0, 1, 0, 0}), test_face("ana", {0, 0, 1, 0})});
    ASSERT_TRUE(ids.ok()) << ids.error().message;
    ASSERT_EQ(ids->size(), 3u);
    EXPECT_EQ(std::set(ids->begin(), ids->end()).size(), 3u);

    const auto snapshot = store_->load();
    ASSERT_TRUE(snapshot.ok()) << snapshot.error().message;
    EXPECT_EQ(snapshot->stamp, stamp);
    ASSERT_EQ(snapshot->faces.size(), 3u);
    for (const EnrolledFace &face : snapshot->faces) {
        const auto place = std::find(ids->begin(), ids->end(), face.face_id) - ids->begin();
        ASSERT_LT(place, 3);
        EXPECT_EQ(face.person_id, place == 1 ? "bo" : "ana");
        EXPECT_EQ(face.label, face.person_id);
        if (place == 0) {
            EXPECT_EQ(face.embedding, exact);
            EXPECT_TRUE(std::signbit(face.embedding[1]));
        }
    }
    const auto people = store_->list_people();
    ASSERT_TRUE(people.ok());
    ASSERT_EQ(people->size(), 2u);
    EXPECT_EQ((*people)[0].id, "ana");
    EXPECT_EQ((*people)[0].faces, 2);
    EXPECT_EQ((*people)[1].id, "bo");
    EXPECT_EQ((*people)[1].faces, 1);
}

TEST_P(StoreConformance, VersionTellsOfEveryChangeToEveryReader) {
    const auto other = place_->open();
    std::set<std::int64_t> versions{*other->version()};
    ASSERT_TRUE(store_->enrol(test_stamp(), {test_face("a", {1, 0, 0, 0})}).ok());
    EXPECT_TRUE(versions.insert(*other->version()).second);
    ASSERT_TRUE(store_->enrol(test_stamp(), {test_face("a", {1, 0, 0, 0})}).ok());
    EXPECT_TRUE(versions.insert(*other->version()).second);
    ASSERT_TRUE(other->remove_person("a").ok());
    EXPECT_TRUE(versions.insert(*store_->version()).second);
    // Reading is no change, and nothing enrolled is none.
    (void)store_->load();
    (void)store_->list_people();
    EXPECT_TRUE(store_->enrol(test_stamp(), {})->empty());
    EXPECT_FALSE(versions.insert(*store_->version()).second);
    EXPECT_EQ(store_->load()->version, *other->version());
}

TEST_P(StoreConformance, RefusesAnotherStampAndSaysHowToReembed) {
    ASSERT_TRUE(store_->enrol(test_stamp(), {test_face("a", {1, 0, 0, 0})}).ok());
    const GallerySnapshot before = *store_->load();
    std::vector<EmbeddingStamp> others(6, test_stamp());
    others[0].model = "other-model";
    others[1].sha256 = std::string(64, 'b');
    others[2].preprocessing = "rgb";
    others[3].template_name = "arcface-112x112";
    others[4].flip = "none";
    others[5].dims = 8;
    for (const EmbeddingStamp &other : others) {
        const auto ids = store_->enrol(
            other,
            {test_face("b", std::vector<float>(static_cast<std::size_t>(other.dims), 1))});
        ASSERT_FALSE(ids.ok());
        EXPECT_EQ(ids.error().code, Errc::Mismatch);
        EXPECT_NE(ids.error().message.find("spherectl enrol"), std::string::npos);
        EXPECT_NE(ids.error().message.find("test-model"), std::string::npos);
    }
    expect_unchanged(before);
}

TEST_P(StoreConformance, RefusesBadFacesWhole) {
    ASSERT_TRUE(store_->enrol(test_stamp(), {test_face("a", {1, 0, 0, 0})}).ok());
    const GallerySnapshot before = *store_->load();
    const float nan = std::nanf("");
    const float infinity = std::numeric_limits<float>::infinity();
    Enrolment big = test_face("b", {1, 0, 0, 0});
    big.thumbnail_jpeg.resize((1 << 20) + 1);
    Enrolment long_source = test_face("b", {1, 0, 0, 0});
    long_source.source = std::string(5000, 's');
    for (const Enrolment &bad :
         {test_face("b", {1, 0, 0}), test_face("b", {}), test_face("b", {1, 0, 0, 0, 0}),
          test_face("b", {1, nan, 0, 0}), test_face("b", {1, 0, 0, -infinity}),
          test_face("", {1, 0, 0, 0}), test_face("new\nline", {1, 0, 0, 0}),
          test_face(std::string("n\0l", 3), {1, 0, 0, 0}), test_face("\xFF\xFE", {1, 0, 0, 0}),
          test_face(std::string(1025, 'x'), {1, 0, 0, 0}), big, long_source}) {
        const auto ids = store_->enrol(test_stamp(), {test_face("good", {0, 1, 0, 0}), bad});
        ASSERT_FALSE(ids.ok()) << bad.person_id;
        EXPECT_EQ(ids.error().code, Errc::InvalidArgument);
    }
    for (const int dims : {-1, 0, 16385}) {
        const auto ids = store_->enrol(test_stamp(dims), {});
        ASSERT_FALSE(ids.ok());
        EXPECT_EQ(ids.error().code, Errc::InvalidArgument);
    }
    expect_unchanged(before);
}

TEST_P(StoreConformance, ErrorsNameTheSource) {
    const auto ids = store_->enrol(test_stamp(), {test_face("holiday", {1, 2})});
    ASSERT_FALSE(ids.ok());
    EXPECT_NE(ids.error().message.find("holiday.jpg"), std::string::npos);
}

TEST_P(StoreConformance, IdsOfAllScriptsAndQuotes) {
    const std::vector<std::string> names = {"Ада", "王", "o'hara\"; DROP TABLE people;--",
                                            "%_",  " ",  "🙂"};
    std::vector<Enrolment> faces;
    faces.reserve(names.size());
    for (const std::string &name : names)
        faces.push_back(test_face(name, {1, 0, 0, 0}));
    ASSERT_TRUE(store_->enrol(test_stamp(), faces).ok());
    ASSERT_EQ(store_->list_people()->size(), names.size());
    for (const std::string &name : names)
        EXPECT_TRUE(store_->remove_person(name).ok()) << name;
    EXPECT_TRUE(store_->list_people()->empty());
}

TEST_P(StoreConformance, RemovesAPersonAndNobodyElse) {
    ASSERT_TRUE(
        store_
            ->enrol(test_stamp(), {test_face("a", {1, 0, 0, 0}), test_face("b", {0, 1, 0, 0}),
                                   test_face("a", {0, 0, 1, 0})})
            .ok());
    const GallerySnapshot before = *store_->load();
    const auto missing = store_->remove_person("carol");
    ASSERT_FALSE(missing.ok());
    EXPECT_EQ(missing.error().code, Errc::NotFound);
    EXPECT_NE(missing.error().message.find("carol"), std::string::npos);
    expect_unchanged(before);
    ASSERT_TRUE(store_->remove_person("a").ok());
    const auto after = store_->load();
    ASSERT_EQ(after->faces.size(), 1u);
    EXPECT_EQ(after->faces[0].person_id, "b");
    EXPECT_EQ(store_->remove_person("a").error().code, Errc::NotFound);
}

TEST_P(StoreConformance, FaceIdsNeverComeBack) {
    std::set<std::int64_t> seen;
    for (int round = 0; round < 5; ++round) {
        const auto ids = store_->enrol(test_stamp(), {test_face("a", {1, 0, 0, 0})});
        ASSERT_TRUE(ids.ok());
        EXPECT_TRUE(seen.insert(ids->front()).second);
        ASSERT_TRUE(store_->remove_person("a").ok());
    }
}

TEST_P(StoreConformance, TheLastFaceTakesTheStampWithIt) {
    ASSERT_TRUE(store_->enrol(test_stamp(4), {test_face("a", {1, 0, 0, 0})}).ok());
    ASSERT_TRUE(store_->remove_person("a").ok());
    EXPECT_FALSE(store_->load()->stamp);
    EXPECT_TRUE(store_->enrol(test_stamp(2), {test_face("a", {1, 0})}).ok());
    EXPECT_EQ(store_->load()->stamp, test_stamp(2));
}

TEST_P(StoreConformance, ManyThreadsOnOneStore) {
    std::vector<std::thread> threads;
    std::array<int, 4> failures{};
    for (std::size_t t = 0; t < failures.size(); ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 10; ++i) {
                const std::string name = "p" + std::to_string(t);
                if (!store_->enrol(test_stamp(), {test_face(name, {1, 0, 0, 0})}).ok() ||
                    !store_->load().ok() || !store_->version().ok())
                    ++failures[t];
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(failures, (std::array<int, 4>{}));
    EXPECT_EQ(store_->load()->faces.size(), 40u);
}

INSTANTIATE_TEST_SUITE_P(All, StoreConformance, ::testing::ValuesIn(store_places()),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
} // namespace sphere::testing
