// SPDX-License-Identifier: MIT
// Finds faces in a picture.
#pragma once

#include "core/base/result.h"
#include "core/engine/engine.h"
#include "core/face/face.h"
#include "core/model/store.h"

#include <memory>
#include <string>
#include <vector>

namespace sphere {

struct DetectOptions {
    float threshold = -1;       ///< score in [0, 1]; -1 = the model's own
    float nms_threshold = -1;   ///< IoU in [0, 1]; -1 = the model's own
    float min_face_size_px = 0; ///< shorter side of the box; smaller faces are left out
    int max_faces = 0;          ///< best scores first; 0 = no limit
    int input_width_px = 0;     ///< network input; 0 = the model's own
    int input_height_px = 0;
    /// Where the model's own input is taken and may have other sizes: without the rows or
    /// columns that a letterbox of the frame would leave empty (640x640 becomes 640x384 for
    /// 16:9). The scale stays; faces at what was the border of the frame may score a little
    /// differently. For video: pictures of many shapes would each cost the engine a plan.
    bool trim_input = false;
};

/// Time spent inside the inference library, to tell it from our own.
struct DetectTiming {
    double inference_ms = 0;
};

/// Thread-safe as its Engine is; detect() may keep scratch memory under a lock.
class Detector {
  public:
    virtual ~Detector() = default;
    /// Faces in frame coordinates, best score first. An empty or tiny picture gives an empty
    /// list. Errors: InvalidArgument (options that the model cannot follow), Engine.
    virtual Result<std::vector<Face>> detect(const ImageView &frame,
                                             const DetectOptions &options,
                                             DetectTiming *timing = nullptr) = 0;
};

/// Loads a detector. `model` is a name, a path or "auto"; `landmark_model` likewise, "" = the
/// descriptor's own, "none" = boxes only from a detector that gives no landmarks. One that is
/// named takes the place of a detector's own landmarks. Errors: as ModelStore::resolve and
/// acquire_engine.
Result<std::shared_ptr<Detector>> make_detector(const ModelStore &store,
                                                const std::string &model,
                                                const std::string &landmark_model,
                                                const EngineOptions &options);

/// The detector of `model` on an engine that runs its network, without any other model's
/// landmarks. Errors: Unsupported (a cascade, or no network at all).
Result<std::shared_ptr<Detector>> make_detector_on(const ResolvedModel &model,
                                                   std::shared_ptr<Engine> engine);

/// A letterbox: the picture scaled by one factor into the top-left of the network's input.
/// Network to frame: x = x_net / scale (CONTRACT, section 1: no half-pixel shift).
struct Letterbox {
    float scale = 1;
    int width = 0; ///< px of the scaled picture
    int height = 0;
};
Letterbox fit_letterbox(int frame_width, int frame_height, int net_width, int net_height);

} // namespace sphere
