// SPDX-License-Identifier: MIT
// What every destination must do behind the queue: order, no loss, servers that go and come
// back, bounds, and an end that comes.
#include "core/publish/publish_queue.h"
#include "tests/conformance/publish_servers.h"

#include <nlohmann/json.hpp>

namespace sphere::testing {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

struct ServerCase {
    const char *name;
    std::unique_ptr<PublishServer> (*make)();
    bool local = false; ///< never away
};

template <typename Server> std::unique_ptr<PublishServer> make_server() {
    return std::make_unique<Server>();
}

class PublishServers : public ::testing::TestWithParam<ServerCase> {
  protected:
    void SetUp() override {
        setenv("no_proxy", "127.0.0.1", 1);
        server_ = GetParam().make();
        if (const std::string why = server_->unavailable(); !why.empty())
            GTEST_SKIP() << why;
        queue_options_.spill_directory = server_->dir_ / "spill";
        queue_options_.spill_max_bytes = 10 << 20;
        queue_options_.drain_timeout = 20s;
    }
    void TearDown() override {
        queue_.reset();
        server_.reset();
    }
    void open() {
        PublishOptions options;
        options.location = server_->location();
        options.stream = "cam";
        options.timeout_ms = 2000;
        QueueListener listener;
        listener.away = [this](const Error &error) {
            ++aways_;
            const std::lock_guard lock(mutex_);
            why_ = error.message;
        };
        listener.back = [this] { ++backs_; };
        auto queue = make_publish_queue(options, queue_options_, listener);
        if (!queue && queue.error().code == Errc::Unsupported)
            GTEST_SKIP() << queue.error().message;
        ASSERT_TRUE(queue.ok()) << queue.error().message;
        queue_ = std::move(*queue);
    }
    void publish(std::uint64_t begin, std::uint64_t end) {
        for (std::uint64_t i = begin; i < end; ++i) {
            FrameRecord frame;
            frame.stream = "cam";
            frame.pts_ns = i;
            EventRecord event;
            event.stream = "cam";
            event.pts_ns = i;
            ASSERT_TRUE((i % 3 == 0 ? queue_->publish(event) : queue_->publish(frame)).ok());
        }
    }
    /// The times of what arrived, when `count` records have, or after a long while.
    std::vector<std::uint64_t> arrived(std::size_t count) {
        for (int i = 0; i < 1500 && server_->lines().size() < count; ++i)
            std::this_thread::sleep_for(20ms);
        std::vector<std::uint64_t> pts;
        for (const std::string &line : server_->lines())
            pts.push_back(Json::parse(line)["pts"]);
        return pts;
    }
    static std::vector<std::uint64_t> count_to(std::uint64_t end) {
        std::vector<std::uint64_t> numbers;
        for (std::uint64_t i = 0; i < end; ++i)
            numbers.push_back(i);
        return numbers;
    }
    template <typename Condition> bool soon(Condition condition) {
        for (int i = 0; i < 1500 && !condition(); ++i)
            std::this_thread::sleep_for(20ms);
        return condition();
    }
    std::unique_ptr<PublishServer> server_;
    QueueOptions queue_options_;
    std::unique_ptr<PublishQueue> queue_;
    std::atomic<int> aways_{0};
    std::atomic<int> backs_{0};
    std::mutex mutex_;
    std::string why_;
};

TEST_P(PublishServers, DeliverAllInOrder) {
    server_->start();
    open();
    if (IsSkipped())
        return;
    publish(0, 300);
    ASSERT_TRUE(soon([&] { return queue_->counts().sent == 300; })) << why_;
    EXPECT_EQ(arrived(300), count_to(300));
    EXPECT_EQ(Json::parse(server_->lines()[0])["schema"], "sphere.event/1");
    EXPECT_EQ(aways_, 0) << why_;
    EXPECT_TRUE(queue_->close().ok());
}

TEST_P(PublishServers, ComeBackAndMissNothing) {
    if (GetParam().local)
        GTEST_SKIP() << "a file is never away";
    server_->start();
    open();
    if (IsSkipped())
        return;
    publish(0, 20);
    ASSERT_EQ(arrived(20), count_to(20)) << why_;
    // Confirmed, too: what is not may arrive twice by MQTT's QoS 1.
    ASSERT_TRUE(soon([&] { return queue_->counts().sent == 20; }));
    server_->stop();
    publish(20, 60); // does not wait
    ASSERT_TRUE(soon([&] { return aways_ == 1 && queue_->counts().spill_waiting > 0; }));
    publish(60, 100);
    server_->start();
    publish(100, 120);
    EXPECT_EQ(arrived(120), count_to(120));
    ASSERT_TRUE(soon([&] { return backs_ == 1; }));
    EXPECT_EQ(aways_, 1);
    EXPECT_EQ(queue_->counts().dropped, 0u);
    EXPECT_EQ(queue_->counts().sent, 120u);
}

TEST_P(PublishServers, ThatAreAwayHoldUpNothing) {
    if (GetParam().local)
        GTEST_SKIP() << "a file is never away";
    server_->start(); // for its address
    server_->stop();
    queue_options_.spill_max_bytes = 0;
    queue_options_.max_queued = 10;
    queue_options_.drain_timeout = 100ms;
    open();
    if (IsSkipped())
        return;
    publish(0, 200);
    ASSERT_TRUE(soon([&] { return aways_ == 1; }));
    EXPECT_LE(queue_->counts().queued, 10u);
    EXPECT_GE(queue_->counts().dropped, 200u - 10u - 64u); // those in hand
    EXPECT_NE(why_.find(server_->location()), std::string::npos) << why_;
    const auto closed = queue_->close();
    ASSERT_FALSE(closed.ok());
    EXPECT_NE(closed.error().message.find("lost"), std::string::npos);
    EXPECT_EQ(queue_->counts().dropped, 200u);
}

TEST_P(PublishServers, GetWhatTheRunBeforeSpilled) {
    if (GetParam().local)
        GTEST_SKIP() << "a file is never away";
    server_->start();
    server_->stop();
    open();
    if (IsSkipped())
        return;
    publish(0, 50);
    ASSERT_TRUE(soon([&] { return aways_ == 1; }));
    EXPECT_TRUE(queue_->close().ok());
    EXPECT_EQ(queue_->counts().spill_waiting, 50u);
    server_->start();
    open();
    publish(50, 60);
    EXPECT_EQ(arrived(60), count_to(60)) << why_;
}

INSTANTIATE_TEST_SUITE_P(All, PublishServers,
                         ::testing::Values(ServerCase{"file", make_server<FileServer>, true},
                                           ServerCase{"unix", make_server<UnixServer>},
                                           ServerCase{"mqtt", make_server<MqttServer>},
                                           ServerCase{"kafka", make_server<KafkaServer>},
                                           ServerCase{"webhook", make_server<WebhookServer>}),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
} // namespace sphere::testing
