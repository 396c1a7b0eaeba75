// SPDX-License-Identifier: MIT
// Where the large test data is, and one picture in every memory layout.
#pragma once

#include "core/image/image.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace sphere::testing_support {

/// SPHERE_TEST_DATA, or ../shared beside the source tree.
inline std::filesystem::path data_folder() {
    if (const char *data = std::getenv("SPHERE_TEST_DATA"))
        return data;
    const char *root = std::getenv("SPHERE_SOURCE_ROOT");
    return std::filesystem::path(root != nullptr ? root : ".") / ".." / "shared";
}

inline constexpr std::array kAllFormats{PixelFormat::I420, PixelFormat::YV12, PixelFormat::NV12,
                                        PixelFormat::YUY2, PixelFormat::BGR,  PixelFormat::RGB,
                                        PixelFormat::BGRx, PixelFormat::RGBx, PixelFormat::BGRA,
                                        PixelFormat::RGBA, PixelFormat::GRAY8};

/// A picture in `format`, rows padded by some bytes. Full-range BT.601; chroma of a block is
/// its mean.
class Frame {
  public:
    Frame(const Image &image, PixelFormat format) : image_(image) {
        view_.format = format;
        view_.width = image.width;
        view_.height = image.height;
        view_.color.full_range = true;
        switch (format) {
        case PixelFormat::I420:
        case PixelFormat::YV12:
            make_planes(1);
            break;
        case PixelFormat::NV12:
            make_planes(2);
            break;
        case PixelFormat::YUY2:
            make_yuy2();
            break;
        case PixelFormat::GRAY8:
            add_plane(0, image.width, image.height, 1,
                      [this](int x, int y, int) { return luma(x, y); });
            break;
        case PixelFormat::BGR:
        case PixelFormat::RGB:
            make_packed(3, format == PixelFormat::RGB);
            break;
        default:
            make_packed(4, format == PixelFormat::RGBx || format == PixelFormat::RGBA);
        }
    }

    const ImageView &view() const { return view_; }

  private:
    static constexpr int kPaddingBytes = 5;

    static std::uint8_t rounded(double v) {
        return static_cast<std::uint8_t>(std::clamp(v + 0.5, 0.0, 255.0));
    }
    const std::uint8_t *pixel(int x, int y) const {
        x = std::min(x, image_.width - 1);
        y = std::min(y, image_.height - 1);
        return image_.bgr.data() + 3 * (static_cast<std::ptrdiff_t>(y) * image_.width + x);
    }
    std::uint8_t luma(int x, int y) const {
        const std::uint8_t *p = pixel(x, y);
        return rounded(0.114 * p[0] + 0.587 * p[1] + 0.299 * p[2]);
    }
    /// Cb (0) or Cr (1) of the block of `w` x `h` pixels at (x, y).
    std::uint8_t chroma(int x, int y, int w, int h, int which) const {
        double sum = 0;
        for (int j = y; j < y + h; ++j)
            for (int i = x; i < x + w; ++i) {
                const std::uint8_t *p = pixel(i, j);
                const double l = 0.114 * p[0] + 0.587 * p[1] + 0.299 * p[2];
                sum += which == 0 ? (p[0] - l) / 1.772 : (p[2] - l) / 1.402;
            }
        return rounded(128 + sum / (w * h));
    }

    /// `value(x, y, k)` is byte k of the plane's unit (x, y), which has `bytes` bytes.
    template <typename Value>
    void add_plane(int index, int units, int rows, int bytes, Value value) {
        const auto at = static_cast<std::size_t>(index);
        const std::ptrdiff_t stride =
            static_cast<std::ptrdiff_t>(units) * bytes + kPaddingBytes;
        memory_[at].assign(static_cast<std::size_t>(stride * rows), 0xEE);
        for (int y = 0; y < rows; ++y)
            for (int x = 0; x < units; ++x)
                for (int k = 0; k < bytes; ++k)
                    memory_[at][static_cast<std::size_t>(y * stride + x * bytes + k)] =
                        value(x, y, k);
        view_.planes[at] = {memory_[at].data(), stride};
    }
    void make_planes(int chroma_bytes) {
        const int w = (image_.width + 1) / 2, h = (image_.height + 1) / 2;
        add_plane(0, image_.width, image_.height, 1,
                  [this](int x, int y, int) { return luma(x, y); });
        if (chroma_bytes == 2) {
            add_plane(1, w, h, 2,
                      [this](int x, int y, int k) { return chroma(2 * x, 2 * y, 2, 2, k); });
            return;
        }
        for (const int which : {0, 1})
            add_plane(1 + which, w, h, 1, [this, which](int x, int y, int) {
                return chroma(2 * x, 2 * y, 2, 2, which);
            });
    }
    void make_yuy2() {
        add_plane(0, (image_.width + 1) / 2, image_.height, 4, [this](int x, int y, int k) {
            return k % 2 == 0 ? luma(2 * x + k / 2, y) : chroma(2 * x, y, 2, 1, k / 2);
        });
    }
    void make_packed(int bytes, bool red_first) {
        add_plane(0, image_.width, image_.height, bytes,
                  [this, red_first](int x, int y, int k) -> std::uint8_t {
                      return k == 3 ? 77 : pixel(x, y)[red_first ? 2 - k : k];
                  });
    }

    const Image &image_;
    std::array<std::vector<std::uint8_t>, 3> memory_;
    ImageView view_;
};

} // namespace sphere::testing_support
