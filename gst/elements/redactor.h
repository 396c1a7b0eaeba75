// SPDX-License-Identifier: MIT
// Makes parts of a picture unrecognisable, in its own pixel format.
#pragma once

#include <gst/video/video.h>

#include <array>
#include <cstdint>
#include <vector>

namespace sphere::gst {

enum class RedactMethod : std::uint8_t { Blur, Pixelate, Fill, Image };
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

/// What red, green and blue give in each component of a format. The matrix and the range are
/// those of its caps (ITU-T H.273, 8.3).
class ComponentWeights {
  public:
    explicit ComponentWeights(const GstVideoInfo &info);
    /// The component's sample where a colour that may be clear lies over `behind`.
    std::uint8_t blended(unsigned component, std::uint32_t premultiplied_argb,
                         std::uint8_t behind) const;

  private:
    std::array<std::array<double, 4>, 3> weights_{}; ///< red, green, blue, offset
};

/// Works on every 8-bit format with components of whole bytes. Keeps its memory between calls;
/// not thread-safe.
class Redactor {
  public:
    /// `frame` is mapped for reading and writing. `Image` fills, and leaves the image to
    /// CoverImage.
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
