// SPDX-License-Identifier: MIT
// Shapes of every value for one shape of the input.
#pragma once

#include "core/engine/onednn/graph.h"

namespace sphere::onednn {

struct Shapes {
    std::vector<Dims> dims;      ///< by value; of constants too
    std::vector<char> is_static; ///< by value: integers computed from shapes, not at run time
    std::vector<std::vector<std::int64_t>> integers; ///< of static values; of a Slice's
                                                     ///< result: where it starts, by axis
    std::vector<Dims> pads; ///< by node: top, left, bottom, right; Conv and pooling only
};

/// Computes them for `input` (NCHW). With a batch other than the file's, a reshape whose target
/// bakes batch 1 takes the batch instead. Errors: Mismatch or Corrupt (shapes that do not fit,
/// naming the node), Unsupported (an attribute that this engine lacks).
Result<Shapes> infer_shapes(const Graph &graph, const Dims &input);

/// Axes of a Slice, Squeeze … are counted from the end if negative; -1 if out of range.
std::int64_t normal_axis(std::int64_t axis, std::size_t rank);

} // namespace sphere::onednn
