// SPDX-License-Identifier: MIT
// The queue in front of a destination: order, bounds, policies, the spill, and who is told
// what.
#include "core/publish/destination.h"
#include "core/publish/publish_queue.h"
#include "core/publish/spill.h"
#include "tests/support/gallery_testing.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

namespace sphere::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

/// What a destination of the tests does, shared with the test.
struct Server {
    void set_up(bool value) {
        const std::lock_guard lock(mutex);
        up = value;
    }
    std::vector<std::uint64_t> taken() {
        const std::lock_guard lock(mutex);
        std::vector<std::uint64_t> pts;
        for (const std::string &line : lines)
            pts.push_back(nlohmann::json::parse(line)["pts"]);
        return pts;
    }
    void hold(bool value) {
        {
            const std::lock_guard lock(mutex);
            holding = value;
        }
        changed.notify_all();
    }
    std::mutex mutex;
    std::condition_variable changed;
    bool up = true;
    bool holding = false; ///< send() does not return
    bool interrupted = false;
    std::uint64_t refused_pts = UINT64_MAX;
    std::size_t takes = 1000; ///< of a batch, before it fails
    std::vector<std::string> lines;
};

class FakeDestination final : public Destination {
  public:
    explicit FakeDestination(std::shared_ptr<Server> server) : server_(std::move(server)) {}
    Result<void> send(std::span<const Message> batch, std::size_t &delivered) override {
        std::unique_lock lock(server_->mutex);
        server_->changed.wait(lock,
                              [this] { return !server_->holding || server_->interrupted; });
        for (delivered = 0; delivered < batch.size(); ++delivered) {
            if (!server_->up || server_->interrupted || delivered >= server_->takes)
                return fail(Errc::Io, "the server is away");
            const std::string &line = batch[delivered].line;
            if (nlohmann::json::parse(line)["pts"] == server_->refused_pts)
                return fail(Errc::InvalidArgument, "it does not like it");
            server_->lines.push_back(line);
        }
        return {};
    }
    void interrupt() override {
        {
            const std::lock_guard lock(server_->mutex);
            server_->interrupted = true;
        }
        server_->changed.notify_all();
    }

  private:
    std::shared_ptr<Server> server_;
};

FrameRecord frame(std::uint64_t pts) {
    FrameRecord record;
    record.pts_ns = pts;
    return record;
}

std::vector<std::uint64_t> count_to(std::uint64_t end, std::uint64_t begin = 0) {
    std::vector<std::uint64_t> numbers;
    for (std::uint64_t i = begin; i < end; ++i)
        numbers.push_back(i);
    return numbers;
}

class PublishQueueTest : public ::testing::Test {
  protected:
    void open() {
        server_->interrupted = false;
        QueueListener listener;
        listener.away = [this](const Error &) { ++aways_; };
        listener.back = [this] { ++backs_; };
        listener.rejected = [this](const Error &) { ++rejections_; };
        PublishOptions options;
        options.location = "fake://server";
        queue_.reset();
        auto queue = make_publish_queue(std::make_unique<FakeDestination>(server_), options,
                                        options_, listener);
        ASSERT_TRUE(queue.ok()) << queue.error().message;
        queue_ = std::move(*queue);
    }
    void publish(std::uint64_t begin, std::uint64_t end) {
        for (std::uint64_t i = begin; i < end; ++i)
            ASSERT_TRUE(queue_->publish(frame(i)).ok());
    }
    template <typename Condition> bool soon(Condition condition) {
        for (int i = 0; i < 4000 && !condition(); ++i)
            std::this_thread::sleep_for(5ms);
        return condition();
    }
    TempDir dir_;
    std::shared_ptr<Server> server_ = std::make_shared<Server>();
    QueueOptions options_;
    std::unique_ptr<PublishQueue> queue_;
    std::atomic<int> aways_{0};
    std::atomic<int> backs_{0};
    std::atomic<int> rejections_{0};
};

