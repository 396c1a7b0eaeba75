// SPDX-License-Identifier: MIT
// YuNet (Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", MIR 2023), as exported
// by libfacedetection.train: twelve raw outputs at strides 8, 16 and 32.
#include "core/face/detector_backends.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>

namespace sphere {
namespace {

constexpr std::array<int, 3> kStrides{8, 16, 32};
constexpr int kPoints = 5;

class YunetDetector final : public Detector {
  public:
    YunetDetector(ModelDescriptor descriptor, std::shared_ptr<Engine> engine)
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
        SPHERE_TRY(fill_input(frame, box, width, height));
        SPHERE_TRY(timed_run(*engine_, input_, outputs_, timing));
        std::array<std::int64_t, 12> expected{};
        for (std::size_t s = 0; s < kStrides.size(); ++s) {
            const std::int64_t cells =
                std::int64_t{width / kStrides[s]} * (height / kStrides[s]);
            expected[s] = expected[3 + s] = cells;
            expected[6 + s] = 4 * cells;
            expected[9 + s] = 2 * kPoints * cells;
        }
        SPHERE_TRY(check_outputs(outputs_, expected, descriptor_.name));
        for (std::size_t s = 0; s < kStrides.size(); ++s)
            decode(s, width, options->threshold, box.scale, faces);
        select_faces(faces, *options);
        return faces;
    }

  private:
    // Top-left letterbox; what the picture does not cover is black.
    Result<void> fill_input(const ImageView &frame, const Letterbox &box, int width,
                            int height) {
        const std::ptrdiff_t plane = std::ptrdiff_t{width} * height;
        const bool same = input_.shape == std::vector<std::int64_t>{1, 3, height, width} &&
                          last_.width == box.width && last_.height == box.height;
        if (!same) {
            input_.reset({1, 3, height, width});
            std::fill(input_.data.begin(), input_.data.end(), 0.0F);
            last_ = box;
        }
        return resize_to_tensor(frame, {0, 0, frame.width, frame.height}, box.width, box.height,
                                descriptor_.input.norm, {input_.data.data(), plane, width});
    }

    void decode(std::size_t s, int width, float threshold, float scale,
                std::vector<Face> &faces) {
        const auto stride = static_cast<float>(kStrides[s]);
        const int columns = width / kStrides[s];
        const Tensor &cls = outputs_[s], &obj = outputs_[3 + s];
        const float *boxes = outputs_[6 + s].data.data(), *points = outputs_[9 + s].data.data();
        for (std::size_t i = 0; i < cls.data.size(); ++i) {
            // Most cells are background: the product is compared before the root is taken.
            const float product =
                std::clamp(cls.data[i], 0.0F, 1.0F) * std::clamp(obj.data[i], 0.0F, 1.0F);
            if (!(product >= threshold * threshold))
                continue;
            const int column = static_cast<int>(i) % columns,
                      row = static_cast<int>(i) / columns;
            const auto gx = static_cast<float>(column), gy = static_cast<float>(row);
            const float *b = boxes + 4 * i, *p = points + 2 * kPoints * i;
            const float w = std::exp(b[2]) * stride, h = std::exp(b[3]) * stride;
            Face face;
            face.score = std::sqrt(product);
            face.box = {((gx + b[0]) * stride - w / 2) / scale,
                        ((gy + b[1]) * stride - h / 2) / scale, w / scale, h / scale};
            Landmarks5 landmarks;
            bool finite = std::isfinite(face.box.x) && std::isfinite(face.box.y) &&
                          std::isfinite(face.box.w) && std::isfinite(face.box.h);
            for (std::size_t k = 0; k < kPoints; ++k) {
                landmarks[k] = {(gx + p[2 * k]) * stride / scale,
                                (gy + p[2 * k + 1]) * stride / scale};
                finite =
                    finite && std::isfinite(landmarks[k].x) && std::isfinite(landmarks[k].y);
            }
            if (!finite)
                continue;
            face.landmarks = landmarks;
            faces.push_back(std::move(face));
        }
    }

    ModelDescriptor descriptor_;
    std::shared_ptr<Engine> engine_;
    std::mutex mutex_; ///< guards the scratch below
    Tensor input_;
    Letterbox last_;
    std::vector<Tensor> outputs_;
};

} // namespace

Result<std::shared_ptr<Detector>> make_yunet(const ResolvedModel &model,
                                             std::shared_ptr<Engine> engine,
                                             const std::shared_ptr<LandmarkFinder> &) {
    return std::shared_ptr<Detector>(
        std::make_shared<YunetDetector>(model.descriptor, std::move(engine)));
}

} // namespace sphere
