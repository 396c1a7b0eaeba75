// SPDX-License-Identifier: MIT
// Numbers to codes: the arithmetic of int8.
#pragma once

#include "core/engine/calibration.h"
#include "core/engine/onednn/graph.h"

#include <cstdint>
#include <vector>

namespace sphere::onednn {

/// value = (code - zero) * scale, code in [0, 255].
struct CodeScale {
    float scale = 1;
    std::int32_t zero = 0;
};

/// The codes that cover `range` and have zero among them exactly (padding is zero).
CodeScale code_scale(ValueRange range);

/// Weights by output channel: weight = code * scale, code in [-largest, largest].
struct Int8Weights {
    std::vector<std::int8_t> codes; ///< in the weights' order
    std::vector<float> scales;      ///< by output channel
    std::vector<float> sums;        ///< of the codes, by output channel
};
/// `bits` 8: codes to 127. 7: to 64, the largest with which a byte times a code, twice, fits
/// 16 bits.
Int8Weights quantise_weights(const Constant &weights, std::int64_t outputs, int bits);

/// Whether the network's node can be computed in int8 at all: a convolution of one group or an
/// inner product with constant weights, on something else than the picture.
bool can_be_int8(const Graph &graph, const Node &node);

/// Bits of a weight with which the library's sums are exact on this CPU: 8 where it has the
/// dot product of bytes (AVX-512 VNNI), 7 where pairs of products meet in 16 bits on the way,
/// which would be cut (AVX2), 0 where there is only slow code.
int int8_weight_bits();

} // namespace sphere::onednn
