// SPDX-License-Identifier: MIT
// A file of frame records, found by their time.
#pragma once

#include "core/publish/record_reader.h"

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace sphere {

/// Keeps an index (16 bytes a record) and reads a record when it is asked for. Not thread-safe.
class RecordFile {
  public:
    /// Lines that are no frame records (events) are left out, as is a last line that is not
    /// whole: it is still being written, or its writer was stopped. Times are the records' pts,
    /// or stream_time where they have none. Errors: NotFound; Corrupt, with the line's number
    /// (a line that is no JSON or too long, too many records).
    static Result<RecordFile> open(const std::string &path);

    std::size_t size() const { return entries_.size(); }
    /// Time of the earliest record; 0 without records.
    std::uint64_t first_time_ns() const;

    /// The record nearest to `time_ns`, no farther away than `tolerance_ns`; empty where there
    /// is none. Errors: Corrupt, Io; the file can be asked again after either.
    Result<std::optional<FrameRecord>> find(std::uint64_t time_ns, std::uint64_t tolerance_ns);

  private:
    struct Entry {
        std::uint64_t time_ns = 0;
        std::uint64_t offset = 0; ///< bytes from the file's start
    };
    Result<void> index();
    Result<void> index_line(std::uint64_t offset, std::size_t number, bool whole);

    std::string path_;
    std::ifstream file_;
    std::vector<Entry> entries_; ///< by time
    std::string line_;           ///< scratch
};

} // namespace sphere
