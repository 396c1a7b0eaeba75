// SPDX-License-Identifier: MIT
// A model's files as a simplified graph.
#pragma once

#include "core/engine/onednn/graph.h"
#include "core/model/store.h"

namespace sphere::onednn {

/// Reads the model's files, keeps what its descriptor's outputs need, and simplifies that. The
/// same files give the same graph. Errors: NotFound, Io, Corrupt, Unsupported, Mismatch.
Result<Graph> load_graph(const ResolvedModel &model);

/// Shape of one picture of the size that the descriptor says.
Dims one_picture(const ModelInput &input);

} // namespace sphere::onednn
