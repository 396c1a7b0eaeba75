// SPDX-License-Identifier: MIT
#include "pipelines/camera/segment_writer.h"

#include "pipelines/camera/elements.h"

#include <gst/app/gstappsrc.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace sphere::camera {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kFinishWithin{2};

Result<int> make_private_file(const std::string &path) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    const Errc code = errno == ENOSPC || errno == EDQUOT  ? Errc::NoSpace
                      : errno == EACCES || errno == EROFS ? Errc::Permission
                                                          : Errc::Io;
    return fail(code, path, ": ", std::strerror(errno));
}

std::string error_text(GstMessage *message) {
    GError *error = nullptr;
    gst_message_parse_error(message, &error, nullptr);
    const bool full =
        g_error_matches(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
    std::string text = full ? "the disk is full" : error->message;
    g_error_free(error);
    return text;
}

} // namespace

SegmentWriter::SegmentWriter(std::string path, std::uint64_t begin_ns)
    : file_(path + ".mp4"), sidecar_path_(path + ".jsonl"), begin_ns_(begin_ns),
      last_ns_(begin_ns) {}

SegmentWriter::~SegmentWriter() {
    finish();
    const auto begun = steady_clock::now();
    while (poll() == State::Finishing && steady_clock::now() - begun < kFinishWithin)
        g_usleep(10 * 1000);
    if (pipeline_)
        gst_element_set_state(pipeline_.get(), GST_STATE_NULL);
}

Result<std::unique_ptr<SegmentWriter>>
SegmentWriter::open(const std::string &path, GstCaps *caps, std::uint64_t begin_ns) {
    std::unique_ptr<SegmentWriter> writer(new SegmentWriter(path, begin_ns));
    SPHERE_TRY(writer->make_files());
    SPHERE_TRY(writer->make_pipeline(caps));
    return writer;
}

Result<void> SegmentWriter::make_files() {
    const auto video = make_private_file(file_); // filesink keeps the mode of what is there
    if (!video)
        return video.error();
    ::close(*video);
    const auto sidecar = make_private_file(sidecar_path_);
    if (!sidecar)
        return sidecar.error();
    sidecar_.reset(::fdopen(*sidecar, "w"));
    if (sidecar_)
        return {};
    ::close(*sidecar);
    return fail(Errc::Io, sidecar_path_, ": ", std::strerror(errno));
}

