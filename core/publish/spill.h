// SPDX-License-Identifier: MIT
// Records on disk while their destination is away. Internal to publish.
#pragma once

#include "core/publish/destination.h"

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace sphere {

/// A longer record is no record of ours.
inline constexpr std::size_t kMaxRecordBytes = std::size_t{16} << 20;

/// A line of a spill file, without its newline; empty where it is torn or was changed.
std::optional<Message> parse_spill_line(std::string_view line);
std::string to_spill_line(const Message &message);

struct SpillOptions {
    std::string directory; ///< made with mode 0700 where it is not there; empty = no spill
    std::uint64_t max_bytes = std::uint64_t{64}
                              << 20; ///< of all records that wait; 0 = no spill
    bool enabled() const { return !directory.empty() && max_bytes > 0; }
};

/// The folder for one stream and destination in XDG_STATE_HOME/sphere/spill; empty where the
/// environment names no home.
std::string default_spill_directory();

/// First in, first out, and there after the process has ended. A folder of files of mode 0600;
/// each is deleted when all its records were delivered. One process at a time. Not thread-safe.
class Spill {
  public:
    /// `name` tells streams and destinations apart. What an earlier run left is in it. Errors:
    /// Permission, Busy (somebody else's), NoSpace, Io.
    static Result<std::unique_ptr<Spill>> open(const SpillOptions &options,
                                               std::string_view name);
    Spill(const Spill &) = delete;
    Spill &operator=(const Spill &) = delete;
    ~Spill();

    bool empty() const { return records_ == 0; }
    std::uint64_t records() const { return records_; }
    std::uint64_t last_sequence() const { return last_sequence_; } ///< of all found at open()

    /// At the end. False: there is no room for it (max_bytes).
    Result<bool> append(const Message &message);
    /// Up to `most` from the front; they stay. What cannot be read is passed over and counted
    /// in `lost`.
    std::span<const Message> front(std::size_t most, std::uint64_t &lost);
    /// The first `count` of front() are delivered.
    void pop(std::size_t count);
    /// Makes room: the oldest file's records go. How many those were.
    std::uint64_t drop_oldest();

  private:
    struct Segment {
        std::uint64_t bytes = 0;
        std::uint64_t records = 0; ///< still to be delivered
    };
    explicit Spill(std::string directory, std::uint64_t max_bytes);
    std::string path_of(std::uint64_t segment) const;
    Result<void> lock();
    void load();
    void scan(std::uint64_t number, std::uint64_t from);
    Result<void> begin_segment();
    bool read_more(std::uint64_t &lost);
    void remove_first();
    void save_position();
    void close_reader();

    std::string directory_;
    std::uint64_t max_bytes_;
    std::uint64_t segment_bytes_;
    int lock_fd_ = -1;
    int write_fd_ = -1; ///< of the last segment
    int read_fd_ = -1;  ///< of the first one
    std::map<std::uint64_t, Segment> segments_;
    std::uint64_t bytes_ = 0;
    std::uint64_t records_ = 0;
    std::uint64_t last_sequence_ = 0;
    std::uint64_t next_segment_ = 1;

    std::uint64_t read_offset_ = 0;   ///< in the first segment: what was read into buffer_
    std::uint64_t popped_offset_ = 0; ///< in it: what was delivered
    std::string buffer_;              ///< read and not yet parsed
    std::vector<Message> front_;      ///< parsed and not yet delivered
    std::deque<std::size_t> sizes_;   ///< bytes of each of these on disk
};

} // namespace sphere
