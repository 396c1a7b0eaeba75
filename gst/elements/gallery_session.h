// SPDX-License-Identifier: MIT
// The gallery that a spherematch looks people up in, and its life while the stream runs.
#pragma once

#include "core/gallery/matcher.h"
#include "core/gallery/store.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace sphere::gst {

/// What the user set; -1 and "auto" stand for the model's own.
struct MatchSettings {
    std::string gallery;
    std::string metric = "auto";
    std::string index = "auto";
    float threshold = -1;
    float margin = -1;
    int top_k = 1;
    bool reload = true;
};

/// Not thread-safe: the streaming thread, after open() in the state change.
class GallerySession {
  public:
    /// Opens and loads. Errors: as open_store, and InvalidArgument where no gallery is set or
    /// the gallery's model has no threshold and none is set.
    Result<void> open(const MatchSettings &settings);
    void close();

    /// Looks once a second whether the gallery changed, and loads it anew if so. An error
    /// leaves the people of before.
    Result<void> refresh(const MatchSettings &settings);

    /// Loads anew at the next refresh(), whatever the clock says (a setting changed).
    void invalidate() { stale_ = true; }

    const Matcher &matcher() const { return *matcher_; }
    std::size_t people() const { return people_; }

  private:
    Result<void> load(const MatchSettings &settings);

    std::unique_ptr<Store> store_;
    std::shared_ptr<const Matcher> matcher_;
    std::size_t people_ = 0;
    bool stale_ = false;
    std::int64_t version_ = 0;
    std::chrono::steady_clock::time_point next_check_{};
};

} // namespace sphere::gst
