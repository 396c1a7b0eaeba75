// SPDX-License-Identifier: MIT
// Ultra-Light-Fast-Generic-Face-Detector-1MB (Linzaer), 320x240: scores and boxes that the
// network itself decodes against its priors, as corners in shares of the input.
#include "core/face/detector_backends.h"

#include <algorithm>
#include <cmath>
#include <mutex>

namespace sphere {
namespace {

class UltralightDetector final : public Detector {
  public:
    UltralightDetector(ModelDescriptor descriptor, std::shared_ptr<Engine> engine,
                       std::shared_ptr<LandmarkFinder> landmarks)
        : descriptor_(std::move(descriptor)), engine_(std::move(engine)),
          landmarks_(std::move(landmarks)) {}

    Result<std::vector<Face>> detect(const ImageView &frame, const DetectOptions &given,
                                     DetectTiming *timing) override {
        const auto options = resolve_options(given, descriptor_);
        if (!options)
            return options.error();
        std::vector<Face> faces;
        if (frame.empty())
            return faces;
        {
            const std::lock_guard lock(mutex_);
            SPHERE_TRY(find_boxes(frame, *options, faces, timing));
        }
        select_faces(faces, *options);
        for (Face &face : faces)
            if (landmarks_)
                SPHERE_TRY(landmarks_->find(frame, face, timing));
        return faces;
    }

  private:
    Result<void> find_boxes(const ImageView &frame, const DetectOptions &options,
                            std::vector<Face> &faces, DetectTiming *timing) {
        const int width = options.input_width_px, height = options.input_height_px;
        const Letterbox box = fit_letterbox(frame.width, frame.height, width, height);
        SPHERE_TRY(fill_letterbox(frame, box, width, height, descriptor_.input.norm, input_));
        SPHERE_TRY(timed_run(*engine_, input_, outputs_, timing));
        if (outputs_.size() != 2 || outputs_[0].elements() * 2 != outputs_[1].elements())
            return fail(Errc::Mismatch, "Model ", descriptor_.name,
                        " does not give scores and boxes: see `outputs` in its descriptor.");
        decode(static_cast<float>(width) / box.scale, static_cast<float>(height) / box.scale,
               options.threshold, faces);
        return {};
    }

    void decode(float scale_x, float scale_y, float threshold, std::vector<Face> &faces) {
        const std::vector<float> &scores = outputs_[0].data, &boxes = outputs_[1].data;
        for (std::size_t i = 0; 2 * i + 1 < scores.size(); ++i) {
            const float score = scores[2 * i + 1];
            if (!(score >= threshold))
                continue;
            const float *b = boxes.data() + 4 * i;
            Face face;
            face.score = std::min(score, 1.0F);
            face.box = {b[0] * scale_x, b[1] * scale_y, (b[2] - b[0]) * scale_x,
                        (b[3] - b[1]) * scale_y};
            if (std::isfinite(face.box.x) && std::isfinite(face.box.y) && face.box.area() > 0 &&
                std::isfinite(face.box.area()))
                faces.push_back(std::move(face));
        }
    }

    ModelDescriptor descriptor_;
    std::shared_ptr<Engine> engine_;
    std::shared_ptr<LandmarkFinder> landmarks_; ///< null: boxes only
    std::mutex mutex_;                          ///< guards the scratch below
    Tensor input_;
    std::vector<Tensor> outputs_;
};

} // namespace

Result<std::shared_ptr<Detector>>
make_ultralight(const ResolvedModel &model, std::shared_ptr<Engine> engine,
                const std::shared_ptr<LandmarkFinder> &landmarks) {
    return std::shared_ptr<Detector>(
        std::make_shared<UltralightDetector>(model.descriptor, std::move(engine), landmarks));
}

} // namespace sphere
