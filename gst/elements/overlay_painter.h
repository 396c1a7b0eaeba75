// SPDX-License-Identifier: MIT
// Draws boxes and text on video frames in their own pixel format.
#pragma once

#include <gst/video/video.h>

#include <array>
#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

namespace sphere::gst {

struct Rgb {
    std::uint8_t r = 0;
    std::uint8_t g = 0;
    std::uint8_t b = 0;
};

/// An 8-bit coverage mask; row y starts at width * y.
struct TextMask {
    int width = 0;
    int height = 0;
    std::vector<std::uint8_t> coverage;
};

/// Renders text to masks by Pango and keeps the last ones. Not thread-safe.
class TextRenderer {
  public:
    /// A line of UTF-8 text, `height_px` from ascent to descent about. The reference lives
    /// until kMostMasks others were asked for.
    const TextMask &render(const std::string &text, int height_px);

  private:
    static constexpr std::size_t kMostMasks = 128;
    std::list<std::string> order_; ///< keys, oldest first
    std::unordered_map<std::string, TextMask> masks_;
};

/// Paints on one mapped, writable frame of any 8-bit format of the road's. Coordinates may lie
/// outside the frame: what does is left out.
class Painter {
  public:
    explicit Painter(GstVideoFrame *frame);

    /// Half-open: x0 <= x < x1. Opacity in [0, 1].
    void fill(int x0, int y0, int x1, int y1, Rgb color, float opacity = 1);
    /// A box of `line_px` wide lines, inside and outside its edge alike.
    void outline(float x, float y, float w, float h, int line_px, Rgb color);
    void disc(float x, float y, float radius_px, Rgb color);
    void text(int x, int y, const TextMask &mask, Rgb color);

    int width() const { return width_; }
    int height() const { return height_; }

  private:
    using Values = std::array<int, GST_VIDEO_MAX_COMPONENTS>;
    Values values_of(Rgb color) const;
    /// Blends coverage(x, y) in 0..255 over x0..x1, y0..y1 in each component's own resolution.
    template <typename Coverage>
    void blend(int x0, int y0, int x1, int y1, Rgb color, Coverage &&coverage);

    GstVideoFrame *frame_;
    int width_;
    int height_;
};

} // namespace sphere::gst
