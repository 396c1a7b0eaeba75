// SPDX-License-Identifier: MIT
// sphere-camera's configuration: what is read, what is refused and how, and that passwords stay
// hidden.
#include "pipelines/camera/backoff.h"
#include "pipelines/camera/camera_config.h"
#include "pipelines/camera/uri.h"
#include "tests/support/temporary_directory.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <sys/stat.h>

using namespace sphere::camera;
using sphere::Errc;
using sphere::testing_support::TemporaryDirectory;

namespace {

std::string error_of(const std::string &text) {
    const auto config = parse_fleet_config(text, "file.json");
    return config ? "no error" : config.error().message;
}

std::string with_camera(const std::string &members) {
    return R"({"cameras": [{"name": "door", "uri": "rtsp://host/a")" +
           (members.empty() ? "" : ", " + members) + "}]}";
}

} // namespace

TEST(CameraConfig, ReadsEveryKey) {
    const auto config = parse_fleet_config(R"({
        // notes are allowed
        "defaults": {"gallery": "people.db", "recognition": {"inference-interval": 3},
                     "recording": {"directory": "rec", "pre_roll_ms": 2000}},
        "http": {"port": 0, "address": "::1", "token_file": "token"},
        "cameras": [
          {"name": "door", "uri": "rtsp://me:p%40ss@host:554/a?x=1", "transport": "udp",
           "latency_ms": 0, "recognition": {"collect-unknown": true},
           "publish": [{"location": "door.jsonl", "embeddings": true}],
           "recording": {"max_bytes": 1048576, "events": ["left"]}},
          {"name": "clip", "uri": "clip.mp4", "loop": true, "realtime": false,
           "recording": null}]})",
                                           "file.json");
    ASSERT_TRUE(config.ok()) << config.error().message;
    ASSERT_EQ(config->cameras.size(), 2U);
    const CameraConfig &door = config->cameras[0];
    EXPECT_EQ(door.uri, "rtsp://host:554/a?x=1");
    EXPECT_EQ(door.user, "me");
    EXPECT_EQ(door.password, "p@ss");
    EXPECT_EQ(door.transport, Transport::Udp);
    EXPECT_EQ(door.latency_ms, 0U);
    EXPECT_EQ(door.gallery, "people.db");
    EXPECT_EQ(door.recognition.at("inference-interval"), "3");
    EXPECT_EQ(door.recognition.at("collect-unknown"), "true");
    EXPECT_EQ(door.publish.at(0).at("embeddings"), "true");
    EXPECT_EQ(door.recording.directory, "rec");
    EXPECT_EQ(door.recording.pre_roll_ms, 2000U);
    EXPECT_EQ(door.recording.max_bytes, 1048576U);
    EXPECT_EQ(door.recording.events, std::vector<std::string>{"left"});
    const CameraConfig &clip = config->cameras[1];
    EXPECT_TRUE(clip.loop);
    EXPECT_FALSE(clip.realtime);
    EXPECT_TRUE(clip.recording.directory.empty()) << "null takes a default away";
    EXPECT_TRUE(config->http.enabled);
    EXPECT_EQ(config->http.port, 0U);
    EXPECT_EQ(config->http.address, "::1");
    EXPECT_FALSE(parse_fleet_config(with_camera(""), "file.json")->http.enabled);
}

TEST(CameraConfig, ErrorsNameFileAndKey) {
    const std::vector<std::pair<std::string, std::string>> faults = {
        {"{", "file.json: is not JSON"},
        {"[]", "file.json: must be an object"},
        {"{}", "file.json: cameras: is missing"},
        {R"({"cameras": {}})", "file.json: cameras: must be a list"},
        {R"({"cameras": [1]})", "file.json: cameras[0]: must be an object"},
        {R"({"cameras": [], "camera": []})", "file.json: camera: there is no such key"},
        {R"({"cameras": [{"uri": "x"}]})", "cameras[0].name: must be 1 to 64"},
        {R"({"cameras": [{"name": "../x", "uri": "x"}]})", "cameras[0].name: must be"},
        {R"({"cameras": [{"name": "a"}]})", "cameras[0].uri: is missing"},
        {R"({"cameras": [{"name": "a", "uri": "x"}, {"name": "a", "uri": "y"}]})",
         "cameras[1].name: there is another"},
        {with_camera(R"("latency": 1)"), "cameras[0].latency: there is no such key"},
        {with_camera(R"("latency_ms": "1")"), "cameras[0].latency_ms: must be a whole number"},
        {with_camera(R"("latency_ms": 1.5)"), "from 0 to 60000"},
        {with_camera(R"("latency_ms": -1)"), "from 0 to 60000"},
        {with_camera(R"("latency_ms": 60001)"), "from 0 to 60000"},
        {with_camera(R"("loop": 1)"), "cameras[0].loop: must be true or false"},
        {with_camera(R"("gallery": 1)"), "cameras[0].gallery: must be text"},
        {with_camera(R"("transport": "http")"), "cameras[0].transport: is tcp, udp or auto"},
        {with_camera(R"("recognition": [])"), "cameras[0].recognition: must be an object"},
        {with_camera(R"("recognition": {"a": {}})"), "cameras[0].recognition.a: must be text"},
        {with_camera(R"("publish": [1])"), "cameras[0].publish[0]: must be an object"},
        {with_camera(R"("recording": {})"), "cameras[0].recording.directory: is missing"},
        {with_camera(R"("recording": {"directory": "d", "events": ["x"]})"),
         "cameras[0].recording.events: are appeared"},
        {with_camera(R"("reconnect_initial_ms": 5000)"), "cameras[0].reconnect_max_ms: must"},
        {with_camera(R"("password_env": "SPHERE_NOT_SET")"),
         "cameras[0].password_env: the environment has no SPHERE_NOT_SET"},
        {with_camera(R"("password_file": "/dev/zero")"), "/dev/zero is not a file"},
        {with_camera(R"("password": "a", "password_env": "HOME")"),
         "cameras[0].password: stands in one"},
        {R"({"cameras": [], "http": {"port": 65536}})", "file.json: http.port: must be"},
        {std::string(2 << 20, ' '), "file.json: is larger than 1 MiB"},
    };
    for (const auto &[text, message] : faults)
        EXPECT_NE(error_of(text).find(message), std::string::npos)
            << text.substr(0, 200) << " gave: " << error_of(text);
}

