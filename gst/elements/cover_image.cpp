// SPDX-License-Identifier: MIT
#include "gst/elements/cover_image.h"

#include <cairo.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace sphere::gst {
namespace {

constexpr int kMostSidePx = 4096;
constexpr std::size_t kMostBytes = 16U << 20;

struct Unref {
    void operator()(cairo_surface_t *surface) const { cairo_surface_destroy(surface); }
    void operator()(cairo_t *cairo) const { cairo_destroy(cairo); }
    void operator()(std::FILE *file) const { std::fclose(file); }
};
using Surface = std::unique_ptr<cairo_surface_t, Unref>;

struct Reader {
    std::FILE *file;
    std::size_t left;
};

cairo_status_t read_some(void *closure, unsigned char *data, unsigned int length) {
    auto &reader = *static_cast<Reader *>(closure);
    if (length > reader.left || std::fread(data, 1, length, reader.file) != length)
        return CAIRO_STATUS_READ_ERROR;
    reader.left -= length;
    return CAIRO_STATUS_SUCCESS;
}

// The sides as the header gives them, before anything is allocated for them: the eight bytes
// behind the signature and the header's length and name (PNG specification, 5.2 and 11.2.2).
bool small_enough(std::FILE *file) {
    std::array<unsigned char, 24> head{};
    const bool read = std::fread(head.data(), 1, head.size(), file) == head.size();
    std::rewind(file);
    const auto side = [&head](std::size_t at) {
        return std::uint32_t{head[at]} << 24 | std::uint32_t{head[at + 1]} << 16 |
               std::uint32_t{head[at + 2]} << 8 | head[at + 3];
    };
    return read && side(16) <= kMostSidePx && side(20) <= kMostSidePx;
}

Surface scaled(cairo_surface_t *source, int width, int height) {
    Surface target(cairo_image_surface_create(CAIRO_FORMAT_ARGB32, width, height));
    std::unique_ptr<cairo_t, Unref> cairo(cairo_create(target.get()));
    cairo_scale(cairo.get(), double{1} * width / cairo_image_surface_get_width(source),
                double{1} * height / cairo_image_surface_get_height(source));
    cairo_set_source_surface(cairo.get(), source, 0, 0);
    cairo_pattern_set_extend(cairo_get_source(cairo.get()), CAIRO_EXTEND_PAD);
    cairo_paint(cairo.get());
    cairo_surface_flush(target.get());
    return target;
}

} // namespace

struct CoverImage::Picture {
    Surface original;
    Surface drawn; ///< at the size that was drawn last
};

CoverImage::CoverImage(std::unique_ptr<Picture> picture) : picture_(std::move(picture)) {}
CoverImage::~CoverImage() = default;

Result<std::unique_ptr<CoverImage>> CoverImage::load(const std::string &path) {
    if (path.empty())
        return Error{Errc::InvalidArgument, "method=image needs a picture: set image=FILE.png"};
    const std::unique_ptr<std::FILE, Unref> file(std::fopen(path.c_str(), "rbe"));
    if (!file)
        return Error{errno == EACCES ? Errc::Permission : Errc::NotFound,
                     "image=" + path + " cannot be opened: " + g_strerror(errno)};
    const Error corrupt{Errc::Corrupt, "image=" + path +
                                           " is not a PNG file of at most 16 MiB and "
                                           "4096 pixels a side: convert it to one"};
    if (!small_enough(file.get()))
        return corrupt;
    Reader reader{file.get(), kMostBytes};
    auto picture = std::make_unique<Picture>();
    picture->original.reset(cairo_image_surface_create_from_png_stream(read_some, &reader));
    if (cairo_surface_status(picture->original.get()) != CAIRO_STATUS_SUCCESS)
        return corrupt;
    return std::unique_ptr<CoverImage>(new CoverImage(std::move(picture)));
}

void CoverImage::draw(GstVideoFrame *frame, const RedactArea &area) {
    cairo_surface_t *original = picture_->original.get();
    const double wide = cairo_image_surface_get_width(original);
    const double high = cairo_image_surface_get_height(original);
    const double scale = std::max(area.width / wide, area.height / high);
    const double longest =
        std::max(GST_VIDEO_FRAME_WIDTH(frame), GST_VIDEO_FRAME_HEIGHT(frame));
    if (!(scale > 0) || std::max(wide, high) * scale > 4 * longest)
        return; // such an area is no face's; it is filled already
    const int width = std::max(1, static_cast<int>(std::lround(wide * scale)));
    const int height = std::max(1, static_cast<int>(std::lround(high * scale)));
    const int left = static_cast<int>(std::lround(area.x + (area.width - width) / 2));
    const int top = static_cast<int>(std::lround(area.y + (area.height - height) / 2));
    cairo_surface_t *drawn = picture_->drawn.get();
    if (drawn == nullptr || cairo_image_surface_get_width(drawn) != width ||
        cairo_image_surface_get_height(drawn) != height) {
        picture_->drawn = scaled(original, width, height);
        drawn = picture_->drawn.get();
    }
    const unsigned char *pixels = cairo_image_surface_get_data(drawn);
    if (pixels == nullptr)
        return; // out of memory
    const int row_bytes = cairo_image_surface_get_stride(drawn);

    const ComponentWeights weights(frame->info);
    const GstVideoFormatInfo *format = frame->info.finfo;
    const guint n = std::min(3U, GST_VIDEO_FORMAT_INFO_N_COMPONENTS(format)); // not alpha
    for (guint c = 0; c < n; ++c) {
        const int shift_x = GST_VIDEO_FORMAT_INFO_W_SUB(format, c);
        const int shift_y = GST_VIDEO_FORMAT_INFO_H_SUB(format, c);
        auto *data = static_cast<std::uint8_t *>(GST_VIDEO_FRAME_COMP_DATA(frame, c));
        const int stride = GST_VIDEO_FRAME_COMP_STRIDE(frame, c);
        const int step = GST_VIDEO_FRAME_COMP_PSTRIDE(frame, c);
        // The samples whose first pixel lies in the picture.
        const int x_end = std::min(GST_VIDEO_FRAME_COMP_WIDTH(frame, c),
                                   (left + width + (1 << shift_x) - 1) >> shift_x);
        const int y_end = std::min(GST_VIDEO_FRAME_COMP_HEIGHT(frame, c),
                                   (top + height + (1 << shift_y) - 1) >> shift_y);
        for (int y = std::max(0, (top + (1 << shift_y) - 1) >> shift_y); y < y_end; ++y)
            for (int x = std::max(0, (left + (1 << shift_x) - 1) >> shift_x); x < x_end; ++x) {
                std::uint32_t pixel = 0; // alpha, then red, green, blue times alpha
                std::memcpy(&pixel,
                            pixels + std::ptrdiff_t{(y << shift_y) - top} * row_bytes +
                                std::ptrdiff_t{(x << shift_x) - left} * 4,
                            sizeof pixel);
                std::uint8_t &sample =
                    data[std::ptrdiff_t{y} * stride + std::ptrdiff_t{x} * step];
                sample = weights.blended(c, pixel, sample);
            }
    }
}

} // namespace sphere::gst
