// SPDX-License-Identifier: MIT
// A few threads for what may wait for a disk or a server.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace sphere::console {

/// Thread-safe.
class WorkerPool {
  public:
    explicit WorkerPool(std::size_t threads);
    /// What was accepted is done first.
    ~WorkerPool();
    WorkerPool(const WorkerPool &) = delete;
    WorkerPool &operator=(const WorkerPool &) = delete;

    /// False where too many wait already.
    bool post(std::function<void()> job);

    static constexpr std::size_t kMostWaiting = 64;

  private:
    void run();

    std::mutex mutex_; ///< guards what follows
    std::condition_variable wake_;
    std::deque<std::function<void()>> jobs_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

} // namespace sphere::console
