// SPDX-License-Identifier: MIT
// The gallery that a spherematch looks people up in, and its life while the stream runs.
#pragma once

#include "core/gallery/gallery_follower.h"

#include <memory>
#include <string>

namespace sphere::gst {

/// A gallery's location as it may be shown: without a password.
std::string shown_gallery(const std::string &location);

/// What the user set; -1 and "auto" stand for the model's own.
struct MatchSettings {
    std::string gallery;
    std::string metric = "auto";
    std::string index = "auto";
    float threshold = -1;
    float monochrome_threshold = -1; ///< the same as threshold
    float margin = -1;
    int top_k = 1;
    bool reload = true;
};

/// What the settings come to for the embeddings of a stamp.
ResolveOptions match_resolver(const MatchSettings &settings);

/// Not thread-safe: the streaming thread, after open() in the state change. The gallery is
/// loaded and followed by threads of its own.
class GallerySession {
  public:
    /// Opens and loads. Errors: as open_store, and InvalidArgument where no gallery is set or
    /// the gallery's model has no threshold and none is set.
    Result<void> open(const MatchSettings &settings);
    void close() {
        follower_.reset();
        matcher_.reset();
    }

    /// Once a buffer: takes up changed settings, and says once what went wrong with a reload
    /// since. An error leaves the people of before. Never waits for a gallery.
    Result<void> refresh(const MatchSettings &settings);

    /// A setting changed: the next refresh() takes it up.
    void invalidate() { stale_ = true; }

    /// The same until the next refresh(), and another object whenever anything changed.
    const Matcher &matcher() const { return *matcher_; }
    /// Why the people may not be those of the gallery: see GalleryFollower::behind().
    std::optional<Error> behind() const { return follower_->behind(); }
    std::shared_ptr<const Matcher> shared_matcher() const { return matcher_; }
    /// Who are in memory: nobody where the store searches.
    std::size_t people() const;

  private:
    std::unique_ptr<GalleryFollower> follower_;
    std::shared_ptr<const Matcher> matcher_;
    bool stale_ = false;
};

} // namespace sphere::gst
