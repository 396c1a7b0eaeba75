// SPDX-License-Identifier: MIT
// Internal. What resize and warp share: where a format keeps its samples, how chroma positions
// follow from luma positions, and the checks of a view.
#pragma once

#include "core/base/result.h"
#include "core/image/image.h"
#include "core/image/kernels.h"
#include "core/image/resize.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sphere {

/// Longest side of a result, px; keeps sizes from untrusted numbers within memory and int.
inline constexpr int kMaxOutputSide = 32767;
/// Longest side of a source, px; byte offsets within a row stay within int.
inline constexpr int kMaxSourceSide = 1 << 28;

/// Bilinear chroma along one axis: a luma position takes `near` quarters of the chroma sample
/// `pos >> shift` and `other` quarters of its neighbour at `step`, chosen by the position's
/// parity.
struct ChromaAxis {
    int shift = 0;
    int last = 0; ///< index of the last chroma sample; a neighbour beyond the edge is the edge
    int near[2] = {4, 4};
    int other[2] = {0, 0};
    int step[2] = {0, 0};

    struct Taps {
        int near_index, other_index, near, other;
    };
    Taps at(int luma_pos) const {
        const int index = luma_pos >> shift;
        const int odd = shift == 0 ? 0 : luma_pos & 1;
        int neighbour = index + step[odd];
        neighbour = neighbour < 0 ? 0 : neighbour > last ? last : neighbour;
        return {index, neighbour, near[odd], other[odd]};
    }
};

/// Sites: H.273 figure 1. Midway, luma 2k lies a quarter of a chroma sample before chroma k and
/// luma 2k + 1 a quarter after it; cosited, luma 2k lies on it and luma 2k + 1 halfway to the
/// next.
ChromaAxis chroma_axis(bool subsampled, bool cosited, int luma_size);

/// A frame as its channels lie in memory. `steps` are bytes between neighbours in a row.
struct Source {
    enum class Kind : std::uint8_t { Yuv, Gray, Packed };
    Kind kind = Kind::Packed;
    int step = 1;                       ///< of luma, or of a packed pixel
    const std::uint8_t *base = nullptr; ///< luma or packed pixels
    std::ptrdiff_t stride = 0;
    int blue = 0, green = 0, red = 0; ///< byte offsets in a packed pixel
    int chroma_step = 1;              ///< 1, 2 or 4
    const std::uint8_t *u = nullptr;
    const std::uint8_t *v = nullptr;
    std::ptrdiff_t u_stride = 0;
    std::ptrdiff_t v_stride = 0;
    ChromaAxis horizontal;
    ChromaAxis vertical;
    kernels::YuvMatrix matrix;
};

/// Checks the view (sizes, planes present, colour constants) and describes it.
/// Errors: InvalidArgument.
Result<Source> describe_source(const ImageView &view);

/// Errors: InvalidArgument (empty, or over kMaxOutputSide).
Result<void> check_output_size(int width, int height);

/// At least `n` elements; keeps what it has so that a thread allocates only when sizes grow.
template <typename T> T *reserve_scratch(std::vector<T> &scratch, std::size_t n) {
    if (scratch.size() < n)
        scratch.resize(n);
    return scratch.data();
}

/// Converts the `roi` of a frame, which must lie inside it, to four floats a pixel (b, g, r in
/// 0..255, not rounded, and one that is not set), rows one after another. Allocates nothing
/// after a thread's first call of a given width.
void convert_patch(const Source &source, const RectI &roi, float *out);

} // namespace sphere
