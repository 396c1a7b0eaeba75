// SPDX-License-Identifier: MIT
// What every PeopleAdmin must do, and what a Store shows of it.
#include "core/gallery/people_admin.h"
#include "tests/conformance/places.h"

#include <algorithm>
#include <set>

namespace sphere::testing {
namespace {

class AdminConformance : public ::testing::TestWithParam<PlaceCase> {
  protected:
    void SetUp() override {
        place_ = GetParam().make();
        if (const std::string why = place_->unavailable(); !why.empty())
            GTEST_SKIP() << why;
        store_ = place_->open();
        ASSERT_TRUE(store_
                        ->enrol(test_stamp(),
                                {test_face("ana", {1, 0, 0, 0}), test_face("bo", {0, 1, 0, 0}),
                                 test_face("ana", {0, 0, 1, 0})})
                        .ok());
        admin_ = place_->open_admin();
        const auto records = admin_->list_faces("");
        ASSERT_TRUE(records.ok());
        for (const FaceRecord &face : *records)
            faces_.push_back(face.face_id);
        ASSERT_EQ(faces_.size(), 3u);
    }
    std::vector<std::int64_t> apply(const std::vector<GalleryChange> &changes) {
        auto numbers = admin_->apply(changes);
        EXPECT_TRUE(numbers.ok()) << numbers.error().message;
        return numbers ? *numbers : std::vector<std::int64_t>(changes.size());
    }
    Errc refusal(const std::vector<GalleryChange> &changes) {
        const auto before = store_->version();
        const auto numbers = admin_->apply(changes);
        EXPECT_FALSE(numbers.ok());
        const auto rehearsed = admin_->rehearse(changes);
        EXPECT_FALSE(rehearsed.ok());
        if (!numbers && !rehearsed) {
            EXPECT_EQ(rehearsed.error().message, numbers.error().message);
        }
        EXPECT_EQ(*store_->version(), *before);
        return numbers ? Errc::Internal : numbers.error().code;
    }
    RecordSight sight(const std::string &id, std::int64_t at_ms, const std::string &camera) {
        RecordSight change;
        change.stranger_id = id;
        change.at_ms = at_ms;
        change.camera = camera;
        if (id.empty()) {
            change.stamp = test_stamp();
            change.face = test_face("", {0, 0, 0, 1});
        }
        return change;
    }
    std::unique_ptr<Place> place_;
    std::unique_ptr<Store> store_;
    std::unique_ptr<PeopleAdmin> admin_;
    std::vector<std::int64_t> faces_; ///< of ana, ana, bo
};

TEST_P(AdminConformance, SetsWhatIsGivenAndLeavesTheRest) {
    const auto before = *store_->version();
    EXPECT_EQ(apply({SetPerson{"ana", "Ana María", 0.2F, "{\"team\": \"night\"}"}}),
              (std::vector<std::int64_t>{1}));
    EXPECT_NE(*store_->version(), before);
    apply({SetPerson{"ana", std::nullopt, std::nullopt, std::nullopt}});
    auto people = *store_->list_people();
    EXPECT_EQ(people[0].label, "Ana María");
    EXPECT_EQ(people[0].threshold, 0.2F);
    EXPECT_EQ(people[0].attributes, "{\"team\": \"night\"}");
    EXPECT_FALSE(people[1].threshold);
    const auto snapshot = *store_->load();
    EXPECT_EQ(snapshot.thresholds, (std::map<std::string, float>{{"ana", 0.2F}}));
    EXPECT_EQ(snapshot.faces[0].label, "Ana María");
    apply({SetPerson{.id = "ana", .common_threshold = true}});
    EXPECT_TRUE(store_->load()->thresholds.empty());
}

TEST_P(AdminConformance, RefusesValuesThatCannotBe) {
    const auto threshold = [](float value) {
        return SetPerson{"ana", std::nullopt, value, std::nullopt};
    };
    for (const SetPerson &bad : {threshold(-1), threshold(std::nanf("")),
                                 SetPerson{"ana", "", std::nullopt, std::nullopt},
                                 SetPerson{"ana", "a\nb", std::nullopt, std::nullopt},
                                 SetPerson{"ana", std::nullopt, std::nullopt, "[1]"},
                                 SetPerson{"ana", std::nullopt, std::nullopt, "{"},
                                 SetPerson{"ana", std::nullopt, std::nullopt,
                                           "{\"a\": \"" + std::string(70000, 'x') + "\"}"}})
        EXPECT_EQ(refusal({bad}), Errc::InvalidArgument);
    EXPECT_EQ(refusal({SetPerson{"nobody", "x", std::nullopt, std::nullopt}}), Errc::NotFound);
}

TEST_P(AdminConformance, AllChangesOrNone) {
    EXPECT_EQ(refusal({RemovePerson{"ana"}, SetPerson{"bo", "B", std::nullopt, std::nullopt},
                       RemovePerson{"nobody"}}),
              Errc::NotFound);
    EXPECT_EQ(store_->list_people()->size(), 2u);
    EXPECT_EQ((*store_->list_people())[1].label, "bo");
    apply({RemovePerson{"ana"}, RemovePerson{"bo"}});
    EXPECT_TRUE(store_->list_people()->empty());
    EXPECT_FALSE(store_->load()->stamp);
}

TEST_P(AdminConformance, Renames) {
    apply({RenamePerson{"ana", "anne"}});
    EXPECT_EQ((*store_->list_people())[0].id, "anne");
    EXPECT_EQ((*store_->list_people())[0].label, "anne");
    apply({SetPerson{"anne", "A.", std::nullopt, std::nullopt}, RenamePerson{"anne", "ada"}});
    EXPECT_EQ((*store_->list_people())[0].label, "A.");
    EXPECT_EQ(refusal({RenamePerson{"ada", "bo"}}), Errc::InvalidArgument);
    EXPECT_EQ(refusal({RenamePerson{"ada", ""}}), Errc::InvalidArgument);
    EXPECT_EQ(refusal({RenamePerson{"ada", "unknown-3"}}), Errc::InvalidArgument);
    EXPECT_EQ(refusal({RenamePerson{"nobody", "x"}}), Errc::NotFound);
}

TEST_P(AdminConformance, MovesAndRemovesSingleFaces) {
    apply({MoveFaces{{faces_[0]}, "cy"}});
    EXPECT_EQ(admin_->list_faces("cy")->size(), 1u);
    EXPECT_EQ(admin_->list_faces("ana")->size(), 1u);
    EXPECT_EQ(store_->list_people()->size(), 3u);
    apply({RemoveFaces{{faces_[1]}}});
    EXPECT_TRUE(admin_->list_faces("ana")->empty());
    EXPECT_EQ(store_->load()->faces.size(), 2u);
    EXPECT_EQ(store_->list_people()->size(), 3u); // ana stays, without faces
    EXPECT_EQ(refusal({RemoveFaces{{faces_[0], faces_[1]}}}), Errc::NotFound);
    EXPECT_EQ(store_->load()->faces.size(), 2u);
}

TEST_P(AdminConformance, FacesInQuarantineAreKeptAndNotLookedFor) {
    EXPECT_EQ(apply({QuarantineFaces{{faces_[0]}, true}}), (std::vector<std::int64_t>{1}));
    EXPECT_EQ(store_->load()->faces.size(), 2u);
    EXPECT_TRUE((*admin_->list_faces("ana"))[0].quarantined);
    const auto quarantined = admin_->load(FaceKind::Quarantined);
    ASSERT_EQ(quarantined->faces.size(), 1u);
    EXPECT_EQ(quarantined->faces[0].embedding, (std::vector<float>{1, 0, 0, 0}));
    EXPECT_EQ((*store_->list_people())[0].faces, 2);
    apply({QuarantineFaces{{faces_[0]}, false}});
    EXPECT_EQ(store_->load()->faces.size(), 3u);
}

TEST_P(AdminConformance, Negatives) {
    const auto numbers = apply({AddNegative{test_stamp(), "bo", "twin.jpg", {0, 1, 1, 0}},
                                AddNegative{test_stamp(), "", "postman.jpg", {0, 0, 0, 1}}});
    ASSERT_NE(numbers[0], numbers[1]);
    const auto negatives = store_->load()->negatives;
    ASSERT_EQ(negatives.size(), 2u);
    EXPECT_EQ(negatives[0].negative_id, numbers[0]);
    EXPECT_EQ(negatives[0].person_id, "bo");
    EXPECT_EQ(negatives[0].embedding, (std::vector<float>{0, 1, 1, 0}));
    EXPECT_EQ(negatives[1].person_id, "");
    const auto notes = *admin_->notes(0);
    ASSERT_EQ(notes.negatives.size(), 2u);
    EXPECT_EQ(notes.negatives[1].source, "postman.jpg");
    EXPECT_GT(notes.negatives[1].added_at_ms, 1'600'000'000'000);

    EXPECT_EQ(refusal({AddNegative{test_stamp(), "nobody", "", {0, 0, 0, 1}}}), Errc::NotFound);
    EXPECT_EQ(refusal({AddNegative{test_stamp(), "bo", "", {0, 1}}}), Errc::InvalidArgument);
    EXPECT_EQ(refusal({AddNegative{test_stamp(), "bo", "", {0, 0, 0, std::nanf("")}}}),
              Errc::InvalidArgument);
    EmbeddingStamp other = test_stamp();
    other.model = "other";
    EXPECT_EQ(refusal({AddNegative{other, "bo", "", {0, 0, 0, 1}}}), Errc::Mismatch);

    apply({RemovePerson{"bo"}}); // with whom their negatives go
    EXPECT_EQ(store_->load()->negatives.size(), 1u);
    apply({RemovePerson{"ana"}});
    EXPECT_TRUE(store_->load()->stamp); // the face to ignore keeps it
    apply({RemoveNegative{numbers[1]}});
    EXPECT_FALSE(store_->load()->stamp);
    EXPECT_EQ(refusal({RemoveNegative{numbers[1]}}), Errc::NotFound);
}

TEST_P(AdminConformance, FaceRecordsAndThumbnails) {
    Enrolment face = test_face("cy", {1, 1, 0, 0});
    face.quality = Quality{.score = 0.5F, .sharpness = std::nanf(""), .yaw_deg = -12};
    face.thumbnail_jpeg = {0xFF, 0xD8, 0, 7};
    face.added_at_ms = 123456;
    const auto id = store_->enrol(test_stamp(), {face})->front();
    const auto records = *admin_->list_faces("cy");
    ASSERT_EQ(records.size(), 1u);
    EXPECT_EQ(records[0].face_id, id);
    EXPECT_EQ(records[0].source, "cy.jpg");
    EXPECT_EQ(records[0].added_at_ms, 123456);
    ASSERT_TRUE(records[0].quality);
    EXPECT_EQ(records[0].quality->score, 0.5F);
    EXPECT_TRUE(std::isnan(records[0].quality->sharpness));
    EXPECT_EQ(records[0].quality->yaw_deg, -12);
    EXPECT_TRUE(records[0].has_thumbnail);
    EXPECT_TRUE(records[0].embedded);
    EXPECT_FALSE((*admin_->list_faces("bo"))[0].quality);
    EXPECT_EQ(*admin_->thumbnail(id), face.thumbnail_jpeg);
    EXPECT_TRUE(admin_->thumbnail(faces_[0])->empty());
    EXPECT_EQ(admin_->thumbnail(99999).error().code, Errc::NotFound);
    EXPECT_TRUE(admin_->list_faces("nobody")->empty());
}

TEST_P(AdminConformance, ReembedReplacesStampAndEmbeddings) {
    apply({AddNegative{test_stamp(), "bo", "", {0, 1, 1, 0}}});
    EmbeddingStamp next = test_stamp(2);
    next.model = "next-model";
    EXPECT_EQ(apply({Reembed{next, {{faces_[0], {1, 0}}, {faces_[2], {0, 1}}}}}),
              (std::vector<std::int64_t>{2}));
    const auto snapshot = *store_->load();
    EXPECT_EQ(snapshot.stamp, next);
    EXPECT_EQ(snapshot.faces.size(), 2u);
    EXPECT_EQ(snapshot.faces[0].embedding, (std::vector<float>{1, 0}));
    EXPECT_TRUE(snapshot.negatives.empty());
    EXPECT_FALSE((*admin_->list_faces("ana"))[1].embedded);
    EXPECT_EQ(refusal({Reembed{next, {{99999, {1, 0}}}}}), Errc::NotFound);
    EXPECT_EQ(refusal({Reembed{next, {{faces_[0], {1, 0, 0}}}}}), Errc::InvalidArgument);
    EXPECT_EQ(store_->load()->faces.size(), 2u);
}

TEST_P(AdminConformance, StrangersAreKnownByNumberAndNotAsPeople) {
    EXPECT_EQ(apply({sight("", 1000, "door"), sight("", 2000, "door")}),
              (std::vector<std::int64_t>{1, 2}));
    apply({sight("unknown-1", 30000, "door"),    // the same visit
           sight("unknown-1", 500000, "door"),   // another
           sight("unknown-1", 500000, "yard")}); // and another camera
    const auto strangers = admin_->notes(0)->strangers;
    ASSERT_EQ(strangers.size(), 2u);
    EXPECT_EQ(strangers[0].id, "unknown-1");
    EXPECT_EQ(strangers[0].visits, 3);
    EXPECT_EQ(strangers[0].faces, 1);
    EXPECT_EQ(strangers[0].first_seen_ms, 1000);
    EXPECT_EQ(strangers[0].last_seen_ms, 500000);
    EXPECT_EQ(strangers[1].visits, 1);
    // Nobody is taken for one of them.
    EXPECT_EQ(store_->load()->faces.size(), 3u);
    EXPECT_EQ(store_->list_people()->size(), 2u);
    const auto loaded = *admin_->load(FaceKind::Strangers);
    ASSERT_EQ(loaded.faces.size(), 2u);
    EXPECT_EQ(loaded.faces[1].person_id, "unknown-2");
    EXPECT_EQ(loaded.version, *store_->version());
    EXPECT_EQ(refusal({sight("unknown-7", 1, "")}), Errc::NotFound);
    EXPECT_EQ(refusal({sight("ana", 1, "")}), Errc::InvalidArgument);
    // A stranger cannot be enrolled by that name, only promoted.
    EXPECT_EQ(store_->enrol(test_stamp(), {test_face("unknown-1", {1, 0, 0, 0})}).error().code,
              Errc::InvalidArgument);
}

TEST_P(AdminConformance, StrangersArePromoted) {
    apply({sight("", 1000, "door"), sight("", 2000, "door")});
    apply({PromoteStranger{"unknown-2", "dora"}});
    EXPECT_EQ(store_->load()->faces.back().person_id, "dora");
    EXPECT_EQ(store_->list_people()->size(), 3u);
    EXPECT_EQ(admin_->notes(0)->strangers.size(), 1u);
    apply({PromoteStranger{"unknown-1", "ana"}}); // somebody who is there already
    EXPECT_EQ((*store_->list_people())[0].faces, 3);
    EXPECT_TRUE(admin_->notes(0)->strangers.empty());
    EXPECT_EQ(refusal({PromoteStranger{"unknown-2", "eve"}}), Errc::NotFound);
    EXPECT_EQ(refusal({PromoteStranger{"ana", "eve"}}), Errc::InvalidArgument);
    EXPECT_EQ(apply({sight("", 3000, "door")}), (std::vector<std::int64_t>{3})); // not 1 again
}

TEST_P(AdminConformance, ARehearsalSaysWhatWouldBeAndChangesNothing) {
    const auto before = *store_->version();
    const auto numbers = admin_->rehearse(
        {RenamePerson{"ana", "eve"}, RemovePerson{"eve"}, QuarantineFaces{{faces_[2]}, true}});
    ASSERT_TRUE(numbers.ok()) << numbers.error().message;
    EXPECT_EQ(*numbers, (std::vector<std::int64_t>{1, 1, 1}));
    EXPECT_TRUE(admin_->rehearse({})->empty());
    EXPECT_EQ(*store_->version(), before);
    EXPECT_EQ(store_->load()->faces.size(), 3u);
    EXPECT_EQ(store_->list_people()->front().id, "ana");
}

TEST_P(AdminConformance, StrangersExpire) {
    for (int i = 1; i <= 5; ++i)
        apply({sight("", i * 1000, "door")});
    EXPECT_EQ(apply({ExpireStrangers{2000, 100}}), (std::vector<std::int64_t>{1}));
    EXPECT_EQ(apply({ExpireStrangers{0, 2}}), (std::vector<std::int64_t>{2}));
    const auto left = admin_->notes(0)->strangers;
    ASSERT_EQ(left.size(), 2u);
    EXPECT_EQ(left[0].id, "unknown-4");
    EXPECT_EQ(store_->load()->faces.size(), 3u); // people stay
    EXPECT_EQ(apply({ExpireStrangers{10'000, 0}}), (std::vector<std::int64_t>{2}));
}

TEST_P(AdminConformance, TheAuditTableSaysWhoDidWhatAndKeepsNoNames) {
    apply({SetPerson{"ana", "Ana", std::nullopt, std::nullopt}});
    apply({QuarantineFaces{{faces_[0]}, true}});
    ASSERT_TRUE(store_->remove_person("ana").ok());
    const auto audit = admin_->notes(100)->audit;
    ASSERT_EQ(audit.size(), 4u);
    const char *actions[] = {"remove", "quarantine", "set", "enrol"};
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(audit[i].action, actions[i]);
        EXPECT_FALSE(audit[i].user.empty());
        EXPECT_GT(audit[i].at_ms, 1'600'000'000'000);
        EXPECT_EQ((audit[i].subject + audit[i].detail).find("ana"), std::string::npos);
    }
    EXPECT_EQ(audit[0].subject, audit[2].subject); // a number: the same person
    EXPECT_EQ(audit[0].subject.substr(0, 7), "person ");
    EXPECT_EQ(audit[3].detail, "3 faces of 2 people");
    EXPECT_EQ(admin_->notes(1)->audit.size(), 1u);
    // As long as somebody is there, they are named.
    apply({SetPerson{"bo", "B", std::nullopt, std::nullopt}});
    EXPECT_EQ(admin_->notes(1)->audit[0].subject, "bo");
}

INSTANTIATE_TEST_SUITE_P(All, AdminConformance, ::testing::ValuesIn(admin_places()),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
} // namespace sphere::testing
