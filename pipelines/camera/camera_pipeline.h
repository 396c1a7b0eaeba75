// SPDX-License-Identifier: MIT
// One try at a camera: source ! decoder ! spherebin, with branches for the live view and for
// whoever wants the stream as it was sent.
#pragma once

#include "core/base/result.h"
#include "pipelines/camera/camera_config.h"
#include "pipelines/camera/frame_observer.h"
#include "pipelines/camera/gst_ptr.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace sphere::camera {

/// Called from a streaming thread with each access unit: byte-stream H.264 or H.265, with its
/// parameter sets before each key frame.
using EncodedListener = std::function<void(GstSample *)>;

/// poll() and stop() from one thread; enrol() and the like from any.
class CameraPipeline {
  public:
    /// All elements are made and set; nothing is opened yet. `stream` and `observer` outlive
    /// the pipeline. `encoded` may be empty. Errors: NotFound, InvalidArgument: of the
    /// settings or the installation, so that another try would not help.
    static Result<std::unique_ptr<CameraPipeline>> build(const CameraConfig &config,
                                                         StreamState &stream,
                                                         FrameObserver &observer,
                                                         EncodedListener encoded);
    ~CameraPipeline(); ///< stop()
    CameraPipeline(const CameraPipeline &) = delete;
    CameraPipeline &operator=(const CameraPipeline &) = delete;

    /// Loads models and gallery and begins to connect. Errors: what the elements say.
    Result<void> start();

    enum class News { None, Error, End, Warning };
    struct Report {
        News news = News::None;
        std::string text; ///< without secrets
    };
    /// Waits for news, at most so long.
    Report poll(std::chrono::milliseconds wait);
    void stop();

    /// Whether its end is a failure.
    bool live() const { return live_; }
    /// Why the stream as it was sent is not to be had; empty: it is, or is not known yet.
    std::string encoded_error() const;

    /// spherebin's action signal. Errors: what spherematch says.
    Result<void> enrol(const std::string &person, std::int64_t track);
    std::map<std::string, std::map<std::string, double>> element_stats() const;

    // Called by GStreamer.
    void add_pad(GstPad *pad);
    void no_more_pads();
    void see_encoded(GstSample *sample) { encoded_(sample); }

  private:
    CameraPipeline(const CameraConfig &config, StreamState &stream, FrameObserver &observer,
                   EncodedListener encoded);
    Result<void> assemble();
    Result<void> add_source();
    Result<GstElement *> add_analysis();
    Result<GstElement *> add_recogniser(GstElement *before);
    Result<void> add_end(GstElement *tee);
    Result<GstElement *> add_decoder();
    Result<void> add_encoded_branch(GstElement *tee, const std::string &media);
    Report report_of(GstMessage *message) const;

    const CameraConfig config_;
    StreamState &stream_;
    FrameObserver &observer_;
    EncodedListener encoded_;
    bool live_ = false;
    GstPtr<GstElement> pipeline_;
    GstElement *parser_ = nullptr;  ///< of the pipeline, as the others
    GstElement *decoded_ = nullptr; ///< the queue behind the decoder
    GstElement *recogniser_ = nullptr;
    std::atomic<bool> has_video_ = false;
    mutable std::mutex encoded_error_mutex_;
    std::string encoded_error_;
};

} // namespace sphere::camera
