// SPDX-License-Identifier: MIT
// All detectors on the same pictures, side by side in one picture.
#pragma once

#include "core/base/result.h"
#include "core/cli/face_session.h"

#include <string>
#include <vector>

namespace sphere::cli {

/// What one detector found in one picture.
struct Compared {
    std::string detector;
    std::string path;
    std::vector<Face> faces;
    double ms = 0; ///< of the second run: the first makes room
};

/// Runs every installed detector (or those that `options.detector` names, separated by commas)
/// on every picture and writes a sheet to `out`: a row a picture, a column a detector, in rows
/// of at most four. Errors: as FaceSession::open_detector and write_image; a detector that
/// cannot be loaded is warned of and left out.
Result<std::vector<Compared>> compare_detectors(const SessionOptions &options,
                                                const std::vector<std::string> &paths,
                                                const std::string &out);

} // namespace sphere::cli
