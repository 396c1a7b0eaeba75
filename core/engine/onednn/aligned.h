// SPDX-License-Identifier: MIT
// Memory aligned for vector instructions.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>

namespace sphere::onednn {

inline constexpr std::size_t kAlignment = 64; ///< bytes: a cache line, the widest vector

inline std::size_t aligned(std::size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

struct AlignedFree {
    void operator()(std::byte *p) const { std::free(p); }
};
using AlignedBytes = std::unique_ptr<std::byte[], AlignedFree>;

/// nullptr where there is not so much.
inline AlignedBytes allocate_aligned(std::size_t bytes) {
    return AlignedBytes(
        static_cast<std::byte *>(std::aligned_alloc(kAlignment, aligned(bytes))));
}

} // namespace sphere::onednn
