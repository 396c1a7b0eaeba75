// SPDX-License-Identifier: MIT
// Affine warp from a frame's planes: a row of output pixels at a time, its four taps gathered
// into arrays, converted and blended.
#include "core/image/warp.h"

#include "core/image/kernels.h"
#include "core/image/sample.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <new>
#include <stdexcept>

namespace sphere {
namespace {

using kernels::BgrArrays;

/// The part of the frame that counts as inside; never empty.
struct Bounds {
    int left, top, right, bottom; ///< inclusive
};

/// The two columns and the two rows of an output pixel's taps, moved into the bounds.
struct TapPosition {
    int x[2], y[2];
};

/// Memory of one thread's calls; it grows to the largest width seen and is kept.
struct Scratch {
    std::vector<TapPosition> positions;
    std::vector<float> weights; ///< four a pixel, tap by tap
    std::vector<std::uint8_t> bytes;
    std::vector<std::uint16_t> words;
    std::vector<float> taps;
    std::vector<float> line;
    std::vector<float> patch;          ///< four floats a pixel of the part that is looked at
    std::vector<std::int32_t> offsets; ///< four a pixel, into the patch
};

/// A patch of up to this many pixels an output pixel is converted whole and once: cheaper than
/// four taps each until then (measured: 12 to 20), and the memory that is kept stays small.
constexpr long long kPatchShare = 12;

/// The two taps along one axis around `pos` and their weights, 0 for a tap outside [first,
/// last].
void locate(double pos, int first, int last, int (&taps)[2], float (&weights)[2]) {
    // Two beyond either end is as far outside as any; in this form NaN goes there too.
    pos = pos > first - 2.0 ? pos : first - 2.0;
    pos = pos < last + 2.0 ? pos : last + 2.0;
    const int low = static_cast<int>(pos - first + 2) + first - 2; // floor: the operand is >= 0
    const auto weight = static_cast<float>(pos - low);
    weights[0] = low >= first && low <= last ? 1 - weight : 0;
    weights[1] = low + 1 >= first && low + 1 <= last ? weight : 0;
    taps[0] = std::clamp(low, first, last);
    taps[1] = std::clamp(low + 1, first, last);
}

/// One plane's chroma of the four taps, in sixteenths.
template <int Step>
void chroma_taps(const std::uint8_t *plane, std::ptrdiff_t stride,
                 const ChromaAxis::Taps (&cols)[2], const ChromaAxis::Taps (&rows)[2],
                 std::uint16_t *out, std::ptrdiff_t tap_step) {
    for (std::ptrdiff_t j = 0; j < 2; ++j) {
        const std::uint8_t *near = plane + rows[j].near_index * stride;
        const std::uint8_t *other = plane + rows[j].other_index * stride;
        for (std::ptrdiff_t i = 0; i < 2; ++i) {
            const std::ptrdiff_t near_at =
                static_cast<std::ptrdiff_t>(cols[i].near_index) * Step;
            const std::ptrdiff_t other_at =
                static_cast<std::ptrdiff_t>(cols[i].other_index) * Step;
            const int upper = near[near_at] * cols[i].near + near[other_at] * cols[i].other;
            const int lower = other[near_at] * cols[i].near + other[other_at] * cols[i].other;
            out[(2 * j + i) * tap_step] =
                static_cast<std::uint16_t>(upper * rows[j].near + lower * rows[j].other);
        }
    }
}

/// Turns positions into converted taps: tap k of pixel i at [k * n + i].
class TapReader {
  public:
    TapReader(const Source &source, int n, Scratch &scratch) : source_(source), n_(n) {
        const auto taps = 4 * static_cast<std::size_t>(n);
        bytes_ = reserve_scratch(scratch.bytes, 3 * taps);
        words_ = reserve_scratch(scratch.words, 2 * taps);
        float *out = reserve_scratch(scratch.taps, 3 * taps);
        taps_ = {out, out + taps, out + 2 * taps};
    }

