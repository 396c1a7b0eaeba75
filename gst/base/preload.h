// SPDX-License-Identifier: MIT
// What an element loads between NULL and READY, beside what other elements load, for it to be
// there between READY and PAUSED.
#pragma once

#include "core/base/result.h"

#include <future>
#include <memory>
#include <system_error>

namespace sphere::gst {

/// `Settings` say all that `Loaded` depends on, and compare. For the thread of state changes.
template <typename Settings, typename Loaded> class Preload {
  public:
    using Loader = Result<std::shared_ptr<Loaded>> (*)(const Settings &);
    explicit Preload(Loader loader) : loader_(loader) {}

    void begin(const Settings &settings) {
        settings_ = settings;
        try {
            future_ = std::async(std::launch::async, loader_, settings);
        } catch (const std::system_error &) { // no more threads: get() loads
            drop();
        }
    }

    /// What was begun, if it came to anything and `settings` are still the same; else it is
    /// loaded here. Throws what the loader throws.
    Result<std::shared_ptr<Loaded>> get(const Settings &settings) {
        if (future_.valid()) {
            auto loaded = future_.get();
            if (loaded && settings_ == settings)
                return loaded;
        }
        return loader_(settings);
    }

    /// Waits for it.
    void drop() { future_ = {}; }

  private:
    Loader loader_;
    Settings settings_;
    std::future<Result<std::shared_ptr<Loaded>>> future_;
};

} // namespace sphere::gst
