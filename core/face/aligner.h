// SPDX-License-Identifier: MIT
// Faces to crops of a recogniser's template, and how good a face's picture is.
#pragma once

#include "core/base/result.h"
#include "core/face/face.h"

#include <string>
#include <vector>

namespace sphere {

/// Where the five landmarks belong in a crop, or just its size for box modes.
struct AlignTemplate {
    std::string name;           ///< height x width, as "sphereface-112x96"
    int width = 0;              ///< px
    int height = 0;             ///< px
    bool uses_landmarks = true; ///< false: the box is resized, whatever its shape
    Landmarks5 points{};
};

/// "sphereface-112x96", "arcface-112x112", "openface-96x96", "box-HxW" for any size from 8 to
/// 1024. Errors: InvalidArgument lists the names.
Result<AlignTemplate> find_template(const std::string &name);
std::vector<std::string> template_names();

struct AlignOptions {
    float crop_margin = 0; ///< box modes: grown on each side by this share of its size
    float min_quality = 0; ///< [0, 1]; below: reason low-quality (or what is worst), no crop
    float min_eye_distance_px = 0; ///< below: reason too-small, no crop
};

/// The frame-to-crop transform of a face; NotFound where the template needs landmarks that the
/// face has not, InvalidArgument where they coincide.
Result<Affine> crop_transform(const Face &face, const AlignTemplate &tmpl,
                              const AlignOptions &options);

/// Sets crop, crop_template and quality of `face`, or its reason where it is passed over (no
/// error: a stream goes on). Reads only the planes' pixels that the crop needs. Thread-safe.
void align_face(const ImageView &frame, const AlignTemplate &tmpl, const AlignOptions &options,
                Face &face);

/// Sharpness and brightness from the crop, pose from the landmarks; see quality.cpp for the
/// formulas.
Quality assess_quality(const Face &face, const Image &crop);

/// Whether a crop has one hue at most: grey, infrared as cameras give it, or tinted alike.
bool is_monochrome(const Image &crop);

} // namespace sphere
