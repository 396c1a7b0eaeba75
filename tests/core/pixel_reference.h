// SPDX-License-Identifier: MIT
// Random frames in guarded memory and a double-precision reference for resize and warp, written
// from the headers' words alone: the whole frame is converted, then sampled.
#pragma once

#include "core/image/geometry.h"
#include "core/image/image.h"
#include "core/image/resize.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <ostream>
#include <random>
#include <vector>

namespace sphere {

inline const char *format_name(PixelFormat format) {
    constexpr const char *kNames[] = {"I420", "YV12", "NV12", "YUY2", "BGR",  "RGB",
                                      "BGRx", "RGBx", "BGRA", "RGBA", "GRAY8"};
    return kNames[static_cast<std::size_t>(format)];
}

inline void PrintTo(PixelFormat format, std::ostream *out) {
    *out << format_name(format);
}

inline constexpr PixelFormat kAllFormats[] = {
    PixelFormat::I420, PixelFormat::YV12, PixelFormat::NV12, PixelFormat::YUY2,
    PixelFormat::BGR,  PixelFormat::RGB,  PixelFormat::BGRx, PixelFormat::RGBx,
    PixelFormat::BGRA, PixelFormat::RGBA, PixelFormat::GRAY8};

namespace reference {

using Rng = std::mt19937;

inline int uniform(Rng &rng, int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(rng);
}

/// Bytes between two pages that must not be touched: they end at the second one, or begin after
/// the first. A read beyond that end kills the test in any build.
class GuardedBytes {
  public:
    GuardedBytes(std::size_t size, bool against_end) {
        const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        const std::size_t inner = (size + page - 1) / page * page;
        mapped_ = inner + 2 * page;
        void *map = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED)
            std::abort();
        base_ = static_cast<std::uint8_t *>(map);
        if (::mprotect(base_, page, PROT_NONE) != 0 ||
            ::mprotect(base_ + page + inner, page, PROT_NONE) != 0)
            std::abort();
        data_ = against_end ? base_ + page + inner - size : base_ + page;
    }
    ~GuardedBytes() { ::munmap(base_, mapped_); }
    GuardedBytes(const GuardedBytes &) = delete;
    GuardedBytes &operator=(const GuardedBytes &) = delete;
    std::uint8_t *data() const { return data_; }