    const BgrArrays &read(const TapPosition *positions) {
        const int count = 4 * n_;
        switch (source_.kind) {
        case Source::Kind::Packed:
            gather_packed(positions);
            kernels_.bytes_to_float(bytes_, count, taps_.b);
            kernels_.bytes_to_float(bytes_ + count, count, taps_.g);
            kernels_.bytes_to_float(bytes_ + 2 * static_cast<std::ptrdiff_t>(count), count,
                                    taps_.r);
            break;
        case Source::Kind::Gray:
            gather_luma<1>(positions);
            kernels_.luma_to_gray(source_.matrix, bytes_, count, taps_.b);
            std::copy_n(taps_.b, count, taps_.g);
            std::copy_n(taps_.b, count, taps_.r);
            break;
        case Source::Kind::Yuv:
            if (source_.chroma_step == 1)
                gather_yuv<1, 1>(positions);
            else if (source_.chroma_step == 2)
                gather_yuv<1, 2>(positions);
            else
                gather_yuv<2, 4>(positions);
            kernels_.yuv_to_bgr(source_.matrix, bytes_, words_, words_ + count, count, taps_);
            break;
        }
        return taps_;
    }

  private:
    void gather_packed(const TapPosition *positions) {
        const std::ptrdiff_t count = 4 * static_cast<std::ptrdiff_t>(n_);
        for (std::ptrdiff_t i = 0; i < n_; ++i)
            for (std::ptrdiff_t k = 0; k < 4; ++k) {
                const std::uint8_t *pixel =
                    source_.base + positions[i].y[k / 2] * source_.stride +
                    static_cast<std::ptrdiff_t>(positions[i].x[k % 2]) * source_.step;
                bytes_[k * n_ + i] = pixel[source_.blue];
                bytes_[count + k * n_ + i] = pixel[source_.green];
                bytes_[2 * count + k * n_ + i] = pixel[source_.red];
            }
    }

    template <int Step> void gather_luma(const TapPosition *positions) {
        for (std::ptrdiff_t i = 0; i < n_; ++i)
            for (std::ptrdiff_t k = 0; k < 4; ++k)
                bytes_[k * n_ + i] =
                    source_.base[positions[i].y[k / 2] * source_.stride +
                                 static_cast<std::ptrdiff_t>(positions[i].x[k % 2]) * Step];
    }

    template <int LumaStep, int ChromaStep> void gather_yuv(const TapPosition *positions) {
        gather_luma<LumaStep>(positions);
        const ChromaAxis horizontal = source_.horizontal, vertical = source_.vertical;
        std::uint16_t *u = words_;
        std::uint16_t *v = words_ + 4 * static_cast<std::ptrdiff_t>(n_);
        for (std::ptrdiff_t i = 0; i < n_; ++i) {
            const TapPosition &at = positions[i];
            const ChromaAxis::Taps cols[2] = {horizontal.at(at.x[0]), horizontal.at(at.x[1])};
            const ChromaAxis::Taps rows[2] = {vertical.at(at.y[0]), vertical.at(at.y[1])};
            chroma_taps<ChromaStep>(source_.u, source_.u_stride, cols, rows, u + i, n_);
            chroma_taps<ChromaStep>(source_.v, source_.v_stride, cols, rows, v + i, n_);
        }
    }

