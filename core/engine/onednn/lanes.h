// SPDX-License-Identifier: MIT
// Threads that share the pictures of a batch: one does not wait for another at each layer.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace sphere::onednn {

/// `count` lanes: the calling thread and count - 1 of its own, which sleep between calls.
class Lanes {
  public:
    explicit Lanes(int count);
    Lanes(const Lanes &) = delete;
    Lanes &operator=(const Lanes &) = delete;
    ~Lanes();

    int count() const { return static_cast<int>(threads_.size()) + 1; }

    /// Calls work(lane) once in each lane and returns when all are done. `work` must not throw.
    /// One call at a time.
    void run(const std::function<void(int)> &work);

  private:
    void serve(int lane);

    std::mutex mutex_;
    std::condition_variable wake_, done_;
    const std::function<void(int)> *work_ = nullptr;
    unsigned turn_ = 0;
    int busy_ = 0;
    bool stop_ = false;
    std::vector<std::thread> threads_;
};

} // namespace sphere::onednn