Result<void> SegmentWriter::make_pipeline(GstCaps *caps) {
    const char *name = gst_structure_get_name(gst_caps_get_structure(caps, 0));
    const bool h264 = std::string_view(name) == "video/x-h264";
    pipeline_.reset(GST_ELEMENT(gst_object_ref_sink(gst_pipeline_new("recording"))));
    GstBin *bin = GST_BIN(pipeline_.get());
    auto source = add_element(bin, "appsrc", "source");
    auto parse = add_element(bin, h264 ? "h264parse" : "h265parse", "parse");
    auto mux = add_element(bin, "mp4mux", "mux");
    auto sink = add_element(bin, "filesink", "sink");
    for (const auto *element : {&source, &parse, &mux, &sink})
        if (!element->ok())
            return element->error();
    source_.reset(GST_ELEMENT(gst_object_ref(*source)));
    g_object_set(*source, "caps", caps, "format", GST_FORMAT_TIME, "max-bytes",
                 static_cast<guint64>(2 * kMaxWaitingBytes), nullptr);
    // What is on disk can be played even if the power fails.
    g_object_set(*mux, "fragment-duration", 1000U, nullptr);
    gst_util_set_object_arg(G_OBJECT(*mux), "fragment-mode", "first-moov-then-finalise");
    g_object_set(*sink, "location", file_.c_str(), "async", FALSE, nullptr);
    // What MP4 takes; without it the parser would see no reason to change the stream.
    const CapsPtr in_mp4(gst_caps_new_simple(name, "stream-format", G_TYPE_STRING,
                                             h264 ? "avc" : "hvc1", "alignment", G_TYPE_STRING,
                                             "au", nullptr));
    auto form = add_element(bin, "capsfilter", "form");
    if (!form)
        return form.error();
    g_object_set(*form, "caps", in_mp4.get(), nullptr);
    bool linked = gst_element_link_many(*source, *parse, *form, nullptr) != FALSE;
    GstElement *last = *form;
    // RTP has no decoding times; MP4 needs them where frames are not in order.
    if (GstElement *stamper = gst_element_factory_make(
            h264 ? "h264timestamper" : "h265timestamper", "timestamps")) {
        gst_bin_add(bin, stamper);
        linked = linked && gst_element_link(last, stamper) != FALSE;
        last = stamper;
    }
    if (!linked || gst_element_link_many(last, *mux, *sink, nullptr) == FALSE)
        return fail(Errc::Internal, "a recording's elements cannot be linked");
    if (gst_element_set_state(pipeline_.get(), GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE) {
        poll();
        return fail(Errc::Io, file_, ": ", error_.empty() ? "cannot be written" : error_);
    }
    return {};
}

void SegmentWriter::push(GstBuffer *buffer, std::uint64_t pts_ns) {
    if (state_ != State::Writing)
        return;
    guint64 waiting = 0;
    g_object_get(source_.get(), "current-level-bytes", &waiting, nullptr);
    if (waiting > kMaxWaitingBytes) {
        error_ = "the disk is too slow";
        state_ = State::Failed;
        return;
    }
    last_ns_ = std::max(last_ns_, pts_ns);
    GstBuffer *copy = gst_buffer_copy(buffer);
    const auto in_file = [this](GstClockTime time) {
        if (!GST_CLOCK_TIME_IS_VALID(time))
            return time;
        return time >= begin_ns_ ? time - begin_ns_ : 0;
    };
    GST_BUFFER_PTS(copy) = in_file(GST_BUFFER_PTS(copy));
    GST_BUFFER_DTS(copy) = in_file(GST_BUFFER_DTS(copy));
    gst_app_src_push_buffer(GST_APP_SRC(source_.get()), copy);
}

void SegmentWriter::add_record(const FrameRecord &record) {
    if (!sidecar_ || !record.pts_ns || *record.pts_ns < begin_ns_ ||
        (state_ != State::Writing && *record.pts_ns > last_ns_))
        return;
    FrameRecord moved = record;
    moved.stream_time_ns = *record.pts_ns - begin_ns_;
    std::string line = to_json_line(moved, false);
    line += '\n';
    if (std::fwrite(line.data(), 1, line.size(), sidecar_.get()) != line.size() &&
        error_.empty())
        error_ = sidecar_path_ + ": " + std::strerror(errno);
}

void SegmentWriter::finish() {
    if (state_ != State::Writing || !source_)
        return;
    state_ = State::Finishing;
    finishing_since_ = steady_clock::now();
    gst_app_src_end_of_stream(GST_APP_SRC(source_.get()));
}

SegmentWriter::State SegmentWriter::poll() {
    if (!pipeline_)
        return State::Failed;
    const GstPtr<GstBus> bus(gst_element_get_bus(pipeline_.get()));
    for (;;) {
        const MessagePtr message(gst_bus_pop_filtered(
            bus.get(), static_cast<GstMessageType>(GST_MESSAGE_ERROR | GST_MESSAGE_EOS)));
        if (!message)
            return state_;
        if (state_ == State::Failed)
            continue;
        if (GST_MESSAGE_TYPE(message.get()) == GST_MESSAGE_EOS) {
            state_ = State::Finished;
        } else {
            error_ = error_text(message.get());
            state_ = State::Failed;
        }
    }
}

std::optional<std::chrono::milliseconds> SegmentWriter::finishing_for() const {
    if (!finishing_since_)
        return std::nullopt;
    return std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() -
                                                                 *finishing_since_);
}

} // namespace sphere::camera
