// SPDX-License-Identifier: MIT
// The open-set decision, one table row a state and reason.
#include "core/gallery/matcher.h"
#include "tests/support/gallery_testing.h"

#include <cmath>
#include <limits>

namespace sphere::testing {
namespace {

constexpr float kPi = 3.14159265F;

/// A unit vector at an angle, so that cosine distances are 1 - cos of angle differences.
std::vector<float> at(float degrees, float length = 1) {
    return {length * std::cos(degrees * kPi / 180), length * std::sin(degrees * kPi / 180)};
}
float cosine_distance_of(float degrees) {
    return 1 - std::cos(degrees * kPi / 180);
}

struct Enrolled {
    const char *person;
    float degrees;
};

GallerySnapshot gallery(const std::vector<Enrolled> &faces) {
    GallerySnapshot snapshot;
    snapshot.version = 7;
    if (!faces.empty())
        snapshot.stamp = test_stamp(2);
    std::int64_t id = 100;
    for (const Enrolled &face : faces)
        snapshot.faces.push_back(
            {id++, face.person, std::string("label of ") + face.person, at(face.degrees)});
    return snapshot;
}

Embedding probe(std::vector<float> values) {
    return {std::make_shared<EmbeddingStamp>(test_stamp(2)), std::move(values)};
}

MatchOptions options(float threshold, float margin = 0, int top_k = 1,
                     Metric metric = Metric::Cosine) {
    MatchOptions result;
    result.threshold = threshold;
    result.margin = margin;
    result.top_k = top_k;
    result.metric = metric;
    return result;
}

std::shared_ptr<const Matcher> matcher(GallerySnapshot snapshot, const MatchOptions &options) {
    auto built = Matcher::build(std::move(snapshot), options);
    EXPECT_TRUE(built.ok()) << built.error().message;
    return *built;
}

struct StateRow {
    const char *name;
    std::vector<Enrolled> faces;
    float probe_degrees;
    float threshold;
    float margin;
    FaceState state;
    FaceReason reason;
};

TEST(Matcher, StatesAndReasons) {
    const std::vector<StateRow> rows = {
        {"known", {{"a", 0}, {"b", 90}}, 10, 0.1F, 0.05F, FaceState::Known, FaceReason::None},
        {"only one person: no margin to fail",
         {{"a", 0}},
         10,
         0.1F,
         2,
         FaceState::Known,
         FaceReason::None},
        {"two faces of one person are not a contest",
         {{"a", 0}, {"a", 1}},
         1,
         0.1F,
         0.05F,
         FaceState::Known,
         FaceReason::None},
        {"too far",
         {{"a", 0}, {"b", 90}},
         45,
         0.1F,
         0.05F,
         FaceState::Unknown,
         FaceReason::BelowThreshold},
        {"too far comes before too close together",
         {{"a", 0}, {"b", 1}},
         60,
         0.1F,
         0.05F,
         FaceState::Unknown,
         FaceReason::BelowThreshold},
        {"two people as near",
         {{"a", 0}, {"b", 12}},
         5,
         0.1F,
         0.05F,
         FaceState::Ambiguous,
         FaceReason::Ambiguous},
        {"margin off", {{"a", 0}, {"b", 12}}, 5, 0.1F, 0, FaceState::Known, FaceReason::None},
        {"second beyond the threshold, within the margin",
         {{"a", 0}, {"b", 40}},
         18,
         0.05F,
         0.05F,
         FaceState::Ambiguous,
         FaceReason::Ambiguous},
        {"an exact tie",
         {{"a", 0}, {"b", 20}},
         10,
         0.1F,
         0.05F,
         FaceState::Ambiguous,
         FaceReason::Ambiguous},
        {"nobody", {}, 10, 2, 0.05F, FaceState::Unknown, FaceReason::EmptyGallery},
        {"itself at threshold 0", {{"a", 0}}, 0, 0, 0, FaceState::Known, FaceReason::None},
    };
    for (const StateRow &row : rows) {
        SCOPED_TRACE(row.name);
        const auto result = matcher(gallery(row.faces), options(row.threshold, row.margin))
                                ->match(probe(at(row.probe_degrees)));
        EXPECT_EQ(result.state, row.state);
        EXPECT_EQ(result.reason, row.reason);
        EXPECT_EQ(result.metric, "cosine");
        EXPECT_EQ(result.threshold, row.threshold);
        EXPECT_EQ(result.best() != nullptr, row.state == FaceState::Known);
        EXPECT_EQ(result.candidates.size(), row.faces.empty() ? 0u : 1u);
    }
}

TEST(Matcher, ThresholdIsInclusive) {
    GallerySnapshot snapshot = gallery({{"a", 0}});
    snapshot.faces[0].embedding = {3, 0};
    const auto m = matcher(snapshot, options(4, 0, 1, Metric::Euclidean));
    EXPECT_EQ(m->match(probe({7, 0})).state, FaceState::Known);
    EXPECT_EQ(m->match(probe({std::nextafter(7.0F, 8.0F), 0})).state, FaceState::Unknown);
}

TEST(Matcher, CandidatesAreDistinctPeopleNearestFirst) {
    const std::vector<Enrolled> faces = {{"far", 80}, {"near", 30}, {"near", 12},
                                         {"mid", 40}, {"near", 25}, {"mid", 20}};
    const auto result = matcher(gallery(faces), options(0.5F, 0, 3))->match(probe(at(10)));
    ASSERT_EQ(result.candidates.size(), 3u);
    const char *ids[] = {"near", "mid", "far"};
    const float degrees[] = {2, 10, 70};
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(result.candidates[i].id, ids[i]);
        EXPECT_EQ(result.candidates[i].label, std::string("label of ") + ids[i]);
        EXPECT_NEAR(result.candidates[i].distance, cosine_distance_of(degrees[i]), 1e-6);
        EXPECT_NEAR(result.candidates[i].similarity, 1 - cosine_distance_of(degrees[i]), 1e-6);
    }
    EXPECT_EQ(result.best()->id, "near");
    EXPECT_EQ(
        matcher(gallery(faces), options(0.5F, 0, 99))->match(probe(at(10))).candidates.size(),
        3u);
}

TEST(Matcher, MarginIsThereWheneverThereAreTwoPeople) {
    const std::vector<Enrolled> faces = {{"a", 0}, {"a", 5}, {"b", 60}};
    const float expected = cosine_distance_of(55) - cosine_distance_of(0);
    // Whatever the state, top-k or margin option.
    for (const MatchOptions &o : {options(0.5F), options(0.5F, 1.5F), options(0.5F, 0, 5)}) {
        const auto result = matcher(gallery(faces), o)->match(probe(at(5)));
        ASSERT_TRUE(result.margin);
        EXPECT_NEAR(*result.margin, expected, 1e-6);
    }
    const auto unknown = matcher(gallery(faces), options(0))->match(probe(at(170)));
    EXPECT_EQ(unknown.state, FaceState::Unknown);
    EXPECT_TRUE(unknown.margin);
    EXPECT_FALSE(
        matcher(gallery({{"a", 0}, {"a", 5}}), options(0.5F))->match(probe(at(5))).margin);
}

TEST(Matcher, ManyFacesOfOnePersonDoNotHideTheSecond) {
    std::vector<Enrolled> faces(500, {"crowd", 10});
    faces.push_back({"lonely", 14});
    const auto result = matcher(gallery(faces), options(0.5F, 0.05F, 2))->match(probe(at(9)));
    ASSERT_EQ(result.candidates.size(), 2u);
    EXPECT_EQ(result.candidates[1].id, "lonely");
    EXPECT_EQ(result.state, FaceState::Ambiguous);
}

TEST(Matcher, APersonsOwnThresholdReplacesTheCommonOne) {
    GallerySnapshot snapshot = gallery({{"strict", 0}, {"lax", 90}});
    snapshot.thresholds = {{"strict", cosine_distance_of(5)}, {"lax", cosine_distance_of(40)}};
    const auto m = matcher(snapshot, options(cosine_distance_of(20)));
    EXPECT_EQ(m->match(probe(at(4))).state, FaceState::Known);
    const auto strict = m->match(probe(at(10)));
    EXPECT_EQ(strict.state, FaceState::Unknown);
    EXPECT_EQ(strict.reason, FaceReason::BelowThreshold);
    EXPECT_FLOAT_EQ(strict.threshold, cosine_distance_of(5));
    EXPECT_EQ(m->match(probe(at(60))).best()->id, "lax");
    EXPECT_EQ(m->match(probe(at(48))).state, FaceState::Unknown);
}

TEST(Matcher, ProbesWithoutColoursHaveAThresholdOfTheirOwn) {
    GallerySnapshot snapshot = gallery({{"ada", 0}, {"strict", 90}});
    snapshot.thresholds = {{"strict", cosine_distance_of(5)}};
    MatchOptions set = options(cosine_distance_of(20));
    Embedding grey = probe(at(15));
    grey.monochrome = true;
    EXPECT_EQ(matcher(snapshot, set)->match(grey).state, FaceState::Known);
    set.monochrome_threshold = cosine_distance_of(10);
    const auto m = matcher(snapshot, set);
    EXPECT_EQ(m->match(probe(at(15))).state, FaceState::Known);
    const MatchResult result = m->match(grey);
    EXPECT_EQ(result.state, FaceState::Unknown);
    EXPECT_FLOAT_EQ(result.threshold, cosine_distance_of(10));
    grey.values = at(9);
    EXPECT_EQ(m->match(grey).state, FaceState::Known);
    grey.values = at(82);
    EXPECT_EQ(m->match(grey).state, FaceState::Unknown) << "a person's own comes first";
    set.monochrome_threshold = -1;
    EXPECT_EQ(Matcher::build(snapshot, set).error().code, Errc::InvalidArgument);
}

TEST(Matcher, ANegativeStrikesItsPersonOutAndNobodyElse) {
    GallerySnapshot snapshot = gallery({{"a", 0}, {"b", 30}, {"c", 80}});
    snapshot.negatives = {{1, "a", at(8)}};
    const auto m = matcher(snapshot, options(cosine_distance_of(25), 0, 3));
    // Nearer to the negative than to the person.
    const auto struck = m->match(probe(at(9)));
    ASSERT_EQ(struck.candidates.size(), 2u);
    EXPECT_EQ(struck.candidates[0].id, "b");
    EXPECT_EQ(struck.state, FaceState::Known);
    // Nearer to the person: as ever.
    EXPECT_EQ(m->match(probe(at(2))).best()->id, "a");
    // A negative beyond the threshold says nothing: a stays a candidate.
    EXPECT_EQ(m->match(probe(at(100))).candidates.size(), 3u);
}

TEST(Matcher, TheLastOneStruckOutLeavesUnknown) {
    GallerySnapshot snapshot = gallery({{"a", 0}});
    snapshot.negatives = {{1, "a", at(8)}};
    const auto result = matcher(snapshot, options(0.5F, 0.05F))->match(probe(at(8)));
    EXPECT_EQ(result.state, FaceState::Unknown);
    EXPECT_EQ(result.reason, FaceReason::BelowThreshold);
    EXPECT_TRUE(result.candidates.empty());
}

TEST(Matcher, FacesToIgnore) {
    GallerySnapshot snapshot = gallery({{"a", 0}});
    snapshot.negatives = {{1, "", at(40)}};
    const auto m = matcher(snapshot, options(cosine_distance_of(30)));
    const auto postman = m->match(probe(at(35)));
    EXPECT_EQ(postman.state, FaceState::Unusable);
    EXPECT_EQ(postman.reason, FaceReason::Ignored);
    EXPECT_TRUE(postman.candidates.empty());
    EXPECT_EQ(m->match(probe(at(15))).state, FaceState::Known); // nearer to a
    EXPECT_EQ(m->match(probe(at(90))).reason, FaceReason::BelowThreshold);
}

TEST(Matcher, NegativesOfOtherSizesAreRefused) {
    GallerySnapshot snapshot = gallery({{"a", 0}});
    snapshot.negatives = {{5, "a", {1, 2, 3}}};
    EXPECT_EQ(Matcher::build(snapshot, options(0.5F)).error().code, Errc::Corrupt);
}

TEST(Matcher, EuclideanUsesRawVectorsAndStillReportsTheCosine) {
    GallerySnapshot snapshot = gallery({{"short", 0}, {"long", 0}});
    snapshot.faces[0].embedding = {1, 0};
    snapshot.faces[1].embedding = {10, 1};
    const auto result =
        matcher(snapshot, options(3, 0, 2, Metric::Euclidean))->match(probe({12, 1}));
    ASSERT_EQ(result.candidates.size(), 2u);
    EXPECT_EQ(result.metric, "euclidean");
    EXPECT_EQ(result.candidates[0].id, "long");
    EXPECT_FLOAT_EQ(result.candidates[0].distance, 2);
    EXPECT_NEAR(result.candidates[0].similarity, 121 / std::sqrt(101.0 * 145), 1e-6);
    EXPECT_NEAR(result.candidates[1].similarity, 12 / std::sqrt(145.0), 1e-6);
    EXPECT_EQ(result.state, FaceState::Known);
}

TEST(Matcher, ScaleDoesNotMatterToTheCosine) {
    const auto m = matcher(gallery({{"a", 0}, {"b", 90}}), options(0.1F, 0.05F));
    for (const float length : {1e-20F, 0.5F, 1e20F})
        EXPECT_NEAR(m->match(probe(at(10, length))).candidates[0].distance,
                    cosine_distance_of(10), 1e-6);
}

TEST(Matcher, AProbeWithoutUsableValuesIsUnusable) {
    const auto m = matcher(gallery({{"a", 0}}), options(2));
    for (const std::vector<float> &values : {std::vector<float>{},
                                             {std::nanf(""), 0},
                                             {1, std::numeric_limits<float>::infinity()}}) {
        const auto result = m->match(probe(values));
        EXPECT_EQ(result.state, FaceState::Unusable);
        EXPECT_EQ(result.reason, FaceReason::NotEmbedded);
        EXPECT_TRUE(result.candidates.empty());
    }
}

TEST(Matcher, AProbeOfAnotherModelIsUnusable) {
    const auto m = matcher(gallery({{"a", 0}}), options(2));
    std::vector<Embedding> probes;
    for (int field = 0; field < 6; ++field) {
        EmbeddingStamp stamp = test_stamp(2);
        std::string *const fields[] = {&stamp.model, &stamp.sha256, &stamp.preprocessing,
                                       &stamp.template_name, &stamp.flip};
        if (field < 5)
            *fields[field] += "x";
        else
            stamp.dims = 3;
        probes.push_back({std::make_shared<EmbeddingStamp>(stamp), at(0)});
    }
    probes.push_back({nullptr, at(0)});
    probes.push_back(probe({1, 0, 0})); // says two dimensions and has three
    for (const Embedding &p : probes) {
        const auto result = m->match(p);
        EXPECT_EQ(result.state, FaceState::Unusable);
        EXPECT_EQ(result.reason, FaceReason::WrongModel);
        EXPECT_TRUE(result.candidates.empty());
        EXPECT_FALSE(result.margin);
        EXPECT_EQ(result.best(), nullptr);
    }
}

TEST(Matcher, RefusesOptionsThatAreNoDistances) {
    const float nan = std::nanf("");
    for (const MatchOptions &bad :
         {options(-1), options(nan), options(std::numeric_limits<float>::infinity()),
          options(1, -0.1F), options(1, nan), options(1, 0, 0), options(1, 0, 1001)})
        EXPECT_EQ(Matcher::build(gallery({{"a", 0}}), bad).error().code, Errc::InvalidArgument);
    MatchOptions other = options(1);
    other.index = "no-such-index";
    EXPECT_EQ(Matcher::build(gallery({}), other).error().code, Errc::InvalidArgument);
    EXPECT_EQ(Matcher::build(gallery({{"a", 0}}), other).error().code, Errc::InvalidArgument);
}

TEST(Matcher, RefusesASnapshotThatDoesNotFitTogether) {
    GallerySnapshot no_stamp = gallery({{"a", 0}});
    no_stamp.stamp.reset();
    EXPECT_FALSE(Matcher::build(no_stamp, options(1)).ok());
    GallerySnapshot short_row = gallery({{"a", 0}, {"b", 0}});
    short_row.faces[1].embedding.pop_back();
    const auto built = Matcher::build(short_row, options(1));
    ASSERT_FALSE(built.ok());
    EXPECT_EQ(built.error().code, Errc::Corrupt);
    EXPECT_NE(built.error().message.find("101"), std::string::npos) << built.error().message;
}

TEST(Matcher, MeansOfPeopleInsteadOfTheirFaces) {
    // Nearest to a face of "wide", but farther from its middle than from "narrow".
    const auto faces = gallery({{"wide", 0}, {"wide", 60}, {"narrow", 80}});
    EXPECT_EQ(matcher(faces, options(0.5F))->match(probe(at(62))).best()->id, "wide");
    MatchOptions means = options(0.5F);
    means.compare = PersonTemplate::Mean;
    const auto result = matcher(faces, means)->match(probe(at(62)));
    EXPECT_EQ(result.best()->id, "narrow");
    ASSERT_TRUE(result.margin);
    EXPECT_NEAR(*result.margin, cosine_distance_of(32) - cosine_distance_of(18), 1e-5);
}

TEST(Matcher, OverAGalleryOfOtherOptionsIsRefused) {
    const auto cosine = matcher(gallery({{"a", 0}}), options(1));
    EXPECT_TRUE(Matcher::over(cosine->gallery(), options(0.3F, 0.1F, 4)).ok());
    EXPECT_EQ(
        Matcher::over(cosine->gallery(), options(1, 0, 1, Metric::Euclidean)).error().code,
        Errc::InvalidArgument);
}

TEST(Matcher, KeepsTheSnapshotsPeople) {
    const auto m = matcher(gallery({{"a", 0}, {"b", 9}}), options(1));
    EXPECT_EQ(m->snapshot().version, 7);
    ASSERT_EQ(m->snapshot().faces.size(), 2u);
    EXPECT_EQ(m->snapshot().faces[1].person_id, "b");
    EXPECT_FLOAT_EQ(default_margin(Metric::Cosine), 0.05F);
    EXPECT_EQ(default_margin(Metric::Euclidean), 0);
}

} // namespace
} // namespace sphere::testing