    const kernels::Kernels &kernels_ = kernels::kernels_in_use();
    const Source &source_;
    const int n_;
    std::uint8_t *bytes_;
    std::uint16_t *words_;
    BgrArrays taps_;
};

/// Positions and weights of output row `y`.
void locate_row(const Affine &inverse, int y, int width, const Bounds &bounds,
                TapPosition *positions, float *weights) {
    const auto &m = inverse.m;
    const double x_start = m[1] * y + m[2], y_start = m[4] * y + m[5];
    const std::ptrdiff_t n = width;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        float wx[2], wy[2];
        const auto x = static_cast<double>(i);
        locate(m[0] * x + x_start, bounds.left, bounds.right, positions[i].x, wx);
        locate(m[3] * x + y_start, bounds.top, bounds.bottom, positions[i].y, wy);
        for (std::ptrdiff_t k = 0; k < 4; ++k)
            weights[k * n + i] = wx[k % 2] * wy[k / 2];
    }
}

/// The frame cut by `limit`; empty where nothing is left.
std::optional<Bounds> inner_bounds(const ImageView &src, const std::optional<RectI> &limit) {
    Bounds bounds{0, 0, src.width - 1, src.height - 1};
    if (limit) {
        const long long right = static_cast<long long>(limit->x) + limit->w - 1;
        const long long bottom = static_cast<long long>(limit->y) + limit->h - 1;
        bounds.left = std::max(bounds.left, limit->x);
        bounds.top = std::max(bounds.top, limit->y);
        bounds.right = static_cast<int>(std::clamp<long long>(right, -1, bounds.right));
        bounds.bottom = static_cast<int>(std::clamp<long long>(bottom, -1, bounds.bottom));
    }
    if (bounds.left > bounds.right || bounds.top > bounds.bottom)
        return std::nullopt;
    return bounds;
}

/// The rectangle that holds every tap inside the bounds, or nothing where all lie outside.
std::optional<RectI> touched(const Affine &inverse, const Bounds &bounds, const Image &out) {
    double x0 = HUGE_VAL, y0 = HUGE_VAL, x1 = -HUGE_VAL, y1 = -HUGE_VAL;
    for (const int corner : {0, 1, 2, 3}) {
        const double x = corner % 2 != 0 ? out.width - 1 : 0,
                     y = corner / 2 != 0 ? out.height - 1 : 0;
        const double sx = inverse.m[0] * x + inverse.m[1] * y + inverse.m[2];
        const double sy = inverse.m[3] * x + inverse.m[4] * y + inverse.m[5];
        x0 = std::min(x0, sx), x1 = std::max(x1, sx);
        y0 = std::min(y0, sy), y1 = std::max(y1, sy);
    }
    // One more on each side: the corners and the rows are not computed in the same order.
    const auto inside = [](double v, int first, int last) {
        return static_cast<int>(
            std::clamp(v, static_cast<double>(first), static_cast<double>(last)));
    };
    if (!(x1 > bounds.left - 2.0 && x0 < bounds.right + 2.0 && y1 > bounds.top - 2.0 &&
          y0 < bounds.bottom + 2.0))
        return std::nullopt;
    const int left = inside(std::floor(x0) - 1, bounds.left, bounds.right);
    const int right = inside(std::floor(x1) + 2, bounds.left, bounds.right);
    const int top = inside(std::floor(y0) - 1, bounds.top, bounds.bottom);
    const int bottom = inside(std::floor(y1) + 2, bounds.top, bounds.bottom);
    return RectI{left, top, right - left + 1, bottom - top + 1};
}

/// Taps and weights of output row `y` where some lie outside the bounds.
void locate_patch_row(const Affine &inverse, int y, std::ptrdiff_t n, const Bounds &bounds,
                      const RectI &part, std::int32_t *offsets, float *weights) {
    const auto &m = inverse.m;
    const double x_start = m[1] * y + m[2], y_start = m[4] * y + m[5];
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        int tx[2], ty[2];
        float wx[2], wy[2];
        const auto x = static_cast<double>(i);
        locate(m[0] * x + x_start, bounds.left, bounds.right, tx, wx);
        locate(m[3] * x + y_start, bounds.top, bounds.bottom, ty, wy);
        for (std::ptrdiff_t k = 0; k < 4; ++k) {
            // A tap without weight may lie anywhere in the bounds: it is moved into the patch.
            const int column = std::clamp(tx[k % 2] - part.x, 0, part.w - 1);
            const int row = std::clamp(ty[k / 2] - part.y, 0, part.h - 1);
            offsets[k * n + i] = 4 * (row * part.w + column);
            weights[k * n + i] = wx[k % 2] * wy[k / 2];
        }
    }
}

