// SPDX-License-Identifier: MIT
// Cameras side by side with made-up pictures and fake models: states, events, pictures,
// enrolment, and that one that fails leaves the others alone.
#include "core/gallery/store.h"
#include "pipelines/camera/camera_fleet.h"
#include "tests/gst/match_support.h"

#include <atomic>
#include <chrono>
#include <gtest/gtest.h>
#include <mutex>
#include <thread>

using namespace sphere::camera;
using namespace std::chrono_literals;
using sphere::Errc;

namespace {

CameraConfig camera(const std::string &name, const std::string &uri,
                    const std::string &gallery) {
    CameraConfig config;
    config.name = name;
    config.uri = uri;
    config.width = 320;
    config.height = 240;
    config.framerate = 25;
    config.gallery = gallery;
    config.reconnect_initial_ms = 50;
    config.reconnect_max_ms = 200;
    config.recognition = {{"detect-model", "fake-detect"},
                          {"embed-model", "fake-embed"},
                          {"inference-interval", "1"}};
    return config;
}

template <typename Condition> bool soon(const Condition &condition) {
    for (int i = 0; i < 1200; ++i) {
        if (condition())
            return true;
        std::this_thread::sleep_for(50ms);
    }
    return false;
}

CameraState state_of(const CameraFleet &fleet, const std::string &name) {
    const auto status = fleet.status(name);
    return status ? status->state : CameraState::Stopped;
}

std::uint64_t frames_of(const CameraFleet &fleet, const std::string &name) {
    const auto status = fleet.status(name);
    return status ? status->frames : 0;
}

class CameraFleetTest : public testing::Test {
  protected:
    sphere_test::TempDir directory_;
    const std::string gallery_ = directory_ / "people.db";
    CameraFleet fleet_;
};

} // namespace

TEST_F(CameraFleetTest, PlaysAndDescribesItself) {
    ASSERT_TRUE(fleet_.add(camera("door", "test:ball", gallery_)).ok());
    ASSERT_TRUE(soon([&] { return frames_of(fleet_, "door") >= 30; }));
    const auto status = fleet_.status("door");
    ASSERT_TRUE(status);
    EXPECT_EQ(status->state, CameraState::Playing);
    EXPECT_EQ(status->width, 320);
    EXPECT_EQ(status->height, 240);
    EXPECT_EQ(status->uri, "test:ball");
    EXPECT_GT(status->frames_per_second, 0);
    EXPECT_GT(status->delay_p50_ms, 0);
    EXPECT_GE(status->delay_p99_ms, status->delay_p50_ms);
    EXPECT_EQ(status->reconnects, 0U);
    EXPECT_TRUE(status->last_error.empty()) << status->last_error;
    EXPECT_GE(status->last_frame_age_ms, 0);
    ASSERT_FALSE(status->faces.empty());
    EXPECT_GE(status->faces[0].track, 0);
    EXPECT_EQ(status->faces[0].state, "unknown");
    EXPECT_GT(status->faces[0].w, 0);
    EXPECT_GE(status->element_stats.at("detect").at("frames"), 30);
    EXPECT_TRUE(fleet_.gallery_of("door") == gallery_);

    EXPECT_EQ(fleet_.add(camera("door", "test:", gallery_)).error().code,
              Errc::InvalidArgument);
    EXPECT_EQ(fleet_.add(camera("../door", "test:", gallery_)).error().code,
              Errc::InvalidArgument);
    EXPECT_TRUE(fleet_.remove("door").ok());
    EXPECT_EQ(fleet_.remove("door").error().code, Errc::NotFound);
    EXPECT_TRUE(fleet_.statuses().empty());
}

TEST_F(CameraFleetTest, AFailingCameraLeavesTheOthersAlone) {
    ASSERT_TRUE(fleet_.add(camera("hall", "test:ball", gallery_)).ok());
    ASSERT_TRUE(fleet_.add(camera("gone", directory_ / "none.mp4", gallery_)).ok());
    CameraConfig wrong = camera("wrong", "test:ball", gallery_);
    wrong.recognition["galery"] = "x";
    ASSERT_TRUE(fleet_.add(wrong).ok());
    ASSERT_TRUE(soon([&] {
        const auto gone = fleet_.status("gone");
        return gone && gone->reconnects >= 3;
    }));
    EXPECT_NE(fleet_.status("gone")->last_error.find("none.mp4"), std::string::npos)
        << fleet_.status("gone")->last_error;
    EXPECT_EQ(state_of(fleet_, "wrong"), CameraState::Failed);
    EXPECT_NE(fleet_.status("wrong")->last_error.find("galery"), std::string::npos);
    const std::uint64_t frames = frames_of(fleet_, "hall");
    EXPECT_TRUE(soon([&] { return frames_of(fleet_, "hall") > frames + 10; }));
    EXPECT_EQ(fleet_.status("hall")->reconnects, 0U);
    // One that dies while it plays.
    ASSERT_TRUE(fleet_.add(camera("dies", "test:ball", gallery_)).ok());
    ASSERT_TRUE(soon([&] { return frames_of(fleet_, "dies") > 5; }));
    ASSERT_TRUE(fleet_.remove("dies").ok());
    const std::uint64_t later = frames_of(fleet_, "hall");
    EXPECT_TRUE(soon([&] { return frames_of(fleet_, "hall") > later + 10; }));
}

