// SPDX-License-Identifier: MIT
#include "gst/elements/redactor.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace sphere::gst {

// One component (Y, Cr, G …) of a frame, as rows of bytes.
struct Redactor::Plane {
    std::uint8_t *data;
    int stride, step, width, height;

    std::uint8_t *at(int x, int y) const {
        return data + static_cast<std::ptrdiff_t>(y) * stride + std::ptrdiff_t{x} * step;
    }
};

// The area in a component's own samples. The shape is decided by where a sample's middle lies.
struct Redactor::Region {
    int x0, y0, x1, y1; ///< half-open, within the plane
    double left, top, width, height;
    bool ellipse;

    // Samples of a row that belong to the shape.
    std::pair<int, int> span(int y) const {
        if (!ellipse)
            return {x0, x1};
        const double dy = (y + 0.5 - top) / height * 2 - 1;
        if (dy * dy >= 1)
            return {x0, x0};
        const double half = std::sqrt(1 - dy * dy) * width / 2, middle = left + width / 2;
        // Outwards, so that a sample that the edge cuts belongs to the shape.
        return {std::max(x0, static_cast<int>(std::floor(middle - half))),
                std::min(x1, static_cast<int>(std::ceil(middle + half)))};
    }
    // Where a sample lies, in cells.
    double cell_x(double x, int columns) const { return (x + 0.5 - left) / width * columns; }
    double cell_y(double y, int rows) const { return (y + 0.5 - top) / height * rows; }
};

namespace {

using Plane = Redactor::Plane;
using Region = Redactor::Region;

constexpr double kFarPx = 1e5; ///< keeps conversions to int defined

Region region_of(const Plane &plane, const RedactArea &area, double scale_x, double scale_y,
                 bool ellipse) {
    const auto clamped = [](double value) { return std::clamp(value, -kFarPx, kFarPx); };
    Region region{};
    region.left = clamped(area.x) * scale_x;
    region.top = clamped(area.y) * scale_y;
    region.width = clamped(area.width) * scale_x;
    region.height = clamped(area.height) * scale_y;
    region.ellipse = ellipse;
    region.x0 = std::max(0, static_cast<int>(std::floor(region.left)));
    region.y0 = std::max(0, static_cast<int>(std::floor(region.top)));
    region.x1 = std::min(plane.width, static_cast<int>(std::ceil(region.left + region.width)));
    region.y1 = std::min(plane.height, static_cast<int>(std::ceil(region.top + region.height)));
    return region;
}

// The area's cells: their number in each direction. Cells are about square.
std::pair<int, int> cells_of(const Region &region, int cells) {
    const double longer = std::max({region.width, region.height, 1.0});
    const auto count = [&](double side) {
        return std::clamp(static_cast<int>(std::lround(cells * side / longer)), 1, cells);
    };
    return {count(region.width), count(region.height)};
}

std::size_t cell_index(double x, double y, int columns, int rows) {
    const int i = std::clamp(static_cast<int>(std::floor(x)), 0, columns - 1);
    const int j = std::clamp(static_cast<int>(std::floor(y)), 0, rows - 1);
    return static_cast<std::size_t>(j) * columns + i;
}

void fill_region(const Plane &plane, const Region &region, int value) {
    for (int y = region.y0; y < region.y1; ++y)
        for (auto [x, end] = region.span(y); x < end; ++x)
            *plane.at(x, y) = static_cast<std::uint8_t>(value);
}

} // namespace

// Means of the cells into means_: whatever else was in the area is gone.
void Redactor::average(const Plane &plane, const Region &region, int columns, int rows) {
    const auto size = static_cast<std::size_t>(columns) * rows;
    sums_.assign(size, 0);
    counts_.assign(size, 0);
    means_.assign(size, 0);
    std::uint64_t total = 0, samples = 0;
    for (int y = region.y0; y < region.y1; ++y)
        for (int x = region.x0; x < region.x1; ++x) {
            const std::size_t k =
                cell_index(region.cell_x(x, columns), region.cell_y(y, rows), columns, rows);
            sums_[k] += *plane.at(x, y);
            ++counts_[k];
            total += *plane.at(x, y);
            ++samples;
        }
    for (std::size_t k = 0; k < size; ++k) // cells outside the frame get the whole's mean
        means_[k] =
            static_cast<std::uint8_t>(counts_[k] > 0 ? sums_[k] / counts_[k] : total / samples);
}

