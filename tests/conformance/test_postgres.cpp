// SPDX-License-Identifier: MIT
// What only a server can do: go away and come back, refuse a password, tell who listens.
#include "core/gallery/gallery_follower.h"
#include "core/gallery/people_admin.h"
#include "tests/conformance/places.h"

#include <atomic>
#include <chrono>
#include <libpq-fe.h>

namespace sphere::testing {
namespace {

class PostgresTest : public ::testing::Test {
  protected:
    void SetUp() override {
        if (const std::string &why = PostgresServer::get().unavailable(); !why.empty())
            GTEST_SKIP() << why;
        location_ = PostgresServer::get().new_database();
    }
    std::unique_ptr<Store> make() {
        auto store = open_store(location_, OpenMode::CreateIfMissing);
        EXPECT_TRUE(store.ok()) << store.error().message;
        EXPECT_TRUE((*store)->enrol(test_stamp(), {test_face("ana", {1, 0, 0, 0})}).ok());
        return std::move(*store);
    }
    /// As a node of several follows it. `interval`: between looks, without messages.
    std::unique_ptr<GalleryFollower> follow(std::chrono::milliseconds interval) {
        GalleryFollower::Settings settings;
        settings.location = location_;
        settings.resolve = [](const std::optional<EmbeddingStamp> &) {
            MatchOptions options;
            options.threshold = 0.1F;
            return Result<MatchOptions>(options);
        };
        settings.interval = interval;
        auto follower = GalleryFollower::open(std::move(settings));
        EXPECT_TRUE(follower.ok()) << follower.error().message;
        return std::move(*follower);
    }
    /// SQL behind the store's back.
    void sql(const char *text) {
        PGconn *connection = PQconnectdb(location_.c_str());
        PGresult *result = PQexec(connection, text);
        const ExecStatusType status = PQresultStatus(result);
        EXPECT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
            << PQerrorMessage(connection);
        PQclear(result);
        PQfinish(connection);
    }
    std::string location_;
};

template <typename Condition> bool soon(const Condition &condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

std::string named(const GalleryFollower &follower, std::vector<float> values) {
    const auto result = follower.matcher()->match(
        {std::make_shared<EmbeddingStamp>(test_stamp()), std::move(values)});
    return result.best() != nullptr ? result.best()->id : "";
}

void expect_no_password(const Error &error) {
    EXPECT_EQ(error.message.find(PostgresServer::kPassword), std::string::npos)
        << error.message;
}

TEST_F(PostgresTest, ADatabaseWithoutAGallerySaysHowToEnrol) {
    const auto store = open_store(location_, OpenMode::Existing);
    ASSERT_FALSE(store.ok());
    EXPECT_EQ(store.error().code, Errc::NotFound);
    EXPECT_NE(store.error().message.find("spherectl enrol"), std::string::npos);
    expect_no_password(store.error());
}

TEST_F(PostgresTest, NoDatabaseNoServerNoAccess) {
    const auto missing =
        open_store(PostgresServer::get().uri("no_such_database"), OpenMode::CreateIfMissing);
    EXPECT_EQ(missing.error().code, Errc::NotFound) << missing.error().message;
    EXPECT_NE(missing.error().message.find("createdb"), std::string::npos);
    expect_no_password(missing.error());

    const auto unreachable =
        open_store("postgresql://me:a-secret-word@127.0.0.1:1/x?password=a-secret-word",
                   OpenMode::Existing);
    EXPECT_EQ(unreachable.error().code, Errc::Io) << unreachable.error().message;
    expect_no_password(unreachable.error());

    std::string wrong = location_;
    wrong.replace(wrong.find(PostgresServer::kPassword),
                  std::string(PostgresServer::kPassword).size(), "not-the-word");
    const auto refused = open_store(wrong, OpenMode::Existing);
    EXPECT_EQ(refused.error().code, Errc::Permission) << refused.error().message;
    EXPECT_NE(refused.error().message.find("pgpass"), std::string::npos);
    EXPECT_EQ(refused.error().message.find("not-the-word"), std::string::npos);
}

TEST_F(PostgresTest, ThePasswordMayComeFromTheEnvironment) {
    make();
    std::string bare = location_;
    bare.erase(bare.find(':', bare.find("://") + 3),
               std::string(PostgresServer::kPassword).size() + 1);
    EXPECT_FALSE(open_store(bare, OpenMode::Existing).ok());
    setenv("PGPASSWORD", PostgresServer::kPassword, 1);
    EXPECT_TRUE(open_store(bare, OpenMode::Existing).ok());
    unsetenv("PGPASSWORD");
}

TEST_F(PostgresTest, ANewerFormatIsRefused) {
    make();
    sql("UPDATE sphere_gallery SET format = 9");
    const auto store = open_store(location_, OpenMode::Existing);
    EXPECT_EQ(store.error().code, Errc::Unsupported);
    EXPECT_NE(store.error().message.find("version 9"), std::string::npos);
}

TEST_F(PostgresTest, DamagedRowsAreNamed) {
    const auto store = make();
    for (const char *change :
         {"UPDATE sphere_embeddings SET vector = '\\x00'",
          "UPDATE sphere_embeddings SET vector = '\\x0000C07F000000000000000000000000'"}) {
        sql(change);
        const auto snapshot = store->load();
        ASSERT_FALSE(snapshot.ok());
        EXPECT_EQ(snapshot.error().code, Errc::Corrupt);
        EXPECT_NE(snapshot.error().message.find("face 1"), std::string::npos);
        expect_no_password(snapshot.error());
    }
}

// The statements of docs/postgres.md.
TEST_F(PostgresTest, EmbeddingsMayLieInPartitions) {
    const auto store = make();
    for (int i = 0; i < 40; ++i)
        ASSERT_TRUE(store
                        ->enrol(test_stamp(), {test_face("person " + std::to_string(i),
                                                         {1, static_cast<float>(i), 0, 0})})
                        .ok());
    const auto before = *store->load();
    sql(documented_sql("partitions").c_str());
    sql("DO $$ BEGIN ASSERT (SELECT count(DISTINCT tableoid) FROM sphere_embeddings) = 4; END "
        "$$");
    const auto after = store->load();
    ASSERT_TRUE(after.ok()) << after.error().message;
    EXPECT_EQ(after->version, before.version + 1);
    ASSERT_EQ(after->faces.size(), before.faces.size());
    for (std::size_t i = 0; i < before.faces.size(); ++i) {
        EXPECT_EQ(after->faces[i].person_id, before.faces[i].person_id);
        EXPECT_EQ(after->faces[i].embedding, before.faces[i].embedding);
    }
    ASSERT_TRUE(store->enrol(test_stamp(), {test_face("bo", {0, 0, 1, 0})}).ok());
    ASSERT_TRUE(store->remove_person("person 7").ok());
    EXPECT_EQ(store->load()->faces.size(), before.faces.size());
}

TEST_F(PostgresTest, ChangesAreToldToWhoListens) {
    const auto store = make();
    PGconn *listener = PQconnectdb(location_.c_str());
    PQclear(PQexec(listener, "LISTEN sphere_gallery"));
    ASSERT_TRUE(store->enrol(test_stamp(), {test_face("bo", {0, 1, 0, 0})}).ok());
    PQclear(PQexec(listener, "SELECT 1")); // a round trip brings what is waiting
    PGnotify *told = PQnotifies(listener);
    ASSERT_NE(told, nullptr);
    EXPECT_EQ(std::string(told->extra), std::to_string(*store->version()));
    PQfreemem(told);
    PQfinish(listener);
}

// Nobody looks by themselves within the day: what is found was told of.
TEST_F(PostgresTest, ANodeIsToldOfWhatAnotherChanges) {
    const auto store = make();
    const auto follower = follow(std::chrono::hours(24));
    ASSERT_TRUE(soon([&] { return follower->is_told(); }));
    ASSERT_TRUE(soon([&] { return follower->idle(); }));
    ASSERT_TRUE(store->enrol(test_stamp(), {test_face("bo", {0, 1, 0, 0})}).ok());
    EXPECT_TRUE(soon([&] { return named(*follower, {0, 1, 0, 0}) == "bo"; }));
    ASSERT_TRUE(store->remove_person("ana").ok());
    EXPECT_TRUE(soon([&] { return named(*follower, {1, 0, 0, 0}).empty(); }));
    const auto admin = open_people_admin(location_);
    ASSERT_TRUE(admin.ok()) << admin.error().message;
    ASSERT_TRUE((*admin)->apply({RenamePerson{"bo", "bob"}}).ok());
    EXPECT_TRUE(soon([&] { return named(*follower, {0, 1, 0, 0}) == "bob"; }));
}

// As behind a pooler: the backend is not the one that was announced. Here, another's number is
// made up by a function of the same name earlier in the search path.
TEST_F(PostgresTest, WhereMessagesDoNotComeTheNodeLooksItself) {
    const auto store = make();
    sql("CREATE SCHEMA pooled");
    sql("CREATE FUNCTION pooled.pg_backend_pid() RETURNS integer LANGUAGE sql AS 'SELECT 1'");
    sql("ALTER ROLE sphere SET search_path = pooled, pg_catalog, public");
    const auto follower = follow(std::chrono::milliseconds(20));
    ASSERT_TRUE(store->enrol(test_stamp(), {test_face("bo", {0, 1, 0, 0})}).ok());
    EXPECT_TRUE(soon([&] { return named(*follower, {0, 1, 0, 0}) == "bo"; }));
    EXPECT_FALSE(follower->is_told());
    sql("ALTER ROLE sphere RESET search_path");
}

TEST_F(PostgresTest, AWatchTellsAndEndsAtOnce) {
    const auto store = make();
    std::atomic<int> told{0};
    auto watch = store->watch([&told] { ++told; });
    ASSERT_NE(watch, nullptr);
    ASSERT_TRUE(soon([&] { return watch->live() && told == 1; }));
    sql("NOTIFY sphere_gallery");
    EXPECT_TRUE(soon([&] { return told == 2; }));
    sql("SELECT pg_notify('another_channel', '')");
    watch.reset();
    EXPECT_EQ(told, 2);
}

TEST_F(PostgresTest, ANodeGoesOnWithoutTheServerAndCatchesUp) {
    auto store = make();
    const auto follower = follow(std::chrono::milliseconds(20));
    ASSERT_TRUE(soon([&] { return follower->is_told(); }));
    EXPECT_FALSE(follower->behind().has_value());
    PostgresServer::get().stop();
    ASSERT_TRUE(soon([&] { return follower->behind().has_value(); }));
    EXPECT_TRUE(soon([&] { return !follower->is_told(); }));
    EXPECT_EQ(follower->behind()->code, Errc::Io) << follower->behind()->message;
    expect_no_password(*follower->behind());
    EXPECT_EQ(named(*follower, {1, 0, 0, 0}), "ana");
    // It says a thing once, not whenever it tries.
    int said = 0;
    for (int i = 0; i < 200; ++i) {
        said += follower->take_error().has_value() ? 1 : 0;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_GE(said, 1);
    EXPECT_LE(said, 3); // the connection was lost; none can be made, in one or two ways
    ASSERT_TRUE(PostgresServer::get().start());
    store = open_store(location_, OpenMode::Existing).value();
    ASSERT_TRUE(store->enrol(test_stamp(), {test_face("bo", {0, 1, 0, 0})}).ok());
    EXPECT_TRUE(soon([&] { return named(*follower, {0, 1, 0, 0}) == "bo"; }));
    EXPECT_TRUE(soon([&] { return !follower->behind() && follower->is_told(); }));
}

TEST_F(PostgresTest, AServerThatGoesAwayIsSaidSoAndFoundAgain) {
    using Clock = std::chrono::steady_clock;
    const auto store = make();
    const auto before = *store->load();
    PostgresServer::get().stop();
    // Each call fails, at once or nearly, and says why.
    const auto start = Clock::now();
    for (int i = 0; i < 20; ++i) {
        const auto version = store->version();
        ASSERT_FALSE(version.ok());
        EXPECT_EQ(version.error().code, Errc::Io) << version.error().message;
        expect_no_password(version.error());
    }
    EXPECT_LT(Clock::now() - start, std::chrono::seconds(5));
    EXPECT_FALSE(store->enrol(test_stamp(), {test_face("bo", {0, 1, 0, 0})}).ok());
    ASSERT_TRUE(PostgresServer::get().start());
    // Found again, by itself, within the back-off.
    Result<std::int64_t> version = fail(Errc::Io, "not yet");
    for (int i = 0; i < 100 && !version; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        version = store->version();
    }
    ASSERT_TRUE(version.ok()) << version.error().message;
    EXPECT_EQ(*version, before.version);
    EXPECT_EQ(store->load()->faces.size(), 1u);
    EXPECT_TRUE(store->enrol(test_stamp(), {test_face("bo", {0, 1, 0, 0})}).ok());
}

TEST_F(PostgresTest, AcknowledgedRowsOutliveTheServersDeath) {
    auto store = make();
    std::size_t acknowledged = 1;
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 20; ++i) {
            const std::string name = std::to_string(round) + "-" + std::to_string(i);
            ASSERT_TRUE(store->enrol(test_stamp(), {test_face(name, {0, 1, 0, 0})}).ok());
            ++acknowledged;
        }
        PostgresServer::get().stop(); // at once, without a checkpoint
        ASSERT_TRUE(PostgresServer::get().start());
        auto again = open_store(location_, OpenMode::Existing);
        ASSERT_TRUE(again.ok()) << again.error().message;
        store = std::move(*again);
        EXPECT_EQ(store->load()->faces.size(), acknowledged);
    }
}

} // namespace
} // namespace sphere::testing