  private:
    std::uint8_t *base_ = nullptr;
    std::uint8_t *data_ = nullptr;
    std::size_t mapped_ = 0;
};

/// A frame of random pixels whose planes are exactly as long as the last row's last byte.
struct Frame {
    ImageView view;
    std::vector<std::unique_ptr<GuardedBytes>> memory;
};

/// Bytes of a row of plane `p`, and its number of rows; 0 for a plane that the format has not.
inline std::array<int, 2> plane_size(PixelFormat format, int width, int height, int p) {
    const int half_width = (width + 1) / 2, half_height = (height + 1) / 2;
    switch (format) {
    case PixelFormat::I420:
    case PixelFormat::YV12:
        return p == 0 ? std::array{width, height} : std::array{half_width, half_height};
    case PixelFormat::NV12:
        return p == 0   ? std::array{width, height}
               : p == 1 ? std::array{2 * half_width, half_height}
                        : std::array{0, 0};
    case PixelFormat::YUY2:
        return p == 0 ? std::array{4 * half_width, height} : std::array{0, 0};
    case PixelFormat::GRAY8:
        return p == 0 ? std::array{width, height} : std::array{0, 0};
    case PixelFormat::BGR:
    case PixelFormat::RGB:
        return p == 0 ? std::array{3 * width, height} : std::array{0, 0};
    default:
        return p == 0 ? std::array{4 * width, height} : std::array{0, 0};
    }
}

inline ColorSpec random_color(Rng &rng) {
    constexpr double kMatrices[][2] = {{0.299, 0.114}, {0.2126, 0.0722}, {0.2627, 0.0593}};
    const auto *matrix = kMatrices[uniform(rng, 0, 2)];
    ColorSpec color;
    color.kr = matrix[0];
    color.kb = matrix[1];
    color.full_range = uniform(rng, 0, 1) == 1;
    color.site = {uniform(rng, 0, 1) == 1, uniform(rng, 0, 1) == 1};
    return color;
}

inline Frame random_frame(Rng &rng, PixelFormat format, int width, int height) {
    Frame frame;
    frame.view.format = format;
    frame.view.width = width;
    frame.view.height = height;
    frame.view.color = random_color(rng);
    // Smooth, noisy or extreme: the last clips in most pixels.
    const int kind = uniform(rng, 0, 2);
    for (int p = 0; p < 3; ++p) {
        const auto [row_bytes, rows] = plane_size(format, width, height, p);
        if (rows == 0)
            continue;
        const int stride = row_bytes + uniform(rng, 0, 1) * uniform(rng, 0, 70);
        const auto size =
            static_cast<std::size_t>(stride) * static_cast<std::size_t>(rows - 1) +
            static_cast<std::size_t>(row_bytes);
        frame.memory.push_back(std::make_unique<GuardedBytes>(size, uniform(rng, 0, 2) > 0));
        std::uint8_t *data = frame.memory.back()->data();
        for (std::size_t i = 0; i < size; ++i) {
            const auto random = static_cast<std::uint8_t>(rng() >> 24);
            const auto smooth =
                static_cast<std::uint8_t>(128 + 100 * std::sin(0.01 * double(i)));
            data[i] = kind == 0 ? smooth : kind == 1 ? random : random < 128 ? 0 : 255;
        }
        frame.view.planes[static_cast<std::size_t>(p)] = {data, stride};
    }
    return frame;
}

/// One chroma plane's value at luma position (x, y), linear between samples by their site.
inline double chroma_at(const ImageView &v, const std::uint8_t *plane, std::ptrdiff_t stride,
                        int step, bool rows_halved, int x, int y) {
    // Sample k lies at luma 2k (cosited) or 2k + 0.5 (midway).
    double cx = (x - (v.color.site.h_cosited ? 0 : 0.5)) / 2;
    double cy = rows_halved ? (y - (v.color.site.v_cosited ? 0 : 0.5)) / 2 : y;
    const int last_x = (v.width + 1) / 2 - 1;
    const int last_y = rows_halved ? (v.height + 1) / 2 - 1 : v.height - 1;
    cx = std::clamp<double>(cx, 0, last_x);
    cy = std::clamp<double>(cy, 0, last_y);
    const int x0 = static_cast<int>(cx), y0 = static_cast<int>(cy);
    const int x1 = std::min(x0 + 1, last_x), y1 = std::min(y0 + 1, last_y);
    const auto sample = [&](int sx, int sy) {
        return static_cast<double>(plane[sy * stride + static_cast<std::ptrdiff_t>(sx) * step]);
    };
    const double fx = cx - x0, fy = cy - y0;
    return (1 - fy) * ((1 - fx) * sample(x0, y0) + fx * sample(x1, y0)) +
           fy * ((1 - fx) * sample(x0, y1) + fx * sample(x1, y1));
}

using Bgr = std::array<double, 3>;

inline Bgr yuv_pixel(const ColorSpec &c, double y, double u, double v) {
    const double luma = c.full_range ? y / 255 : (y - 16) / 219;
    const double pb = (u - 128) / (c.full_range ? 255 : 224);
    const double pr = (v - 128) / (c.full_range ? 255 : 224);
    const double r = luma + 2 * (1 - c.kr) * pr;
    const double b = luma + 2 * (1 - c.kb) * pb;
    const double g = (luma - c.kr * r - c.kb * b) / (1 - c.kr - c.kb);
    return {std::clamp(b * 255, 0.0, 255.0), std::clamp(g * 255, 0.0, 255.0),
            std::clamp(r * 255, 0.0, 255.0)};
}

inline Bgr pixel(const ImageView &v, int x, int y) {
    const auto row = [&](std::size_t p) {
        return v.planes[p].data + y * v.planes[p].stride_bytes;
    };
    const std::ptrdiff_t px = x;
    switch (v.format) {
    case PixelFormat::I420:
    case PixelFormat::YV12:
        return yuv_pixel(
            v.color, row(0)[px],
            chroma_at(v, v.planes[1].data, v.planes[1].stride_bytes, 1, true, x, y),
            chroma_at(v, v.planes[2].data, v.planes[2].stride_bytes, 1, true, x, y));
    case PixelFormat::NV12:
        return yuv_pixel(
            v.color, row(0)[px],
            chroma_at(v, v.planes[1].data, v.planes[1].stride_bytes, 2, true, x, y),
            chroma_at(v, v.planes[1].data + 1, v.planes[1].stride_bytes, 2, true, x, y));
    case PixelFormat::YUY2:
        return yuv_pixel(
            v.color, row(0)[2 * px],
            chroma_at(v, v.planes[0].data + 1, v.planes[0].stride_bytes, 4, false, x, y),
            chroma_at(v, v.planes[0].data + 3, v.planes[0].stride_bytes, 4, false, x, y));
    case PixelFormat::GRAY8:
        return yuv_pixel(v.color, row(0)[px], 128, 128);
    default:
        break;
    }
    const bool four = v.format != PixelFormat::BGR && v.format != PixelFormat::RGB;
    const bool red_first = v.format == PixelFormat::RGB || v.format == PixelFormat::RGBx ||
                           v.format == PixelFormat::RGBA;
    const std::uint8_t *p = row(0) + px * (four ? 4 : 3);
    Bgr out{double(p[0]), double(p[1]), double(p[2])};
    if (red_first)
        std::swap(out[0], out[2]);
    return out;
}

/// The whole frame, converted and clipped, not rounded.
inline std::vector<Bgr> convert(const ImageView &v) {
    std::vector<Bgr> out;
    out.reserve(static_cast<std::size_t>(v.width) * static_cast<std::size_t>(v.height));
    for (int y = 0; y < v.height; ++y)
        for (int x = 0; x < v.width; ++x)
            out.push_back(pixel(v, x, y));
    return out;
}

/// Not rounded.
inline std::vector<Bgr> resize(const ImageView &v, const RectI &roi, int width, int height) {
    const std::vector<Bgr> full = convert(v);
    const auto at = [&](int x, int y) {
        x = roi.x + std::clamp(x, 0, roi.w - 1);
        y = roi.y + std::clamp(y, 0, roi.h - 1);
        return full[static_cast<std::size_t>(y) * static_cast<std::size_t>(v.width) +
                    static_cast<std::size_t>(x)];
    };
    std::vector<Bgr> out;
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            const double sx = (x + 0.5) * roi.w / width - 0.5;
            const double sy = (y + 0.5) * roi.h / height - 0.5;
            const int x0 = static_cast<int>(std::floor(sx)),
                      y0 = static_cast<int>(std::floor(sy));
            const double fx = sx - x0, fy = sy - y0;
            Bgr sum{};
            for (std::size_t c = 0; c < 3; ++c)
                sum[c] = (1 - fy) * ((1 - fx) * at(x0, y0)[c] + fx * at(x0 + 1, y0)[c]) +
                         fy * ((1 - fx) * at(x0, y0 + 1)[c] + fx * at(x0 + 1, y0 + 1)[c]);
            out.push_back(sum);
        }
    return out;
}

