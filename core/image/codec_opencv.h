// SPDX-License-Identifier: MIT
// What the part "opencv" exports of OpenCV's imgcodecs (core/base/part.h).
#pragma once

#include "core/base/result.h"
#include "core/image/image.h"

#include <string>
#include <vector>

namespace sphere {

struct PictureCoder {
    /// The picture in `bytes`; empty where OpenCV cannot decode them. Errors: Corrupt, without
    /// a path.
    Result<Image> (*decode)(const std::vector<std::uint8_t> &bytes);
    /// `extension` with its dot; `jpeg_quality` counts for ".jpg". Errors: Unsupported,
    /// Internal.
    Result<std::vector<std::uint8_t>> (*encode)(const Image &image, const char *extension,
                                                int jpeg_quality);
};

} // namespace sphere

extern "C" const sphere::PictureCoder sphere_opencv_picture_coder;
