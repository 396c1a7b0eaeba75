// SPDX-License-Identifier: MIT
// The token's file, sessions, names, and what HttpServer refuses or ends.
#include "fake_source.h"
#include "http_client.h"
#include "pipelines/console/access.h"
#include "pipelines/console/http_server.h"
#include "pipelines/console/stream_bodies.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace sphere::console {
namespace {

using namespace std::chrono_literals;
using testing::Client;
using testing::request;

constexpr const char *kToken =
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

class TokenFile : public ::testing::Test {
  protected:
    void SetUp() override {
        directory_ = std::filesystem::temp_directory_path() /
                     ("sphere-token-" + std::to_string(getpid()));
        std::filesystem::remove_all(directory_);
        path_ = directory_ / "state/console.token";
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }
    std::filesystem::path directory_, path_;
};

TEST_F(TokenFile, IsMadeOnceForItsUserAlone) {
    const auto first = load_or_make_token(path_);
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_EQ(first->size(), 64U);
    struct stat info {};
    ASSERT_EQ(stat(path_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
    ASSERT_EQ(stat(path_.parent_path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700U);
    const auto second = load_or_make_token(path_);
    ASSERT_TRUE(second);
    EXPECT_EQ(*second, *first);
    std::filesystem::remove(path_);
    EXPECT_NE(*load_or_make_token(path_), *first);
}

TEST_F(TokenFile, ThatOthersMayReadIsRefused) {
    ASSERT_TRUE(load_or_make_token(path_));
    std::filesystem::permissions(path_, std::filesystem::perms(0640));
    const auto token = load_or_make_token(path_);
    ASSERT_FALSE(token);
    EXPECT_EQ(token.error().code, Errc::Permission);
    EXPECT_NE(token.error().message.find("chmod 600"), std::string::npos);
}

TEST_F(TokenFile, WithSomethingElseInItIsRefused) {
    std::filesystem::create_directories(path_.parent_path());
    for (const char *text : {"", "secret\n", "<html>"}) {
        std::ofstream(path_) << text;
        std::filesystem::permissions(path_, std::filesystem::perms(0600));
        const auto token = load_or_make_token(path_);
        ASSERT_FALSE(token) << text;
        EXPECT_EQ(token.error().code, Errc::Corrupt);
    }
    std::filesystem::remove(path_);
    std::filesystem::create_symlink("/etc/hostname", path_);
    EXPECT_FALSE(load_or_make_token(path_)) << "links are not followed";
}

TEST(SessionsTest, AreSignedAndEnd) {
    const Sessions sessions(kToken);
    const std::string cookie = sessions.issue(1000);
    EXPECT_TRUE(sessions.valid(cookie, 1000));
    EXPECT_TRUE(sessions.valid(cookie, 1000 + Sessions::kLifetime_s - 1));
    EXPECT_FALSE(sessions.valid(cookie, 1000 + Sessions::kLifetime_s));
    EXPECT_FALSE(sessions.valid("2000" + cookie.substr(4), 2000)) << "another time, same sign";
    EXPECT_FALSE(sessions.valid(Sessions(std::string(64, 'a')).issue(1000), 1000));
    for (const char *text :
         {"", ".", "1000", "1000.", ".abc", "99999999999999999999.a", "-1.a"})
        EXPECT_FALSE(sessions.valid(text, 1000)) << text;
}

TEST(OwnNamesTest, AreThoseOfThisMachineAndWhatTheUserAdds) {
    const OwnNames names("127.0.0.1", 8787, {"cameras.example", "proxy.example:443"});
    for (const char *host : {"127.0.0.1:8787", "LOCALHOST:8787", "[::1]:8787",
                             "cameras.example", "cameras.example:8787", "proxy.example:443"})
        EXPECT_TRUE(names.host_is_ours(host)) << host;
    for (const char *host : {"", "evil.example:8787", "127.0.0.1", "127.0.0.1:80",
                             "localhost:8787.evil.example", "127.0.0.1:8787@evil.example"})
        EXPECT_FALSE(names.host_is_ours(host)) << host;
    EXPECT_TRUE(names.origin_is_ours("http://localhost:8787"));
    EXPECT_TRUE(names.origin_is_ours("https://proxy.example:443"));
    for (const char *origin : {"null", "", "http://evil.example", "file://",
                               "http://127.0.0.1:8788", "http://localhost:8787.evil.example"})
        EXPECT_FALSE(names.origin_is_ours(origin)) << origin;
    const OwnNames open("0.0.0.0", 80, {});
    EXPECT_FALSE(open.host_is_ours("0.0.0.0:80"));
    EXPECT_TRUE(open.host_is_ours("localhost"));
}

TEST(FailureLimitTest, LetsGoAfterAWhile) {
    FailureLimit limit;
    FailureLimit::Time now{};
    for (int i = 0; i < FailureLimit::kMostFailures; ++i) {
        EXPECT_FALSE(limit.blocked("10.0.0.1", now));
        limit.failed("10.0.0.1", now);
    }
    EXPECT_TRUE(limit.blocked("10.0.0.1", now + 1s));
    EXPECT_FALSE(limit.blocked("10.0.0.2", now + 1s));
    EXPECT_FALSE(limit.blocked("10.0.0.1", now + FailureLimit::kWindow + 1s));
}

// The server with limits of a test's size.

HttpOptions short_limits() {
    HttpOptions options;
    options.token = kToken;
    options.stall = 600ms;
    options.connections.most = 8;
    options.connections.request = 500ms;
    options.connections.closing = 500ms;
    options.connections.response = 5s;
    return options;
}

std::vector<Route> routes_of(testing::FakeSource &source) {
    Route live{"GET", "/live", false, true};
    live.stream = [&source](const Request &) {
        return std::make_unique<MjpegBody>(source, "door");
    };
    return {{"GET", "/open", false, true, [](const Request &) { return Response{}; }},
            std::move(live)};
}

std::size_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::size_t size = 0;
    std::size_t resident = 0;
    file >> size >> resident;
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

TEST(HttpServerTest, EndsWhoSendsAByteNowAndThen) {
    testing::FakeSource source;
    auto server = HttpServer::start(short_limits(), routes_of(source));
    ASSERT_TRUE(server) << server.error().message;
    Client slow((*server)->port());
    ASSERT_TRUE(slow.send("GET /open HTTP/1.1\r\nX: "));
    const auto begin = std::chrono::steady_clock::now();
    while (!slow.ended() && std::chrono::steady_clock::now() - begin < 20s) {
        slow.send("a");
        slow.read("", 100ms);
    }
    EXPECT_TRUE(slow.ended());
    EXPECT_EQ(request((*server)->port(), "GET", "/open").status, 200U);
}

TEST(HttpServerTest, EndsAConnectionWithItsAnswer) {
    testing::FakeSource source;
    auto server = HttpServer::start(short_limits(), routes_of(source));
    ASSERT_TRUE(server);
    Client client((*server)->port());
    client.send("GET /open HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string((*server)->port()) +
                "\r\n\r\n");
    const std::string answer = client.read("", 20s);
    EXPECT_NE(answer.find(" 200 "), std::string::npos);
    EXPECT_NE(answer.find("Connection: close"), std::string::npos);
    EXPECT_TRUE(client.ended());
}

TEST(HttpServerTest, HasAMostOfConnections) {
    testing::FakeSource source;
    HttpOptions options = short_limits();
    options.connections.request = 60s;
    auto server = HttpServer::start(options, routes_of(source));
    ASSERT_TRUE(server);
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 8; ++i) {
        clients.push_back(std::make_unique<Client>((*server)->port()));
        clients.back()->send("GET ");
    }
    Client more((*server)->port());
    more.send("GET ");
    more.read("", 10s);
    EXPECT_TRUE(more.ended());
    for (auto &client : clients) {
        client->read("", 1ms);
        EXPECT_FALSE(client->ended());
    }
}

TEST(HttpServerTest, MakesNoPicturesForWhoDoesNotTakeThem) {
    testing::FakeSource source;
    source.set_jpeg(4U << 20);
    HttpOptions options = short_limits();
    options.stall = 3s;
    auto server = HttpServer::start(options, routes_of(source));
    ASSERT_TRUE(server);
    const std::string head =
        "GET /live HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string((*server)->port()) +
        "\r\n\r\n";
    Client slow((*server)->port());
    slow.send(head);
    const auto before = resident_bytes();
    std::this_thread::sleep_for(1s);
    // 25 pictures of 4 MiB would have been made for a client that takes all.
    EXPECT_LE(source.jpegs_taken(), 5U);
    EXPECT_LT(resident_bytes(), before + (48U << 20));
    // One beside it is served all the same, and then the slow one's connection is ended.
    Client quick((*server)->port());
    quick.send(head);
    quick.read("--sphere-frame\r\nContent-Type: image/jpeg", 10s);
    EXPECT_FALSE(quick.ended());
    // Those who are ended leave the counts.
    for (int i = 0; i < 200 && (*server)->counts().streams != 0; ++i)
        std::this_thread::sleep_for(50ms);
    EXPECT_EQ((*server)->counts().streams, 0U) << "both stopped reading";
}

TEST(HttpServerTest, SaysWhereItCannotListen) {
    testing::FakeSource source;
    auto first = HttpServer::start(short_limits(), routes_of(source));
    ASSERT_TRUE(first);
    HttpOptions same = short_limits();
    same.port = (*first)->port();
    const auto second = HttpServer::start(same, routes_of(source));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::Io);
    HttpOptions name = short_limits();
    name.address = "localhost";
    const auto third = HttpServer::start(name, routes_of(source));
    ASSERT_FALSE(third);
    EXPECT_EQ(third.error().code, Errc::InvalidArgument);
}

} // namespace
} // namespace sphere::console
