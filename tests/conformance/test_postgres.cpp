// SPDX-License-Identifier: MIT
// What only a server can do: go away and come back, refuse a password, tell who listens.
#include "core/gallery/people_admin.h"
#include "tests/conformance/places.h"

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
    /// SQL behind the store's back.
    void sql(const char *text) {
        PGconn *connection = PQconnectdb(location_.c_str());
        PGresult *result = PQexec(connection, text);
        EXPECT_EQ(PQresultStatus(result), PGRES_COMMAND_OK) << PQerrorMessage(connection);
        PQclear(result);
        PQfinish(connection);
    }
    std::string location_;
};

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
