// SPDX-License-Identifier: MIT
// Where the numbers are that a tile's products are made of: up to 24 places, a stride apart, of
// each of which four bytes are wanted at a time. For the files with AVX-512.
#pragma once

#include "core/engine/onednn/avx512.h"

#include <cstring>

namespace sphere::onednn {

inline constexpr int kPlaces = 24; ///< sums, of 32 registers, beside weights and values

/// Eight places are found by one register and multiples of others, which an address can be
/// made of.
struct Places {
    const std::uint8_t *first, *ninth, *last; ///< the 1st, 9th and 17th
    std::int64_t one, three, five, seven;     ///< strides

    SPHERE_AVX512_INLINE Places(const void *from, std::int64_t stride)
        : first(static_cast<const std::uint8_t *>(from)), ninth(first + 8 * stride),
          last(first + 16 * stride), one(stride), three(3 * stride), five(5 * stride),
          seven(7 * stride) {
        // The compiler would make pointers of them again, more than there are registers.
        asm("" : "+r"(one), "+r"(three), "+r"(five), "+r"(seven));
    }
    SPHERE_AVX512_INLINE void move(std::int64_t by) {
        first += by;
        ninth += by;
        last += by;
    }
    /// The four bytes that are `i` behind a place.
    template <int kPlace> SPHERE_AVX512_INLINE std::int32_t quad(std::int64_t i) const {
        constexpr int kNear = kPlace % 8;
        const std::uint8_t *const from = (kPlace < 8 ? first : kPlace < 16 ? ninth : last) + i;
        std::int32_t bytes;
        std::memcpy(&bytes,
                    kNear == 0   ? from
                    : kNear == 3 ? from + three
                    : kNear == 5 ? from + five
                    : kNear == 6 ? from + 2 * three
                    : kNear == 7 ? from + seven
                                 : from + kNear * one,
                    sizeof bytes);
        return bytes;
    }
};

} // namespace sphere::onednn