TEST_F(PublishQueueTest, DeliversInOrderAndNumbers) {
    open();
    publish(0, 500);
    ASSERT_TRUE(queue_->flush().ok());
    EXPECT_EQ(server_->taken(), count_to(500));
    EXPECT_EQ(queue_->counts().sent, 500u);
    EXPECT_EQ(queue_->counts().queued, 0u);
    std::uint64_t last = 0;
    for (const std::string &line : server_->lines) {
        const std::uint64_t sequence = nlohmann::json::parse(line)["sequence"];
        EXPECT_GT(sequence, last);
        last = sequence;
    }
    EXPECT_EQ(aways_ + backs_ + rejections_, 0);
}

TEST_F(PublishQueueTest, EventsToo) {
    open();
    EventRecord event;
    event.event = "appeared";
    event.pts_ns = 3;
    ASSERT_TRUE(queue_->publish(event).ok());
    ASSERT_TRUE(queue_->flush().ok());
    EXPECT_EQ(nlohmann::json::parse(server_->lines.at(0))["schema"], "sphere.event/1");
}

TEST_F(PublishQueueTest, AFullQueueDropsTheOldest) {
    options_.max_queued = 10;
    server_->hold(true);
    open();
    publish(0, 1);
    ASSERT_TRUE(soon([&] { return queue_->counts().queued == 0; })); // in the thread's hand
    publish(1, 101);                                                 // nobody waits
    EXPECT_EQ(queue_->counts().queued, 10u);
    EXPECT_EQ(queue_->counts().dropped, 90u);
    server_->hold(false);
    ASSERT_TRUE(queue_->flush().ok());
    auto expected = count_to(101, 91);
    expected.insert(expected.begin(), 0);
    EXPECT_EQ(server_->taken(), expected);
}

TEST_F(PublishQueueTest, AFullQueueDropsTheNewest) {
    options_.max_queued = 10;
    options_.leaky = Leaky::Upstream;
    server_->hold(true);
    open();
    publish(0, 1);
    ASSERT_TRUE(soon([&] { return queue_->counts().queued == 0; }));
    publish(1, 101);
    EXPECT_EQ(queue_->counts().dropped, 90u);
    server_->hold(false);
    ASSERT_TRUE(queue_->flush().ok());
    EXPECT_EQ(server_->taken(), count_to(11));
}

TEST_F(PublishQueueTest, AFullQueueWaitsAndLetsGo) {
    options_.max_queued = 2;
    options_.leaky = Leaky::No;
    server_->hold(true);
    open();
    std::atomic<bool> done{false};
    std::thread stream([&] {
        publish(0, 20);
        done = true;
    });
    std::this_thread::sleep_for(50ms);
    EXPECT_FALSE(done);
    EXPECT_LE(queue_->counts().queued, 2u);
    queue_->set_flushing(true);
    stream.join();
    EXPECT_GT(queue_->counts().dropped, 0u);
    queue_->set_flushing(false);
    server_->hold(false);
    publish(20, 40); // waits for room, and gets it
    ASSERT_TRUE(queue_->flush().ok());
    EXPECT_EQ(queue_->counts().sent + queue_->counts().dropped, 40u);
}

TEST_F(PublishQueueTest, TellsOnceThatItIsAwayAndBack) {
    server_->set_up(false);
    open();
    publish(0, 5);
    ASSERT_TRUE(soon([&] { return aways_ == 1; }));
    std::this_thread::sleep_for(400ms); // further attempts
    EXPECT_EQ(aways_, 1);
    EXPECT_TRUE(queue_->counts().away);
    EXPECT_FALSE(queue_->flush().ok());
    server_->set_up(true);
    ASSERT_TRUE(soon([&] { return backs_ == 1; }));
    ASSERT_TRUE(queue_->flush().ok());
    EXPECT_EQ(server_->taken(), count_to(5));
    EXPECT_FALSE(queue_->counts().away);
}

TEST_F(PublishQueueTest, TheEndTriesOnceMoreWithoutAPause) {
    server_->set_up(false);
    open();
    publish(0, 5);
    ASSERT_TRUE(soon([&] { return aways_ == 1; }));
    std::this_thread::sleep_for(800ms); // pauses of 0.1, 0.2, 0.4 and 0.8 s
    server_->set_up(true);
    EXPECT_TRUE(queue_->close().ok());
    EXPECT_EQ(server_->taken(), count_to(5));
}

