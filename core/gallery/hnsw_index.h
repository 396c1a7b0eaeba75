// SPDX-License-Identifier: MIT
// A graph of neighbours (HNSW; Malkov and Yashunin, 2016), built by hnswlib.
#pragma once

#include "core/gallery/index.h"

namespace sphere {

/// Unsupported where the build has no hnswlib.
Result<std::unique_ptr<Index>> make_hnsw_index(int dims, Metric metric,
                                               const IndexOptions &options);

} // namespace sphere
