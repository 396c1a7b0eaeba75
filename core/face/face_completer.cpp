// SPDX-License-Identifier: MIT
#include "core/face/face_completer.h"

#include "core/base/log.h"
#include "core/face/detector_backends.h"

namespace sphere {
namespace {

constexpr const char *kDefaultLandmarkModel = "fr_landmark";
constexpr float kNmsThreshold = 0.5F; ///< one object in two of others' metas

} // namespace

Result<std::shared_ptr<FaceCompleter>> FaceCompleter::make(const ModelStore &store,
                                                           const std::string &landmark_model,
                                                           const EngineOptions &options) {
    std::string name = landmark_model;
    if (name.empty()) {
        const auto model = store.find(kDefaultLandmarkModel);
        if (model && store.installed(*model))
            name = kDefaultLandmarkModel;
        else
            log(LogLevel::Warning,
                "fr_landmark is not installed: faces of others that have no landmarks stay "
                "without (spherectl models fetch fr_landmark)");
    }
    auto landmarks = make_landmark_finder(store, name, options);
    if (!landmarks)
        return std::move(landmarks).error();
    auto completer = std::make_shared<FaceCompleter>();
    completer->landmarks_ = std::move(*landmarks);
    return completer;
}

Result<std::vector<Face>> FaceCompleter::complete(const ImageView &frame,
                                                  std::vector<Face> faces,
                                                  DetectOptions options, const Regions &regions,
                                                  DetectTiming *timing) const {
    if (options.nms_threshold < 0)
        options.nms_threshold = kNmsThreshold;
    std::erase_if(faces, [&](const Face &face) {
        const Point2f centre = {face.box.x + face.box.w / 2, face.box.y + face.box.h / 2};
        return !is_sound(face) || face.score < options.threshold ||
               !(regions.whole_frame() || regions.contains(centre, frame.width, frame.height));
    });
    select_faces(faces, options);
    if (landmarks_)
        for (Face &face : faces)
            if (!face.landmarks)
                SPHERE_TRY(landmarks_->find(frame, face, timing));
    return faces;
}

} // namespace sphere
