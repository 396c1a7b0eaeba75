// SPDX-License-Identifier: MIT
// Leave-one-out on galleries whose answers can be counted by hand, and advice at enrolment.
#include "core/gallery/gallery_check.h"
#include "core/gallery/gallery_sample_check.h"
#include "tests/support/check_testing.h"
#include "tests/support/gallery_testing.h"

#include <algorithm>
#include <cmath>

namespace sphere::testing {
namespace {

std::vector<float> at(float degrees) {
    const float radians = degrees * 3.14159265F / 180;
    return {std::cos(radians), std::sin(radians)};
}
float distance_of(float degrees) {
    return 1 - std::cos(degrees * 3.14159265F / 180);
}

GallerySnapshot gallery(const std::vector<std::pair<const char *, float>> &faces) {
    GallerySnapshot snapshot;
    snapshot.stamp = test_stamp(2);
    std::int64_t id = 1;
    for (const auto &[person, degrees] : faces)
        snapshot.faces.push_back({id++, person, person, at(degrees)});
    return snapshot;
}

CheckOptions options(float degrees, double far = 0.01, float margin_degrees = 0) {
    CheckOptions result;
    result.threshold = distance_of(degrees);
    result.target_far = far;
    result.margin = distance_of(margin_degrees);
    return result;
}

GalleryCheck check(const GallerySnapshot &snapshot, const CheckOptions &options,
                   const std::vector<FaceRecord> &faces = {}) {
    auto result = check_gallery(snapshot, faces, options);
    EXPECT_TRUE(result.ok()) << result.error().message;
    return result ? *result : GalleryCheck{};
}

std::size_t count(const GalleryCheck &check, FindingKind kind) {
    return static_cast<std::size_t>(
        std::count_if(check.findings.begin(), check.findings.end(),
                      [kind](const Finding &finding) { return finding.kind == kind; }));
}

TEST(GalleryCheck, CountsStrangersAndPeopleWhoComeBack) {
    // Two people of two pictures each, 60 degrees apart; one alone.
    const GallerySnapshot snapshot =
        gallery({{"a", 0}, {"a", 10}, {"b", 70}, {"b", 80}, {"c", 170}});
    const GalleryCheck safe = check(snapshot, options(20));
    EXPECT_EQ(safe.strangers, 5u);
    EXPECT_EQ(safe.strangers_named, 0u);
    EXPECT_EQ(safe.returning, 4u);
    EXPECT_EQ(safe.returning_named, 4u);
    EXPECT_FALSE(safe.unsafe);
    EXPECT_TRUE(safe.findings.empty());
    // At 65 degrees a's second and b's first picture would be taken for one another (60), and
    // nobody's other.
    const GalleryCheck wide = check(snapshot, options(65));
    EXPECT_EQ(wide.strangers_named, 2u);
    EXPECT_TRUE(wide.unsafe);
    EXPECT_EQ(count(wide, FindingKind::TwoNames), 1u);
    ASSERT_TRUE(wide.suggested_threshold);
    EXPECT_LT(*wide.suggested_threshold, distance_of(60.1F));
    EXPECT_GT(*wide.suggested_threshold, distance_of(59.9F));
    EXPECT_EQ(wide.returning_named_suggested, 4u);
}

TEST(GalleryCheck, TheTargetShareIsKept) {
    // Strangers at distances of 10, 20, … 100 degrees from their nearest, in pairs.
    std::vector<std::string> names;
    names.reserve(20);
    for (int i = 0; i < 20; ++i)
        names.push_back("p" + std::to_string(i));
    GallerySnapshot snapshot;
    snapshot.stamp = test_stamp(20);
    for (std::size_t i = 0; i < 10; ++i) {
        const float radians = static_cast<float>(i + 1) * 9 * 3.14159265F / 180;
        std::vector<float> one(20, 0.0F);
        std::vector<float> other(20, 0.0F);
        one[2 * i] = 1;
        other[2 * i] = std::cos(radians);
        other[2 * i + 1] = std::sin(radians);
        snapshot.faces.push_back({static_cast<std::int64_t>(2 * i + 1), names[2 * i], "", one});
        snapshot.faces.push_back(
            {static_cast<std::int64_t>(2 * i + 2), names[2 * i + 1], "", other});
    }
    // 30 % of 20 are 6: the pairs at 9, 18 and 27 degrees.
    const GalleryCheck result = check(snapshot, options(1, 0.3));
    ASSERT_TRUE(result.suggested_threshold);
    EXPECT_GT(*result.suggested_threshold, distance_of(27));
    EXPECT_LT(*result.suggested_threshold, distance_of(36));
    // Too few to tell of one in a hundred: never above the threshold in use.
    EXPECT_LE(*check(snapshot, options(1, 0.01)).suggested_threshold, distance_of(1));
}

TEST(GalleryCheck, TheSuggestionIsNeverLooserThanTheMost) {
    // Nobody is near anybody: by the count alone anything up to 60 degrees keeps the share.
    const GallerySnapshot snapshot =
        gallery({{"a", 0}, {"a", 50}, {"b", 110}, {"c", 170}, {"d", 230}, {"e", 290}});
    for (const float in_use : {20.0F, 58.0F}) {
        CheckOptions asked = options(in_use, 0.4);
        ASSERT_GT(*check(snapshot, asked).suggested_threshold, distance_of(55));
        EXPECT_EQ(check(snapshot, asked).returning_named_suggested, 2u);
        asked.most_threshold = distance_of(40);
        EXPECT_EQ(*check(snapshot, asked).suggested_threshold, distance_of(40));
        EXPECT_EQ(check(snapshot, asked).returning_named_suggested, 0u);
        asked.most_threshold = distance_of(90); // a bound, no wish
        EXPECT_LT(*check(snapshot, asked).suggested_threshold, distance_of(61));
    }
}

TEST(GalleryCheck, TheMarginKeepsStrangersOut) {
    // A stranger between two people is named without a margin, and not with one.
    const GallerySnapshot snapshot = gallery({{"a", 0}, {"b", 12}, {"x", 5}});
    EXPECT_EQ(check(snapshot, options(10)).strangers_named, 3u);
    EXPECT_LT(check(snapshot, options(10, 0.01, 20)).strangers_named, 3u);
}

TEST(GalleryCheck, DuplicatesOutliersAndBadPictures) {
    const GallerySnapshot snapshot =
        gallery({{"a", 0}, {"a", 0}, {"a", 90}, {"b", 180}, {"b", 185}});
    std::vector<FaceRecord> faces(5);
    for (std::size_t i = 0; i < 5; ++i) {
        faces[i].face_id = static_cast<std::int64_t>(i + 1);
        faces[i].person_id = i < 3 ? "a" : "b";
        faces[i].embedded = true;
    }
    faces[3].quality = Quality{.score = 0.1F};
    faces[4].embedded = false;
    const GalleryCheck result = check(snapshot, options(20), faces);
    EXPECT_EQ(count(result, FindingKind::Duplicate), 1u);
    EXPECT_EQ(count(result, FindingKind::Outlier), 1u);
    EXPECT_EQ(count(result, FindingKind::Unusable), 1u);
    EXPECT_EQ(count(result, FindingKind::NoEmbedding), 1u);
    for (const Finding &finding : result.findings) {
        if (finding.kind == FindingKind::Duplicate) {
            EXPECT_EQ(finding.face_id + finding.other_face_id, 3);
        }
        if (finding.kind == FindingKind::Outlier) {
            EXPECT_EQ(finding.face_id, 3);
        }
    }
    faces[3].quarantined = true; // seen to already
    EXPECT_EQ(count(check(snapshot, options(20), faces), FindingKind::Unusable), 0u);
}

TEST(GalleryCheck, SmallAndEmptyGalleries) {
    EXPECT_FALSE(check(GallerySnapshot{}, options(20)).suggested_threshold);
    const GalleryCheck one = check(gallery({{"a", 0}, {"a", 5}}), options(20));
    EXPECT_EQ(one.strangers, 0u);
    EXPECT_FALSE(one.unsafe);
    EXPECT_FALSE(one.suggested_threshold);
}

TEST(GalleryCheck, OfManyFacesSomeAreTried) {
    std::mt19937 random(3);
    GallerySnapshot snapshot;
    snapshot.stamp = test_stamp(16);
    for (int i = 0; i < 500; ++i)
        snapshot.faces.push_back(
            {i + 1, "p" + std::to_string(i / 2), "", random_values(random, 16)});
    CheckOptions some = options(20);
    some.most_probes = 50;
    EXPECT_EQ(check(snapshot, some).strangers, 50u);
}

/// Pairs that are near, and by chance some people who are, too.
GallerySnapshot pairs_of_faces(int people) {
    std::mt19937 random(3);
    GallerySnapshot snapshot;
    snapshot.stamp = test_stamp(8);
    for (int i = 0; i < 2 * people; ++i) {
        auto values = random_values(random, 8);
        if (i % 2 == 1)
            for (std::size_t d = 0; d < 8; ++d)
                values[d] = snapshot.faces.back().embedding[d] + values[d] / 4;
        snapshot.faces.push_back({2 * i + 1, "p" + std::to_string(i / 2), "", values});
    }
    return snapshot;
}

TEST(SampleCheck, OfAllFacesSaysWhatTheWholeCheckSays) {
    const GallerySnapshot snapshot = pairs_of_faces(200);
    CheckOptions all = options(30, 0.01, 3);
    const GalleryCheck whole = check(snapshot, all);
    ASSERT_GT(whole.strangers_named, 10u);
    ASSERT_GT(whole.returning_named, 10u);
    ASSERT_LT(whole.returning_named, whole.returning);
    const std::atomic<bool> stop{false};
    for (const char *kind : {"exact", "exact-int8"}) {
        GalleryOptions in_use;
        in_use.index = kind;
        const auto gallery = MatchedGallery::build(snapshot, in_use);
        ASSERT_TRUE(gallery.ok()) << gallery.error().message;
        const auto sample = check_sample(**gallery, all, std::chrono::minutes(1), stop);
        ASSERT_TRUE(sample.ok()) << sample.error().message;
        EXPECT_EQ(sample->probes, 400u);
        expect_same_numbers(*sample, whole);
    }
}

TEST(SampleCheck, TriesSomeAndEndsInTime) {
    const auto gallery = MatchedGallery::build(pairs_of_faces(2000), {});
    ASSERT_TRUE(gallery.ok());
    CheckOptions some = options(20);
    some.most_probes = 100;
    std::atomic<bool> stop{false};
    const auto sample = check_sample(**gallery, some, std::chrono::minutes(1), stop);
    EXPECT_EQ(sample.value().probes, 100u);
    EXPECT_EQ(sample.value().returning, 100u);
    const auto hurried = check_sample(**gallery, some, std::chrono::minutes(0), stop);
    EXPECT_EQ(hurried.value().probes, 32u) << "one search, then the time is over";
    stop = true;
    EXPECT_EQ(check_sample(**gallery, some, std::chrono::minutes(1), stop).value().probes, 0u);
    EXPECT_EQ(check_sample(*MatchedGallery::build({}, {}).value(), some,
                           std::chrono::minutes(1), std::atomic<bool>{false})
                  .value()
                  .probes,
              0u);
}

TEST(SampleCheck, LeavesPeopleOutWhereTheirMeansAreCompared) {
    GalleryOptions means;
    means.compare = PersonTemplate::Mean;
    const auto gallery = MatchedGallery::build(pairs_of_faces(50), means);
    ASSERT_TRUE(gallery.ok());
    const std::atomic<bool> stop{false};
    const auto sample =
        check_sample(**gallery, options(20), std::chrono::minutes(1), stop).value();
    EXPECT_EQ(sample.probes, 50u);
    EXPECT_EQ(sample.strangers, 50u);
    EXPECT_EQ(sample.returning, 0u);
}

TEST(EnrolmentAdvisor, SamePictureLookAlikesAndMisfits) {
    auto advisor = EnrolmentAdvisor::make(gallery({{"a", 0}, {"b", 90}}), 2, Metric::Cosine,
                                          distance_of(20));
    ASSERT_TRUE(advisor.ok());
    EXPECT_TRUE(advisor->consider("a", at(0))->same_picture);
    EXPECT_TRUE(advisor->consider("a", at(0.2F))->same_picture);
    EXPECT_FALSE(advisor->consider("a", at(3))->same_picture);
    EXPECT_EQ(advisor->consider("a", at(3))->looks_like, "");
    // The same face under another name is no duplicate but a look-alike.
    const auto other = advisor->consider("c", at(0));
    EXPECT_FALSE(other->same_picture);
    EXPECT_EQ(other->looks_like, "a");
    EXPECT_NEAR(advisor->consider("c", at(100))->distance, distance_of(10), 1e-5);
    EXPECT_EQ(advisor->consider("c", at(45))->looks_like, "");

    ASSERT_TRUE(advisor->add("c", "1.jpg", at(200)).ok());
    EXPECT_EQ(advisor->consider("c", at(200))->source, "1.jpg");
    EXPECT_TRUE(advisor->misfits().empty()); // alone
    ASSERT_TRUE(advisor->add("c", "2.jpg", at(210)).ok());
    ASSERT_TRUE(advisor->add("c", "3.jpg", at(300)).ok());
    ASSERT_TRUE(advisor->add("a", "4.jpg", at(50)).ok());
    const auto misfits = advisor->misfits();
    ASSERT_EQ(misfits.size(), 2u);
    EXPECT_EQ(misfits[0].source, "3.jpg");
    EXPECT_EQ(misfits[1].source, "4.jpg");
    EXPECT_NEAR(misfits[1].distance, distance_of(50), 1e-5);
}

TEST(EnrolmentAdvisor, AFolderOfTwoPeople) {
    auto advisor = EnrolmentAdvisor::make(gallery({}), 2, Metric::Cosine, distance_of(20));
    ASSERT_TRUE(advisor.ok());
    // Each resembles another one: three of somebody, in a chain, and two of somebody else.
    int picture = 0;
    for (const float degrees : {100.0F, 0.0F, 15.0F, 110.0F, 30.0F})
        ASSERT_TRUE(advisor->add("a", std::to_string(picture++) + ".jpg", at(degrees)).ok());
    const auto misfits = advisor->misfits();
    ASSERT_EQ(misfits.size(), 2u);
    EXPECT_EQ(misfits[0].source, "0.jpg");
    EXPECT_EQ(misfits[1].source, "3.jpg");
    EXPECT_NEAR(misfits[0].distance, distance_of(70), 1e-5);
}

} // namespace
} // namespace sphere::testing
