// SPDX-License-Identifier: MIT
// The index that looks at every row.
#pragma once

#include "core/gallery/index.h"

namespace sphere {

/// `dims` in 1..kMaxDims (checked by make_index).
std::unique_ptr<Index> make_exact_index(int dims, Metric metric);

} // namespace sphere
