// SPDX-License-Identifier: MIT
// What faces that are left out of a gallery show of its threshold.
#pragma once

#include "core/gallery/gallery_check.h"

#include <span>

namespace sphere {

/// A face as a probe against the others.
struct LeftOut {
    std::optional<float> own;    ///< distance to the nearest other face of the same person
    std::optional<float> other;  ///< to the nearest of another person
    std::optional<float> second; ///< to the nearest of a third person
};

/// The numbers of a check: all of it but the findings.
GalleryCheck judge_left_out(std::span<const LeftOut> probes, const CheckOptions &options);

} // namespace sphere
