// SPDX-License-Identifier: MIT
// A gallery that is searched while it changes: loaded, followed and made ready by threads of
// its own.
#pragma once

#include "core/gallery/matcher.h"
#include "core/gallery/store.h"

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace sphere {

/// The options for a gallery of that stamp (empty: nobody is enrolled yet). Called from several
/// threads.
using ResolveOptions =
    std::function<Result<MatchOptions>(const std::optional<EmbeddingStamp> &stamp)>;

/// Thread-safe. A change that another process or thread commits is searched within a second (of
/// a gallery that loads in less), and no search waits for it: what was there goes on serving
/// until the next is ready. Large galleries keep what they made beside the gallery's file
/// (index_file.h), and where an index is to be made anew that happens in the background.
class GalleryFollower {
  public:
    struct Settings {
        std::string location; ///< as open_store has it
        ResolveOptions resolve;
        bool reload = true; ///< follow changes
        /// Between looks for a change, where the store does not tell of them.
        std::chrono::milliseconds interval{400};
    };

    /// Returns when the gallery can be searched. Errors: as open_store, Store::load, resolve.
    static Result<std::unique_ptr<GalleryFollower>> open(Settings settings);
    ~GalleryFollower();
    GalleryFollower(const GalleryFollower &) = delete;
    GalleryFollower &operator=(const GalleryFollower &) = delete;

    /// Never null; keeps its people for as long as it is held.
    std::shared_ptr<const Matcher> matcher() const;

    /// Other options: at once where they search the same index, else as soon as another is
    /// made.
    Result<void> set_resolve(ResolveOptions resolve);
    void set_reload(bool reload);

    /// What went wrong since the last call; the people of before stay.
    std::optional<Error> take_error();
    /// Why the people that are searched may not be those of the gallery, as long as that
    /// lasts: its server or its file is away, or what it holds now cannot be used.
    std::optional<Error> behind() const;
    /// Whether the store tells of changes, so that it is hardly asked for them.
    bool is_told() const;

    /// Whether the threads have nothing to do but to look for the next change.
    bool idle() const;

  private:
    explicit GalleryFollower(Settings settings) : settings_(std::move(settings)) {}
    using Gallery = std::shared_ptr<const MatchedGallery>;

    Result<void> load_first();
    Result<Gallery> from_index_file();
    Result<Gallery> from_store(const MatchOptions &options);
    Result<Gallery> in_store();
    bool wants_store_index() const;
    Result<void> publish(const Gallery &gallery);
    Result<MatchOptions> resolve(const std::optional<EmbeddingStamp> &stamp) const;
    void run();
    Result<void> step();
    Result<void> follow();
    void start_rebuild(const Gallery &current);
    Result<void> finish_rebuild();
    void save_if_due();
    void save(const MatchedGallery &gallery);
    void note(const Error &error);
    void note_following(const Result<void> &followed);

    mutable std::mutex mutex_; ///< guards all down to busy_
    std::condition_variable wake_;
    Settings settings_;
    std::shared_ptr<const Matcher> matcher_;
    std::optional<Error> error_;
    std::optional<Error> behind_;
    int resolves_ = 0; ///< how often settings_.resolve was replaced
    bool stop_ = false;
    bool told_ = false;          ///< of a change, since the worker looked
    bool other_options_ = false; ///< the index is of options that are no longer wanted
    bool busy_ = false;

    std::unique_ptr<Store> store_;
    std::optional<std::string> file_;    ///< of the gallery, where it has one
    std::unique_ptr<ChangeWatch> watch_; ///< made before the worker
    std::thread worker_;

    // Of the worker's alone, but for the rebuilding thread's result.
    std::thread rebuilder_;
    bool rebuilding_ = false;
    bool rebuilt_ready_ = false; ///< guarded by mutex_, as is what it made
    std::optional<Result<Gallery>> rebuilt_;
    std::chrono::steady_clock::time_point next_rebuild_{};
    std::thread saver_;
    bool saving_ = false;             ///< guarded by mutex_
    std::int64_t saved_version_ = -1; ///< guarded by mutex_
    std::size_t saved_changed_ = 0;
    std::chrono::steady_clock::time_point next_save_{};
};

} // namespace sphere
