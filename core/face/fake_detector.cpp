// SPDX-License-Identifier: MIT
// A detector without a network, for tests: one face in the middle of every frame.
#include "core/face/aligner.h"
#include "core/face/detector_backends.h"

#include <algorithm>

namespace sphere {
namespace {

constexpr int kSmallestFramePx = 8;

class FakeDetector final : public Detector {
  public:
    explicit FakeDetector(ModelDescriptor descriptor) : descriptor_(std::move(descriptor)) {}

    Result<std::vector<Face>> detect(const ImageView &frame, const DetectOptions &given,
                                     DetectTiming *) override {
        const auto options = resolve_options(given, descriptor_);
        if (!options)
            return options.error();
        const int shorter = std::min(frame.width, frame.height);
        if (shorter < kSmallestFramePx)
            return std::vector<Face>();
        Face face;
        face.score = 0.9F;
        const float side = static_cast<float>(shorter) / 2;
        face.box = {(static_cast<float>(frame.width) - side) / 2,
                    (static_cast<float>(frame.height) - side) / 2, side, side};
        // The SphereFace template, scaled into the box.
        auto tmpl = find_template("sphereface-112x96");
        if (!tmpl)
            return std::move(tmpl).error();
        Landmarks5 landmarks;
        for (std::size_t i = 0; i < landmarks.size(); ++i)
            landmarks[i] = {
                face.box.x + tmpl->points[i].x / static_cast<float>(tmpl->width) * side,
                face.box.y + tmpl->points[i].y / static_cast<float>(tmpl->height) * side};
        face.landmarks = landmarks;
        std::vector<Face> faces;
        if (face.score >= options->threshold)
            faces.push_back(std::move(face));
        select_faces(faces, *options);
        return faces;
    }

  private:
    ModelDescriptor descriptor_;
};

} // namespace

Result<std::shared_ptr<Detector>> make_fake_detector(const ResolvedModel &model,
                                                     const EngineOptions &,
                                                     const std::shared_ptr<LandmarkFinder> &) {
    return std::shared_ptr<Detector>(std::make_shared<FakeDetector>(model.descriptor));
}

} // namespace sphere
