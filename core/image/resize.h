// SPDX-License-Identifier: MIT
// From a decoder's planes to a network's input in one pass: bilinear resize, colour conversion,
// normalising and packing. No full-frame conversion; only sampled pixels are converted.
#pragma once

#include "core/base/result.h"
#include "core/image/image.h"

#include <array>
#include <span>

namespace sphere {

enum class ChannelOrder : std::uint8_t { BGR, RGB, Gray };

/// value = (pixel - mean[c]) * scale[c], c in the tensor's channel order.
struct Normalization {
    ChannelOrder order = ChannelOrder::BGR;
    std::array<float, 3> mean{0, 0, 0};
    std::array<float, 3> scale{1, 1, 1};
    bool operator==(const Normalization &) const = default;
};

/// An integer rectangle inside a picture.
struct RectI {
    int x = 0;
    int y = 0;
    int w = 0;
    int h = 0;
    bool operator==(const RectI &) const = default;
};

/// A float CHW destination: channel c, row y, column x at data[c*plane_stride + y*row_stride +
/// x].
struct TensorPlane {
    float *data = nullptr;
    std::ptrdiff_t plane_stride = 0;
    std::ptrdiff_t row_stride = 0;
};

/// Bilinear, half-pixel centres, edge replicated: source x = (x + 0.5) * roi.w / width - 0.5,
/// as cv::resize INTER_LINEAR. Values are rounded to 8 bits before they are normalised, so that
/// the network sees what it saw in training. `roi` must lie inside `src`. Gray = BT.601 luma of
/// the converted pixel. Chroma is up-sampled bilinearly by its site, converted and clipped to
/// [0, 255] at each of the four taps. Thread-safe. Errors: InvalidArgument (empty sizes, roi
/// outside).
Result<void> resize_to_tensor(const ImageView &src, const RectI &roi, int width, int height,
                              const Normalization &norm, const TensorPlane &dst);

/// The same into an 8-bit interleaved BGR picture of `width` x `height`.
Result<Image> resize_to_bgr(const ImageView &src, const RectI &roi, int width, int height);

/// A whole picture as BGR (for still images, thumbnails and snapshots; never on the road).
Result<Image> to_bgr(const ImageView &src);

/// An aligned 8-bit BGR crop to a float CHW tensor of its own size.
void normalize_to_tensor(const Image &crop, const Normalization &norm, const TensorPlane &dst);

} // namespace sphere
