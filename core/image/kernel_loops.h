// SPDX-License-Identifier: MIT
// Internal. The loops of kernels.h without branches, for a compiler to vectorise: included by
// one file an instruction set, each compiled for its own.
#pragma once

#include "core/image/kernels.h"

namespace sphere::kernels {
// Each file's own, on purpose: the linker must not take one instruction set's copy for
// another's. NOLINTBEGIN(misc-definitions-in-headers)
namespace {

// In this form both comparisons become one minps and one maxps.
inline float clip_to_byte_range(float v) {
    v = v > 0.0F ? v : 0.0F;
    return v < 255.0F ? v : 255.0F;
}

inline int round_positive(float v) {
    return static_cast<int>(v + 0.5F);
}

void yuv_to_bgr(const YuvMatrix &matrix, const std::uint8_t *__restrict y,
                const std::uint16_t *__restrict u, const std::uint16_t *__restrict v, int n,
                const BgrArrays &out) {
    const YuvMatrix m = matrix;
    constexpr float kZeroChroma = 128.0F * kChromaUnit;
    float *__restrict b = out.b;
    float *__restrict g = out.g;
    float *__restrict r = out.r;
    for (int i = 0; i < n; ++i) {
        const float luma = (static_cast<float>(y[i]) - m.y_offset) * m.y_scale;
        const float cb = static_cast<float>(u[i]) - kZeroChroma;
        const float cr = static_cast<float>(v[i]) - kZeroChroma;
        b[i] = clip_to_byte_range(luma + m.u_to_b * cb);
        g[i] = clip_to_byte_range(luma + m.u_to_g * cb + m.v_to_g * cr);
        r[i] = clip_to_byte_range(luma + m.v_to_r * cr);
    }
}

void luma_to_gray(const YuvMatrix &matrix, const std::uint8_t *__restrict y, int n,
                  float *__restrict out) {
    const float offset = matrix.y_offset, scale = matrix.y_scale;
    for (int i = 0; i < n; ++i)
        out[i] = clip_to_byte_range((static_cast<float>(y[i]) - offset) * scale);
}

void bytes_to_float(const std::uint8_t *__restrict in, int n, float *__restrict out) {
    for (int i = 0; i < n; ++i)
        out[i] = static_cast<float>(in[i]);
}

template <int Step>
void unpack(const std::uint8_t *__restrict in, int n, const BgrArrays &out) {
    float *__restrict b = out.b;
    float *__restrict g = out.g;
    float *__restrict r = out.r;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        b[i] = static_cast<float>(in[Step * i]);
        g[i] = static_cast<float>(in[Step * i + 1]);
        r[i] = static_cast<float>(in[Step * i + 2]);
    }
}

template <int Step, typename T> void pick(const T *__restrict in, int n, T *__restrict out) {
    for (std::ptrdiff_t i = 0; i < n; ++i)
        out[i] = in[Step * i];
}

void interleave_phases(const std::uint16_t *__restrict even,
                       const std::uint16_t *__restrict odd, int n,
                       std::uint16_t *__restrict out) {
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        out[2 * i] = even[i];
        out[2 * i + 1] = odd[i];
    }
}

template <int Step>
void blend_chroma_rows(const std::uint8_t *near, const std::uint8_t *other, int near_weight,
                       int other_weight, int n, std::uint16_t *__restrict out) {
    const auto nw = static_cast<std::uint16_t>(near_weight);
    const auto ow = static_cast<std::uint16_t>(other_weight);
    for (int i = 0; i < n; ++i) {
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(i) * Step;
        out[i] = static_cast<std::uint16_t>(near[at] * nw + other[at] * ow);
    }
}

void blend_chroma_columns(const std::uint16_t *a, const std::uint16_t *b, int a_weight,
                          int b_weight, int n, std::uint16_t *__restrict out) {
    const auto aw = static_cast<std::uint16_t>(a_weight);
    const auto bw = static_cast<std::uint16_t>(b_weight);
    for (int i = 0; i < n; ++i)
        out[i] = static_cast<std::uint16_t>(a[i] * aw + b[i] * bw);
}

void blend_columns(const float *__restrict left, const float *__restrict right,
                   const float *__restrict weight, int n, float *__restrict out) {
    for (int i = 0; i < n; ++i)
        out[i] = left[i] + (right[i] - left[i]) * weight[i];
}

void blend_rows(const float *top, const float *bottom, float weight, int n,
                float *__restrict out) {
    for (int i = 0; i < n; ++i)
        out[i] = top[i] + (bottom[i] - top[i]) * weight;
}

