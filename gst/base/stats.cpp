// SPDX-License-Identifier: MIT
#include "gst/base/stats.h"

#include <algorithm>
#include <cstring>

namespace sphere::gst {

void Stats::reset() {
    const std::lock_guard lock(mutex_);
    frames_ = faces_ = skipped_ = errors_ = total_ns_ = 0;
    inference_ns_ = 0;
    reasons_.fill(0);
    causes_.fill({});
    gauges_.fill({});
    measure_name_ = nullptr;
}

void Stats::add_frame(std::chrono::nanoseconds elapsed) {
    const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(0, elapsed.count()));
    const std::lock_guard lock(mutex_);
    recent_ns_[frames_ % kWindow] = ns;
    ++frames_;
    total_ns_ += ns;
}

void Stats::add_faces(std::uint64_t count) {
    const std::lock_guard lock(mutex_);
    faces_ += count;
}

void Stats::add_skipped(std::uint64_t count) {
    const std::lock_guard lock(mutex_);
    skipped_ += count;
}

void Stats::add_skipped_for(const char *cause) {
    const std::lock_guard lock(mutex_);
    ++skipped_;
    for (Cause &known : causes_) {
        if (known.name == nullptr)
            known.name = cause;
        if (std::strcmp(known.name, cause) == 0) {
            ++known.count;
            return;
        }
    }
}

void Stats::set_gauge(const char *name, std::uint64_t value) {
    const std::lock_guard lock(mutex_);
    for (Cause &known : gauges_) {
        if (known.name == nullptr)
            known.name = name;
        if (std::strcmp(known.name, name) == 0) {
            known.count = value;
            return;
        }
    }
}

void Stats::set_measure(const char *name, double value) {
    const std::lock_guard lock(mutex_);
    measure_name_ = name;
    measure_ = value;
}

void Stats::add_error() {
    const std::lock_guard lock(mutex_);
    ++errors_;
}

void Stats::add_reason(FaceReason reason) {
    const std::lock_guard lock(mutex_);
    ++reasons_[static_cast<std::size_t>(reason) % reasons_.size()];
}

void Stats::add_inference(double ms) {
    const std::lock_guard lock(mutex_);
    inference_ns_ += ms * 1e6;
}

GstStructure *Stats::to_structure() const {
    const std::lock_guard lock(mutex_);
    std::array<std::uint64_t, kWindow> sorted = recent_ns_;
    const std::size_t count = std::min<std::uint64_t>(frames_, kWindow);
    std::uint64_t p99 = 0;
    if (count > 0) {
        const std::size_t rank = (count * 99 + 99) / 100 - 1; // nearest-rank definition
        std::nth_element(sorted.begin(), sorted.begin() + rank, sorted.begin() + count);
        p99 = sorted[rank];
    }
    const std::uint64_t frames = std::max<std::uint64_t>(1, frames_);
    GstStructure *structure = gst_structure_new(
        "sphere-stats", "frames", G_TYPE_UINT64, frames_, "faces", G_TYPE_UINT64, faces_,
        "skipped", G_TYPE_UINT64, skipped_, "errors", G_TYPE_UINT64, errors_, "time-mean-ns",
        G_TYPE_UINT64, total_ns_ / frames, "time-p99-ns", G_TYPE_UINT64, p99,
        "inference-mean-ns", G_TYPE_UINT64,
        static_cast<guint64>(inference_ns_ / static_cast<double>(frames)), nullptr);
    for (std::size_t i = 1; i < reasons_.size(); ++i) {
        const char *name = face_reason_name(static_cast<FaceReason>(i));
        if (reasons_[i] > 0 && name[0] != '\0')
            gst_structure_set(structure, name, G_TYPE_UINT64, reasons_[i], nullptr);
    }
    for (const Cause &cause : causes_)
        if (cause.name != nullptr)
            gst_structure_set(structure, cause.name, G_TYPE_UINT64, cause.count, nullptr);
    for (const Cause &gauge : gauges_)
        if (gauge.name != nullptr)
            gst_structure_set(structure, gauge.name, G_TYPE_UINT64, gauge.count, nullptr);
    if (measure_name_ != nullptr)
        gst_structure_set(structure, measure_name_, G_TYPE_DOUBLE, measure_, nullptr);
    return structure;
}

bool OncePerSecond::operator()() {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_)
        return false;
    next_ = now + std::chrono::seconds(1);
    return true;
}

} // namespace sphere::gst
