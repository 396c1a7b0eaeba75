// SPDX-License-Identifier: MIT
// The index that looks at every row.
#pragma once

#include "core/gallery/index.h"

namespace sphere {

/// Scans rows of 4, 2 or 1 bytes a value, and looks again, in full precision, at each row that
/// the scan's error bounds do not rule out: all three find the same rows at the same distances.
/// `dims` in 1..kMaxDims (checked by make_index).
Result<std::unique_ptr<Index>> make_exact_index(int dims, Metric metric,
                                                const IndexOptions &options);
Result<std::unique_ptr<Index>> make_exact_bf16_index(int dims, Metric metric,
                                                     const IndexOptions &options);
Result<std::unique_ptr<Index>> make_exact_int8_index(int dims, Metric metric,
                                                     const IndexOptions &options);

} // namespace sphere
