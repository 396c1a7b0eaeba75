// SPDX-License-Identifier: MIT
// A turn is announced by its number; the last lane to finish wakes the caller.
#include "core/engine/onednn/lanes.h"

namespace sphere::onednn {

Lanes::Lanes(int count) {
    for (int lane = 1; lane < count; ++lane)
        threads_.emplace_back([this, lane] { serve(lane); });
}

Lanes::~Lanes() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    wake_.notify_all();
    for (std::thread &thread : threads_)
        thread.join();
}

void Lanes::run(const std::function<void(int)> &work) {
    {
        const std::lock_guard lock(mutex_);
        work_ = &work;
        busy_ = static_cast<int>(threads_.size());
        ++turn_;
    }
    wake_.notify_all();
    work(0);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
}

void Lanes::serve(int lane) {
    unsigned seen = 0;
    for (;;) {
        const std::function<void(int)> *work = nullptr;
        {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [&] { return stop_ || turn_ != seen; });
            if (stop_)
                return;
            seen = turn_;
            work = work_;
        }
        (*work)(lane);
        const std::lock_guard lock(mutex_);
        if (--busy_ == 0)
            done_.notify_one();
    }
}

} // namespace sphere::onednn