TEST_F(PublishQueueTest, WhatWasDeliveredOfABatchIsNotSentAgain) {
    server_->takes = 3;
    open();
    publish(0, 20);
    ASSERT_TRUE(soon([&] { return server_->taken().size() == 20; }));
    EXPECT_EQ(server_->taken(), count_to(20));
}

TEST_F(PublishQueueTest, ARefusedRecordIsOutOfTheWay) {
    server_->refused_pts = 7;
    open();
    publish(0, 20);
    ASSERT_TRUE(soon([&] { return server_->taken().size() == 19; }));
    EXPECT_EQ(queue_->counts().failed, 1u);
    EXPECT_EQ(rejections_, 1);
    EXPECT_EQ(aways_, 0);
}

TEST_F(PublishQueueTest, ASendThatHangsDoesNotHoldUpTheEnd) {
    options_.drain_timeout = 50ms;
    server_->hold(true);
    open();
    publish(0, 5);
    const auto closed = queue_->close();
    ASSERT_FALSE(closed.ok());
    EXPECT_NE(closed.error().message.find("5 records"), std::string::npos);
    EXPECT_EQ(queue_->counts().dropped, 5u);
    publish(5, 6); // after the end: dropped, without harm
    EXPECT_EQ(queue_->counts().dropped, 6u);
}

TEST_F(PublishQueueTest, SpillsWhileAwayAndDeliversEachOnceInOrder) {
    options_.spill_directory = dir_ / "spill";
    options_.spill_max_bytes = 10 << 20;
    options_.max_queued = 50;
    open();
    publish(0, 10);
    ASSERT_TRUE(queue_->flush().ok());
    server_->set_up(false);
    for (std::uint64_t i = 10; i < 1000; i += 10) {
        publish(i, i + 10);
        ASSERT_TRUE(soon([&] { return queue_->counts().queued < 40; }));
    }
    ASSERT_TRUE(soon([&] { return queue_->counts().spill_waiting == 990; }));
    EXPECT_EQ(queue_->counts().dropped, 0u);
    server_->set_up(true);
    ASSERT_TRUE(soon([&] { return queue_->counts().spill_waiting == 0; }));
    publish(1000, 1010);
    ASSERT_TRUE(queue_->flush().ok());
    EXPECT_EQ(server_->taken(), count_to(1010));
    for (const auto &entry : fs::recursive_directory_iterator(dir_ / "spill"))
        EXPECT_NE(entry.path().extension(), ".spill") << entry.path();
}

TEST_F(PublishQueueTest, TheNextRunDeliversWhatThisOneSpilled) {
    options_.spill_directory = dir_ / "spill";
    options_.spill_max_bytes = 10 << 20;
    server_->set_up(false);
    for (const std::uint64_t begin : {0, 200, 400}) {
        open();
        EXPECT_EQ(queue_->counts().spill_waiting, begin);
        publish(begin, begin + 200);
        EXPECT_TRUE(queue_->close().ok());
        EXPECT_EQ(queue_->counts().spill_waiting, begin + 200);
    }
    server_->set_up(true);
    open();
    publish(600, 700);
    ASSERT_TRUE(soon([&] { return server_->taken().size() == 700; }));
    EXPECT_EQ(server_->taken(), count_to(700));
    std::uint64_t last = 0;
    for (const std::string &line : server_->lines) {
        const std::uint64_t sequence = nlohmann::json::parse(line)["sequence"];
        EXPECT_GT(sequence, last);
        last = sequence;
    }
}

TEST_F(PublishQueueTest, AFullSpillDropsTheOldest) {
    options_.spill_directory = dir_ / "spill";
    options_.spill_max_bytes = 300000;
    server_->set_up(false);
    open();
    for (std::uint64_t i = 0; i < 6000; i += 100) {
        publish(i, i + 100);
        ASSERT_TRUE(soon([&] { return queue_->counts().queued == 0; }));
    }
    EXPECT_GT(queue_->counts().dropped, 0u);
    server_->set_up(true);
    ASSERT_TRUE(soon([&] { return queue_->counts().spill_waiting == 0; }));
    const auto taken = server_->taken();
    EXPECT_EQ(taken, count_to(6000, 6000 - taken.size()));
    EXPECT_EQ(taken.size() + queue_->counts().dropped, 6000u);
}

