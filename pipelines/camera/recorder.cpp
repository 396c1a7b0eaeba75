// SPDX-License-Identifier: MIT
#include "pipelines/camera/recorder.h"

#include "core/base/log.h"
#include "pipelines/camera/recording_folder.h"

#include <algorithm>
#include <utility>

namespace sphere::camera {
namespace {

using std::chrono::steady_clock;

constexpr std::uint64_t kNsPerMs = 1000 * 1000;
/// The analysis is behind the stream, and so are its events and records.
constexpr std::uint64_t kAnalysisBehindNs = 2000 * kNsPerMs;
constexpr std::chrono::milliseconds kSidecarWaits{2000};
constexpr std::chrono::seconds kTryAgainAfter{10};
constexpr std::chrono::seconds kCountEvery{5};
constexpr std::size_t kMaxRecords = 4096;

std::int64_t unix_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::size_t bytes_of(GstSample *sample) {
    return gst_buffer_get_size(gst_sample_get_buffer(sample));
}

} // namespace

Recorder::Recorder(RecordingConfig config, std::string camera)
    : config_(std::move(config)), directory_(config_.directory + "/" + camera) {}

Recorder::~Recorder() {
    end_stream();
}

void Recorder::failed(const std::string &why) {
    if (error_ != why)
        log(LogLevel::Error, "recording to " + directory_ + ": " + why);
    error_ = why;
    not_before_ = steady_clock::now() + kTryAgainAfter;
}

void Recorder::set_obstacle(const std::string &why) {
    const std::lock_guard lock(mutex_);
    if (obstacle_ != why && !why.empty())
        log(LogLevel::Error, "recording to " + directory_ + ": " + why);
    obstacle_ = why;
}

// Whole groups of pictures go: what is left begins with a key frame.
void Recorder::prune_held() {
    const std::uint64_t keep = config_.pre_roll_ms * kNsPerMs + kAnalysisBehindNs;
    for (;;) {
        const auto next_key = std::find_if(held_.begin() + (held_.empty() ? 0 : 1), held_.end(),
                                           [](const Unit &unit) { return unit.key; });
        if (next_key == held_.end()) {
            if (held_bytes_ > kMaxHeldBytes) { // one group alone: start anew at the next
                held_.clear();
                held_bytes_ = 0;
            }
            return;
        }
        if (next_key->pts_ns + keep > newest_ns() && held_bytes_ <= kMaxHeldBytes)
            return;
        for (auto unit = held_.begin(); unit != next_key; ++unit)
            held_bytes_ -= bytes_of(unit->sample.get());
        held_.erase(held_.begin(), next_key);
    }
}

Result<void> Recorder::make_room() const {
    SPHERE_TRY(make_recording_folder(directory_));
    return make_recording_room(directory_, config_.max_bytes, config_.min_free_bytes,
                               writer_ ? writer_->file() : std::string());
}

// Opens a file that begins with held_[first], a key frame, and brings it up to date.
void Recorder::open_at(std::size_t first) {
    if (not_before_ && steady_clock::now() < *not_before_)
        return;
    if (const auto room = make_room(); !room)
        return failed(room.error().message);
    const Unit &begin = held_[first];
    const auto age_ms = static_cast<std::int64_t>((newest_ns() - begin.pts_ns) / kNsPerMs);
    auto writer = SegmentWriter::open(new_recording_path(directory_, unix_ms() - age_ms),
                                      gst_sample_get_caps(begin.sample.get()), begin.pts_ns);
    if (!writer)
        return failed(writer.error().message);
    not_before_.reset();
    writer_ = std::move(*writer);
    log(LogLevel::Info, "recording to " + writer_->file());
    for (std::size_t i = first; i < held_.size(); ++i)
        writer_->push(gst_sample_get_buffer(held_[i].sample.get()), held_[i].pts_ns);
    for (const FrameRecord &record : records_)
        writer_->add_record(record);
}

void Recorder::begin(std::uint64_t from_ns) {
    // The last key frame at or before that time, or the first there is.
    std::size_t first = 0;
    for (std::size_t i = 0; i < held_.size() && held_[i].pts_ns <= from_ns; ++i)
        if (held_[i].key)
            first = i;
    open_at(first);
}

void Recorder::close() {
    if (!writer_)
        return;
    writer_->finish();
    finishing_.push_back(std::move(writer_));
}

void Recorder::add_encoded(GstSample *sample) {
    GstBuffer *buffer = gst_sample_get_buffer(sample);
    if (buffer == nullptr || !GST_BUFFER_PTS_IS_VALID(buffer))
        return;
    Unit unit;
    unit.sample.reset(gst_sample_ref(sample));
    unit.pts_ns = GST_BUFFER_PTS(buffer);
    unit.key = !GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    const std::lock_guard lock(mutex_);
    const bool key = unit.key;
    const std::uint64_t pts_ns = unit.pts_ns;
    if (held_.empty() && !key)
        return;
    held_bytes_ += bytes_of(sample);
    held_.push_back(std::move(unit));
    if (writer_) {
        const bool over = pts_ns > record_until_ns_;
        const bool full =
            key && pts_ns >= writer_->begin_ns() + config_.max_segment_ms * kNsPerMs;
        if (over || full)
            close();
        else
            writer_->push(buffer, pts_ns);
        if (key && writer_)
            if (const auto room = make_room(); !room) {
                close();
                failed(room.error().message);
            }
    }
    if (!writer_ && key && pts_ns <= record_until_ns_)
        open_at(held_.size() - 1); // the next file, or another try after a failure
    prune_held();
}

void Recorder::add_record(FrameRecord record) {
    const std::lock_guard lock(mutex_);
    if (writer_)
        writer_->add_record(record);
    for (const auto &writer : finishing_)
        writer->add_record(record);
    records_.push_back(std::move(record));
    const std::uint64_t oldest = held_.empty() ? newest_ns() : held_.front().pts_ns;
    while (!records_.empty() &&
           (records_.size() > kMaxRecords || records_.front().pts_ns.value_or(0) < oldest))
        records_.pop_front();
}

void Recorder::see_event(const CameraEvent &event) {
    if (std::find(config_.events.begin(), config_.events.end(), event.event) ==
        config_.events.end())
        return;
    const std::lock_guard lock(mutex_);
    if (held_.empty())
        return; // between two tries
    const std::uint64_t at = event.pts_ns.value_or(newest_ns());
    record_until_ns_ = std::max(record_until_ns_, at + config_.post_roll_ms * kNsPerMs);
    const std::uint64_t pre_roll = config_.pre_roll_ms * kNsPerMs;
    if (!writer_)
        begin(at > pre_roll ? at - pre_roll : 0);
}

void Recorder::poll() {
    const std::lock_guard lock(mutex_);
    if (writer_ && writer_->poll() == SegmentWriter::State::Failed) {
        failed(writer_->error());
        writer_.reset();
    }
    std::erase_if(finishing_, [this](const auto &writer) {
        switch (writer->poll()) {
        case SegmentWriter::State::Failed:
            failed(writer->error());
            return true;
        case SegmentWriter::State::Finished:
            if (writer->finishing_for().value_or(kSidecarWaits) < kSidecarWaits)
                return false; // records of its last frames may still come
            ++recordings_;
            if (!not_before_ || !writer->error().empty()) // else a later file's failure is news
                error_ = writer->error();
            return true;
        default:
            return false;
        }
    });
    const auto now = steady_clock::now();
    if (now - counted_at_ > kCountEvery) {
        counted_at_ = now;
        bytes_ = recorded_bytes(directory_);
    }
}

void Recorder::end_stream() {
    const std::lock_guard lock(mutex_);
    close();
    for (const auto &writer : finishing_) {
        for (int i = 0; i < 200 && writer->poll() == SegmentWriter::State::Finishing; ++i)
            g_usleep(10 * 1000);
        if (writer->poll() == SegmentWriter::State::Finished)
            ++recordings_;
        else
            failed(writer->error().empty() ? writer->file() + " was not finished in time"
                                           : writer->error());
    }
    finishing_.clear();
    held_.clear();
    held_bytes_ = 0;
    records_.clear();
    record_until_ns_ = 0;
}

void Recorder::describe(CameraStatus &status) const {
    const std::lock_guard lock(mutex_);
    status.recording_file = writer_ ? writer_->file() : std::string();
    status.recording_error = obstacle_.empty() ? error_ : obstacle_;
    status.recordings = recordings_;
    status.recording_bytes = bytes_;
}

} // namespace sphere::camera
