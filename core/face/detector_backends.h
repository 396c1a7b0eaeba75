// SPDX-License-Identifier: MIT
// The decoders behind make_detector, and what they share.
#pragma once

#include "core/face/detector.h"

#include <chrono>
#include <span>

namespace sphere {

/// Landmarks of a face by a model of their own. Thread-safe.
class LandmarkFinder {
  public:
    virtual ~LandmarkFinder() = default;
    /// Sets landmarks and dense_landmarks of `face` from its box; leaves them as they are
    /// where the model finds none.
    virtual Result<void> find(const ImageView &frame, Face &face, DetectTiming *timing) = 0;
};

Result<std::shared_ptr<LandmarkFinder>> make_points68(const ResolvedModel &model,
                                                      const EngineOptions &options);

Result<std::shared_ptr<LandmarkFinder>> make_dlib_points68(const ResolvedModel &model,
                                                           const EngineOptions &options);

/// The landmark model of that name or path; null for "" and "none".
Result<std::shared_ptr<LandmarkFinder>> make_landmark_finder(const ModelStore &store,
                                                             const std::string &name,
                                                             const EngineOptions &options);

/// A detector that is one network, on the engine that runs it.
using NetworkDetectorFactory = Result<std::shared_ptr<Detector>> (*)(
    const ResolvedModel &, std::shared_ptr<Engine>, const std::shared_ptr<LandmarkFinder> &);
/// Any other.
using DetectorFactory = Result<std::shared_ptr<Detector>> (*)(
    const ResolvedModel &, const EngineOptions &, const std::shared_ptr<LandmarkFinder> &);

Result<std::shared_ptr<Detector>> make_yunet(const ResolvedModel &, std::shared_ptr<Engine>,
                                             const std::shared_ptr<LandmarkFinder> &);
Result<std::shared_ptr<Detector>> make_ultralight(const ResolvedModel &,
                                                  std::shared_ptr<Engine>,
                                                  const std::shared_ptr<LandmarkFinder> &);
Result<std::shared_ptr<Detector>> make_scrfd(const ResolvedModel &, std::shared_ptr<Engine>,
                                             const std::shared_ptr<LandmarkFinder> &);
Result<std::shared_ptr<Detector>> make_retinaface(const ResolvedModel &,
                                                  std::shared_ptr<Engine>,
                                                  const std::shared_ptr<LandmarkFinder> &);
Result<std::shared_ptr<Detector>> make_ssd(const ResolvedModel &, std::shared_ptr<Engine>,
                                           const std::shared_ptr<LandmarkFinder> &);
Result<std::shared_ptr<Detector>> make_mtcnn(const ResolvedModel &, const EngineOptions &,
                                             const std::shared_ptr<LandmarkFinder> &);
Result<std::shared_ptr<Detector>> make_haar(const ResolvedModel &, const EngineOptions &,
                                            const std::shared_ptr<LandmarkFinder> &);
Result<std::shared_ptr<Detector>> make_dlib_hog(const ResolvedModel &, const EngineOptions &,
                                                const std::shared_ptr<LandmarkFinder> &);
Result<std::shared_ptr<Detector>> make_fake_detector(const ResolvedModel &,
                                                     const EngineOptions &,
                                                     const std::shared_ptr<LandmarkFinder> &);

/// The options with the descriptor's numbers in place of -1. Errors: InvalidArgument.
Result<DetectOptions> resolve_options(const DetectOptions &options,
                                      const ModelDescriptor &descriptor);

/// As above, with an input that fits `frame` where trim_input is set and the network can
/// follow.
Result<DetectOptions> resolve_options(const DetectOptions &options,
                                      const ModelDescriptor &descriptor,
                                      const ImageView &frame);

/// Suppression, least size and most faces; sorts by score, best first.
void select_faces(std::vector<Face> &faces, const DetectOptions &options);

/// Fills `input` with the scaled picture in its top-left corner; the rest is black, normalised
/// as the picture is.
Result<void> fill_letterbox(const ImageView &frame, const Letterbox &box, int width, int height,
                            const Normalization &norm, Tensor &input);

/// True where box and landmarks are finite and the box has an area.
bool is_sound(const Face &face);

/// Runs `engine` and adds the time to `timing`, which may be null.
Result<void> timed_run(Engine &engine, const Tensor &input, std::vector<Tensor> &outputs,
                       DetectTiming *timing);

/// True where outputs[i] has expected[i] elements for each i; else an Engine error that names
/// `model`.
Result<void> check_outputs(std::span<const Tensor> outputs,
                           std::span<const std::int64_t> expected, const std::string &model);

} // namespace sphere