/// True where every tap of the warp lies inside the part: no weight is zero for being outside.
bool all_inside(const Affine &inverse, const RectI &part, const Image &out) {
    for (const int corner : {0, 1, 2, 3}) {
        const double x = corner % 2 != 0 ? out.width - 1 : 0,
                     y = corner / 2 != 0 ? out.height - 1 : 0;
        const double sx = inverse.m[0] * x + inverse.m[1] * y + inverse.m[2] - part.x;
        const double sy = inverse.m[3] * x + inverse.m[4] * y + inverse.m[5] - part.y;
        // Half a pixel to spare: the rows are not computed in the corners' order.
        if (!(sx >= 0.5 && sx < part.w - 1.5 && sy >= 0.5 && sy < part.h - 1.5))
            return false;
    }
    return true;
}

/// The warp by way of a converted patch: the common case, a face of about the crop's size.
void warp_from_patch(const Source &source, const Affine &inverse, const RectI &part,
                     const Bounds &bounds, Scratch &scratch, Image &out) {
    const kernels::Kernels &loops = kernels::kernels_in_use();
    const auto n = static_cast<std::size_t>(out.width);
    float *patch =
        reserve_scratch(scratch.patch, 4 * static_cast<std::size_t>(part.w) * part.h);
    convert_patch(source, part, patch);
    std::int32_t *offsets = reserve_scratch(scratch.offsets, 4 * n);
    float *weights = reserve_scratch(scratch.weights, 4 * n);
    const bool inside = all_inside(inverse, part, out);
    const auto &m = inverse.m;
    for (int y = 0; y < out.height; ++y) {
        std::uint8_t *row = out.bgr.data() + static_cast<std::ptrdiff_t>(y) * out.width * 3;
        if (inside) {
            loops.warp_patch_row(m[1] * y + m[2] - part.x, m[4] * y + m[5] - part.y, m[0], m[3],
                                 patch, 4 * part.w, out.width, row);
            continue;
        }
        locate_patch_row(inverse, y, out.width, bounds, part, offsets, weights);
        loops.blend_patch_row(patch, offsets, weights, out.width, row);
    }
}

void warp_rows(const Source &source, const Affine &inverse, const Bounds &bounds, Image &out) {
    thread_local Scratch scratch;
    const std::optional<RectI> part = touched(inverse, bounds, out);
    if (!part)
        return; // all of it lies outside: black
    const long long pixels = static_cast<long long>(part->w) * part->h;
    if (pixels <= kPatchShare * out.width * out.height && pixels <= INT32_MAX / 4) {
        warp_from_patch(source, inverse, *part, bounds, scratch, out);
        return;
    }
    const kernels::Kernels &loops = kernels::kernels_in_use();
    const int width = out.width;
    const auto n = static_cast<std::size_t>(width);
    TapPosition *positions = reserve_scratch(scratch.positions, n);
    float *weights = reserve_scratch(scratch.weights, 4 * n);
    float *line = reserve_scratch(scratch.line, 3 * n);
    const BgrArrays blended{line, line + n, line + 2 * n};
    TapReader reader(source, width, scratch);
    for (int y = 0; y < out.height; ++y) {
        locate_row(inverse, y, width, bounds, positions, weights);
        const BgrArrays &taps = reader.read(positions);
        loops.blend_four(taps.b, weights, width, blended.b);
        loops.blend_four(taps.g, weights, width, blended.g);
        loops.blend_four(taps.r, weights, width, blended.r);
        loops.round_to_bytes(blended, width,
                             out.bgr.data() + static_cast<std::ptrdiff_t>(y) * width * 3);
    }
}

} // namespace

Result<Image> warp_affine(const ImageView &src, const Affine &src_to_crop, int width,
                          int height, const std::optional<RectI> &limit) try {
    SPHERE_TRY(check_output_size(width, height));
    auto source = describe_source(src);
    if (!source)
        return std::move(source).error();
    const std::optional<Affine> inverse = src_to_crop.inverse();
    if (!inverse)
        return fail(Errc::InvalidArgument, "warp by a transform that has no inverse");
    Image out(width, height);
    if (const std::optional<Bounds> bounds = inner_bounds(src, limit))
        warp_rows(*source, *inverse, *bounds, out);
    return out;
} catch (const std::exception &) { // bad_alloc or length_error
    return fail(Errc::Internal, "out of memory for a crop of ", width, "x", height);
}

} // namespace sphere
