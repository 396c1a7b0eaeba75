// SPDX-License-Identifier: MIT
// Views on pictures in memory, as decoders leave them, and an owning 8-bit picture.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sphere {

/// Memory layouts that the road reads as they are. Names follow GStreamer's.
enum class PixelFormat : std::uint8_t {
    I420,
    YV12,
    NV12,
    YUY2,
    BGR,
    RGB,
    BGRx,
    RGBx,
    BGRA,
    RGBA,
    GRAY8
};

/// Where a chroma sample lies in relation to luma (H.273 chroma sample locations).
struct ChromaSite {
    bool h_cosited = false; ///< true: on the left luma sample; false: midway between two
    bool v_cosited = false; ///< true: on the upper luma sample; false: midway between two
};

/// How Y'CbCr becomes R'G'B'. Kr and Kb: ITU-R BT.601-7 2.5.1 (0.299, 0.114), BT.709-6 item 3.2
/// (0.2126, 0.0722), BT.2020-2 table 4 (0.2627, 0.0593).
struct ColorSpec {
    double kr = 0.299;
    double kb = 0.114;
    bool full_range = false; ///< false: luma 16..235, chroma 16..240
    ChromaSite site;
};

/// One plane; row y starts at data + y * stride_bytes. Strides may exceed a row's bytes.
struct Plane {
    const std::uint8_t *data = nullptr;
    std::ptrdiff_t stride_bytes = 0;
};

/// A picture that somebody else owns and keeps alive while the view is used. Read only.
/// Planes: I420 and YV12: Y, Cb, Cr in this order, whatever their order in memory; NV12: Y,
/// CbCr; all others: one. Subsampled planes are ceil(width / 2) x ceil(height / 2); YUY2 rows
/// are ceil(width / 2) groups of 4 bytes. `color` counts for YUV and GRAY8 only.
struct ImageView {
    PixelFormat format = PixelFormat::BGR;
    int width = 0;
    int height = 0;
    std::array<Plane, 3> planes{};
    ColorSpec color{};

    bool empty() const { return width <= 0 || height <= 0; }
};

/// An owned 8-bit BGR picture, tight: row y starts at 3 * width * y.
struct Image {
    int width = 0;
    int height = 0;
    std::vector<std::uint8_t> bgr;

    Image() = default;
    Image(int w, int h)
        : width(w), height(h),
          bgr(static_cast<std::size_t>(w) * static_cast<std::size_t>(h) * 3) {}

    ImageView view() const {
        ImageView v;
        v.format = PixelFormat::BGR;
        v.width = width;
        v.height = height;
        v.planes[0] = {bgr.data(), static_cast<std::ptrdiff_t>(width) * 3};
        return v;
    }
};

} // namespace sphere
