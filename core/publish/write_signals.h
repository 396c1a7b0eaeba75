// SPDX-License-Identifier: MIT
// Writes that fail with EPIPE and EFBIG in place of a signal. Internal to publish.
#pragma once

#include <cerrno>
#include <csignal>
#include <ctime>
#include <initializer_list>

namespace sphere {

/// While it lives, SIGPIPE (the reader has gone) and SIGXFSZ (the file may grow no more) of
/// this thread's writes do not end the process: write() then fails with EPIPE and EFBIG. A
/// library may not change what the process does on signals elsewhere.
class WriteSignalsBlocked {
  public:
    WriteSignalsBlocked() {
        sigemptyset(&ours_);
        sigaddset(&ours_, SIGPIPE);
        sigaddset(&ours_, SIGXFSZ);
        sigset_t pending;
        sigpending(&pending);
        // One that was pending before is not ours to take.
        for (const int number : {SIGPIPE, SIGXFSZ})
            if (sigismember(&pending, number) == 1)
                sigdelset(&ours_, number);
        pthread_sigmask(SIG_BLOCK, &ours_, &before_);
    }
    ~WriteSignalsBlocked() {
        const int number = errno;
        const timespec at_once{};
        while (sigtimedwait(&ours_, nullptr, &at_once) > 0 || errno == EINTR) {
        }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
        errno = number;
    }
    WriteSignalsBlocked(const WriteSignalsBlocked &) = delete;
    WriteSignalsBlocked &operator=(const WriteSignalsBlocked &) = delete;

  private:
    sigset_t ours_{};
    sigset_t before_{};
};

} // namespace sphere
