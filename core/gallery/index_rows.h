// SPDX-License-Identifier: MIT
// What all index backends share: checks, unit vectors, the distance that a hit carries.
#pragma once

#include "core/gallery/index.h"

namespace sphere {

/// InvalidArgument unless `values` is `count` finite vectors of `dims`.
Result<void> check_index_vectors(const char *what, std::span<const float> values,
                                 std::size_t count, std::size_t dims);

/// What an index keeps of a vector: the vector at unit length for cosine (a zero vector stays
/// zero), as it is for euclidean. `row` has at least values.size() elements.
void make_index_row(Metric metric, std::span<const float> values, float *row);

/// The distance of two rows by make_index_row, padded with zeros to `padded` values, a multiple
/// of kDistanceLanes; both 64-byte aligned. In [0, 2] or, euclidean, at most the largest float.
float index_row_distance(Metric metric, const float *a, const float *b, std::size_t padded);

/// Nearest first; equal distances by id.
inline bool nearer(const Hit &a, const Hit &b) {
    return a.distance != b.distance ? a.distance < b.distance : a.id < b.id;
}

} // namespace sphere
