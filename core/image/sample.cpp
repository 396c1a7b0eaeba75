// SPDX-License-Identifier: MIT
// Formats, colour matrices and chroma sites.
#include "core/image/sample.h"

#include <cmath>

namespace sphere {
namespace {

// H.273 equations 20 to 22 and 38 to 40, turned round, for 8 bits; R'G'B' in 0..255.
Result<kernels::YuvMatrix> yuv_matrix(const ColorSpec &color) {
    const double kr = color.kr, kb = color.kb, kg = 1 - kr - kb;
    if (!(kr >= 0 && kb >= 0 && kg > 0))
        return fail(Errc::InvalidArgument, "colour matrix with Kr ", kr, " and Kb ", kb,
                    ": both must be at least 0 and their sum below 1");
    const double y_scale = color.full_range ? 1 : 255.0 / 219;
    const double c_scale = (color.full_range ? 1 : 255.0 / 224) / kernels::kChromaUnit;
    kernels::YuvMatrix m;
    m.y_offset = color.full_range ? 0 : 16;
    m.y_scale = static_cast<float>(y_scale);
    m.u_to_b = static_cast<float>(2 * (1 - kb) * c_scale);
    m.u_to_g = static_cast<float>(-2 * (1 - kb) * kb / kg * c_scale);
    m.v_to_g = static_cast<float>(-2 * (1 - kr) * kr / kg * c_scale);
    m.v_to_r = static_cast<float>(2 * (1 - kr) * c_scale);
    return m;
}

void set_packed(Source &source, int step, int blue, int green, int red) {
    source.kind = Source::Kind::Packed;
    source.step = step;
    source.blue = blue;
    source.green = green;
    source.red = red;
}

void set_chroma(Source &source, const Plane &u, const Plane &v, int step) {
    source.kind = Source::Kind::Yuv;
    source.u = u.data;
    source.v = v.data;
    source.u_stride = u.stride_bytes;
    source.v_stride = v.stride_bytes;
    source.chroma_step = step;
}

Plane shifted(const Plane &plane, int bytes) {
    return {plane.data ? plane.data + bytes : nullptr, plane.stride_bytes};
}

} // namespace

ChromaAxis chroma_axis(bool subsampled, bool cosited, int luma_size) {
    ChromaAxis axis;
    if (!subsampled) {
        axis.last = luma_size - 1;
        return axis;
    }
    axis.shift = 1;
    axis.last = (luma_size - 1) / 2;
    if (cosited) {
        axis.near[1] = axis.other[1] = 2;
        axis.step[1] = 1;
    } else {
        axis.near[0] = axis.near[1] = 3;
        axis.other[0] = axis.other[1] = 1;
        axis.step[0] = -1;
        axis.step[1] = 1;
    }
    return axis;
}

Result<Source> describe_source(const ImageView &view) {
    if (view.empty() || view.width > kMaxSourceSide || view.height > kMaxSourceSide)
        return fail(Errc::InvalidArgument, "picture of ", view.width, "x", view.height,
                    " pixels: sides must be 1 to ", kMaxSourceSide);
    Source source;
    const auto &planes = view.planes;
    source.base = planes[0].data;
    source.stride = planes[0].stride_bytes;
    bool rows_subsampled = true;
    switch (view.format) {
    case PixelFormat::I420:
    case PixelFormat::YV12:
        set_chroma(source, planes[1], planes[2], 1);
        break;
    case PixelFormat::NV12:
        set_chroma(source, planes[1], shifted(planes[1], 1), 2);
        break;
    case PixelFormat::YUY2:
        source.step = 2;
        rows_subsampled = false;
        set_chroma(source, shifted(planes[0], 1), shifted(planes[0], 3), 4);
        break;
    case PixelFormat::GRAY8:
        source.kind = Source::Kind::Gray;
        break;
    case PixelFormat::BGR:
        set_packed(source, 3, 0, 1, 2);
        break;
    case PixelFormat::RGB:
        set_packed(source, 3, 2, 1, 0);
        break;
    case PixelFormat::BGRx:
    case PixelFormat::BGRA:
        set_packed(source, 4, 0, 1, 2);
        break;
    case PixelFormat::RGBx:
    case PixelFormat::RGBA:
        set_packed(source, 4, 2, 1, 0);
        break;
    default:
        return fail(Errc::InvalidArgument, "pixel format number ",
                    static_cast<int>(view.format), " does not exist");
    }
    const bool is_yuv = source.kind == Source::Kind::Yuv;
    if (!source.base || (is_yuv && (!source.u || !source.v)))
        return fail(Errc::InvalidArgument, "picture of ", view.width, "x", view.height,
                    " pixels without its planes");
    if (source.kind == Source::Kind::Packed)
        return source;

    auto matrix = yuv_matrix(view.color);
    if (!matrix)
        return std::move(matrix).error();
    source.matrix = *matrix;
    if (is_yuv) {
        source.horizontal = chroma_axis(true, view.color.site.h_cosited, view.width);
        source.vertical = chroma_axis(rows_subsampled, view.color.site.v_cosited, view.height);
    }
    return source;
}

Result<void> check_output_size(int width, int height) {
    if (width < 1 || height < 1 || width > kMaxOutputSide || height > kMaxOutputSide)
        return fail(Errc::InvalidArgument, "output of ", width, "x", height,
                    " pixels: sides must be 1 to ", kMaxOutputSide);
    return {};
}

} // namespace sphere
