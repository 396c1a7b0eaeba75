// SPDX-License-Identifier: MIT
// SCRFD with key points (Guo et al., "Sample and Computation Redistribution for Efficient Face
// Detection", ICLR 2022): scores, box distances and points at strides 8, 16 and 32, two anchors
// a cell; the scores are sigmoids already.
#include "core/face/detector_backends.h"

#include <algorithm>
#include <array>
#include <mutex>

namespace sphere {
namespace {

constexpr std::array<int, 3> kStrides{8, 16, 32};
constexpr int kAnchors = 2;
constexpr int kPoints = 5;

class ScrfdDetector final : public Detector {
  public:
    ScrfdDetector(ModelDescriptor descriptor, std::shared_ptr<Engine> engine)
        : descriptor_(std::move(descriptor)), engine_(std::move(engine)) {}

    Result<std::vector<Face>> detect(const ImageView &frame, const DetectOptions &given,
                                     DetectTiming *timing) override {
        const auto options = resolve_options(given, descriptor_);
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
        std::array<std::int64_t, 9> expected{};
        for (std::size_t s = 0; s < kStrides.size(); ++s) {
            const std::int64_t anchors =
                std::int64_t{width / kStrides[s]} * (height / kStrides[s]) * kAnchors;
            expected[s] = anchors;
            expected[3 + s] = 4 * anchors;
            expected[6 + s] = 2 * kPoints * anchors;
        }
        SPHERE_TRY(check_outputs(outputs_, expected, descriptor_.name));
        for (std::size_t s = 0; s < kStrides.size(); ++s)
            decode(s, width, options->threshold, box.scale, faces);
        select_faces(faces, *options);
        return faces;
    }

  private:
    void decode(std::size_t s, int width, float threshold, float scale,
                std::vector<Face> &faces) {
        const float stride = static_cast<float>(kStrides[s]) / scale;
        const int columns = width / kStrides[s];
        const std::vector<float> &scores = outputs_[s].data;
        for (std::size_t i = 0; i < scores.size(); ++i) {
            if (!(scores[i] >= threshold))
                continue;
            const int cell = static_cast<int>(i) / kAnchors;
            // The anchor lies on the cell's corner, not in its middle.
            const int column = cell % columns, row = cell / columns;
            const auto gx = static_cast<float>(column), gy = static_cast<float>(row);
            const float *b = outputs_[3 + s].data.data() + 4 * i;
            const float *p = outputs_[6 + s].data.data() + 2 * kPoints * i;
            Face face;
            face.score = std::min(scores[i], 1.0F);
            face.box = {(gx - b[0]) * stride, (gy - b[1]) * stride, (b[0] + b[2]) * stride,
                        (b[1] + b[3]) * stride};
            Landmarks5 landmarks;
            for (std::size_t k = 0; k < kPoints; ++k)
                landmarks[k] = {(gx + p[2 * k]) * stride, (gy + p[2 * k + 1]) * stride};
            face.landmarks = landmarks;
            if (is_sound(face))
                faces.push_back(std::move(face));
        }
    }

    ModelDescriptor descriptor_;
    std::shared_ptr<Engine> engine_;
    std::mutex mutex_; ///< guards the scratch below
    Tensor input_;
    std::vector<Tensor> outputs_;
};

} // namespace

Result<std::shared_ptr<Detector>> make_scrfd(const ResolvedModel &model,
                                             std::shared_ptr<Engine> engine,
                                             const std::shared_ptr<LandmarkFinder> &) {
    return std::shared_ptr<Detector>(
        std::make_shared<ScrfdDetector>(model.descriptor, std::move(engine)));
}

} // namespace sphere
