// SPDX-License-Identifier: MIT
#include "gst/elements/overlay_painter.h"

#include <pango/pangocairo.h>

#include <algorithm>
#include <cmath>
#include <memory>

namespace sphere::gst {
namespace {

constexpr int kOpaque = 255;
constexpr std::size_t kLongestTextBytes = 256;
constexpr int kWidestTextPx = 4096;

struct Unref {
    void operator()(cairo_surface_t *surface) const { cairo_surface_destroy(surface); }
    void operator()(cairo_t *cairo) const { cairo_destroy(cairo); }
    void operator()(PangoLayout *layout) const { g_object_unref(layout); }
    void operator()(PangoFontDescription *font) const { pango_font_description_free(font); }
};
template <typename T> using Owned = std::unique_ptr<T, Unref>;

Owned<PangoLayout> make_layout(cairo_t *cairo, const std::string &text, int height_px) {
    Owned<PangoLayout> layout(pango_cairo_create_layout(cairo));
    Owned<PangoFontDescription> font(pango_font_description_from_string("Sans Bold"));
    // Ascent and descent of the usual sans faces are about 1.2 em together.
    pango_font_description_set_absolute_size(font.get(), height_px / 1.2 * PANGO_SCALE);
    pango_layout_set_font_description(layout.get(), font.get());
    pango_layout_set_single_paragraph_mode(layout.get(), TRUE);
    gchar *valid = g_utf8_make_valid(text.c_str(), static_cast<gssize>(text.size()));
    pango_layout_set_text(layout.get(), valid, -1);
    g_free(valid);
    return layout;
}

TextMask render_mask(const std::string &text, int height_px) {
    Owned<cairo_surface_t> probe(cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1));
    Owned<cairo_t> probe_cairo(cairo_create(probe.get()));
    int width = 0, height = 0;
    pango_layout_get_pixel_size(make_layout(probe_cairo.get(), text, height_px).get(), &width,
                                &height);
    TextMask mask;
    mask.width = std::clamp(width, 1, kWidestTextPx);
    mask.height = std::max(height, 1);
    Owned<cairo_surface_t> surface(
        cairo_image_surface_create(CAIRO_FORMAT_A8, mask.width, mask.height));
    Owned<cairo_t> cairo(cairo_create(surface.get()));
    pango_cairo_show_layout(cairo.get(), make_layout(cairo.get(), text, height_px).get());
    cairo_surface_flush(surface.get());
    const unsigned char *rows = cairo_image_surface_get_data(surface.get());
    const int stride = cairo_image_surface_get_stride(surface.get());
    mask.coverage.reserve(static_cast<std::size_t>(mask.width) * mask.height);
    for (int y = 0; rows != nullptr && y < mask.height; ++y)
        mask.coverage.insert(mask.coverage.end(), rows + y * stride,
                             rows + y * stride + mask.width);
    mask.coverage.resize(static_cast<std::size_t>(mask.width) * mask.height);
    return mask;
}

} // namespace

const TextMask &TextRenderer::render(const std::string &text, int height_px) {
    const std::string shown = text.substr(0, kLongestTextBytes);
    const std::string key = std::to_string(height_px) + ' ' + shown;
    if (const auto found = masks_.find(key); found != masks_.end())
        return found->second;
    if (masks_.size() >= kMostMasks) {
        masks_.erase(order_.front());
        order_.pop_front();
    }
    order_.push_back(key);
    return masks_.emplace(key, render_mask(shown, height_px)).first->second;
}

Painter::Painter(GstVideoFrame *frame)
    : frame_(frame), width_(GST_VIDEO_FRAME_WIDTH(frame)),
      height_(GST_VIDEO_FRAME_HEIGHT(frame)) {}

Painter::Values Painter::values_of(Rgb color) const {
    const GstVideoFormatInfo *format = frame_->info.finfo;
    if (GST_VIDEO_FORMAT_INFO_IS_RGB(format))
        return {color.r, color.g, color.b, kOpaque};
    gdouble kr = 0.299, kb = 0.114;
    gst_video_color_matrix_get_Kr_Kb(frame_->info.colorimetry.matrix, &kr, &kb);
    const double y = kr * color.r + (1 - kr - kb) * color.g + kb * color.b;
    const double cb = (color.b - y) / (2 * (1 - kb));
    const double cr = (color.r - y) / (2 * (1 - kr));
    const bool full = frame_->info.colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255;
    const double luma_scale = full ? 1 : 219.0 / 255, chroma_scale = full ? 1 : 224.0 / 255;
    const auto rounded = [](double v) {
        return std::clamp(static_cast<int>(std::lround(v)), 0, 255);
    };
    return {rounded((full ? 0 : 16) + y * luma_scale), rounded(128 + cb * chroma_scale),
            rounded(128 + cr * chroma_scale), kOpaque};
}

