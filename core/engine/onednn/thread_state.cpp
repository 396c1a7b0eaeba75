// SPDX-License-Identifier: MIT
// GNU OpenMP's threads wait for each other in a loop of a tenth of a second's length before
// they sleep, which on a machine with other work to do costs more than it gains. The loop is
// short where the process has more OpenMP threads than there are CPUs, and its length is
// otherwise fixed by the environment when the library is loaded; so there are some more, which
// sleep.
#include "core/engine/onednn/thread_state.h"

#include <condition_variable>
#include <mutex>
#include <thread>

extern "C" __attribute__((weak)) void GOMP_parallel(void (*body)(void *), void *data,
                                                    unsigned threads, unsigned flags);

namespace sphere::onednn {

void calm_openmp() {
    static std::once_flag once;
    std::call_once(once, [] {
        if (GOMP_parallel == nullptr)
            return;
        std::thread([] {
            GOMP_parallel([](void *) {}, nullptr, std::thread::hardware_concurrency() + 2, 0);
            // Its team lives as long as this thread does: until the process ends.
            std::mutex mutex;
            std::condition_variable never;
            std::unique_lock lock(mutex);
            never.wait(lock, [] { return false; });
        }).detach();
    });
}

} // namespace sphere::onednn
