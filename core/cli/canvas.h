// SPDX-License-Identifier: MIT
// Boxes, points and short texts drawn into a picture.
#pragma once

#include "core/image/geometry.h"
#include "core/image/image.h"

#include <array>
#include <cstdint>
#include <string_view>

namespace sphere::cli {

using Bgr = std::array<std::uint8_t, 3>;
inline constexpr int kTextHeightPx = 14; ///< of draw_text

/// All drawing is clipped to the picture.
void fill_rect(Image &image, int x, int y, int w, int h, Bgr color);
/// Lines of `line_px` about the box's edge.
void draw_box(Image &image, const Box &box, int line_px, Bgr color);
void draw_point(Image &image, Point2f point, int radius_px, Bgr color);
/// Letters (as capitals), digits and - . : _ , of 10 x 14 px; anything else is a gap.
void draw_text(Image &image, int x, int y, std::string_view text, Bgr color);
/// Copies `from` to (x, y).
void paste(Image &image, int x, int y, const Image &from);

} // namespace sphere::cli
