// SPDX-License-Identifier: MIT
// Rewrites of a graph that make it smaller and leave its results as they are.
#pragma once

#include "core/engine/onednn/graph.h"

namespace sphere::onednn {

/// Drops identities; folds batch norm and factors into the convolution or inner product before
/// them (what cannot be folded becomes Mul and Add); fuses activations and sums into
/// convolutions; drops channels that do nothing. Errors: Corrupt (constants that do not fit
/// each other).
Result<void> simplify(Graph &graph);

/// Takes channels out that a convolution makes, that only depthwise convolutions and PReLUs
/// work on, and that a second convolution sums up, where nothing of the input gets through
/// them: what is constant in them joins the second one's bias. Results change by less than
/// 1e-7 of what the largest of the channels carries, if at all. So many stay that they are a
/// multiple of
/// 16. Part of simplify().
void drop_dead_channels(Graph &graph);

} // namespace sphere::onednn
