// SPDX-License-Identifier: MIT
// Where the points of a picture go when an element scales, crops, flips or turns it. Private to
// the library.
#pragma once

#include "face_data.h"

#include <array>

namespace sphere_meta {

struct Rect {
    double x = 0, y = 0, width = 0, height = 0;
};

/// A homography of the plane of the frame, in px, with (0, 0) at the outer corner of the
/// top-left pixel: the coordinates of box edges, and GStreamer's. Landmarks have (0, 0) at that
/// pixel's centre, half a pixel further, and are mapped accordingly.
class FrameMap {
  public:
    using Matrix = std::array<std::array<double, 3>, 3>;

    static FrameMap scaling(double sx, double sy);
    /// GstVideoMetaTransformMatrix: `matrix` moves points relative to the corner (in_x, in_y)
    /// to points relative to (out_x, out_y).
    static FrameMap between(const Matrix &matrix, double in_x, double in_y, double out_x,
                            double out_y);

    /// The smallest upright rectangle around the mapped one; empty where the map has none.
    std::optional<Rect> rect(const Rect &in) const;
    /// Maps box, landmarks, angles and distances of a face. Crop, embedding and decision are of
    /// the face and stay. False where the map gives no finite box; the face is then unchanged.
    bool apply(GstSphereFace &face) const;

  private:
    struct Point {
        double x, y;
    };
    /// How short ways near a point are turned and stretched.
    struct Local {
        double xx, xy, yx, yy;
        bool mirrors() const { return xx * yy - xy * yx < 0; }
    };

    explicit FrameMap(const Matrix &matrix) : m_(matrix) {}
    std::optional<Point> point(double x, double y) const;
    bool points(gfloat *values, std::size_t n) const;
    Local local(double x, double y) const;

    Matrix m_;
};

} // namespace sphere_meta