TEST_F(PublishQueueTest, TwoStreamsDoNotShareASpill) {
    options_.spill_directory = dir_ / "spill";
    options_.spill_max_bytes = 1000000;
    open();
    PublishOptions options;
    options.location = "fake://server";
    const auto second =
        make_publish_queue(std::make_unique<FakeDestination>(server_), options, options_, {});
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().code, Errc::Busy);
    EXPECT_NE(second.error().message.find("stream="), std::string::npos);
    options.stream = "another";
    EXPECT_TRUE(
        make_publish_queue(std::make_unique<FakeDestination>(server_), options, options_, {})
            .ok());
}

Message message(std::uint64_t sequence) {
    return {sequence, sequence % 2 != 0 ? RecordKind::Frame : RecordKind::Event,
            "{\"n\":" + std::to_string(sequence) + "}"};
}

TEST(SpillLine, RoundTripsAndRefusesTheRest) {
    const std::string line = to_spill_line(message(7));
    const auto parsed = parse_spill_line(line);
    ASSERT_TRUE(parsed.has_value());
    EXPECT_EQ(parsed->sequence, 7u);
    EXPECT_EQ(parsed->kind, RecordKind::Frame);
    EXPECT_EQ(parsed->line, "{\"n\":7}");
    for (std::size_t i = 0; i < line.size(); ++i) {
        EXPECT_FALSE(parse_spill_line(line.substr(0, i)).has_value()) << i;
        std::string changed = line;
        changed[i] = static_cast<char>(changed[i] ^ 1);
        EXPECT_FALSE(parse_spill_line(changed).has_value()) << i;
    }
}

TEST(SpillFile, IsPrivateAndSurvivesATornEndAndAChangedLine) {
    const TempDir dir;
    const SpillOptions options{dir / "spill", 1 << 20};
    std::uint64_t lost = 0;
    {
        const auto spill = Spill::open(options, "name");
        ASSERT_TRUE(spill.ok()) << spill.error().message;
        for (std::uint64_t i = 1; i <= 9; ++i)
            ASSERT_TRUE(*(*spill)->append(message(i)));
        ASSERT_EQ((*spill)->front(2, lost).size(), 2u);
        (*spill)->pop(2);
    }
    std::string path;
    for (const auto &entry : fs::recursive_directory_iterator(dir / "spill")) {
        struct stat info {};
        ASSERT_EQ(stat(entry.path().c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 07777, entry.is_directory() ? 0700u : 0600u) << entry.path();
        if (entry.path().extension() == ".spill")
            path = entry.path();
    }
    std::string text = read_bytes(path);
    text[text.find("\"n\":5")] = 'X';
    write_bytes(path, text.substr(0, text.size() - 3)); // the ninth is torn
    const auto spill = Spill::open(options, "name");
    ASSERT_TRUE(spill.ok());
    EXPECT_EQ((*spill)->last_sequence(), 8u);
    ASSERT_TRUE(*(*spill)->append(message(10)));
    std::vector<std::uint64_t> found;
    for (int round = 0; round < 20 && !(*spill)->empty(); ++round) {
        const auto batch = (*spill)->front(3, lost);
        for (const Message &one : batch)
            found.push_back(one.sequence);
        (*spill)->pop(batch.size());
    }
    EXPECT_EQ(found, (std::vector<std::uint64_t>{3, 4, 6, 7, 8, 10}));
    EXPECT_EQ(lost, 1u);
    EXPECT_TRUE((*spill)->empty());
}

TEST(SpillFile, ADirectoryThatCannotBeMadeIsSaidSo) {
    const TempDir dir;
    write_bytes(dir / "plain", "");
    const auto spill = Spill::open({dir / "plain/spill", 1000}, "name");
    ASSERT_FALSE(spill.ok());
    EXPECT_NE(spill.error().message.find("spill-directory"), std::string::npos);
}

} // namespace
} // namespace sphere::testing
