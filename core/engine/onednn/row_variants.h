// SPDX-License-Identifier: MIT
// From a row's arguments, some of which may be null, to the variant of a kernel that is made
// for them: one dispatch for every instruction set.
#pragma once

#include "core/engine/onednn/rows.h"

namespace sphere::onednn {

/// `Kernel::row<kSlopes, kAdds, kOut, kCodes>(...)` is a RowKernel that looks at no pointer
/// whose parameter is false.
template <typename Kernel, bool kSlopes, bool kAdds>
void pick_results(const RowPass &pass, const float *x, const float *slopes, const float *addend,
                  float *out, std::uint8_t *codes) {
    if (codes == nullptr)
        Kernel::template row<kSlopes, kAdds, true, false>(pass, x, slopes, addend, out, codes);
    else if (out == nullptr)
        Kernel::template row<kSlopes, kAdds, false, true>(pass, x, slopes, addend, out, codes);
    else
        Kernel::template row<kSlopes, kAdds, true, true>(pass, x, slopes, addend, out, codes);
}

template <typename Kernel>
void any_row(const RowPass &pass, const float *x, const float *slopes, const float *addend,
             float *out, std::uint8_t *codes) {
    if (slopes != nullptr && addend != nullptr)
        pick_results<Kernel, true, true>(pass, x, slopes, addend, out, codes);
    else if (slopes != nullptr)
        pick_results<Kernel, true, false>(pass, x, slopes, addend, out, codes);
    else if (addend != nullptr)
        pick_results<Kernel, false, true>(pass, x, slopes, addend, out, codes);
    else
        pick_results<Kernel, false, false>(pass, x, slopes, addend, out, codes);
}

} // namespace sphere::onednn
