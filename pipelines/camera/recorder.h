// SPDX-License-Identifier: MIT
// Records a camera around events: the stream as it was sent, from some seconds before.
#pragma once

#include "pipelines/camera/camera_fleet.h"
#include "pipelines/camera/segment_writer.h"

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace sphere::camera {

/// Thread-safe. Never makes a stream wait for the disk.
class Recorder {
  public:
    Recorder(RecordingConfig config, std::string camera);
    ~Recorder(); ///< end_stream()

    /// Each access unit (EncodedListener).
    void add_encoded(GstSample *sample);
    /// Each analysed frame.
    void add_record(FrameRecord record);
    /// Begins a recording, or prolongs it, if the event is one of the config's.
    void see_event(const CameraEvent &event);
    /// Looks after files that are being finished; a few times a second.
    void poll();
    /// The stream broke off or ends: what is being written is finished.
    void end_stream();
    /// Why nothing can be recorded; empty: nothing is known against it.
    void set_obstacle(const std::string &why);
    void describe(CameraStatus &status) const;

    static constexpr std::size_t kMaxHeldBytes = 64ULL << 20; ///< of the stream before an event

  private:
    struct Unit {
        SamplePtr sample;
        std::uint64_t pts_ns = 0;
        bool key = false;
    };
    void prune_held();
    void begin(std::uint64_t from_ns);
    void open_at(std::size_t first);
    void close();
    Result<void> make_room() const;
    void failed(const std::string &why);
    std::uint64_t newest_ns() const { return held_.empty() ? 0 : held_.back().pts_ns; }

    const RecordingConfig config_;
    const std::string directory_; ///< the camera's own

    mutable std::mutex mutex_; ///< guards what follows
    std::deque<Unit> held_;    ///< begins with a key frame
    std::size_t held_bytes_ = 0;
    std::deque<FrameRecord> records_;
    std::uint64_t record_until_ns_ = 0;
    std::unique_ptr<SegmentWriter> writer_;
    std::vector<std::unique_ptr<SegmentWriter>> finishing_;
    std::optional<std::chrono::steady_clock::time_point> not_before_; ///< after a failure
    std::string error_, obstacle_;
    std::uint64_t recordings_ = 0;
    std::uint64_t bytes_ = 0;
    std::chrono::steady_clock::time_point counted_at_{};
};

} // namespace sphere::camera
