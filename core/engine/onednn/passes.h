// SPDX-License-Identifier: MIT
// Rewrites of a graph that make it smaller and leave its results as they are.
#pragma once

#include "core/engine/onednn/graph.h"

namespace sphere::onednn {

/// Drops identities; folds batch norm and factors into the convolution or inner product before
/// them (what cannot be folded becomes Mul and Add); fuses activations and sums into
/// convolutions. Errors: Corrupt (constants that do not fit each other).
Result<void> simplify(Graph &graph);

} // namespace sphere::onednn
