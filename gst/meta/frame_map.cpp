// SPDX-License-Identifier: MIT
// Where the points of a picture go when an element scales, crops, flips or turns it.
#include "frame_map.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace sphere_meta {
namespace {

constexpr double kHalfPixel = 0.5; // from a pixel's corner to its centre

double radians(double degrees) {
    return degrees * std::numbers::pi / 180;
}

FrameMap::Matrix product(const FrameMap::Matrix &a, const FrameMap::Matrix &b) {
    FrameMap::Matrix c{};
    for (std::size_t row = 0; row < 3; ++row)
        for (std::size_t column = 0; column < 3; ++column)
            for (std::size_t k = 0; k < 3; ++k)
                c[row][column] += a[row][k] * b[k][column];
    return c;
}

FrameMap::Matrix shift(double x, double y) {
    return {{{1, 0, x}, {0, 1, y}, {0, 0, 1}}};
}

} // namespace

FrameMap FrameMap::scaling(double sx, double sy) {
    return FrameMap({{{sx, 0, 0}, {0, sy, 0}, {0, 0, 1}}});
}

FrameMap FrameMap::between(const Matrix &matrix, double in_x, double in_y, double out_x,
                           double out_y) {
    return FrameMap(product(shift(out_x, out_y), product(matrix, shift(-in_x, -in_y))));
}

std::optional<FrameMap::Point> FrameMap::point(double x, double y) const {
    const double w = m_[2][0] * x + m_[2][1] * y + m_[2][2];
    // Not above 0: at or behind the horizon, where no picture is.
    if (!(w > 0))
        return std::nullopt;
    const Point out{(m_[0][0] * x + m_[0][1] * y + m_[0][2]) / w,
                    (m_[1][0] * x + m_[1][1] * y + m_[1][2]) / w};
    if (!std::isfinite(out.x) || !std::isfinite(out.y))
        return std::nullopt;
    return out;
}

FrameMap::Local FrameMap::local(double x, double y) const {
    const double w = m_[2][0] * x + m_[2][1] * y + m_[2][2];
    const Point out = point(x, y).value_or(Point{0, 0});
    return {(m_[0][0] - m_[2][0] * out.x) / w, (m_[0][1] - m_[2][1] * out.x) / w,
            (m_[1][0] - m_[2][0] * out.y) / w, (m_[1][1] - m_[2][1] * out.y) / w};
}

std::optional<Rect> FrameMap::rect(const Rect &in) const {
    const std::array<std::optional<Point>, 4> corners{
        point(in.x, in.y), point(in.x + in.width, in.y), point(in.x, in.y + in.height),
        point(in.x + in.width, in.y + in.height)};
    if (std::any_of(corners.begin(), corners.end(), [](const auto &c) { return !c; }))
        return std::nullopt;
    double left = corners[0]->x, right = left, top = corners[0]->y, bottom = top;
    for (const auto &corner : corners) {
        left = std::min(left, corner->x);
        right = std::max(right, corner->x);
        top = std::min(top, corner->y);
        bottom = std::max(bottom, corner->y);
    }
    return Rect{left, top, right - left, bottom - top};
}

bool FrameMap::points(gfloat *values, std::size_t n) const {
    for (std::size_t i = 0; i + 1 < n; i += 2) {
        const auto out = point(values[i] + kHalfPixel, values[i + 1] + kHalfPixel);
        if (!out)
            return false;
        values[i] = static_cast<gfloat>(out->x - kHalfPixel);
        values[i + 1] = static_cast<gfloat>(out->y - kHalfPixel);
    }
    return true;
}

bool FrameMap::apply(GstSphereFace &face) const {
    const auto box = rect({face.x, face.y, face.width, face.height});
    if (!box)
        return false;
    const Local near = local(face.x + face.width / 2, face.y + face.height / 2);
    const bool mirrored = near.mirrors();
    face.x = box->x;
    face.y = box->y;
    face.width = box->width;
    face.height = box->height;
    if (face.landmarks && !points(face.landmarks->data(), face.landmarks->size()))
        face.landmarks.reset();
    if (face.landmarks && mirrored)
        for (const std::size_t pair : {0, 6}) { // eyes, mouth corners: the image-left one first
            std::swap((*face.landmarks)[pair], (*face.landmarks)[pair + 2]);
            std::swap((*face.landmarks)[pair + 1], (*face.landmarks)[pair + 3]);
        }
    if (face.dense) {
        // A mirrored set would have its points under other points' numbers: better none.
        auto moved = std::make_shared<std::vector<gfloat>>(*face.dense);
        const bool kept = !mirrored && points(moved->data(), moved->size());
        face.dense = kept ? std::move(moved) : nullptr;
    }
    // The way from the image-left eye to the other, of length 1, before and after.
    const auto eyes = [&near, mirrored](double roll_deg) {
        const double c = std::cos(radians(roll_deg)), s = std::sin(radians(roll_deg));
        const double sign = mirrored ? -1 : 1;
        return Point{sign * (near.xx * c + near.xy * s), sign * (near.yx * c + near.yy * s)};
    };
    const auto degrees = [](Point way) {
        return std::atan2(way.y, way.x) * 180 / std::numbers::pi;
    };
    if (face.eye_roll_deg)
        face.eye_roll_deg = degrees(eyes(*face.eye_roll_deg));
    if (face.quality) {
        const Point way = eyes(face.quality->roll_deg);
        face.quality->eye_distance_px *= std::hypot(way.x, way.y);
        face.quality->roll_deg = degrees(way);
        if (mirrored)
            face.quality->yaw_deg = -face.quality->yaw_deg;
    }
    return true;
}

} // namespace sphere_meta
