// SPDX-License-Identifier: MIT
// Makes parts of a picture unrecognisable, in its own pixel format.
#pragma once

#include <gst/video/video.h>

#include <array>
#include <cstdint>
#include <vector>

namespace sphere::gst {

enum class RedactMethod : std::uint8_t { Blur, Pixelate, Fill };
enum class RedactShape : std::uint8_t { Ellipse, Box };

struct RedactStyle {
    RedactMethod method = RedactMethod::Blur;
    RedactShape shape = RedactShape::Ellipse;
    int cells = 6; ///< cells along the longer side: all of the picture that is left
    std::array<std::uint8_t, 3> fill_rgb{};
};

/// An area of the frame, px; may lie outside of it.
struct RedactArea {
    double x = 0, y = 0, width = 0, height = 0;
};

/// Works on every 8-bit format with components of whole bytes. Keeps its memory between calls;
/// not thread-safe.
class Redactor {
  public:
    /// `frame` is mapped for reading and writing.
    void redact(GstVideoFrame *frame, const RedactArea &area, const RedactStyle &style);

    struct Plane;
    struct Region;

  private:
    void average(const Plane &plane, const Region &region, int columns, int rows);
    void paint(const Plane &plane, const Region &region, int columns, int rows,
               bool smooth) const;

    std::vector<std::uint32_t> sums_;
    std::vector<std::uint32_t> counts_;
    std::vector<std::uint8_t> means_;
};

} // namespace sphere::gst
