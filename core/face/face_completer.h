// SPDX-License-Identifier: MIT
// Faces that somebody else found: what a detector of ours does once it has boxes.
#pragma once

#include "core/face/areas.h"
#include "core/face/detector.h"

#include <memory>
#include <string>
#include <vector>

namespace sphere {

class LandmarkFinder;

/// Thread-safe as its landmark model's Engine is.
class FaceCompleter {
  public:
    /// `landmark_model`: a name or a path; "" = fr_landmark where it is installed, else none
    /// (the log says so); "none" = faces stay as they are. Errors: as make_detector.
    static Result<std::shared_ptr<FaceCompleter>> make(const ModelStore &store,
                                                       const std::string &landmark_model,
                                                       const EngineOptions &options);

    /// The faces that are within the limits of `options` and have their centre in a region,
    /// best score first, each with landmarks where it came without and there is a model.
    /// `options`: threshold -1 = all; nms_threshold -1 = 0.5; the input size is not looked at.
    Result<std::vector<Face>> complete(const ImageView &frame, std::vector<Face> faces,
                                       DetectOptions options, const Regions &regions,
                                       DetectTiming *timing = nullptr) const;

  private:
    std::shared_ptr<LandmarkFinder> landmarks_; ///< may be null
};

} // namespace sphere
