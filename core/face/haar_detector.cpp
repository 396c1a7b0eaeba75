// SPDX-License-Identifier: MIT
// OpenCV's Haar cascades (Viola, Jones, CVPR 2001): frontal faces, and the angle of their eyes.
#include "core/face/haar_detector_part.h"

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/objdetect.hpp>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numbers>
#include <tuple>

namespace sphere {
namespace {

double parameter(const ModelDescriptor &descriptor, const char *name, double otherwise) {
    const auto found = descriptor.parameters.find(name);
    return found != descriptor.parameters.end() ? found->second : otherwise;
}

class HaarDetector final : public Detector {
  public:
    HaarDetector(ModelDescriptor descriptor, std::shared_ptr<LandmarkFinder> landmarks)
        : descriptor_(std::move(descriptor)), landmarks_(std::move(landmarks)) {}

    Result<void> load(const ResolvedModel &model) {
        const std::string eyes = model.path_of("eyes");
        try {
            if (!faces_.load(model.path_of("weights")))
                return fail(Errc::Corrupt, model.path_of("weights"), " is not a cascade.");
            if (!eyes.empty() && !eyes_.load(eyes))
                return fail(Errc::Corrupt, eyes, " is not a cascade.");
        } catch (const std::exception &exception) {
            return fail(Errc::Corrupt, model.path_of("weights"),
                        ": OpenCV cannot load the cascades: ", exception.what());
        }
        return {};
    }

    Result<std::vector<Face>> detect(const ImageView &frame, const DetectOptions &given,
                                     DetectTiming *timing) override {
        const auto options = resolve_options(given, descriptor_);
        if (!options)
            return options.error();
        std::vector<Face> faces;
        if (frame.empty())
            return faces;
        SPHERE_TRY(find_boxes(frame, faces, timing));
        // Cascades give no score to sort by and have grouped their boxes already.
        std::erase_if(faces, [&](const Face &face) {
            return std::min(face.box.w, face.box.h) < options->min_face_size_px;
        });
        if (options->max_faces > 0 &&
            faces.size() > static_cast<std::size_t>(options->max_faces))
            faces.resize(static_cast<std::size_t>(options->max_faces));
        for (Face &face : faces)
            if (landmarks_)
                SPHERE_TRY(landmarks_->find(frame, face, timing));
        return faces;
    }

  private:
    // The cascades need a whole grey picture: this detector is the one that converts a frame.
    Result<void> find_boxes(const ImageView &frame, std::vector<Face> &faces,
                            DetectTiming *timing) {
        auto bgr = to_bgr(frame);
        if (!bgr)
            return std::move(bgr).error();
        const auto begin = std::chrono::steady_clock::now();
        try {
            const std::lock_guard lock(mutex_);
            const cv::Mat colour(bgr->height, bgr->width, CV_8UC3, bgr->bgr.data());
            cv::Mat grey;
            cv::cvtColor(colour, grey, cv::COLOR_BGR2GRAY);
            std::vector<cv::Rect> boxes;
            faces_.detectMultiScale(
                grey, boxes, parameter(descriptor_, "scale_factor", 1.1),
                static_cast<int>(parameter(descriptor_, "min_neighbors", 10)));
            // OpenCV searches in parallel and gives its boxes in another order from run to run.
            std::sort(boxes.begin(), boxes.end(), [](const cv::Rect &a, const cv::Rect &b) {
                return std::tuple(b.area(), a.y, a.x) < std::tuple(a.area(), b.y, b.x);
            });
            if (parameter(descriptor_, "first_face_only", 0) != 0 && boxes.size() > 1)
                boxes.resize(1);
            for (const cv::Rect &box : boxes) {
                Face face;
                face.score = 1;
                face.box = {static_cast<float>(box.x), static_cast<float>(box.y),
                            static_cast<float>(box.width), static_cast<float>(box.height)};
                if (!landmarks_) // found below, and surer than the cascade for eyes
                    face.eye_roll_deg = eye_roll(grey(box));
                faces.push_back(std::move(face));
            }
        } catch (const std::exception &exception) {
            return fail(Errc::Engine, "OpenCV's cascade failed: ", exception.what());
        }
        if (timing != nullptr)
            timing->inference_ms += std::chrono::duration<double, std::milli>(
                                        std::chrono::steady_clock::now() - begin)
                                        .count();
        return {};
    }

    // Angle between the centres of the two largest eyes, image-left first; positive when the
    // right one is lower.
    std::optional<float> eye_roll(const cv::Mat &face) {
        if (eyes_.empty())
            return std::nullopt;
        std::vector<cv::Rect> eyes;
        eyes_.detectMultiScale(face, eyes);
        if (eyes.size() < 2)
            return std::nullopt;
        std::stable_sort(eyes.begin(), eyes.end(), [](const cv::Rect &a, const cv::Rect &b) {
            return a.width > b.width;
        });
        if (eyes[0].x > eyes[1].x)
            std::swap(eyes[0], eyes[1]);
        const auto centre =
            [](const cv::Rect &r) { // whole pixels, as the article's code had it
                return cv::Point(r.x + r.width / 2, r.y + r.height / 2);
            };
        const cv::Point d = centre(eyes[1]) - centre(eyes[0]);
        if (d.x == 0)
            return std::nullopt;
        return static_cast<float>(std::atan2(d.y, d.x) * 180 / std::numbers::pi);
    }

    ModelDescriptor descriptor_;
    std::shared_ptr<LandmarkFinder> landmarks_;
    std::mutex mutex_; ///< a CascadeClassifier keeps state while it runs
    cv::CascadeClassifier faces_;
    cv::CascadeClassifier eyes_;
};

Result<std::shared_ptr<Detector>> make(const ResolvedModel &model,
                                       const std::shared_ptr<LandmarkFinder> &landmarks) {
    auto detector = std::make_shared<HaarDetector>(model.descriptor, landmarks);
    SPHERE_TRY(detector->load(model));
    return std::shared_ptr<Detector>(std::move(detector));
}

} // namespace
} // namespace sphere

const sphere::HaarDetectorPart sphere_opencv_haar_detector = {&sphere::make};