void blend_four(const float *__restrict taps, const float *__restrict weights, int n,
                float *__restrict out) {
    const std::ptrdiff_t step = n;
    for (std::ptrdiff_t i = 0; i < step; ++i)
        out[i] = weights[i] * taps[i] + weights[step + i] * taps[step + i] +
                 weights[2 * step + i] * taps[2 * step + i] +
                 weights[3 * step + i] * taps[3 * step + i];
}

void bgr_to_gray(const BgrArrays &in, int n, float *__restrict out) {
    const float *__restrict b = in.b;
    const float *__restrict g = in.g;
    const float *__restrict r = in.r;
    for (int i = 0; i < n; ++i)
        out[i] = 0.114F * b[i] + 0.587F * g[i] + 0.299F * r[i];
}

void round_and_normalize(const float *__restrict in, int n, float mean, float scale,
                         float *__restrict out) {
    for (int i = 0; i < n; ++i)
        out[i] = (static_cast<float>(round_positive(in[i])) - mean) * scale;
}

void normalize_channel(const std::uint8_t *__restrict in, int n, float mean, float scale,
                       float *__restrict out) {
    for (std::ptrdiff_t i = 0; i < n; ++i)
        out[i] = (static_cast<float>(in[3 * i]) - mean) * scale;
}

void interleave_four(const BgrArrays &in, int n, float *__restrict out) {
    const float *__restrict b = in.b;
    const float *__restrict g = in.g;
    const float *__restrict r = in.r;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        out[4 * i] = b[i];
        out[4 * i + 1] = g[i];
        out[4 * i + 2] = r[i];
        out[4 * i + 3] = 0;
    }
}

/// Taps of pixels first .. first + n of a row of a warp, as blend_patch_row takes them.
void locate_patch_taps(double x, double y, double dx, double dy, int first, int row_floats,
                       int n, std::int32_t *__restrict offsets, float *__restrict weights) {
    const std::ptrdiff_t step = n;
    std::int32_t *__restrict a0 = offsets;
    std::int32_t *__restrict a1 = offsets + step;
    std::int32_t *__restrict a2 = offsets + 2 * step;
    std::int32_t *__restrict a3 = offsets + 3 * step;
    float *__restrict w0 = weights;
    float *__restrict w1 = weights + step;
    float *__restrict w2 = weights + 2 * step;
    float *__restrict w3 = weights + 3 * step;
    for (int i = 0; i < n; ++i) {
        const double px = x + (first + i) * dx, py = y + (first + i) * dy;
        const int ix = static_cast<int>(px), iy = static_cast<int>(py); // floor: not negative
        const auto fx = static_cast<float>(px - ix), fy = static_cast<float>(py - iy);
        const std::int32_t offset = iy * row_floats + 4 * ix;
        a0[i] = offset;
        a1[i] = offset + 4;
        a2[i] = offset + row_floats;
        a3[i] = offset + row_floats + 4;
        w0[i] = (1 - fx) * (1 - fy);
        w1[i] = fx * (1 - fy);
        w2[i] = (1 - fx) * fy;
        w3[i] = fx * fy;
    }
}

void blend_patch_row(const float *__restrict patch, const std::int32_t *__restrict offsets,
                     const float *__restrict weights, int n, std::uint8_t *__restrict out) {
    // Four floats a tap: one register of the smallest vector unit there is.
    using Four = float __attribute__((vector_size(16), aligned(4), may_alias));
    const std::ptrdiff_t step = n;
    const auto tap = [&](std::ptrdiff_t k) {
        return *reinterpret_cast<const Four *>(patch + offsets[k]) * weights[k];
    };
    using FourInts = std::int32_t __attribute__((vector_size(16)));
    using FourBytes = std::uint8_t __attribute__((vector_size(4)));
    const auto pixel = [&](std::ptrdiff_t i) {
        const Four sum = (tap(i) + tap(step + i)) + (tap(2 * step + i) + tap(3 * step + i));
        return __builtin_convertvector(__builtin_convertvector(sum + 0.5F, FourInts),
                                       FourBytes);
    };
    // Four bytes at once: the fourth is the next pixel's first, written again with it.
    for (std::ptrdiff_t i = 0; i + 1 < step; ++i) {
        const FourBytes bytes = pixel(i);
        __builtin_memcpy(out + 3 * i, &bytes, 4);
    }
    if (step > 0) {
        const FourBytes bytes = pixel(step - 1);
        __builtin_memcpy(out + 3 * (step - 1), &bytes, 3);
    }
}

void warp_patch_row(double x, double y, double dx, double dy, const float *patch,
                    int row_floats, int n, std::uint8_t *out) {
    constexpr int kBlock = 64;
    std::int32_t offsets[4 * kBlock];
    float weights[4 * kBlock];
    for (int first = 0; first < n; first += kBlock) {
        const int count = n - first < kBlock ? n - first : kBlock;
        locate_patch_taps(x, y, dx, dy, first, row_floats, count, offsets, weights);
        blend_patch_row(patch, offsets, weights, count,
                        out + 3 * static_cast<std::ptrdiff_t>(first));
    }
}

