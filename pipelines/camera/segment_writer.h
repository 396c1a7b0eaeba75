// SPDX-License-Identifier: MIT
// One file of a recording: MP4 of the stream as it came, and the frames' records beside it.
#pragma once

#include "core/base/result.h"
#include "core/publish/record.h"
#include "pipelines/camera/gst_ptr.h"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

namespace sphere::camera {

/// Not thread-safe. It writes by a pipeline of its own, so that a full disk is its own trouble.
class SegmentWriter {
  public:
    /// Makes `path` + ".mp4" and `path` + ".jsonl", mode 0600; neither may exist. `begin_ns` is
    /// the time of the first frame, which becomes 0 in the file. Errors: Permission, NoSpace,
    /// Io, NotFound (an element).
    static Result<std::unique_ptr<SegmentWriter>> open(const std::string &path, GstCaps *caps,
                                                       std::uint64_t begin_ns);
    ~SegmentWriter(); ///< waits up to two seconds for the file to be finished
    SegmentWriter(const SegmentWriter &) = delete;
    SegmentWriter &operator=(const SegmentWriter &) = delete;

    void push(GstBuffer *buffer, std::uint64_t pts_ns);
    /// Written where its time lies in the file; stream_time becomes the time in the file.
    void add_record(const FrameRecord &record);
    /// No more frames: the file gets its index. poll() says when that is done.
    void finish();

    enum class State { Writing, Finishing, Finished, Failed };
    State poll();
    const std::string &error() const { return error_; }
    const std::string &file() const { return file_; }
    std::uint64_t begin_ns() const { return begin_ns_; }
    /// Since finish(); empty before.
    std::optional<std::chrono::milliseconds> finishing_for() const;

    /// Bytes that may wait for the disk.
    static constexpr std::uint64_t kMaxWaitingBytes = 64ULL << 20;

  private:
    SegmentWriter(std::string path, std::uint64_t begin_ns);
    Result<void> make_files();
    Result<void> make_pipeline(GstCaps *caps);

    std::string file_, sidecar_path_, error_;
    std::uint64_t begin_ns_, last_ns_;
    State state_ = State::Writing;
    std::optional<std::chrono::steady_clock::time_point> finishing_since_;
    struct FileClose {
        void operator()(std::FILE *file) const { std::fclose(file); }
    };
    std::unique_ptr<std::FILE, FileClose> sidecar_;
    GstPtr<GstElement> pipeline_, source_;
};

} // namespace sphere::camera
