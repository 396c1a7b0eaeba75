// SPDX-License-Identifier: MIT
// dlib's frontal face detector (HOG and a structural SVM: King, "Max-Margin Object Detection",
// 2015) and its 68-point shape predictor (Kazemi and Sullivan, CVPR 2014). One source, since
// dlib's headers take long to compile.
#include "core/face/detector_backends.h"

#include <dlib/array2d.h>
#include <dlib/image_processing/frontal_face_detector.h>
#include <dlib/image_processing/shape_predictor.h>
#include <dlib/image_transforms.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

namespace sphere {
namespace {

using Picture = dlib::array2d<dlib::rgb_pixel>;

/// dlib's confidence has no bounds; 0 is its own threshold, and 0.5 here.
float score_of(double confidence) {
    return static_cast<float>(1 / (1 + std::exp(-confidence)));
}

double confidence_of(float score) {
    constexpr double kLowest = -1; ///< below it dlib drowns in candidates
    if (!(score > 0))
        return kLowest;
    if (!(score < 1))
        return std::numeric_limits<double>::max();
    return std::max(kLowest, std::log(score / (1.0 - score)));
}

Picture picture_of(const Image &image) {
    Picture picture(image.height, image.width);
    const std::uint8_t *p = image.bgr.data();
    for (long y = 0; y < picture.nr(); ++y)
        for (long x = 0; x < picture.nc(); ++x, p += 3)
            picture[y][x] = dlib::rgb_pixel(p[2], p[1], p[0]);
    return picture;
}

class DlibHog final : public Detector {
  public:
    DlibHog(ModelDescriptor descriptor, std::shared_ptr<LandmarkFinder> landmarks)
        : descriptor_(std::move(descriptor)), landmarks_(std::move(landmarks)),
          detector_(dlib::get_frontal_face_detector()) {
        const auto found = descriptor_.parameters.find("upsample");
        upsample_ = std::clamp(
            found != descriptor_.parameters.end() ? static_cast<int>(found->second) : 1, 0, 3);
    }

    Result<std::vector<Face>> detect(const ImageView &frame, const DetectOptions &given,
                                     DetectTiming *timing) override {
        const auto options = resolve_options(given, descriptor_);
        if (!options)
            return options.error();
        std::vector<Face> faces;
        if (frame.empty())
            return faces;
        SPHERE_TRY(find_boxes(frame, options->threshold, faces, timing));
        select_faces(faces, *options);
        for (Face &face : faces)
            if (landmarks_)
                SPHERE_TRY(landmarks_->find(frame, face, timing));
        return faces;
    }

  private:
    Result<void> find_boxes(const ImageView &frame, float threshold, std::vector<Face> &faces,
                            DetectTiming *timing) {
        const auto bgr = to_bgr(frame);
        if (!bgr)
            return bgr.error();
        const auto begin = std::chrono::steady_clock::now();
        try {
            Picture picture = picture_of(*bgr);
            int done = 0; // a picture that is large already is not made larger
            for (; done < upsample_ && picture.size() < kMostUpsampledPixels; ++done)
                dlib::pyramid_up(picture);
            const dlib::pyramid_down<2> pyramid;
            std::vector<dlib::rect_detection> found;
            {
                const std::lock_guard lock(mutex_);
                detector_(picture, found, confidence_of(threshold));
            }
            for (const dlib::rect_detection &detection : found) {
                const dlib::rectangle r =
                    pyramid.rect_down(detection.rect, static_cast<unsigned>(done));
                Face face;
                face.score = score_of(detection.detection_confidence);
                face.box = {static_cast<float>(r.left()), static_cast<float>(r.top()),
                            static_cast<float>(r.width()), static_cast<float>(r.height())};
                if (is_sound(face) && face.score >= threshold)
                    faces.push_back(std::move(face));
            }
        } catch (const std::exception &exception) {
            return fail(Errc::Engine, "dlib's detector failed: ", exception.what());
        }
        if (timing != nullptr)
            timing->inference_ms += std::chrono::duration<double, std::milli>(
                                        std::chrono::steady_clock::now() - begin)
                                        .count();
        return {};
    }

