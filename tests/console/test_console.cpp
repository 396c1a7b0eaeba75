// SPDX-License-Identifier: MIT
// The console's addresses, with cameras that are made up and a gallery that is real.
#include "fake_source.h"
#include "http_client.h"
#include "pipelines/console/console.h"
#include "pipelines/console/event_history.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace sphere::console {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::Answer;
using testing::Client;

constexpr int kDims = 8;

EmbeddingStamp stamp() {
    EmbeddingStamp stamp;
    stamp.model = "test";
    stamp.sha256 = std::string(64, '0');
    stamp.dims = kDims;
    return stamp;
}

Enrolment face_of(const std::string &person, int axis, bool picture) {
    Enrolment face;
    face.person_id = person;
    face.source = person + ".jpg";
    face.embedding.assign(kDims, 0.0F);
    face.embedding[static_cast<std::size_t>(axis)] = 1.0F;
    if (picture)
        face.thumbnail_jpeg = {0xff, 0xd8, 0xff, 0xd9};
    return face;
}

class ConsoleTest : public ::testing::Test {
  protected:
    void SetUp() override {
        directory_ = std::filesystem::temp_directory_path() /
                     ("sphere-console-" + std::to_string(getpid()));
        std::filesystem::remove_all(directory_);
        std::filesystem::create_directories(directory_);
        const std::string gallery = directory_ / "people.gallery";
        auto store = open_store(gallery, OpenMode::CreateIfMissing);
        ASSERT_TRUE(store) << store.error().message;
        ASSERT_TRUE((*store)->enrol(stamp(), {face_of("ada", 0, true), face_of("ada", 1, false),
                                              face_of("<b>bob</b>", 2, false)}));
        auto admin = open_people_admin(gallery);
        ASSERT_TRUE(admin);
        RecordSight sight;
        sight.camera = "door";
        sight.at_ms = 1'700'000'000'000;
        sight.stamp = stamp();
        sight.face = face_of("", 3, true);
        ASSERT_TRUE((*admin)->apply({sight}));
        source_ = std::make_unique<testing::FakeSource>(gallery);
        options_.port = 0;
        options_.token_file = directory_ / "console.token";
        auto console = Console::start(options_, *source_);
        ASSERT_TRUE(console) << console.error().message;
        console_ = std::move(*console);
        const std::string login = console_->login_address();
        token_ = login.substr(login.find("#token=") + 7);
        ASSERT_EQ(token_.size(), 64U);
    }
    void TearDown() override {
        console_.reset();
        std::filesystem::remove_all(directory_);
    }

    std::string bearer() const { return "Authorization: Bearer " + token_ + "\r\n"; }
    std::string origin() const {
        return "Origin: http://127.0.0.1:" + std::to_string(console_->port()) + "\r\n";
    }
    Answer get(const std::string &target, const std::string &headers) const {
        return testing::request(console_->port(), "GET", target, headers);
    }
    Answer get(const std::string &target) const { return get(target, bearer()); }
    Answer post(const std::string &target, const json &body, const std::string &headers) const {
        return testing::request(console_->port(), "POST", target,
                                "Content-Type: application/json\r\n" + headers, body.dump());
    }
    Answer post(const std::string &target, const json &body) const {
        return post(target, body, bearer());
    }
    /// The Cookie header of a session.
    std::string sign_in() const {
        const Answer answer = post("/api/login", {{"token", token_}}, origin());
        EXPECT_EQ(answer.status, 200U) << answer.body;
        const auto begin = answer.head.find("Set-Cookie: ") + 12;
        return "Cookie: " + answer.head.substr(begin, answer.head.find(';', begin) - begin) +
               "\r\n";
    }

    std::filesystem::path directory_;
    ConsoleOptions options_;
    std::unique_ptr<testing::FakeSource> source_;
    std::unique_ptr<Console> console_;
    std::string token_;
};

CameraEvent event_of(const std::string &id, const std::string &kind) {
    CameraEvent event;
    event.at_ms = 1'700'000'000'000;
    event.camera = "door";
    event.event = kind;
    event.id = event.label = id;
    event.state = "known";
    event.track = 7;
    event.best_shot = std::make_shared<const std::vector<std::uint8_t>>(
        std::vector<std::uint8_t>{0xff, 0xd8, 1, 2, 3});
    return event;
}