void round_to_bytes(const BgrArrays &in, int n, std::uint8_t *__restrict out) {
    const float *__restrict b = in.b;
    const float *__restrict g = in.g;
    const float *__restrict r = in.r;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        out[3 * i] = static_cast<std::uint8_t>(round_positive(b[i]));
        out[3 * i + 1] = static_cast<std::uint8_t>(round_positive(g[i]));
        out[3 * i + 2] = static_cast<std::uint8_t>(round_positive(r[i]));
    }
}

/// Pixels that are taken apart at a time; sums of their products fit 32 bits.
constexpr int kSplitPixels = 256;

struct SplitPixels {
    std::int16_t b[kSplitPixels], g[kSplitPixels], r[kSplitPixels];
};

inline void split(const std::uint8_t *__restrict bgr, int n, SplitPixels &out) {
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        out.b[i] = bgr[3 * i];
        out.g[i] = bgr[3 * i + 1];
        out.r[i] = bgr[3 * i + 2];
    }
}

std::int64_t bytes_to_luma(const std::uint8_t *__restrict bgr, int n,
                           std::int32_t *__restrict out) {
    SplitPixels pixels;
    std::int64_t total = 0;
    for (std::ptrdiff_t first = 0; first < n; first += kSplitPixels) {
        const int count = n - first < kSplitPixels ? static_cast<int>(n - first) : kSplitPixels;
        split(bgr + 3 * first, count, pixels);
        std::int32_t sum = 0;
        for (int i = 0; i < count; ++i) {
            const std::int32_t luma = 114 * pixels.b[i] + 587 * pixels.g[i] + 299 * pixels.r[i];
            out[first + i] = luma;
            sum += luma;
        }
        total += sum;
    }
    return total;
}

void sum_laplacians(const std::int32_t *__restrict above, const std::int32_t *__restrict row,
                    const std::int32_t *__restrict below, int n,
                    std::int64_t *__restrict sums) {
    std::int64_t total = 0, squares = 0;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        const std::int32_t value = row[i - 1] + row[i + 1] + above[i] + below[i] - 4 * row[i];
        total += value;
        squares += static_cast<std::int64_t>(value) * value;
    }
    sums[0] += total;
    sums[1] += squares;
}

inline std::int32_t sum_products(const std::int16_t *__restrict a,
                                 const std::int16_t *__restrict b, int n) {
    std::int32_t sum = 0;
    for (int i = 0; i < n; ++i)
        sum += a[i] * b[i];
    return sum;
}

void sum_moments(const std::uint8_t *__restrict bgr, int n, std::int64_t *__restrict sums) {
    SplitPixels p;
    for (std::ptrdiff_t first = 0; first < n; first += kSplitPixels) {
        const int count = n - first < kSplitPixels ? static_cast<int>(n - first) : kSplitPixels;
        split(bgr + 3 * first, count, p);
        std::int32_t b = 0, g = 0, r = 0;
        for (int i = 0; i < count; ++i) {
            b += p.b[i];
            g += p.g[i];
            r += p.r[i];
        }
        sums[0] += b;
        sums[1] += g;
        sums[2] += r;
        sums[3] += sum_products(p.b, p.b, count);
        sums[4] += sum_products(p.g, p.g, count);
        sums[5] += sum_products(p.r, p.r, count);
        sums[6] += sum_products(p.b, p.g, count);
        sums[7] += sum_products(p.b, p.r, count);
        sums[8] += sum_products(p.g, p.r, count);
    }
}

constexpr Kernels make_kernels(CpuLevel level) {
    return {level,
            &yuv_to_bgr,
            &luma_to_gray,
            &bytes_to_float,
            &unpack<3>,
            &unpack<4>,
            &pick<2>,
            &pick<3>,
            &pick<4>,
            &pick<2>,
            &pick<3>,
            &pick<4>,
            &interleave_phases,
            &blend_chroma_rows<1>,
            &blend_chroma_rows<2>,
            &blend_chroma_rows<4>,
            &blend_chroma_columns,
            &blend_columns,
            &blend_rows,
            &blend_four,
            &bgr_to_gray,
            &round_and_normalize,
            &normalize_channel,
            &interleave_four,
            &warp_patch_row,
            &blend_patch_row,
            &round_to_bytes,
            &bytes_to_luma,
            &sum_laplacians,
            &sum_moments};
}

} // namespace
// NOLINTEND(misc-definitions-in-headers)
} // namespace sphere::kernels