// The cells' means, from one to the next smoothly or not.
void Redactor::paint(const Plane &plane, const Region &region, int columns, int rows,
                     bool smooth) const {
    const auto mean = [&](double x, double y) {
        return means_[cell_index(x, y, columns, rows)];
    };
    for (int y = region.y0; y < region.y1; ++y)
        for (auto [x, end] = region.span(y); x < end; ++x) {
            double u = region.cell_x(x, columns), v = region.cell_y(y, rows);
            if (!smooth) {
                *plane.at(x, y) = mean(u, v);
                continue;
            }
            u -= 0.5;
            v -= 0.5;
            const double fu = u - std::floor(u), fv = v - std::floor(v);
            const double blended = (1 - fv) * ((1 - fu) * mean(u, v) + fu * mean(u + 1, v)) +
                                   fv * ((1 - fu) * mean(u, v + 1) + fu * mean(u + 1, v + 1));
            *plane.at(x, y) = static_cast<std::uint8_t>(blended + 0.5);
        }
}

ComponentWeights::ComponentWeights(const GstVideoInfo &info) {
    if (GST_VIDEO_INFO_IS_RGB(&info)) {
        weights_ = {{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};
        return;
    }
    gdouble kr = 0.299, kb = 0.114;
    gst_video_color_matrix_get_Kr_Kb(info.colorimetry.matrix, &kr, &kb);
    const bool full = info.colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255;
    const double luma = full ? 1 : 219.0 / 255, chroma = full ? 1 : 224.0 / 255;
    const double kg = 1 - kr - kb, cb = chroma / (2 * (1 - kb)), cr = chroma / (2 * (1 - kr));
    weights_ = {{{luma * kr, luma * kg, luma * kb, full ? 0.0 : 16.0},
                 {-cb * kr, -cb * kg, cb * (1 - kb), 128},
                 {cr * (1 - kr), -cr * kg, -cr * kb, 128}}};
}

std::uint8_t ComponentWeights::blended(unsigned component, std::uint32_t premultiplied_argb,
                                       std::uint8_t behind) const {
    const auto &weights = weights_[component];
    const double alpha = (premultiplied_argb >> 24) / 255.0;
    const double value = weights[0] * (premultiplied_argb >> 16 & 0xFF) +
                         weights[1] * (premultiplied_argb >> 8 & 0xFF) +
                         weights[2] * (premultiplied_argb & 0xFF) + weights[3] * alpha +
                         (1 - alpha) * behind;
    return static_cast<std::uint8_t>(std::clamp(std::lround(value), 0L, 255L));
}

void Redactor::redact(GstVideoFrame *frame, const RedactArea &area, const RedactStyle &style) {
    if (!std::isfinite(area.x + area.y + area.width + area.height) || !(area.width > 0) ||
        !(area.height > 0))
        return;
    const ComponentWeights weights(frame->info);
    const std::uint32_t fill_argb = 0xFF000000U | std::uint32_t{style.fill_rgb[0]} << 16 |
                                    std::uint32_t{style.fill_rgb[1]} << 8 | style.fill_rgb[2];
    const GstVideoFormatInfo *format = frame->info.finfo;
    const guint n = std::min(3U, GST_VIDEO_FORMAT_INFO_N_COMPONENTS(format)); // not alpha
    for (guint c = 0; c < n; ++c) {
        const Plane plane{
            static_cast<std::uint8_t *>(GST_VIDEO_FRAME_COMP_DATA(frame, c)),
            GST_VIDEO_FRAME_COMP_STRIDE(frame, c), GST_VIDEO_FRAME_COMP_PSTRIDE(frame, c),
            GST_VIDEO_FRAME_COMP_WIDTH(frame, c), GST_VIDEO_FRAME_COMP_HEIGHT(frame, c)};
        const Region region =
            region_of(plane, area, 1.0 / (1 << GST_VIDEO_FORMAT_INFO_W_SUB(format, c)),
                      1.0 / (1 << GST_VIDEO_FORMAT_INFO_H_SUB(format, c)),
                      style.shape == RedactShape::Ellipse);
        if (region.x0 >= region.x1 || region.y0 >= region.y1)
            continue;
        if (style.method == RedactMethod::Fill || style.method == RedactMethod::Image) {
            fill_region(plane, region, weights.blended(c, fill_argb, 0));
            continue;
        }
        const auto [columns, rows] = cells_of(region, std::max(1, style.cells));
        average(plane, region, columns, rows);
        paint(plane, region, columns, rows, style.method == RedactMethod::Blur);
    }
}

} // namespace sphere::gst
