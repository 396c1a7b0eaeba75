// SPDX-License-Identifier: MIT
// How large the parts of a gallery may be: galleries are files that somebody may have sent.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sphere {

inline constexpr int kMaxDims = 16384;                 ///< values of an embedding
inline constexpr std::size_t kMaxPersonIdBytes = 1024; ///< of a person's id
inline constexpr std::size_t kMaxTextBytes = 4096;     ///< of a label, a source, a stamp's part
inline constexpr std::size_t kMaxAttributesBytes = 1 << 16; ///< of a person's attributes
inline constexpr std::size_t kMaxNegatives = 100'000;       ///< of a gallery
inline constexpr std::size_t kMaxThumbnailBytes = 1 << 20;  ///< of a JPEG
inline constexpr std::int64_t kMaxFaces = 4'000'000;        ///< of a gallery
inline constexpr std::int64_t kMaxSnapshotBytes = 8LL
                                                  << 30; ///< of all embeddings that are loaded

} // namespace sphere