TEST_F(ConsoleTest, NothingIsToldWithoutAToken) {
    for (const char *target : {"/api/cameras", "/api/events", "/api/people?gallery=g1",
                               "/live/door.mjpeg", "/still/door.jpg", "/api/stream"}) {
        EXPECT_EQ(get(target, "").status, 401U) << target;
        EXPECT_EQ(get(target, "Authorization: Bearer " + std::string(64, '0') + "\r\n").status,
                  401U)
            << target;
    }
    EXPECT_EQ(get("/api/cameras").status, 200U);
    const std::string cookie = "Cookie: sphere_console_" + std::to_string(console_->port());
    EXPECT_EQ(get("/api/cameras", cookie + "=1.0\r\n").status, 401U);
}

TEST_F(ConsoleTest, WrongTokensAreFewAndDoNotShutOutWhoIsSignedIn) {
    const std::string cookie = sign_in();
    unsigned last = 0;
    for (int i = 0; i < 11; ++i)
        last = post("/api/login", {{"token", "x"}}, origin()).status;
    EXPECT_EQ(last, 429U);
    const Answer refused = post("/api/login", {{"token", token_}}, origin());
    EXPECT_EQ(refused.status, 429U);
    EXPECT_TRUE(refused.has("Retry-After:"));
    EXPECT_EQ(get("/api/cameras").status, 429U) << "by the token neither";
    EXPECT_EQ(get("/api/cameras", cookie).status, 200U);
}

TEST_F(ConsoleTest, OnlyItsOwnNamesAreAnswered) {
    const unsigned port = console_->port();
    for (const char *host : {"evil.example", "", "169.254.1.1"})
        EXPECT_GE(testing::request(port, "GET", "/", "", "", host).status, 400U) << host;
    EXPECT_EQ(testing::request(port, "GET", "/", "", "", "evil.example").status, 403U);
    EXPECT_EQ(
        testing::request(port, "GET", "/api/cameras", bearer(), "", "evil.example").status,
        403U);
    EXPECT_EQ(testing::request(port, "GET", "/", "", "", "localhost").status, 200U);
}

TEST_F(ConsoleTest, PagesOfOthersCanDoNothing) {
    const std::string cookie = sign_in();
    const json body{{"camera", "door"}, {"track", 7}, {"name", "Eve"}};
    for (const std::string from :
         {"Origin: http://evil.example\r\n", "Origin: null\r\n", "",
          "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n",
          "Origin: http://127.0.0.1:1\r\n"})
        EXPECT_EQ(post("/api/enrol", body, cookie + from).status, 403U) << from;
    EXPECT_TRUE(source_->enrolled().empty());
    EXPECT_EQ(get("/live/door.mjpeg", cookie + "Sec-Fetch-Site: cross-site\r\n").status, 403U);
    EXPECT_EQ(post("/api/login", {{"token", token_}}, "Origin: http://evil.example\r\n").status,
              403U);
    EXPECT_EQ(post("/api/enrol", body, cookie + origin()).status, 200U);
    ASSERT_EQ(source_->enrolled().size(), 1U);
    EXPECT_EQ(source_->enrolled().front().second, "Eve");
}

TEST_F(ConsoleTest, TheSessionIsForThisServerAlone) {
    const Answer answer = post("/api/login", {{"token", token_}}, origin());
    EXPECT_TRUE(answer.has("HttpOnly"));
    EXPECT_TRUE(answer.has("SameSite=Strict"));
    EXPECT_FALSE(answer.has(token_));
    const std::string cookie = sign_in();
    EXPECT_EQ(get("/api/cameras", cookie).status, 200U);
    EXPECT_TRUE(post("/api/logout", json::object(), cookie + origin()).has("Max-Age=0"));
}

TEST_F(ConsoleTest, EveryAnswerKeepsABrowserIn) {
    for (const char *target : {"/", "/style.css", "/app.js", "/nothing", "/api/cameras"}) {
        const Answer answer = get(target);
        EXPECT_TRUE(answer.has("Content-Security-Policy: default-src 'self'")) << target;
        EXPECT_TRUE(answer.has("X-Content-Type-Options: nosniff")) << target;
        EXPECT_TRUE(answer.has("Cross-Origin-Resource-Policy: same-origin")) << target;
        EXPECT_FALSE(answer.has("Access-Control-Allow")) << target;
    }
    const Answer page = get("/", "");
    EXPECT_EQ(page.status, 200U);
    EXPECT_NE(page.body.find("<!doctype html>"), std::string::npos);
    EXPECT_EQ(page.body.find("http://"), std::string::npos) << "nothing from elsewhere";
    EXPECT_TRUE(get("/app.js", "").has("text/javascript"));
}

