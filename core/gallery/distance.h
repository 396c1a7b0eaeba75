// SPDX-License-Identifier: MIT
// The inner loops of a scan, for whatever vector unit the machine has.
#pragma once

#include <cstddef>

namespace sphere {

/// Rows are padded with zeros to a multiple of this many floats and start on a 64-byte
/// boundary.
inline constexpr std::size_t kDistanceLanes = 32;

/// `a` and `b` hold `n` floats each; n is a multiple of kDistanceLanes, both 64-byte aligned.
/// Sums are kept in float within blocks of 512 and in double across them, so that the error
/// does not grow with the number of dimensions. The same pair gives the same bits whatever the
/// call.
struct DistanceKernels {
    double (*dot)(const float *a, const float *b, std::size_t n);
    double (*squared_distance)(const float *a, const float *b, std::size_t n);
};

/// The fastest pair for this processor; chosen once.
const DistanceKernels &distance_kernels();

} // namespace sphere