template <typename Coverage>
void Painter::blend(int x0, int y0, int x1, int y1, Rgb color, Coverage &&coverage) {
    x0 = std::max(x0, 0);
    y0 = std::max(y0, 0);
    x1 = std::min(x1, width_);
    y1 = std::min(y1, height_);
    if (x0 >= x1 || y0 >= y1)
        return;
    const Values values = values_of(color);
    const GstVideoFormatInfo *format = frame_->info.finfo;
    for (guint c = 0; c < GST_VIDEO_FORMAT_INFO_N_COMPONENTS(format); ++c) {
        const int step_x = 1 << GST_VIDEO_FORMAT_INFO_W_SUB(format, c);
        const int step_y = 1 << GST_VIDEO_FORMAT_INFO_H_SUB(format, c);
        auto *data = static_cast<guint8 *>(GST_VIDEO_FRAME_COMP_DATA(frame_, c));
        const int stride = GST_VIDEO_FRAME_COMP_STRIDE(frame_, c);
        const int pixel_stride = GST_VIDEO_FRAME_COMP_PSTRIDE(frame_, c);
        for (int y = y0 & -step_y; y < y1; y += step_y)
            for (int x = x0 & -step_x; x < x1; x += step_x) {
                // A subsampled component gets the mean coverage of the pixels it stands for.
                int sum = 0;
                for (int dy = 0; dy < step_y; ++dy)
                    for (int dx = 0; dx < step_x; ++dx)
                        if (x + dx >= x0 && x + dx < x1 && y + dy >= y0 && y + dy < y1)
                            sum += coverage(x + dx, y + dy);
                const int alpha = sum / (step_x * step_y);
                guint8 &pixel = data[(y / step_y) * stride + (x / step_x) * pixel_stride];
                pixel = static_cast<guint8>(
                    (pixel * (kOpaque - alpha) + values[c] * alpha + 127) / kOpaque);
            }
    }
}

void Painter::fill(int x0, int y0, int x1, int y1, Rgb color, float opacity) {
    const int alpha = std::clamp(static_cast<int>(std::lround(opacity * kOpaque)), 0, kOpaque);
    blend(x0, y0, x1, y1, color, [alpha](int, int) { return alpha; });
}

void Painter::outline(float x, float y, float w, float h, int line_px, Rgb color) {
    // Limits keep the conversion to int defined for absurd boxes.
    const auto to_int = [](float v) {
        return static_cast<int>(std::lround(std::clamp(v, -100000.0F, 100000.0F)));
    };
    const int outer = line_px / 2, inner = line_px - outer;
    const int left = to_int(x), top = to_int(y), right = to_int(x + w), bottom = to_int(y + h);
    fill(left - outer, top - outer, right + outer, top + inner, color);
    fill(left - outer, bottom - inner, right + outer, bottom + outer, color);
    fill(left - outer, top + inner, left + inner, bottom - inner, color);
    fill(right - inner, top + inner, right + outer, bottom - inner, color);
}

void Painter::disc(float x, float y, float radius_px, Rgb color) {
    if (!(std::abs(x) < 100000.0F) || !(std::abs(y) < 100000.0F))
        return;
    const int reach = static_cast<int>(std::ceil(radius_px));
    const int cx = static_cast<int>(std::lround(x)), cy = static_cast<int>(std::lround(y));
    blend(cx - reach, cy - reach, cx + reach + 1, cy + reach + 1, color, [&](int px, int py) {
        const float dx = static_cast<float>(px) - x, dy = static_cast<float>(py) - y;
        const float edge = radius_px + 0.5F - std::sqrt(dx * dx + dy * dy);
        return static_cast<int>(std::clamp(edge, 0.0F, 1.0F) * kOpaque);
    });
}

void Painter::text(int x, int y, const TextMask &mask, Rgb color) {
    blend(x, y, x + mask.width, y + mask.height, color, [&](int px, int py) -> int {
        return mask.coverage[static_cast<std::size_t>(py - y) * mask.width + (px - x)];
    });
}

} // namespace sphere::gst
