// SPDX-License-Identifier: MIT
// RetinaFace with MobileNet-0.25 (Deng et al., CVPR 2020), as Pytorch_Retinaface exports it:
// boxes, softmaxed scores and landmarks relative to priors, SSD-style.
#include "core/face/detector_backends.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>

namespace sphere {
namespace {

constexpr int kPoints = 5;
constexpr int kSizes = 2;
/// Priors' sides in px at each stride, and the variances (Pytorch_Retinaface, data/config.py).
struct Level {
    int stride;
    std::array<float, kSizes> sizes;
};
constexpr std::array<Level, 3> kLevels{Level{8, {16, 32}}, Level{16, {64, 128}},
                                       Level{32, {256, 512}}};
constexpr float kCentreVariance = 0.1F, kSizeVariance = 0.2F;

class RetinafaceDetector final : public Detector {
  public:
    RetinafaceDetector(ModelDescriptor descriptor, std::shared_ptr<Engine> engine)
        : descriptor_(std::move(descriptor)), engine_(std::move(engine)) {}

    Result<std::vector<Face>> detect(const ImageView &frame, const DetectOptions &given,
                                     DetectTiming *timing) override {
        const auto options = resolve_options(given, descriptor_, frame);
        if (!options)
            return options.error();
        std::vector<Face> faces;
        if (frame.empty())
            return faces;
        const int width = options->input_width_px, height = options->input_height_px;
        const Letterbox box = fit_letterbox(frame.width, frame.height, width, height);
        const std::lock_guard lock(mutex_);
        SPHERE_TRY(fill_letterbox(frame, box, width, height, descriptor_.input.norm, input_));
        SPHERE_TRY(timed_run(*engine_, input_, outputs_, timing));
        std::int64_t priors = 0;
        for (const Level &level : kLevels)
            priors += std::int64_t{width / level.stride} * (height / level.stride) * kSizes;
        const std::array<std::int64_t, 3> expected{2 * priors, 4 * priors,
                                                   2 * kPoints * priors};
        SPHERE_TRY(check_outputs(outputs_, expected, descriptor_.name));
        std::size_t index = 0;
        for (const Level &level : kLevels)
            for (int row = 0; row < height / level.stride; ++row)
                for (int column = 0; column < width / level.stride; ++column)
                    for (const float size : level.sizes) {
                        const auto stride = static_cast<float>(level.stride);
                        const Point2f centre{(static_cast<float>(column) + 0.5F) * stride,
                                             (static_cast<float>(row) + 0.5F) * stride};
                        decode(index++, centre, size, *options, box.scale, faces);
                    }
        select_faces(faces, *options);
        return faces;
    }

  private:
    void decode(std::size_t i, Point2f prior, float size, const DetectOptions &options,
                float scale, std::vector<Face> &faces) {
        const float score = outputs_[0].data[2 * i + 1];
        if (!(score >= options.threshold))
            return;
        const float *b = outputs_[1].data.data() + 4 * i;
        const float *p = outputs_[2].data.data() + 2 * kPoints * i;
        const float reach = kCentreVariance * size;
        const float w = size * std::exp(b[2] * kSizeVariance),
                    h = size * std::exp(b[3] * kSizeVariance);
        Face face;
        face.score = std::min(score, 1.0F);
        face.box = {(prior.x + b[0] * reach - w / 2) / scale,
                    (prior.y + b[1] * reach - h / 2) / scale, w / scale, h / scale};
        Landmarks5 landmarks;
        for (std::size_t k = 0; k < kPoints; ++k)
            landmarks[k] = {(prior.x + p[2 * k] * reach) / scale,
                            (prior.y + p[2 * k + 1] * reach) / scale};
        face.landmarks = landmarks;
        if (is_sound(face))
            faces.push_back(std::move(face));
    }

    ModelDescriptor descriptor_;
    std::shared_ptr<Engine> engine_;
    std::mutex mutex_; ///< guards the scratch below
    Tensor input_;
    std::vector<Tensor> outputs_;
};

} // namespace

Result<std::shared_ptr<Detector>> make_retinaface(const ResolvedModel &model,
                                                  std::shared_ptr<Engine> engine,
                                                  const std::shared_ptr<LandmarkFinder> &) {
    return std::shared_ptr<Detector>(
        std::make_shared<RetinafaceDetector>(model.descriptor, std::move(engine)));
}

} // namespace sphere