/// Not rounded. `inverse` maps crop to frame.
inline std::vector<Bgr> warp(const ImageView &v, const std::array<double, 6> &inverse,
                             int width, int height, const std::optional<RectI> &limit) {
    const std::vector<Bgr> full = convert(v);
    const auto at = [&](double x, double y) {
        const bool in_frame = x >= 0 && y >= 0 && x < v.width && y < v.height;
        const bool in_limit =
            !limit || (x >= limit->x && y >= limit->y && x < double(limit->x) + limit->w &&
                       y < double(limit->y) + limit->h);
        return in_frame && in_limit
                   ? full[static_cast<std::size_t>(y) * static_cast<std::size_t>(v.width) +
                          static_cast<std::size_t>(x)]
                   : Bgr{};
    };
    std::vector<Bgr> out;
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            const double sx = inverse[0] * x + inverse[1] * y + inverse[2];
            const double sy = inverse[3] * x + inverse[4] * y + inverse[5];
            const double x0 = std::floor(sx), y0 = std::floor(sy);
            const double fx = sx - x0, fy = sy - y0;
            Bgr sum{};
            for (std::size_t c = 0; c < 3; ++c)
                sum[c] = (1 - fy) * ((1 - fx) * at(x0, y0)[c] + fx * at(x0 + 1, y0)[c]) +
                         fy * ((1 - fx) * at(x0, y0 + 1)[c] + fx * at(x0 + 1, y0 + 1)[c]);
            out.push_back(sum);
        }
    return out;
}

/// The largest distance between an 8-bit picture and a reference that is not rounded: 0.5 for
/// a perfect one.
inline double worst_difference(const Image &image, const std::vector<Bgr> &expected) {
    if (image.bgr.size() != expected.size() * 3)
        return 1e9;
    double worst = 0;
    for (std::size_t i = 0; i < expected.size(); ++i)
        for (std::size_t c = 0; c < 3; ++c)
            worst = std::max(worst, std::abs(image.bgr[3 * i + c] - expected[i][c]));
    return worst;
}

/// Half a level from rounding, and what single precision may add: far below the two grey levels
/// that the project allows.
inline constexpr double kTolerance = 0.502;

} // namespace reference
} // namespace sphere
