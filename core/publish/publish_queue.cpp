// SPDX-License-Identifier: MIT
// Order: the spill, what the thread has in hand, then the queue. While the destination is
// away, or the spill is not empty, the thread moves what is queued to the spill's end; so a
// record is in memory only, and lost if the process is killed, for the time of one attempt.
#include "core/publish/publish_queue.h"

#include "core/base/log.h"
#include "core/publish/destination.h"
#include "core/publish/location.h"
#include "core/publish/spill.h"

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace sphere {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kBatch = 64;
constexpr milliseconds kIdle{200};
constexpr milliseconds kFirstBackOff{100};
constexpr milliseconds kLongestBackOff{5000};

std::uint64_t unix_time_us() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

class Queue final : public PublishQueue {
  public:
    Queue(std::unique_ptr<Destination> destination, std::unique_ptr<Spill> spill,
          const PublishOptions &options, QueueOptions queue, QueueListener listener)
        : destination_(std::move(destination)), spill_(std::move(spill)),
          embeddings_(options.embeddings), options_(std::move(queue)),
          listener_(std::move(listener)) {
        options_.max_queued = std::max<std::size_t>(options_.max_queued, 1);
        // Numbers grow over restarts, too: no stream has a million records a second.
        next_sequence_ = std::max(unix_time_us(), spill_ ? spill_->last_sequence() + 1 : 0);
        counts_.spill_waiting = spill_ ? spill_->records() : 0;
        tell_counts();
        start();
    }
    Queue(const Queue &) = delete;
    Queue &operator=(const Queue &) = delete;
    ~Queue() override { (void)close(); }

    Result<void> publish(const FrameRecord &record) override {
        Message message{next_sequence_++, RecordKind::Frame, {}};
        FrameRecord numbered = record;
        if (options_.number_records)
            numbered.sequence = message.sequence;
        append_json_line(message.line, numbered, embeddings_);
        return push(std::move(message));
    }
    Result<void> publish(const EventRecord &record) override {
        Message message{next_sequence_++, RecordKind::Event, {}};
        EventRecord numbered = record;
        if (options_.number_records)
            numbered.sequence = message.sequence;
        append_json_line(message.line, numbered);
        return push(std::move(message));
    }
    Result<void> flush() override;
    void set_flushing(bool flushing) override;
    PublishCounts counts() const override {
        const std::lock_guard lock(mutex_);
        return counts_;
    }
    Result<void> close() override;

  private:
    void start();
    Result<void> push(Message message);
    void run();
    bool wait_for_work();
    void take();
    void spill_hand();
    void spill_queue();
    bool append_to_spill(const Message &message);
    void attempt();
    void delivered(std::size_t count, bool of_spill);
    void failed(const Error &error, bool of_spill);
    bool pop_queue(Message &message);
    std::uint64_t give_up();
    void tell_counts();
    bool all_is_delivered() const {
        return counts_.queued == 0 && in_hand_ == 0 && counts_.spill_waiting == 0;
    }

    std::unique_ptr<Destination> destination_;
    std::unique_ptr<Spill> spill_; ///< the thread's; null: none
    bool embeddings_;
    QueueOptions options_;
    QueueListener listener_;
    std::uint64_t next_sequence_ = 0; ///< of who publishes

    mutable std::mutex mutex_;         ///< guards all to closed_
    std::condition_variable work_;     ///< for the thread: records, or the end
    std::condition_variable progress_; ///< for the others: room, or all delivered
    std::deque<Message> queue_;
    PublishCounts counts_;
    std::size_t in_hand_ = 0; ///< size of hand_
    bool flushing_ = false;
    bool stop_ = false;
    bool finished_ = false; ///< the thread has nothing more to do
    bool given_up_ = false; ///< the time for the end is over
    bool closed_ = false;

    // The thread's.
    std::vector<Message> hand_; ///< taken from the queue, not delivered
    Clock::time_point retry_at_{};
    milliseconds back_off_ = kFirstBackOff;
    bool last_attempt_ = false; ///< at the end, of a destination that is away
    bool told_rejected_ = false;
    bool told_spill_ = false;
    std::thread thread_;
};

void Queue::start() {
    // The application's signals are for its own threads; a write to a closed pipe is an error.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Result<void> Queue::push(Message message) {
    {
        std::unique_lock lock(mutex_);
        const auto full = [this] { return queue_.size() >= options_.max_queued; };
        if (options_.leaky == Leaky::No)
            progress_.wait(lock, [&] { return !full() || flushing_ || stop_; });
        if (stop_ || flushing_ || (full() && options_.leaky != Leaky::Downstream)) {
            ++counts_.dropped;
        } else {
            if (full()) {
                queue_.pop_front();
                ++counts_.dropped;
            }
            queue_.push_back(std::move(message));
        }
        counts_.queued = queue_.size();
    }
    work_.notify_one();
    tell_counts();
    return {};
}

void Queue::set_flushing(bool flushing) {
    {
        const std::lock_guard lock(mutex_);
        flushing_ = flushing;
    }
    progress_.notify_all();
}

Result<void> Queue::flush() {
    std::unique_lock lock(mutex_);
    const auto deadline = Clock::now() + options_.drain_timeout;
    progress_.wait_until(lock, deadline,
                         [this] { return all_is_delivered() || flushing_ || counts_.away; });
    if (all_is_delivered())
        return {};
    return fail(Errc::Busy, counts_.queued + in_hand_ + counts_.spill_waiting,
                " records are not delivered yet");
}

Result<void> Queue::close() {
    {
        std::unique_lock lock(mutex_);
        if (closed_)
            return {};
        closed_ = stop_ = true;
        work_.notify_all();
        progress_.notify_all();
        progress_.wait_for(lock, options_.drain_timeout, [this] { return finished_; });
        given_up_ = true;
    }
    destination_->interrupt();
    work_.notify_all();
    thread_.join();
    const std::uint64_t lost = give_up();
    if (lost > 0)
        return fail(Errc::Io, lost, " records were not delivered before the end and are lost");
    return {};
}

void Queue::tell_counts() {
    if (listener_.counts)
        listener_.counts(counts());
}

/// Waits for records or the time to try again. False: this is the end.
bool Queue::wait_for_work() {
    std::unique_lock lock(mutex_);
    const bool spill_waits = spill_ && !spill_->empty();
    if (Clock::now() < retry_at_)
        // Records are spilled as they come, where there is a spill.
        work_.wait_until(lock, retry_at_,
                         [&] { return given_up_ || stop_ || (spill_ && !queue_.empty()); });
    else if (hand_.empty() && !spill_waits)
        work_.wait_for(lock, kIdle, [&] { return stop_ || !queue_.empty(); });
    if (!stop_)
        return true;
    const bool nothing = hand_.empty() && queue_.empty() && (!spill_ || spill_->empty());
    if (nothing || given_up_)
        return false;
    if (!counts_.away)
        return true;
    // It may be back, and the pause between attempts may be long: one more.
    retry_at_ = {};
    return !std::exchange(last_attempt_, true);
}

bool Queue::pop_queue(Message &message) {
    const std::lock_guard lock(mutex_);
    if (queue_.empty())
        return false;
    message = std::move(queue_.front());
    queue_.pop_front();
    counts_.queued = queue_.size();
    progress_.notify_all();
    return true;
}

/// False: the record stays in memory, for want of room and with the policy to wait, or because
/// the disk takes none.
bool Queue::append_to_spill(const Message &message) {
    for (;;) {
        const auto appended = spill_->append(message);
        if (!appended && appended.error().code == Errc::InvalidArgument) {
            const std::lock_guard lock(mutex_);
            ++counts_.failed;
            return true;
        }
        if (!appended) { // a full disk, say: memory has to do
            if (!told_spill_)
                log(LogLevel::Warning, appended.error().message);
            told_spill_ = true;
            return false;
        }
        if (*appended) {
            const std::lock_guard lock(mutex_);
            ++counts_.spilled;
            counts_.spill_waiting = spill_->records();
            return true;
        }
        if (options_.leaky != Leaky::Downstream || spill_->empty())
            break;
        const std::uint64_t dropped = spill_->drop_oldest();
        const std::lock_guard lock(mutex_);
        counts_.dropped += dropped;
        counts_.spill_waiting = spill_->records();
    }
    if (options_.leaky == Leaky::No)
        return false;
    const std::lock_guard lock(mutex_);
    ++counts_.dropped;
    return true;
}

/// What was taken from the queue and came back undelivered.
void Queue::spill_hand() {
    std::size_t done = 0;
    while (done < hand_.size() && append_to_spill(hand_[done]))
        ++done;
    hand_.erase(hand_.begin(), hand_.begin() + static_cast<std::ptrdiff_t>(done));
    const std::lock_guard lock(mutex_);
    in_hand_ = hand_.size();
}

void Queue::spill_queue() {
    Message message;
    while (hand_.empty() && pop_queue(message)) {
        if (append_to_spill(message))
            continue;
        const std::lock_guard lock(mutex_);
        queue_.push_front(std::move(message));
        counts_.queued = queue_.size();
        return;
    }
}

void Queue::take() {
    const std::lock_guard lock(mutex_);
    while (hand_.size() < kBatch && !queue_.empty()) {
        hand_.push_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    in_hand_ = hand_.size();
    counts_.queued = queue_.size();
    progress_.notify_all();
}

void Queue::delivered(std::size_t count, bool of_spill) {
    if (of_spill) {
        spill_->pop(count);
    } else {
        hand_.erase(hand_.begin(), hand_.begin() + static_cast<std::ptrdiff_t>(count));
    }
    const std::lock_guard lock(mutex_);
    in_hand_ = hand_.size();
    if (spill_)
        counts_.spill_waiting = spill_->records();
}

void Queue::failed(const Error &error, bool of_spill) {
    if (error.code == Errc::InvalidArgument) {
        delivered(1, of_spill); // it is out of the way
        {
            const std::lock_guard lock(mutex_);
            ++counts_.failed;
        }
        if (!told_rejected_ && listener_.rejected)
            listener_.rejected(error);
        told_rejected_ = true;
        return;
    }
    retry_at_ = Clock::now() + back_off_;
    back_off_ = std::min(back_off_ * 2, kLongestBackOff);
    bool news = false;
    {
        const std::lock_guard lock(mutex_);
        news = !counts_.away && !given_up_;
        counts_.away = true;
        progress_.notify_all();
    }
    if (news && listener_.away)
        listener_.away(error);
}

/// Sends what comes first.
void Queue::attempt() {
    std::uint64_t lost = 0;
    const bool of_spill = spill_ && !spill_->empty();
    const std::span<const Message> batch =
        of_spill ? spill_->front(kBatch, lost) : std::span<const Message>(hand_);
    if (lost > 0) {
        const std::lock_guard lock(mutex_);
        counts_.failed += lost;
        counts_.spill_waiting = spill_->records();
    }
    if (batch.empty())
        return;
    std::size_t count = 0;
    const Result<void> sent = destination_->send(batch, count);
    count = std::min(count, batch.size());
    delivered(count, of_spill);
    bool back = false;
    if (count > 0 || sent) {
        back_off_ = kFirstBackOff;
        const std::lock_guard lock(mutex_);
        counts_.sent += count;
        back = counts_.away;
        counts_.away = false;
    }
    if (back && listener_.back)
        listener_.back();
    if (!sent)
        failed(sent.error(), of_spill);
}

void Queue::run() {
    while (wait_for_work()) {
        const bool away = counts().away;
        if (spill_ && (away || !spill_->empty())) {
            spill_hand();
            spill_queue();
        } else if (hand_.empty()) {
            take();
        }
        if (Clock::now() >= retry_at_) {
            attempt();
            if (hand_.empty())
                destination_->idle();
        }
        tell_counts();
        const std::lock_guard lock(mutex_);
        if (all_is_delivered())
            progress_.notify_all();
    }
    const std::lock_guard lock(mutex_);
    finished_ = true;
    progress_.notify_all();
}

/// After the thread: spills what was not delivered. How many records were lost.
std::uint64_t Queue::give_up() {
    if (spill_) {
        spill_hand();
        spill_queue();
        spill_.reset(); // it is the next run's
    }
    std::uint64_t lost = 0;
    {
        const std::lock_guard lock(mutex_);
        lost = hand_.size() + queue_.size();
        counts_.dropped += lost;
        counts_.queued = in_hand_ = 0;
        queue_.clear();
    }
    hand_.clear();
    tell_counts();
    return lost;
}

} // namespace

Result<std::unique_ptr<PublishQueue>>
make_publish_queue(std::unique_ptr<Destination> destination, const PublishOptions &options,
                   QueueOptions queue, QueueListener listener) {
    std::unique_ptr<Spill> spill;
    const SpillOptions spilling{queue.spill_directory, queue.spill_max_bytes};
    if (spilling.enabled()) {
        auto opened = Spill::open(spilling, shown_publish_location(options.location) + "\n" +
                                                options.stream);
        if (!opened)
            return std::move(opened).error();
        spill = std::move(*opened);
    }
    return std::unique_ptr<PublishQueue>(new Queue(std::move(destination), std::move(spill),
                                                   options, std::move(queue),
                                                   std::move(listener)));
}

Result<std::unique_ptr<PublishQueue>>
make_publish_queue(const PublishOptions &options, QueueOptions queue, QueueListener listener) {
    auto destination = make_destination(options);
    if (!destination)
        return std::move(destination).error();
    return make_publish_queue(std::move(*destination), options, std::move(queue),
                              std::move(listener));
}

} // namespace sphere
