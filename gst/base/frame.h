// SPDX-License-Identifier: MIT
// Mapped video frames as the core's views.
#pragma once

#include "core/base/result.h"
#include "core/image/image.h"

#include <gst/video/video.h>

namespace sphere::gst {

/// The pixel formats of the pads, in the order of preference.
#define GST_SPHERE_FORMATS "{ I420, NV12, YV12, YUY2, BGR, RGB, BGRx, RGBx, BGRA, RGBA, GRAY8 }"

/// A view on a mapped frame; valid while it is mapped.
ImageView view_of_frame(const GstVideoFrame *frame);

/// A frame mapped for reading while the object lives. Strides and offsets come from the
/// buffer's GstVideoMeta where there is one.
class MappedFrame {
  public:
    /// Errors: Io where the buffer cannot be mapped or is too small for its caps.
    static Result<MappedFrame> map(const GstVideoInfo &info, GstBuffer *buffer,
                                   GstMapFlags flags = GST_MAP_READ);
    MappedFrame(MappedFrame &&other) noexcept;
    MappedFrame &operator=(MappedFrame &&) = delete;
    ~MappedFrame();

    ImageView view() const { return view_of_frame(&frame_); }
    GstVideoFrame *frame() { return &frame_; }

  private:
    MappedFrame() = default;
    GstVideoFrame frame_{};
    bool mapped_ = false;
};

} // namespace sphere::gst
