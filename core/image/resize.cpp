// SPDX-License-Identifier: MIT
// Bilinear resize from a frame's planes. Each source row that is needed is gathered at the
// columns that are needed, converted, and blended along x once; output rows blend two of those
// along y.
#include "core/image/resize.h"

#include "core/image/kernels.h"
#include "core/image/sample.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <stdexcept>
#include <utility>

namespace sphere {
namespace {

using kernels::BgrArrays;
using kernels::Kernels;

/// One output position's two source positions along an axis, and the weight of the second.
struct AxisTaps {
    int first, second;
    float weight;
};

AxisTaps axis_taps(int out_pos, int out_size, int from, int size) {
    const double pos = (out_pos + 0.5) * size / out_size - 0.5;
    if (!(pos > 0))
        return {from, from, 0};
    const int first = static_cast<int>(pos);
    if (first >= size - 1)
        return {from + size - 1, from + size - 1, 0};
    const auto weight = static_cast<float>(pos - first);
    // What is below the arithmetic's own noise is no second tap: it would cost a row's
    // conversion.
    return {from + first, from + first + 1, weight < 1e-6F ? 0 : weight};
}

/// Memory of one thread's calls; it grows to the largest sizes seen and is kept.
struct Scratch {
    std::vector<std::int32_t> offset; ///< byte offset in the base row, a tap
    std::vector<std::int32_t> chroma; ///< index into the phases, a tap
    std::vector<float> weight;        ///< of the right tap, an output column
    std::vector<std::uint8_t> bytes;  ///< gathered samples
    std::vector<std::uint16_t> words; ///< gathered chroma
    std::vector<std::uint16_t> rows;  ///< chroma of a luma row, its phases, these interleaved
    std::vector<float> taps;          ///< converted taps
    std::vector<float> lines;         ///< two blended source rows and the output row
};

Scratch &thread_scratch() {
    thread_local Scratch scratch;
    return scratch;
}

/// Gives source rows as blended output columns; remembers the last two.
class RowReader {
  public:
    RowReader(const Source &source, const RectI &roi, int width, Scratch &scratch);

    /// Row `y` of the frame, `width` columns; valid until the second next call.
    const BgrArrays &row(int y);
    /// Room for one more row.
    const BgrArrays &output() const { return lines_[2]; }

  private:
    void plan_columns(const RectI &roi, Scratch &scratch);
    void plan_steps();
    void read_packed(const std::uint8_t *row, const BgrArrays &to);
    void gather_packed(const std::uint8_t *row);
    const std::uint8_t *gather_luma(const std::uint8_t *row);
    void gather_chroma(int y);
    template <int Step> void prepare_chroma(int y);
    void make_phases(const std::uint16_t *padded, std::uint16_t *phases) const;

