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

void locate_patch_taps(double x, double y, double dx, double dy, int row_floats, int n,
                       std::int32_t *__restrict offsets, float *__restrict weights) {
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
        const double px = x + i * dx, py = y + i * dy;
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

constexpr Kernels make_kernels(CpuLevel level) {
    return {level,
            &yuv_to_bgr,
            &luma_to_gray,
            &bytes_to_float,
            &unpack<3>,
            &unpack<4>,
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
            &locate_patch_taps,
            &blend_patch_row,
            &round_to_bytes};
}

} // namespace
// NOLINTEND(misc-definitions-in-headers)
} // namespace sphere::kernels