TEST_F(ConsoleTest, OnlyWhatIsThereIsServed) {
    for (const char *target :
         {"/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/index.html/../../etc/passwd",
          "//etc/passwd", "/style.css/", "/.git/config", "/still/../../etc/passwd.jpg",
          "/live/nobody.mjpeg", "/live/door.exe", "/api/events/../1.jpg",
          "/api/face.jpg?gallery=/etc/passwd&face=1", "/api/people?gallery=/etc/passwd"})
        EXPECT_EQ(get(target).status, 404U) << target;
    for (const char *target : {"/..%2f..%2fetc%2fpasswd", "/still/..%2fetc%2fpasswd.jpg"})
        EXPECT_EQ(get(target).status, 400U) << target;
    EXPECT_EQ(testing::request(console_->port(), "DELETE", "/api/people", bearer()).status,
              405U);
    EXPECT_TRUE(get("/api/enrol").has("Allow: POST"));
}

TEST_F(ConsoleTest, BodiesAreBounded) {
    const std::string type = "Content-Type: application/json\r\n";
    const auto with = [&](const std::string &headers, const std::string &body) {
        return testing::request(console_->port(), "POST", "/api/enrol", bearer() + headers,
                                body)
            .status;
    };
    EXPECT_EQ(with(type, std::string(65 * 1024, 'x')), 413U);
    EXPECT_EQ(with(type + "Content-Length: 99999999999\r\n", "x"), 413U);
    EXPECT_EQ(with(type + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
                   "2\r\n{}\r\n0\r\n\r\n"),
              411U);
    EXPECT_EQ(with("Content-Type: text/plain\r\n", "{}"), 415U);
    for (const char *body : {"", "{", "[]", "null", "{\"track\":\"7\"}", "\xff"})
        EXPECT_EQ(with(type, body), 400U) << body;
    EXPECT_EQ(with(type, std::string(60'000, '[')), 400U) << "deeply nested";
}

TEST_F(ConsoleTest, CamerasAndEvents) {
    json cameras = json::parse(get("/api/cameras").body);
    ASSERT_EQ(cameras["cameras"].size(), 1U);
    EXPECT_EQ(cameras["cameras"][0]["name"], "door");
    EXPECT_EQ(cameras["cameras"][0]["gallery"], "g1");
    EXPECT_EQ(cameras["cameras"][0]["faces"][0]["track"], 7);
    EXPECT_EQ(cameras["galleries"][0]["shown"], "people.gallery");
    EXPECT_EQ(get("/api/cameras").body.find(directory_.string()), std::string::npos);

    source_->emit(event_of("ada", "appeared"));
    source_->emit(event_of("ada", "left"));
    const json events = json::parse(get("/api/events?most=1").body)["events"];
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0]["event"], "left");
    const std::string number = std::to_string(events[0]["number"].get<int>());
    const Answer shot = get("/api/events/" + number + ".jpg");
    EXPECT_EQ(shot.status, 200U);
    EXPECT_TRUE(shot.has("image/jpeg"));
    EXPECT_EQ(shot.body.size(), 5U);
    const json older = json::parse(get("/api/events?before=" + number).body)["events"];
    ASSERT_EQ(older.size(), 1U);
    EXPECT_EQ(older[0]["event"], "appeared");
}

TEST_F(ConsoleTest, TheStreamTellsOfEventsAndOfTheGallery) {
    Client page(console_->port());
    page.send("GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:" +
              std::to_string(console_->port()) + "\r\n" + bearer() + "\r\n");
    EXPECT_NE(page.read("event: status", 10s).find("text/event-stream"), std::string::npos);
    source_->emit(event_of("ada\nevent: forged", "identified"));
    const std::string text = page.read("event: event\ndata: {", 10s);
    EXPECT_NE(text.find("event: event\ndata: {"), std::string::npos);
    EXPECT_EQ(page.read("\nevent: forged", 200ms).find("\nevent: forged"), std::string::npos);
    page.read("", 500ms); // the watcher knows the gallery by now
    ASSERT_EQ(post("/api/people/rename", {{"gallery", "g1"}, {"id", "ada"}, {"name", "Ada L"}})
                  .status,
              200U);
    EXPECT_NE(page.read("event: gallery", 10s).find("event: gallery"), std::string::npos);
    // What the page lists of Ada has another name now.
    EXPECT_NE(page.read("event: history", 10s).find("event: history"), std::string::npos);
}

TEST_F(ConsoleTest, LivePictures) {
    EXPECT_EQ(get("/still/door.jpg").status, 204U) << "none yet";
    source_->set_jpeg(1000);
    const Answer still = get("/still/door.jpg");
    EXPECT_EQ(still.status, 200U);
    EXPECT_EQ(still.body.size(), 1000U);
    EXPECT_TRUE(still.has("X-Sequence:"));
    Client page(console_->port());
    page.send("GET /live/door.mjpeg HTTP/1.1\r\nHost: 127.0.0.1:" +
              std::to_string(console_->port()) + "\r\n" + bearer() + "\r\n");
    const std::string part = "--sphere-frame\r\nContent-Type: image/jpeg\r\n"
                             "Content-Length: 1000\r\n\r\n";
    const std::string text = page.read(part, 10s);
    EXPECT_NE(text.find("multipart/x-mixed-replace; boundary=sphere-frame"), std::string::npos);
    EXPECT_NE(text.find(part), std::string::npos);
}

TEST_F(ConsoleTest, PeopleAreListedRenamedAndRemoved) {
    json people = json::parse(get("/api/people?gallery=g1").body);
    ASSERT_EQ(people["people"].size(), 2U) << "strangers are none";
    EXPECT_EQ(json::parse(get("/api/people?gallery=g1&q=ADA").body)["matching"], 1);
    json ada;
    for (const json &person : people["people"])
        if (person["id"] == "ada")
            ada = person;
    EXPECT_EQ(ada["faces"], 2);
    const Answer picture =
        get("/api/face.jpg?gallery=g1&face=" + std::to_string(ada["picture"].get<int>()));
    EXPECT_EQ(picture.status, 200U);
    EXPECT_EQ(picture.body.size(), 4U);
    const json faces = json::parse(get("/api/people/faces?gallery=g1&id=ada").body)["faces"];
    ASSERT_EQ(faces.size(), 2U);
    EXPECT_EQ(post("/api/faces/remove", {{"gallery", "g1"}, {"face", faces[1]["face"]}}).status,
              200U);
    for (const char *name : {"", "  ", "a\nb", "unknown-4"})
        EXPECT_EQ(post("/api/people/rename", {{"gallery", "g1"}, {"id", "ada"}, {"name", name}})
                      .status,
                  400U)
            << name;
    EXPECT_EQ(post("/api/people/rename", {{"gallery", "g1"}, {"id", "ada"}, {"name", " Ada "}})
                  .status,
              200U);
    EXPECT_EQ(
        post("/api/people/rename", {{"gallery", "g1"}, {"id", "nobody"}, {"name", "B"}}).status,
        404U);
    source_->emit(event_of("Ada", "appeared"));
    EXPECT_EQ(post("/api/people/remove", {{"gallery", "g1"}, {"id", "Ada"}}).status, 400U);
    EXPECT_EQ(post("/api/people/remove", {{"gallery", "g1"}, {"id", "Ada"}, {"confirm", "Ada"}})
                  .status,
              200U);
    EXPECT_EQ(json::parse(get("/api/people?gallery=g1").body)["all"], 1);
    // A camera that has not heard of it yet says so once more.
    source_->emit(event_of("Ada", "left"));
    EXPECT_TRUE(json::parse(get("/api/events").body)["events"].empty()) << "nor in the events";
}

TEST_F(ConsoleTest, StrangersAreNamed) {
    json strangers = json::parse(get("/api/strangers?gallery=g1").body)["strangers"];
    ASSERT_EQ(strangers.size(), 1U);
    EXPECT_EQ(strangers[0]["id"], "unknown-1");
    EXPECT_TRUE(strangers[0]["picture"].is_number());
    source_->emit(event_of("unknown-1", "appeared"));
    EXPECT_EQ(post("/api/strangers/promote",
                   {{"gallery", "g1"}, {"stranger", "unknown-1"}, {"name", "Grace"}})
                  .status,
              200U);
    EXPECT_EQ(json::parse(get("/api/people?gallery=g1&q=grace").body)["matching"], 1);
    EXPECT_EQ(json::parse(get("/api/events").body)["events"][0]["label"], "Grace");
    // A camera that has not heard of it yet.
    source_->emit(event_of("unknown-1", "left"));
    const json left = json::parse(get("/api/events").body)["events"][0];
    EXPECT_EQ(left["event"], "left");
    EXPECT_EQ(left["id"], "Grace");
    EXPECT_EQ(post("/api/strangers/promote",
                   {{"gallery", "g1"}, {"stranger", "unknown-1"}, {"name", "Grace"}})
                  .status,
              404U);
}

TEST_F(ConsoleTest, MetricsAreWhatPrometheusReads) {
    source_->rename_camera("a\"b\\c\nd");
    const Answer answer = get("/metrics", "");
    ASSERT_EQ(answer.status, 200U);
    EXPECT_TRUE(answer.has("text/plain; version=0.0.4"));
    const std::string &text = answer.body;
    EXPECT_NE(text.find("sphere_camera_frames_total{camera=\"a\\\"b\\\\c\\nd\"} 42\n"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("sphere_events_lost_total 3\n"), std::string::npos);
    EXPECT_NE(text.find("sphere_camera_delay_seconds{camera=\"a\\\"b\\\\c\\nd\",quantile=\"0."
                        "99\"} 0.034\n"),
              std::string::npos)
        << text;
    EXPECT_EQ(text.find("unknown-1"), std::string::npos) << "names of nobody";
    // Every sample's family was announced, once, with help and type before it.
    std::map<std::string, int> families;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("# TYPE ")) {
            std::istringstream words(line);
            std::string hash, type, name, kind;
            words >> hash >> type >> name >> kind;
            EXPECT_EQ(families[name]++, 0) << name;
            EXPECT_EQ(kind == "counter", name.ends_with("_total")) << name;
            EXPECT_NE(text.find("# HELP " + name + " "), std::string::npos);
        } else if (!line.starts_with("#")) {
            EXPECT_TRUE(families.contains(line.substr(0, line.find_first_of("{ ")))) << line;
        }
    }
}

TEST_F(ConsoleTest, ManyAtOnce) {
    source_->set_jpeg(10'000);
    std::vector<std::thread> threads;
    std::atomic<int> good{0};
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int k = 0; k < 10; ++k) {
                good += get("/api/people?gallery=g1").status == 200U ? 1 : 0;
                source_->emit(event_of("ada", "appeared"));
                Client stream(console_->port());
                stream.send("GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:" +
                            std::to_string(console_->port()) + "\r\n" + bearer() + "\r\n");
                stream.read("event: hello", 10s); // and gone
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(good, 40);
}

TEST_F(ConsoleTest, EventsAreKeptInAFileWhereOneIsNamed) {
    const std::string path = directory_ / "events.jsonl";
    {
        auto history = EventHistory::open(path, {3, 1 << 20});
        ASSERT_TRUE(history) << history.error().message;
        for (int i = 0; i < 12; ++i)
            (*history)->add(event_of("ada" + std::to_string(i), "appeared"));
        (*history)->rename("ada10", "Grace");
    }
    struct stat info {};
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
    std::ofstream(path, std::ios::app) << "{\"camera\": \"do"; // the power went
    auto history = EventHistory::open(path, {3, 1 << 20});
    ASSERT_TRUE(history) << history.error().message;
    const auto events = (*history)->list(0, 10);
    ASSERT_EQ(events.size(), 3U);
    EXPECT_EQ(events[0].id, "ada11");
    EXPECT_EQ(events[1].id, "Grace");
    ASSERT_TRUE((*history)->shot(events[0].sequence));
    EXPECT_EQ((*history)->shot(events[0].sequence)->size(), 5U);
    (*history)->forget("ada11");
    std::ifstream file(path);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    EXPECT_EQ(text.find("ada11"), std::string::npos);
    EXPECT_FALSE((*history)->add(event_of("ada11", "left")));
    (*history)->welcome("ada11");
    EXPECT_TRUE((*history)->add(event_of("ada11", "appeared"))) << "enrolled again";
    // Pictures are bounded by their bytes.
    auto small = EventHistory::open("", {100, 12});
    ASSERT_TRUE(small);
    for (int i = 0; i < 4; ++i)
        (*small)->add(event_of("ada", "appeared"));
    EXPECT_EQ((*small)->shot(2), nullptr);
    EXPECT_NE((*small)->shot(4), nullptr);
    std::ofstream(directory_ / "other.txt") << "a\nb\nc\n";
    EXPECT_FALSE(EventHistory::open(directory_ / "other.txt", {}));
}

} // namespace
} // namespace sphere::console