TEST(CameraConfig, PasswordsComeFromElsewhere) {
    const TemporaryDirectory directory;
    setenv("SPHERE_TEST_PASSWORD", "from environment", 1);
    auto config = parse_fleet_config(
        with_camera(R"("user": "me", "password_env": "SPHERE_TEST_PASSWORD")"), "file.json");
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(config->cameras[0].user, "me");
    EXPECT_EQ(config->cameras[0].password, "from environment");

    const std::string file = directory.path() + "/password";
    directory.write("password", "from file\n");
    const std::string text = with_camera(R"("password_file": ")" + file + "\"");
    chmod(file.c_str(), 0644);
    const auto refused = parse_fleet_config(text, "file.json");
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, Errc::Permission);
    EXPECT_NE(refused.error().message.find("chmod 600"), std::string::npos);
    chmod(file.c_str(), 0600);
    config = parse_fleet_config(text, "file.json");
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(config->cameras[0].password, "from file");
}

TEST(CameraConfig, AFileWithAPasswordIsItsOwnersAlone) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/cameras.json";
    const auto load_with_mode = [&](const std::string &text, mode_t mode) {
        directory.write("cameras.json", text);
        chmod(path.c_str(), mode);
        const auto config = load_fleet_config(path);
        return config ? std::string("loaded") : config.error().message;
    };
    EXPECT_EQ(load_with_mode(with_camera(""), 0644), "loaded");
    const std::string secret = R"({"cameras": [{"name": "a", "uri": "rtsp://u:pw@host/"}]})";
    EXPECT_EQ(load_with_mode(secret, 0600), "loaded");
    EXPECT_NE(load_with_mode(secret, 0640).find("chmod 600"), std::string::npos);
    EXPECT_NE(load_with_mode(with_camera(R"("password": "pw")"), 0604).find("chmod 600"),
              std::string::npos);
    EXPECT_EQ(load_fleet_config(directory.path() + "/none.json").error().code, Errc::NotFound);
}

TEST(CameraConfig, AddressesAreSplit) {
    const auto split = [](const char *uri) {
        const auto address = split_address(uri);
        return address ? address->uri + "|" + address->user + "|" + address->password
                       : std::string("error");
    };
    EXPECT_EQ(split("rtsp://host/a"), "rtsp://host/a||");
    EXPECT_EQ(split("rtsp://u@host/a"), "rtsp://host/a|u|");
    EXPECT_EQ(split("rtsp://u:a@b:c@host:554"), "rtsp://host:554|u|a@b:c");
    EXPECT_EQ(split("rtsp://u:%2F%3f@[::1]:554/a@b"), "rtsp://[::1]:554/a@b|u|/?");
    EXPECT_EQ(split("rtsp://u:pa/ss@host/a"), "error") << "where does the password end?";
    EXPECT_EQ(split("/a/b@c.mp4"), "/a/b@c.mp4||");
    EXPECT_EQ(split("file:///a/b@c.mp4"), "file:///a/b@c.mp4||");
    EXPECT_EQ(split("test:ball"), "test:ball||");
}

TEST(CameraConfig, SecretsAreHidden) {
    EXPECT_EQ(without_secrets("at rtsp://u:p@host/a, and http://v@h"),
              "at rtsp://***@host/a, and http://***@h");
    EXPECT_EQ(without_secrets("rtsp://u:p/q@host/a"), "rtsp://***@host/a");
    EXPECT_EQ(without_secrets("bad hunter2 and hunter2", "hunter2"), "bad *** and ***");
    EXPECT_EQ(without_secrets("nothing"), "nothing");
    EXPECT_EQ(without_secrets("://"), "://");
}

TEST(CameraConfig, BackoffDoublesToItsBound) {
    using std::chrono::milliseconds;
    Backoff backoff(milliseconds(100), milliseconds(400), 1);
    for (const int expected : {100, 200, 400, 400, 400}) {
        const auto wait = backoff.next();
        EXPECT_GE(wait, milliseconds(expected * 8 / 10));
        EXPECT_LE(wait, milliseconds(expected * 12 / 10));
    }
    backoff.reset();
    EXPECT_LE(backoff.next(), milliseconds(120));
}
