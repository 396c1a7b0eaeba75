// SPDX-License-Identifier: MIT
// 68 landmarks (iBUG 300-W) of a grey square around the box, for detectors that give boxes
// only.
#include "core/face/detector_backends.h"

#include "core/image/warp.h"

#include <algorithm>
#include <cmath>
#include <mutex>

namespace sphere {
namespace {

constexpr std::size_t kPoints = 68;

class Points68 final : public LandmarkFinder {
  public:
    Points68(ModelDescriptor descriptor, std::shared_ptr<Engine> engine)
        : descriptor_(std::move(descriptor)), engine_(std::move(engine)) {}

    Result<void> find(const ImageView &frame, Face &face, DetectTiming *timing) override {
        // The network was trained on squares of the box's longer side about its centre.
        const double side =
            std::max(face.box.w, face.box.h) * static_cast<double>(descriptor_.box_scale);
        if (!(side >= 1))
            return {};
        const double x0 = face.box.x + face.box.w / 2.0 - side / 2;
        const double y0 = face.box.y + face.box.h / 2.0 - side / 2;
        const int width = descriptor_.input.width, height = descriptor_.input.height;
        const double sx = width / side, sy = height / side;
        Affine to_crop; // half-pixel centres, as the resize that the network was trained with
        to_crop.m = {sx, 0, (0.5 - x0) * sx - 0.5, 0, sy, (0.5 - y0) * sy - 0.5};
        const auto crop = warp_affine(frame, to_crop, width, height);
        if (!crop) // a box beyond any picture's size: this face stays without landmarks
            return {};
        const std::lock_guard lock(mutex_);
        input_.reset({1, 1, height, width});
        normalize_to_tensor(*crop, descriptor_.input.norm,
                            {input_.data.data(), std::ptrdiff_t{width} * height, width});
        SPHERE_TRY(timed_run(*engine_, input_, outputs_, timing));
        const std::int64_t expected[] = {2 * kPoints};
        SPHERE_TRY(check_outputs(outputs_, expected, descriptor_.name));
        read_points(x0, y0, side, face);
        return {};
    }

  private:
    void read_points(double x0, double y0, double side, Face &face) {
        const std::vector<float> &values = outputs_[0].data;
        if (!std::all_of(values.begin(), values.end(),
                         [](float v) { return std::isfinite(v); }))
            return;
        face.dense_landmarks.resize(kPoints);
        for (std::size_t i = 0; i < kPoints; ++i)
            face.dense_landmarks[i] = {static_cast<float>(x0 + values[2 * i] * side),
                                       static_cast<float>(y0 + values[2 * i + 1] * side)};
        face.landmarks = landmarks_from_68(face.dense_landmarks);
        order_landmarks(*face.landmarks);
    }

    ModelDescriptor descriptor_;
    std::shared_ptr<Engine> engine_;
    std::mutex mutex_; ///< guards the scratch below
    Tensor input_;
    std::vector<Tensor> outputs_;
};

} // namespace

Result<std::shared_ptr<LandmarkFinder>> make_points68(const ResolvedModel &model,
                                                      const EngineOptions &options) {
    auto engine = acquire_engine(model, options);
    if (!engine)
        return std::move(engine).error();
    return std::shared_ptr<LandmarkFinder>(
        std::make_shared<Points68>(model.descriptor, std::move(*engine)));
}

} // namespace sphere
