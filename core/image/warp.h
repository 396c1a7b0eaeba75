// SPDX-License-Identifier: MIT
// Affine warp from a decoder's planes to an aligned 8-bit BGR crop.
#pragma once

#include "core/base/result.h"
#include "core/image/geometry.h"
#include "core/image/image.h"
#include "core/image/resize.h"

#include <optional>

namespace sphere {

/// out(x, y) = src(inverse(x, y)), bilinear, black outside the picture (cv::warpAffine with
/// BORDER_CONSTANT). `src_to_crop` maps frame to crop coordinates. With `limit`, pixels outside
/// that rectangle of the frame count as outside. Colour: as resize_to_tensor. Thread-safe.
/// Errors: InvalidArgument (empty sizes, a transform without an inverse).
Result<Image> warp_affine(const ImageView &src, const Affine &src_to_crop, int width,
                          int height, const std::optional<RectI> &limit = std::nullopt);

} // namespace sphere
