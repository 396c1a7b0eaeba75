// SPDX-License-Identifier: MIT
// A gallery that is searched where it is, by pgvector: the same people as in memory, without
// the faces in memory.
#include "core/gallery/gallery_follower.h"
#include "core/gallery/gallery_sample_check.h"
#include "core/gallery/people_admin.h"
#include "tests/conformance/pglite_server.h"
#include "tests/conformance/postgres_server.h"
#include "tests/support/check_testing.h"

#include <chrono>
#include <thread>

namespace sphere::testing {
namespace {

constexpr int kDims = 64;
constexpr int kPeople = 300; ///< of two faces each

std::vector<float> values_of(int person, int face) {
    std::mt19937 random(static_cast<std::uint32_t>(person));
    std::vector<float> values = random_values(random, kDims);
    std::mt19937 other(static_cast<std::uint32_t>(1000 * person + face + 1));
    const std::vector<float> noise = random_values(other, kDims);
    for (std::size_t d = 0; d < values.size(); ++d)
        values[d] += 0.2F * noise[d];
    return values;
}
std::string name_of(int person) {
    return "person " + std::to_string(person);
}
std::vector<Enrolment> faces_of(int first, int count) {
    std::vector<Enrolment> faces;
    for (int person = first; person < first + count; ++person)
        for (int face = 0; face < 2; ++face)
            faces.push_back(test_face(name_of(person), values_of(person, face)));
    return faces;
}
Embedding probe_of(int person) {
    return {std::make_shared<EmbeddingStamp>(test_stamp(kDims)), values_of(person, 7)};
}
MatchOptions options_of(const std::string &index, Metric metric) {
    MatchOptions options;
    options.metric = metric;
    options.threshold = metric == Metric::Cosine ? 0.3F : 4;
    options.margin = default_margin(metric);
    options.top_k = 3;
    options.index = index;
    return options;
}
Result<std::unique_ptr<GalleryFollower>> follow(const std::string &location,
                                                Metric metric = Metric::Cosine) {
    GalleryFollower::Settings settings;
    settings.location = location;
    settings.resolve = [metric](const std::optional<EmbeddingStamp> &) {
        return Result<MatchOptions>(options_of(kStoreIndex, metric));
    };
    settings.interval = std::chrono::milliseconds(50);
    return GalleryFollower::open(std::move(settings));
}
template <typename Condition> bool soon(const Condition &condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
}
void no_progress(std::int64_t) {}

// What a call gives. Its error fails the test, which goes on with nothing.
template <typename T> T given(Result<T> result) {
    EXPECT_TRUE(result.ok()) << (result ? "" : result.error().message);
    return result ? std::move(*result) : T();
}

class PgvectorModels : public ::testing::Test {
  protected:
    void SetUp() override {
        if (const std::string &why = PgliteServer::get().unavailable(); !why.empty())
            GTEST_SKIP() << why;
        location_ = PgliteServer::get().new_database();
        auto store = open_store(location_, OpenMode::CreateIfMissing);
        ASSERT_TRUE(store.ok()) << store.error().message;
        store_ = std::move(*store);
    }
    std::string location_;
    std::unique_ptr<Store> store_;
};
class PgvectorGallery : public PgvectorModels, public ::testing::WithParamInterface<Metric> {};

TEST_P(PgvectorGallery, FindsWhomTheExactIndexFinds) {
    const Metric metric = GetParam();
    // Some before the index, some after it.
    ASSERT_TRUE(store_->enrol(test_stamp(kDims), faces_of(0, kPeople / 2)).ok());
    const auto unready = follow(location_, metric);
    ASSERT_FALSE(unready.ok());
    EXPECT_EQ(unready.error().code, Errc::NotFound);
    EXPECT_NE(unready.error().message.find("spherectl gallery index"), std::string::npos)
        << unready.error().message;
    const auto made = store_->prepare_search(metric, &no_progress);
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_EQ(*made, kPeople);
    const auto more =
        store_->enrol(test_stamp(kDims), faces_of(kPeople / 2, kPeople - kPeople / 2));
    ASSERT_TRUE(more.ok()) << more.error().message;
    EXPECT_EQ(given(store_->prepare_search(metric, &no_progress)),
              2 * kPeople); // nothing to do

    const auto follower = follow(location_, metric);
    ASSERT_TRUE(follower.ok()) << follower.error().message;
    const auto remote = (*follower)->matcher();
    ASSERT_TRUE(remote != nullptr);
    EXPECT_TRUE(remote->snapshot().faces.empty()) << "faces were loaded";
    const auto local = Matcher::build(given(store_->load()), options_of("exact", metric));
    ASSERT_TRUE(local.ok()) << local.error().message;
    for (int person = 0; person < kPeople + 20; ++person) { // the last ones are strangers
        const MatchResult found = remote->match(probe_of(person));
        const MatchResult expected = (*local)->match(probe_of(person));
        ASSERT_EQ(found.state, expected.state) << person;
        ASSERT_EQ(found.reason, expected.reason) << person;
        ASSERT_FALSE(found.candidates.empty()) << person;
        ASSERT_FALSE(expected.candidates.empty()) << person;
        ASSERT_EQ(found.candidates[0].id, expected.candidates[0].id) << person;
        ASSERT_EQ(found.candidates[0].distance, expected.candidates[0].distance) << person;
        ASSERT_FLOAT_EQ(found.candidates[0].similarity, expected.candidates[0].similarity);
        if (person < kPeople) {
            ASSERT_EQ(found.candidates[0].id, name_of(person));
            ASSERT_EQ(found.state, FaceState::Known) << person;
        }
    }
}

TEST_P(PgvectorGallery, SeesEachChangeAtOnce) {
    const Metric metric = GetParam();
    ASSERT_TRUE(store_->enrol(test_stamp(kDims), faces_of(0, 20)).ok());
    ASSERT_TRUE(store_->prepare_search(metric, &no_progress).ok());
    auto opened = follow(location_, metric);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    const GalleryFollower &follower = **opened;
    const auto admin = given(open_people_admin(location_));
    ASSERT_TRUE(admin != nullptr);
    const auto best = [&](int person) {
        const auto result = follower.matcher()->match(probe_of(person));
        return result.best() != nullptr ? result.best()->id : "";
    };
    EXPECT_EQ(best(3), name_of(3));
    ASSERT_TRUE(store_->remove_person(name_of(3)).ok());
    EXPECT_EQ(best(3), "");
    ASSERT_TRUE(store_->enrol(test_stamp(kDims), faces_of(30, 1)).ok());
    EXPECT_EQ(best(30), name_of(30));
    std::vector<std::int64_t> faces;
    const auto listed = given(admin->list_faces(name_of(5)));
    faces.reserve(listed.size());
    for (const FaceRecord &face : listed)
        faces.push_back(face.face_id);
    ASSERT_TRUE(admin->apply({QuarantineFaces{faces, true}}).ok());
    EXPECT_EQ(best(5), "");
    ASSERT_TRUE(admin->apply({QuarantineFaces{faces, false}}).ok());
    EXPECT_EQ(best(5), name_of(5));
    // A stranger is nobody until promoted.
    RecordSight sight;
    sight.stamp = test_stamp(kDims);
    sight.face = test_face("unknown", values_of(40, 0));
    sight.camera = "door";
    sight.at_ms = 1000;
    ASSERT_TRUE(admin->apply({sight}).ok());
    EXPECT_EQ(best(40), "");
    ASSERT_TRUE(admin->apply({PromoteStranger{"unknown-1", "zoe"}}).ok());
    EXPECT_EQ(best(40), "zoe");
    // What a person's threshold and the negatives say comes with the version.
    SetPerson strict;
    strict.id = name_of(7);
    strict.threshold = 1e-6F;
    ASSERT_TRUE(admin->apply({strict}).ok());
    EXPECT_TRUE(soon([&] { return best(7).empty(); }));
    EXPECT_FALSE((*opened)->behind().has_value());
}

TEST_P(PgvectorGallery, IsTheThresholdSafe) {
    const Metric metric = GetParam();
    ASSERT_TRUE(store_->enrol(test_stamp(kDims), faces_of(0, 40)).ok());
    ASSERT_TRUE(store_->enrol(test_stamp(kDims), {test_face("lone", values_of(500, 0))}).ok());
    ASSERT_TRUE(store_->prepare_search(metric, &no_progress).ok());
    const auto admin = given(open_people_admin(location_));
    ASSERT_TRUE(admin != nullptr);
    const auto of_five = given(admin->list_faces(name_of(5)));
    ASSERT_FALSE(of_five.empty());
    const std::int64_t away = of_five.front().face_id;
    ASSERT_TRUE(admin->apply({QuarantineFaces{{away}, true}}).ok());
    ASSERT_TRUE(store_->remove_person(name_of(9)).ok());
    const auto search = given(store_->face_search(metric));
    ASSERT_TRUE(search != nullptr);
    const auto sample = search->sample(2000);
    ASSERT_TRUE(sample.ok()) << sample.error().message;
    ASSERT_EQ(sample->faces.size(), 78U) << "of 81 one is in quarantine, two are gone";
    EXPECT_GE(sample->of_faces, 78);
    for (const SampledFace &face : sample->faces) {
        EXPECT_NE(face.face_id, away);
        EXPECT_EQ(face.faces_of_person,
                  face.person_id == "lone" || face.person_id == name_of(5) ? 1 : 2);
    }
    EXPECT_EQ(given(search->sample(10)).faces.size(), 10U);
    CheckOptions options;
    options.metric = metric;
    options.threshold = metric == Metric::Cosine ? 0.75F : 9;
    const auto whole = given(check_gallery(given(store_->load()), {}, options));
    EXPECT_GT(whole.strangers_named, 0U);
    EXPECT_LT(whole.strangers_named, whole.strangers);
    const std::atomic<bool> stop{false};
    const auto found = check_sample(*search, *sample, options, std::chrono::minutes(1), stop);
    ASSERT_TRUE(found.ok()) << found.error().message;
    expect_same_numbers(*found, whole);
}

INSTANTIATE_TEST_SUITE_P(Metrics, PgvectorGallery,
                         ::testing::Values(Metric::Cosine, Metric::Euclidean),
                         [](const auto &info) { return metric_name(info.param); });

TEST_F(PgvectorModels, AnotherModelIsAnotherIndex) {
    ASSERT_TRUE(store_->enrol(test_stamp(kDims), faces_of(0, 5)).ok());
    ASSERT_TRUE(store_->prepare_search(Metric::Cosine, &no_progress).ok());
    const auto admin = given(open_people_admin(location_));
    ASSERT_TRUE(admin != nullptr);
    Reembed other;
    other.stamp = test_stamp(4);
    const auto listed = given(admin->list_faces(""));
    other.faces.reserve(listed.size());
    for (const FaceRecord &face : listed)
        other.faces.emplace_back(face.face_id, std::vector<float>{1, 2, 3, 4});
    const auto done = admin->apply({other});
    ASSERT_TRUE(done.ok()) << done.error().message;
    EXPECT_EQ(follow(location_).error().code, Errc::NotFound);
    ASSERT_TRUE(store_->prepare_search(Metric::Cosine, &no_progress).ok());
    EXPECT_TRUE(follow(location_).ok());
}

// The statements of docs/postgres.md, before the index is made.
TEST_F(PgvectorModels, PartsOfATableAreSearchedTogether) {
    ASSERT_TRUE(store_->enrol(test_stamp(kDims), faces_of(0, 40)).ok());
    PgliteServer::get().sql(documented_sql("partitions"));
    const auto made = store_->prepare_search(Metric::Cosine, &no_progress);
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_EQ(*made, 80);
    ASSERT_TRUE(store_->enrol(test_stamp(kDims), faces_of(40, 10)).ok());
    ASSERT_TRUE(store_->remove_person(name_of(7)).ok());
    EXPECT_EQ(given(store_->prepare_search(Metric::Cosine, &no_progress)), 98);
    const auto follower = follow(location_);
    ASSERT_TRUE(follower.ok()) << follower.error().message;
    const auto matcher = (*follower)->matcher();
    for (int person = 0; person < 50; ++person) {
        const MatchResult found = matcher->match(probe_of(person));
        EXPECT_EQ(found.best() != nullptr ? found.best()->id : "",
                  person == 7 ? "" : name_of(person));
    }
}

TEST_F(PgvectorModels, NobodyAndTooManyValues) {
    const auto empty = store_->prepare_search(Metric::Cosine, &no_progress);
    EXPECT_EQ(empty.error().code, Errc::NotFound) << empty.error().message;
    const auto follower = follow(location_);
    ASSERT_TRUE(follower.ok()) << follower.error().message;
    const auto result = (*follower)->matcher()->match(probe_of(1));
    EXPECT_EQ(result.state, FaceState::Unknown);
    EXPECT_EQ(result.reason, FaceReason::EmptyGallery);
    ASSERT_TRUE(
        store_->enrol(test_stamp(4096), {test_face("ana", std::vector<float>(4096, 1))}).ok());
    const auto large = store_->prepare_search(Metric::Cosine, &no_progress);
    EXPECT_EQ(large.error().code, Errc::Unsupported);
    EXPECT_NE(large.error().message.find("4096"), std::string::npos) << large.error().message;
}

TEST(Pgvector, WithoutTheExtensionTheRemedyIsSaid) {
    if (const std::string &why = PostgresServer::get().unavailable(); !why.empty())
        GTEST_SKIP() << why;
    const std::string location = PostgresServer::get().new_database();
    const auto store = open_store(location, OpenMode::CreateIfMissing);
    ASSERT_TRUE(store.ok()) << store.error().message;
    ASSERT_TRUE((*store)->enrol(test_stamp(kDims), faces_of(0, 1)).ok());
    for (const Error &error :
         {(*store)->prepare_search(Metric::Cosine, &no_progress).error(),
          follow(location).error(),
          make_index(std::string(kStoreIndex) + ":" + location, 4, Metric::Cosine).error()}) {
        EXPECT_EQ(error.code, Errc::Unsupported);
        EXPECT_NE(error.message.find("CREATE EXTENSION vector"), std::string::npos)
            << error.message;
        EXPECT_EQ(error.message.find(PostgresServer::kPassword), std::string::npos);
    }
    // The gallery is as it was: its format, too.
    EXPECT_TRUE(
        Matcher::build(given((*store)->load()), options_of("auto", Metric::Cosine)).ok());
}

TEST(Pgvector, AGalleryInAFileSaysWhereItWorks) {
    const TempDir dir;
    const std::string path = dir / "people.db";
    ASSERT_TRUE(open_store(path, OpenMode::CreateIfMissing).ok());
    const auto follower = follow(path);
    ASSERT_FALSE(follower.ok());
    EXPECT_EQ(follower.error().code, Errc::Unsupported);
    EXPECT_NE(follower.error().message.find("postgresql://"), std::string::npos);
}

} // namespace
} // namespace sphere::testing
