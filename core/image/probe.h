// SPDX-License-Identifier: MIT
// Internal. What a picture file's header says, without decoding it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace sphere {

struct PictureHeader {
    const char *format = ""; ///< "JPEG" …
    long long width = 0;     ///< px as stored, before any EXIF orientation
    long long height = 0;
    bool ends_early = false; ///< JPEG without its end-of-image marker
};

/// Reads the header of a JPEG, PNG, BMP, WebP, TIFF or PNM file. Empty where `bytes` are none
/// of these or the header does not hold its sizes. Never reads outside `bytes`.
std::optional<PictureHeader> probe_picture(std::span<const std::uint8_t> bytes);

} // namespace sphere