TEST_F(CameraFleetTest, LiveViewIsMadeWhileSomebodyWatches) {
    ASSERT_TRUE(fleet_.add(camera("door", "test:ball", gallery_)).ok());
    ASSERT_TRUE(soon([&] { return frames_of(fleet_, "door") >= 5; }));
    EXPECT_FALSE(fleet_.status("door")->watched);
    EXPECT_FALSE(fleet_.latest_jpeg("nobody"));
    std::optional<JpegFrame> first, second;
    ASSERT_TRUE(soon([&] { return (first = fleet_.latest_jpeg("door")).has_value(); }));
    EXPECT_EQ(first->width, 320);
    EXPECT_EQ(first->height, 240);
    ASSERT_GT(first->bytes->size(), 100U);
    EXPECT_EQ((*first->bytes)[0], 0xFF);
    EXPECT_EQ((*first->bytes)[1], 0xD8);
    EXPECT_TRUE(fleet_.status("door")->watched);
    ASSERT_TRUE(soon([&] {
        second = fleet_.latest_jpeg("door");
        return second && second->sequence > first->sequence;
    }));
}

TEST_F(CameraFleetTest, EventsComeWithTheirBestShotAndEnrolmentRenames) {
    std::mutex mutex;
    std::vector<CameraEvent> events;
    const auto subscription = fleet_.subscribe([&](const CameraEvent &event) {
        const std::lock_guard lock(mutex);
        events.push_back(event);
    });
    const auto has = [&](const std::string &kind) -> std::optional<CameraEvent> {
        const std::lock_guard lock(mutex);
        for (const CameraEvent &event : events)
            if (event.event == kind)
                return event;
        return std::nullopt;
    };
    ASSERT_TRUE(fleet_.add(camera("door", "test:ball", gallery_)).ok());
    ASSERT_TRUE(soon([&] { return has("appeared").has_value(); }));
    const CameraEvent appeared = *has("appeared");
    EXPECT_EQ(appeared.camera, "door");
    EXPECT_EQ(appeared.sequence, 1U);
    EXPECT_GE(appeared.track, 0);
    EXPECT_TRUE(appeared.pts_ns.has_value());
    EXPECT_NE(appeared.json.find(R"("schema":"sphere.event/1")"), std::string::npos);
    EXPECT_NE(appeared.json.find(R"("stream":"door","event":"appeared")"), std::string::npos);
    ASSERT_TRUE(appeared.best_shot);
    EXPECT_EQ((*appeared.best_shot)[0], 0xFF);

    EXPECT_EQ(fleet_.enrol("nobody", appeared.track, "anna").error().code, Errc::NotFound);
    const auto no_track = fleet_.enrol("door", 123456, "anna");
    ASSERT_FALSE(no_track.ok());
    EXPECT_NE(no_track.error().message.find("123456"), std::string::npos);
    const auto enrolled = fleet_.enrol("door", appeared.track, "anna");
    ASSERT_TRUE(enrolled.ok()) << enrolled.error().message;
    ASSERT_TRUE(soon([&] { return has("identified").has_value(); }));
    EXPECT_EQ(has("identified")->id, "anna");
    EXPECT_TRUE(soon([&] {
        const auto status = fleet_.status("door");
        return !status->faces.empty() && status->faces[0].id == "anna";
    }));

    ASSERT_TRUE(fleet_.remove("door").ok());
    EXPECT_TRUE(soon([&] { return has("left").has_value(); })) << "who is in view leaves";
    fleet_.unsubscribe(subscription);
    EXPECT_EQ(fleet_.events_lost(), 0U);
}

TEST_F(CameraFleetTest, ApplyChangesOnlyWhatChanged) {
    FleetConfig config;
    config.cameras = {camera("one", "test:ball", gallery_),
                      camera("two", "test:snow", gallery_)};
    ASSERT_TRUE(fleet_.apply(config).ok());
    ASSERT_TRUE(
        soon([&] { return frames_of(fleet_, "one") > 5 && frames_of(fleet_, "two") > 5; }));
    const std::int64_t started = fleet_.status("one")->started_at_ms;
    config.cameras[1].uri = "test:smpte";
    config.cameras.push_back(camera("three", "test:ball", gallery_));
    ASSERT_TRUE(fleet_.apply(config).ok());
    EXPECT_EQ(fleet_.names(), (std::vector<std::string>{"one", "three", "two"}));
    EXPECT_EQ(fleet_.status("one")->started_at_ms, started);
    EXPECT_EQ(fleet_.status("two")->uri, "test:smpte");
    config.cameras.erase(config.cameras.begin());
    ASSERT_TRUE(fleet_.apply(config).ok());
    EXPECT_EQ(fleet_.names(), (std::vector<std::string>{"three", "two"}));
}

TEST_F(CameraFleetTest, MayBeUsedFromManyThreads) {
    std::atomic<bool> done = false;
    std::atomic<int> events = 0;
    const auto subscription = fleet_.subscribe([&](const CameraEvent &) { ++events; });
    std::thread reader([&] {
        while (!done) {
            for (const CameraStatus &status : fleet_.statuses())
                fleet_.latest_jpeg(status.name);
            (void)fleet_.enrol("a", -1, "somebody"); // there may be no camera now
            std::this_thread::sleep_for(5ms);
        }
    });
    std::vector<std::thread> changers;
    for (const char *name : {"a", "b"})
        changers.emplace_back([&, name] {
            for (int i = 0; i < 4; ++i) {
                EXPECT_TRUE(fleet_.add(camera(name, "test:ball", gallery_)).ok());
                EXPECT_TRUE(soon([&] { return frames_of(fleet_, name) > 3; }));
                EXPECT_TRUE(fleet_.remove(name).ok());
            }
        });
    for (std::thread &changer : changers)
        changer.join();
    done = true;
    reader.join();
    fleet_.unsubscribe(subscription);
    EXPECT_GT(events, 0);
}
