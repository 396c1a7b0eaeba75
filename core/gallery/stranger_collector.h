// SPDX-License-Identifier: MIT
// Keeps faces that nobody knows, under ids that stay: "unknown-12".
#pragma once

#include "core/gallery/gallery_follower.h"
#include "core/gallery/matcher.h"
#include "core/gallery/people_admin.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace sphere {

/// How long, how many and how good.
struct StrangerLimits {
    std::int64_t retention_ms = 30LL * 24 * 3600 * 1000; ///< since last seen; 0: without end
    int most = 1000;          ///< strangers; of more the longest unseen go
    float min_quality = 0.3F; ///< of a picture that makes a stranger, or is kept of one
    std::int64_t same_visit_ms = 60'000; ///< unseen for longer: another visit
    bool thumbnails = false;             ///< keep the crops
    bool operator==(const StrangerLimits &) const = default;
};

/// A face that is not known, as it passes by.
struct StrangerSight {
    Embedding embedding;
    std::optional<Quality> quality;
    std::shared_ptr<const Image> crop; ///< with thumbnails
    std::string crop_template;
    /// Of the people among whom it was looked for. When the gallery has moved on since, it
    /// makes no new stranger: it may be somebody who has a name by now. 0: not compared.
    std::int64_t gallery_version = 0;
};

/// Thread-safe. A thread of its own reads and writes the gallery; see() waits for neither.
class StrangerCollector {
  public:
    struct Settings {
        std::string location; ///< as open_store has it
        std::string camera;   ///< visits are of a camera
        /// Metric and threshold of a stamp, from the thread's own; strangers have no margin.
        ResolveOptions resolve;
        StrangerLimits limits;
        std::chrono::milliseconds interval{400}; ///< at which others' changes are looked for
    };
    struct Counts {
        std::uint64_t strangers = 0; ///< that are kept now
        std::uint64_t recorded = 0;  ///< sights written
        std::uint64_t dropped = 0;   ///< sights left, because the queue was full
        std::uint64_t failed = 0;    ///< sights that could not be written
    };

    /// Errors: as open_people_admin and PeopleAdmin::load.
    static Result<std::unique_ptr<StrangerCollector>> open(Settings settings);
    /// What is in the queue is written first.
    ~StrangerCollector();
    StrangerCollector(const StrangerCollector &) = delete;
    StrangerCollector &operator=(const StrangerCollector &) = delete;

    /// Who it is among the strangers, or empty: a new one has an id as soon as it is written,
    /// some milliseconds later, for the next see(). `at_ms`: Unix time.
    std::string see(const StrangerSight &sight, std::int64_t at_ms);
    /// Whether the stranger is (still) there.
    bool knows(const std::string &id) const;

    void set_limits(const StrangerLimits &limits);
    /// Thresholds or the metric changed.
    void set_resolve(ResolveOptions resolve);

    Counts counts() const;
    /// What went wrong since the last call.
    std::optional<Error> take_error();
    /// Whether there is nothing left to write.
    bool idle() const;

  private:
    static constexpr std::size_t kQueued = 64; ///< sights
    static constexpr int kFacesEach = 5;       ///< kept of a stranger
    struct Known {
        std::shared_ptr<const Matcher> matcher; ///< null: there are none
        std::map<std::string, int> faces;       ///< of each stranger
    };
    struct Item {
        StrangerSight sight;
        std::int64_t at_ms = 0;
    };

    explicit StrangerCollector(Settings settings) : settings_(std::move(settings)) {}
    Settings settings() const;
    std::shared_ptr<const Known> known() const;
    Result<void> reload();
    void run();
    void work(const std::deque<Item> &items, bool resolved);
    Result<void> record(const Item &item);
    Result<void> write(const Item &item, const std::string &stranger, bool keep_face);
    Result<void> follow();
    Result<void> expire();
    void note(const Error &error);

    mutable std::mutex mutex_; ///< guards settings_ to busy_
    std::condition_variable wake_;
    Settings settings_;
    std::deque<Item> queue_;
    std::shared_ptr<const Known> known_ = std::make_shared<Known>();
    std::map<std::string, std::int64_t> seen_ms_; ///< last sight that was passed on
    std::optional<Error> error_;
    Counts counts_;
    bool stop_ = false;
    bool resolve_changed_ = false;
    bool busy_ = false;

    // The thread's alone.
    std::unique_ptr<PeopleAdmin> admin_;
    std::unique_ptr<Store> store_;
    std::int64_t version_ = 0; ///< of the gallery, when the strangers were loaded
    std::chrono::steady_clock::time_point next_follow_{};
    std::chrono::steady_clock::time_point next_expiry_{};
    std::thread worker_;
};

} // namespace sphere
