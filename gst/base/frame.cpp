// SPDX-License-Identifier: MIT
#include "gst/base/frame.h"

namespace sphere::gst {
namespace {

PixelFormat pixel_format(GstVideoFormat format) {
    switch (format) {
    case GST_VIDEO_FORMAT_I420:
        return PixelFormat::I420;
    case GST_VIDEO_FORMAT_YV12:
        return PixelFormat::YV12;
    case GST_VIDEO_FORMAT_NV12:
        return PixelFormat::NV12;
    case GST_VIDEO_FORMAT_YUY2:
        return PixelFormat::YUY2;
    case GST_VIDEO_FORMAT_RGB:
        return PixelFormat::RGB;
    case GST_VIDEO_FORMAT_BGRx:
        return PixelFormat::BGRx;
    case GST_VIDEO_FORMAT_RGBx:
        return PixelFormat::RGBx;
    case GST_VIDEO_FORMAT_BGRA:
        return PixelFormat::BGRA;
    case GST_VIDEO_FORMAT_RGBA:
        return PixelFormat::RGBA;
    case GST_VIDEO_FORMAT_GRAY8:
        return PixelFormat::GRAY8;
    default:
        return PixelFormat::BGR;
    }
}

ColorSpec color_spec(const GstVideoInfo &info) {
    ColorSpec color;
    // Unknown and RGB matrices leave BT.601, GStreamer's own fallback.
    gst_video_color_matrix_get_Kr_Kb(info.colorimetry.matrix, &color.kr, &color.kb);
    color.full_range = info.colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255;
    color.site.h_cosited = (info.chroma_site & GST_VIDEO_CHROMA_SITE_H_COSITED) != 0;
    color.site.v_cosited = (info.chroma_site & GST_VIDEO_CHROMA_SITE_V_COSITED) != 0;
    return color;
}

} // namespace

ImageView view_of_frame(const GstVideoFrame *frame) {
    ImageView view;
    view.format = pixel_format(GST_VIDEO_FRAME_FORMAT(frame));
    view.width = GST_VIDEO_FRAME_WIDTH(frame);
    view.height = GST_VIDEO_FRAME_HEIGHT(frame);
    view.color = color_spec(frame->info);
    const bool planar = view.format == PixelFormat::I420 || view.format == PixelFormat::YV12;
    const guint planes = planar ? 3 : GST_VIDEO_FRAME_N_PLANES(frame);
    for (guint i = 0; i < planes && i < view.planes.size(); ++i) {
        // Components give Y, Cb, Cr whatever the planes' order in memory (YV12).
        const guint plane = planar ? GST_VIDEO_INFO_COMP_PLANE(&frame->info, i) : i;
        view.planes[i] = {
            static_cast<const std::uint8_t *>(GST_VIDEO_FRAME_PLANE_DATA(frame, plane)),
            GST_VIDEO_FRAME_PLANE_STRIDE(frame, plane)};
    }
    return view;
}

Result<MappedFrame> MappedFrame::map(const GstVideoInfo &info, GstBuffer *buffer,
                                     GstMapFlags flags) {
    MappedFrame mapped;
    const auto map_flags = static_cast<GstMapFlags>(
        static_cast<int>(flags) | static_cast<int>(GST_VIDEO_FRAME_MAP_FLAG_NO_REF));
    if (gst_video_frame_map(&mapped.frame_, &info, buffer, map_flags) == FALSE)
        return fail(Errc::Io, "A buffer of ", gst_buffer_get_size(buffer),
                    " bytes cannot be mapped as a ", GST_VIDEO_INFO_NAME(&info), " frame of ",
                    info.width, "x", info.height, ".");
    mapped.mapped_ = true;
    return mapped;
}

MappedFrame::MappedFrame(MappedFrame &&other) noexcept
    : frame_(other.frame_), mapped_(std::exchange(other.mapped_, false)) {}

MappedFrame::~MappedFrame() {
    if (mapped_)
        gst_video_frame_unmap(&frame_);
}

} // namespace sphere::gst