    static constexpr unsigned long kMostUpsampledPixels = 16UL << 20;
    ModelDescriptor descriptor_;
    std::shared_ptr<LandmarkFinder> landmarks_;
    std::mutex mutex_; ///< the detector keeps its scanner's pyramid
    dlib::frontal_face_detector detector_;
    int upsample_ = 1;
};

class DlibPoints68 final : public LandmarkFinder {
  public:
    Result<void> load(const std::string &path) {
        try {
            dlib::deserialize(path) >> predictor_;
        } catch (const std::exception &exception) {
            return fail(Errc::Corrupt, path,
                        ": dlib cannot load the shape predictor: ", exception.what());
        }
        if (predictor_.num_parts() != kPoints)
            return fail(Errc::Mismatch, path, " gives ", predictor_.num_parts(),
                        " points where 68 are expected.");
        return {};
    }

    Result<void> find(const ImageView &frame, Face &face, DetectTiming *timing) override {
        // The predictor looks at pixels near the box alone: thrice the box is enough.
        const Box &box = face.box;
        if (!is_sound(face) || std::abs(box.x) > kFar || std::abs(box.y) > kFar ||
            box.w > kFar || box.h > kFar)
            return {};
        const int x0 = std::clamp(static_cast<int>(box.x - box.w), 0, frame.width - 1);
        const int y0 = std::clamp(static_cast<int>(box.y - box.h), 0, frame.height - 1);
        const int x1 = std::clamp(static_cast<int>(box.x + 2 * box.w) + 1, x0 + 1, frame.width);
        const int y1 =
            std::clamp(static_cast<int>(box.y + 2 * box.h) + 1, y0 + 1, frame.height);
        const auto part = resize_to_bgr(frame, {x0, y0, x1 - x0, y1 - y0}, x1 - x0, y1 - y0);
        if (!part)
            return part.error();
        const auto begin = std::chrono::steady_clock::now();
        try {
            const Picture picture = picture_of(*part);
            const auto whole = [](float value) { return std::lround(value); };
            const long left = whole(box.x) - x0, top = whole(box.y) - y0;
            const dlib::rectangle rect(left, top, left + whole(box.w) - 1,
                                       top + whole(box.h) - 1);
            const dlib::full_object_detection shape = predictor_(picture, rect);
            face.dense_landmarks.resize(kPoints);
            for (unsigned long i = 0; i < kPoints; ++i)
                face.dense_landmarks[i] = {static_cast<float>(shape.part(i).x() + x0),
                                           static_cast<float>(shape.part(i).y() + y0)};
        } catch (const std::exception &exception) {
            return fail(Errc::Engine, "dlib's shape predictor failed: ", exception.what());
        }
        face.landmarks = landmarks_from_68(face.dense_landmarks);
        order_landmarks(*face.landmarks);
        if (timing != nullptr)
            timing->inference_ms += std::chrono::duration<double, std::milli>(
                                        std::chrono::steady_clock::now() - begin)
                                        .count();
        return {};
    }

  private:
    static constexpr unsigned long kPoints = 68;
    static constexpr float kFar = 1e6F; ///< px
    dlib::shape_predictor predictor_;   ///< const after load(): no lock
};

} // namespace

Result<std::shared_ptr<Detector>>
make_dlib_hog(const ResolvedModel &model, const EngineOptions &,
              const std::shared_ptr<LandmarkFinder> &landmarks) {
    try {
        return std::shared_ptr<Detector>(
            std::make_shared<DlibHog>(model.descriptor, landmarks));
    } catch (const std::exception &exception) {
        return fail(Errc::Engine, "dlib's detector cannot be made: ", exception.what());
    }
}

Result<std::shared_ptr<LandmarkFinder>> make_dlib_points68(const ResolvedModel &model,
                                                           const EngineOptions &) {
    auto finder = std::make_shared<DlibPoints68>();
    SPHERE_TRY(finder->load(model.path_of("weights")));
    return std::shared_ptr<LandmarkFinder>(std::move(finder));
}

} // namespace sphere
