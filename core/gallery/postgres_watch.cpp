// SPDX-License-Identifier: MIT
// A thread that waits at the socket of a connection that listens.
#include "core/gallery/postgres_watch.h"

#include "core/base/log.h"
#include "core/gallery/postgres_db.h"

#include <atomic>
#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace sphere {
namespace {

constexpr int kRetryMs = 1000; ///< PgDb waits longer and longer by itself
constexpr int kCannotMs = 60'000;

class PgWatch final : public ChangeWatch {
  public:
    PgWatch(const std::string &location, std::function<void()> changed)
        : db_(location), changed_(std::move(changed)), stop_(eventfd(0, EFD_CLOEXEC)) {}
    PgWatch(const PgWatch &) = delete;
    PgWatch &operator=(const PgWatch &) = delete;
    ~PgWatch() override {
        const std::uint64_t one = 1;
        if (stop_ >= 0 && write(stop_, &one, sizeof one) != sizeof one)
            log(LogLevel::Warning, "gallery: the thread that listens cannot be woken");
        if (thread_.joinable())
            thread_.join();
        if (stop_ >= 0)
            close(stop_);
    }
    bool start() {
        if (stop_ < 0)
            return false;
        try {
            thread_ = std::thread([this] { run(); });
        } catch (const std::system_error &) {
            return false;
        }
        return true;
    }
    bool live() const override { return live_; }

  private:
    enum class Woken { Stop, Message, Time };

    /// For the connection's socket (-1: without) or the end.
    Woken wait(int socket, int timeout_ms) const {
        pollfd waits[] = {{stop_, POLLIN, 0}, {socket, POLLIN, 0}};
        const int ready = poll(waits, socket < 0 ? 1 : 2, timeout_ms);
        if (waits[0].revents != 0 || (ready < 0 && errno != EINTR))
            return Woken::Stop;
        return ready > 0 ? Woken::Message : Woken::Time;
    }

    /// False: the server, or what is in between, does not pass messages on.
    Result<bool> listen() {
        SPHERE_TRY(db_.connect());
        const auto can = db_.integer("SELECT (NOT pg_is_in_recovery())::int");
        if (!can)
            return can.error();
        const auto direct = db_.is_direct();
        if (!direct || !*direct || *can == 0)
            return direct ? Result<bool>(false) : direct;
        SPHERE_TRY(db_.script("LISTEN sphere_gallery"));
        return true;
    }

    void set_live(bool live) {
        live_ = live;
        changed_(); // also for what happened before there was anybody to hear it
    }

    void run() {
        for (;;) {
            const auto listening = listen();
            if (!listening || !*listening) {
                if (wait(-1, listening ? kCannotMs : kRetryMs) == Woken::Stop)
                    return;
                continue;
            }
            set_live(true);
            for (bool there = true; there;) {
                if (wait(db_.socket(), -1) == Woken::Stop)
                    return;
                const auto told = db_.take_messages();
                there = told.ok();
                if (told && *told)
                    changed_();
            }
            set_live(false);
        }
    }

    PgDb db_; ///< of the thread alone
    std::function<void()> changed_;
    std::atomic<bool> live_{false};
    int stop_;
    std::thread thread_;
};

} // namespace

std::unique_ptr<ChangeWatch> watch_postgres(const std::string &location,
                                            std::function<void()> changed) {
    auto watch = std::make_unique<PgWatch>(location, std::move(changed));
    if (!watch->start())
        return nullptr;
    return watch;
}

} // namespace sphere
