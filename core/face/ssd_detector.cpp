// SPDX-License-Identifier: MIT
// OpenCV's single-shot face detector (Liu et al., "SSD: Single Shot MultiBox Detector", ECCV
// 2016; ResNet-10, 300x300): the network ends in a DetectionOutput layer, so that its rows are
// decoded and suppressed already. The picture is squeezed to the input, as in OpenCV's sample.
#include "core/face/detector_backends.h"

#include <mutex>

namespace sphere {
namespace {

constexpr std::size_t kRow = 7; ///< picture, class, score, x1, y1, x2, y2 (shares of the input)
constexpr float kFaceClass = 1;

class SsdDetector final : public Detector {
  public:
    SsdDetector(ModelDescriptor descriptor, std::shared_ptr<Engine> engine,
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
        SPHERE_TRY(find_boxes(frame, *options, faces, timing));
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
        const std::lock_guard lock(mutex_);
        input_.reset({1, 3, height, width});
        SPHERE_TRY(resize_to_tensor(
            frame, {0, 0, frame.width, frame.height}, width, height, descriptor_.input.norm,
            {input_.data.data(), std::ptrdiff_t{width} * height, width}));
        SPHERE_TRY(timed_run(*engine_, input_, outputs_, timing));
        if (outputs_.size() != 1 || outputs_[0].data.size() % kRow != 0)
            return fail(Errc::Mismatch, "Model ", descriptor_.name,
                        ": its output is not rows of 7 numbers: see `outputs` in its "
                        "descriptor.");
        const std::vector<float> &rows = outputs_[0].data;
        for (std::size_t i = 0; i < rows.size(); i += kRow)
            if (rows[i + 1] == kFaceClass && rows[i + 2] >= options.threshold)
                add_face(frame, rows.data() + i, faces);
        return {};
    }

    static void add_face(const ImageView &frame, const float *row, std::vector<Face> &faces) {
        const auto width = static_cast<float>(frame.width);
        const auto height = static_cast<float>(frame.height);
        Face face;
        face.score = std::min(row[2], 1.0F);
        face.box = {row[3] * width, row[4] * height, (row[5] - row[3]) * width,
                    (row[6] - row[4]) * height};
        // The network also says "a face" of what lies beside the picture.
        const bool beside = face.box.x >= width || face.box.y >= height ||
                            face.box.x + face.box.w <= 0 || face.box.y + face.box.h <= 0;
        if (is_sound(face) && !beside)
            faces.push_back(std::move(face));
    }

    ModelDescriptor descriptor_;
    std::shared_ptr<Engine> engine_;
    std::shared_ptr<LandmarkFinder> landmarks_;
    std::mutex mutex_; ///< guards the scratch below
    Tensor input_;
    std::vector<Tensor> outputs_;
};

} // namespace

Result<std::shared_ptr<Detector>> make_ssd(const ResolvedModel &model,
                                           std::shared_ptr<Engine> engine,
                                           const std::shared_ptr<LandmarkFinder> &landmarks) {
    return std::shared_ptr<Detector>(
        std::make_shared<SsdDetector>(model.descriptor, std::move(engine), landmarks));
}

} // namespace sphere