    const Kernels &kernels_ = kernels::kernels_in_use();
    const Source &source_;
    const int width_;
    int taps_ = 0;       ///< width, or twice that where some column has a second tap
    bool dense_ = false; ///< the taps are the roi's columns one after another
    int from_ = 0;       ///< first column of the roi
    /// Of luma and of chroma at the taps, where those are as many columns apart everywhere;
    /// else null.
    Kernels::PickBytes pick_bytes_ = nullptr;
    Kernels::PickWords pick_words_ = nullptr;
    const std::int32_t *offset_ = nullptr;
    const std::int32_t *chroma_ = nullptr;
    const float *weight_ = nullptr;
    int chroma_from_ = 0;  ///< first chroma column of the roi
    int chroma_count_ = 0; ///< chroma columns of the roi
    std::uint16_t *padded_ = nullptr;
    std::uint16_t *phases_u_ = nullptr; ///< even luma columns, then odd ones
    std::uint16_t *phases_v_ = nullptr;
    std::uint16_t *whole_ = nullptr; ///< a plane's phases interleaved: a sample a luma column
    std::uint8_t *bytes_ = nullptr;
    std::uint16_t *u_ = nullptr;
    std::uint16_t *v_ = nullptr;
    BgrArrays converted_;
    BgrArrays lines_[3];
    int held_[2] = {-1, -1}; ///< which rows lines_[0] and lines_[1] hold
    int next_ = 0;
};

RowReader::RowReader(const Source &source, const RectI &roi, int width, Scratch &scratch)
    : source_(source), width_(width) {
    plan_columns(roi, scratch);
    const auto n = static_cast<std::size_t>(taps_);
    const auto w = static_cast<std::size_t>(width);
    bytes_ = reserve_scratch(scratch.bytes, 3 * n);
    float *taps = reserve_scratch(scratch.taps, 3 * n);
    converted_ = {taps, taps + n, taps + 2 * n};
    float *lines = reserve_scratch(scratch.lines, 9 * w);
    for (std::size_t i = 0; i < 3; ++i)
        lines_[i] = {lines + 3 * i * w, lines + (3 * i + 1) * w, lines + (3 * i + 2) * w};
    if (source.kind != Source::Kind::Yuv)
        return;
    const auto c = static_cast<std::size_t>(chroma_count_);
    // Room for whole pairs of columns; a roi that begins at an odd one leaves the first out.
    const std::size_t words = std::max(n, 2 * c);
    u_ = reserve_scratch(scratch.words, 2 * words);
    v_ = u_ + words;
    padded_ = reserve_scratch(scratch.rows, 7 * c + 2);
    phases_u_ = padded_ + c + 2;
    phases_v_ = phases_u_ + 2 * c;
    whole_ = phases_v_ + 2 * c;
}

void RowReader::plan_columns(const RectI &roi, Scratch &scratch) {
    const auto w = static_cast<std::size_t>(width_);
    float *weight = reserve_scratch(scratch.weight, w);
    std::int32_t *offset = reserve_scratch(scratch.offset, 2 * w);
    std::int32_t *chroma = reserve_scratch(scratch.chroma, 2 * w);
    chroma_from_ = roi.x / 2;
    chroma_count_ = (roi.x + roi.w - 1) / 2 - chroma_from_ + 1;
    const auto chroma_index = [&](int x) {
        return x / 2 - chroma_from_ + (x % 2 != 0 ? chroma_count_ : 0);
    };
    bool second_taps = false;
    for (std::size_t i = 0; i < w; ++i) {
        const AxisTaps taps = axis_taps(static_cast<int>(i), width_, roi.x, roi.w);
        second_taps |= taps.weight != 0;
        weight[i] = taps.weight;
        offset[i] = taps.first * source_.step;
        offset[w + i] = taps.second * source_.step;
        chroma[i] = chroma_index(taps.first);
        chroma[w + i] = chroma_index(taps.second);
    }
    taps_ = second_taps ? 2 * width_ : width_;
    dense_ = width_ == roi.w && !second_taps;
    from_ = roi.x;
    offset_ = offset;
    chroma_ = chroma;
    weight_ = weight;
    plan_steps();
}

/// Pictures are often halved or made a third: then whole vectors are picked, not samples.
void RowReader::plan_steps() {
    if (width_ < 2 || source_.step != 1)
        return;
    const std::int32_t step = offset_[1] - offset_[0];
    for (int i = 0; i < width_; ++i)
        if (offset_[i] != offset_[0] + i * step ||
            (taps_ > width_ && offset_[width_ + i] != offset_[i] + 1))
            return;
    if (step == 2) {
        pick_bytes_ = kernels_.pick_bytes_2;
        pick_words_ = kernels_.pick_words_2;
    } else if (step == 3) {
        pick_bytes_ = kernels_.pick_bytes_3;
        pick_words_ = kernels_.pick_words_3;
    } else if (step == 4) {
        pick_bytes_ = kernels_.pick_bytes_4;
        pick_words_ = kernels_.pick_words_4;
    }
}

const BgrArrays &RowReader::row(int y) {
    for (int i = 0; i < 2; ++i)
        if (held_[i] == y) {
            next_ = 1 - i;
            return lines_[i];
        }
    const int slot = std::exchange(next_, 1 - next_);
    held_[slot] = y;
    const BgrArrays &line = lines_[slot];

    // Without second taps the conversion writes the line itself.
    const bool blend = taps_ > width_;
    const BgrArrays &to = blend ? converted_ : line;
    const std::uint8_t *base = source_.base + y * source_.stride;
    if (source_.kind == Source::Kind::Packed) {
        read_packed(base, to);
    } else if (source_.kind == Source::Kind::Gray) {
        kernels_.luma_to_gray(source_.matrix, gather_luma(base), taps_, to.b);
        std::copy_n(to.b, taps_, to.g);
        std::copy_n(to.b, taps_, to.r);
    } else {
        gather_chroma(y);
        const int lead = dense_ ? from_ % 2 : 0;
        kernels_.yuv_to_bgr(source_.matrix, gather_luma(base), u_ + lead, v_ + lead, taps_, to);
    }
    if (blend) {
        kernels_.blend_columns(to.b, to.b + width_, weight_, width_, line.b);
        kernels_.blend_columns(to.g, to.g + width_, weight_, width_, line.g);
        kernels_.blend_columns(to.r, to.r + width_, weight_, width_, line.r);
    }
    return line;
}

void RowReader::read_packed(const std::uint8_t *row, const BgrArrays &to) {
    if (dense_ && source_.green == 1) {
        const std::uint8_t *pixels = row + static_cast<std::ptrdiff_t>(from_) * source_.step;
        const BgrArrays in_memory = source_.blue == 0 ? to : BgrArrays{to.r, to.g, to.b};
        (source_.step == 3 ? kernels_.unpack_3 : kernels_.unpack_4)(pixels, taps_, in_memory);
        return;
    }
    gather_packed(row);
    kernels_.bytes_to_float(bytes_, taps_, to.b);
    kernels_.bytes_to_float(bytes_ + taps_, taps_, to.g);
    kernels_.bytes_to_float(bytes_ + 2 * static_cast<std::ptrdiff_t>(taps_), taps_, to.r);
}

void RowReader::gather_packed(const std::uint8_t *row) {
    std::uint8_t *b = bytes_;
    std::uint8_t *g = b + taps_;
    std::uint8_t *r = g + taps_;
    for (int i = 0; i < taps_; ++i) {
        const std::uint8_t *pixel = row + offset_[i];
        b[i] = pixel[source_.blue];
        g[i] = pixel[source_.green];
        r[i] = pixel[source_.red];
    }
}

/// Luma at the taps: in the frame itself where they are all its columns.
const std::uint8_t *RowReader::gather_luma(const std::uint8_t *row) {
    if (dense_ && source_.step == 1)
        return row + from_;
    if (pick_bytes_ != nullptr) {
        for (int from = 0; from < taps_; from += width_)
            pick_bytes_(row + offset_[from], width_, bytes_ + from);
        return bytes_;
    }
    const std::int32_t *offset = offset_;
    std::uint8_t *luma = bytes_;
    for (int i = 0; i < taps_; ++i)
        luma[i] = row[offset[i]];
    return luma;
}

void RowReader::gather_chroma(int y) {
    if (source_.chroma_step == 1)
        prepare_chroma<1>(y);
    else if (source_.chroma_step == 2)
        prepare_chroma<2>(y);
    else
        prepare_chroma<4>(y);
    std::uint16_t *u = u_;
    std::uint16_t *v = v_;
    if (dense_) {
        kernels_.interleave_phases(phases_u_, phases_u_ + chroma_count_, chroma_count_, u);
        kernels_.interleave_phases(phases_v_, phases_v_ + chroma_count_, chroma_count_, v);
        return;
    }
    if (pick_words_ != nullptr) {
        for (const auto &[phases, out] : {std::pair{phases_u_, u}, std::pair{phases_v_, v}}) {
            kernels_.interleave_phases(phases, phases + chroma_count_, chroma_count_, whole_);
            for (int from = 0; from < taps_; from += width_)
                pick_words_(whole_ + offset_[from] - 2 * chroma_from_, width_, out + from);
        }
        return;
    }
    const std::int32_t *chroma = chroma_;
    const std::uint16_t *phases_u = phases_u_;
    const std::uint16_t *phases_v = phases_v_;
    for (int i = 0; i < taps_; ++i) {
        u[i] = phases_u[chroma[i]];
        v[i] = phases_v[chroma[i]];
    }
}

/// Chroma of luma row `y`: blended along y into a row with one neighbour on each side, then
/// along x for the even and for the odd luma columns.
template <int Step> void RowReader::prepare_chroma(int y) {
    const ChromaAxis::Taps taps = source_.vertical.at(y);
    const int last = source_.horizontal.last;
    const int from = std::max(chroma_from_ - 1, 0);
    const int to = std::min(chroma_from_ + chroma_count_, last);
    const int lead = chroma_from_ - from; // 0 where the left neighbour is beyond the edge
    const Kernels::BlendChromaRows blend_rows_of_chroma =
        Step == 1   ? kernels_.blend_chroma_rows_1
        : Step == 2 ? kernels_.blend_chroma_rows_2
                    : kernels_.blend_chroma_rows_4;
    const auto blend = [&](const std::uint8_t *plane, std::ptrdiff_t stride,
                           std::uint16_t *phases) {
        const std::uint8_t *near = plane + taps.near_index * stride + from * Step;
        const std::uint8_t *other = plane + taps.other_index * stride + from * Step;
        const int count = to - from + 1;
        blend_rows_of_chroma(near, other, taps.near, taps.other, count, padded_ + 1 - lead);
        if (lead == 0)
            padded_[0] = padded_[1];
        if (to == chroma_from_ + chroma_count_ - 1)
            padded_[chroma_count_ + 1] = padded_[chroma_count_];
        make_phases(padded_, phases);
    };
    blend(source_.u, source_.u_stride, phases_u_);
    blend(source_.v, source_.v_stride, phases_v_);
}

void RowReader::make_phases(const std::uint16_t *padded, std::uint16_t *phases) const {
    const ChromaAxis &axis = source_.horizontal;
    for (int odd = 0; odd < 2; ++odd)
        kernels_.blend_chroma_columns(
            padded + 1, padded + 1 + axis.step[odd], axis.near[odd], axis.other[odd],
            chroma_count_, phases + static_cast<std::ptrdiff_t>(odd) * chroma_count_);
}

Result<void> check_arguments(const ImageView &src, const RectI &roi, int width, int height) {
    SPHERE_TRY(check_output_size(width, height));
    const bool inside = roi.x >= 0 && roi.y >= 0 && roi.w >= 1 && roi.h >= 1 &&
                        roi.w <= src.width - roi.x && roi.h <= src.height - roi.y;
    if (!inside)
        return fail(Errc::InvalidArgument, "region ", roi.w, "x", roi.h, " at ", roi.x, ",",
                    roi.y, " is empty or does not lie inside the picture of ", src.width, "x",
                    src.height);
    return {};
}

/// Calls emit(row number, blended row of `width` pixels) for each output row.
template <typename Emit>
Result<void> resize_rows(const ImageView &src, const RectI &roi, int width, int height,
                         const Emit &emit) {
    auto source = describe_source(src);
    if (!source)
        return std::move(source).error();
    RowReader reader(*source, roi, width, thread_scratch());
    const Kernels &loops = kernels::kernels_in_use();
    const BgrArrays &out = reader.output();
    for (int y = 0; y < height; ++y) {
        const AxisTaps taps = axis_taps(y, height, roi.y, roi.h);
        const BgrArrays &top = reader.row(taps.first);
        if (taps.weight == 0) {
            emit(y, top);
            continue;
        }
        const BgrArrays &bottom = reader.row(taps.second);
        loops.blend_rows(top.b, bottom.b, taps.weight, width, out.b);
        loops.blend_rows(top.g, bottom.g, taps.weight, width, out.g);
        loops.blend_rows(top.r, bottom.r, taps.weight, width, out.r);
        emit(y, out);
    }
    return {};
}

/// One row of rounded, normalised values. `gray` is room for `n` floats.
void emit_tensor_row(const BgrArrays &row, int n, const Normalization &norm,
                     const TensorPlane &dst, int y, float *gray) {
    const Kernels &loops = kernels::kernels_in_use();
    const std::ptrdiff_t at = y * dst.row_stride;
    if (norm.order == ChannelOrder::Gray) {
        loops.bgr_to_gray(row, n, gray);
        loops.round_and_normalize(gray, n, norm.mean[0], norm.scale[0], dst.data + at);
        return;
    }
    const bool bgr = norm.order == ChannelOrder::BGR;
    const float *channels[3] = {bgr ? row.b : row.r, row.g, bgr ? row.r : row.b};
    for (std::size_t c = 0; c < 3; ++c)
        loops.round_and_normalize(channels[c], n, norm.mean[c], norm.scale[c],
                                  dst.data + static_cast<std::ptrdiff_t>(c) * dst.plane_stride +
                                      at);
}

} // namespace

void convert_patch(const Source &source, const RectI &roi, float *out) {
    const Kernels &loops = kernels::kernels_in_use();
    RowReader reader(source, roi, roi.w, thread_scratch());
    for (int y = 0; y < roi.h; ++y)
        loops.interleave_four(reader.row(roi.y + y), roi.w,
                              out + 4 * static_cast<std::ptrdiff_t>(y) * roi.w);
}

Result<void> resize_to_tensor(const ImageView &src, const RectI &roi, int width, int height,
                              const Normalization &norm, const TensorPlane &dst) try {
    SPHERE_TRY(check_arguments(src, roi, width, height));
    if (!dst.data)
        return fail(Errc::InvalidArgument, "resize without a destination");
    thread_local std::vector<float> gray;
    float *gray_row = reserve_scratch(gray, static_cast<std::size_t>(width));
    return resize_rows(src, roi, width, height, [&](int y, const BgrArrays &row) {
        emit_tensor_row(row, width, norm, dst, y, gray_row);
    });
} catch (const std::bad_alloc &) {
    return fail(Errc::Internal, "out of memory while resizing to ", width, "x", height);
}

Result<Image> resize_to_bgr(const ImageView &src, const RectI &roi, int width, int height) try {
    SPHERE_TRY(check_arguments(src, roi, width, height));
    const Kernels &loops = kernels::kernels_in_use();
    Image out(width, height);
    SPHERE_TRY(resize_rows(src, roi, width, height, [&](int y, const BgrArrays &row) {
        loops.round_to_bytes(row, width,
                             out.bgr.data() + static_cast<std::ptrdiff_t>(y) * width * 3);
    }));
    return out;
} catch (const std::exception &) { // bad_alloc or length_error
    return fail(Errc::Internal, "out of memory for a picture of ", width, "x", height);
}

Result<Image> to_bgr(const ImageView &src) {
    return resize_to_bgr(src, {0, 0, src.width, src.height}, src.width, src.height);
}

void normalize_to_tensor(const Image &crop, const Normalization &norm, const TensorPlane &dst) {
    const Kernels &loops = kernels::kernels_in_use();
    const std::ptrdiff_t width = crop.width;
    for (std::ptrdiff_t y = 0; y < crop.height; ++y) {
        const std::uint8_t *in = crop.bgr.data() + y * width * 3;
        float *out = dst.data + y * dst.row_stride;
        if (norm.order == ChannelOrder::Gray) {
            for (std::ptrdiff_t x = 0; x < width; ++x) {
                const std::uint8_t *p = in + 3 * x;
                const float gray = 0.114F * p[0] + 0.587F * p[1] + 0.299F * p[2];
                const auto rounded = static_cast<float>(static_cast<int>(gray + 0.5F));
                out[x] = (rounded - norm.mean[0]) * norm.scale[0];
            }
            continue;
        }
        for (std::size_t c = 0; c < 3; ++c) {
            const std::uint8_t *channel = in + (norm.order == ChannelOrder::BGR ? c : 2 - c);
            float *plane = out + static_cast<std::ptrdiff_t>(c) * dst.plane_stride;
            const float mean = norm.mean[c], scale = norm.scale[c];
            loops.normalize_channel(channel, crop.width, mean, scale, plane);
        }
    }
}

} // namespace sphere
