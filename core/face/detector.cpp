// SPDX-License-Identifier: MIT
// The table of detectors and what all of them do after decoding.
#include "core/face/detector.h"

#include "core/face/detector_backends.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace sphere {
namespace {

struct Decoder {
    const char *name;
    NetworkDetectorFactory on_engine; ///< one of the two
    DetectorFactory make;
    bool own_landmarks; ///< of the network itself
};

/// Largest network input, px: a frame of 4096 px unscaled; beyond it memory is at risk.
constexpr int kMaxInputSidePx = 4096;
constexpr int kStepPx = 32; ///< sides of an input that may have several sizes

/// Suppression compares pairs, so a threshold near 0 must not let every cell of a large input
/// in.
constexpr std::ptrdiff_t kMaxCandidates = 4096;

constexpr Decoder kDecoders[] = {
    {"yunet", &make_yunet, nullptr, true},
    {"ultralight", &make_ultralight, nullptr, false},
    {"scrfd", &make_scrfd, nullptr, true},
    {"retinaface", &make_retinaface, nullptr, true},
    {"ssd", &make_ssd, nullptr, false},
    {"mtcnn", nullptr, &make_mtcnn, true},
    {"haar", nullptr, &make_haar, false},
    {"dlib-hog", nullptr, &make_dlib_hog, false},
    {"fake", nullptr, &make_fake_detector, true},
};

Result<const Decoder *> find_decoder(const ModelDescriptor &descriptor) {
    for (const Decoder &decoder : kDecoders)
        if (descriptor.decoder == decoder.name)
            return &decoder;
    return fail(Errc::Unsupported, descriptor.path, ": there is no detector '",
                descriptor.decoder, "' in this build.");
}

Result<std::shared_ptr<Detector>> make_by(const Decoder &decoder, const ResolvedModel &model,
                                          const EngineOptions &options,
                                          const std::shared_ptr<LandmarkFinder> &landmarks) {
    if (decoder.on_engine == nullptr)
        return decoder.make(model, options, landmarks);
    auto engine = acquire_engine(model, options);
    if (!engine)
        return std::move(engine).error();
    return decoder.on_engine(model, std::move(*engine), landmarks);
}

/// A detector with landmarks of its own, and a landmark model in their place.
class RelocatingDetector final : public Detector {
  public:
    RelocatingDetector(std::shared_ptr<Detector> detector,
                       std::shared_ptr<LandmarkFinder> landmarks)
        : detector_(std::move(detector)), landmarks_(std::move(landmarks)) {}

    Result<std::vector<Face>> detect(const ImageView &frame, const DetectOptions &options,
                                     DetectTiming *timing) override {
        auto faces = detector_->detect(frame, options, timing);
        if (faces)
            for (Face &face : *faces)
                SPHERE_TRY(landmarks_->find(frame, face, timing));
        return faces;
    }

  private:
    std::shared_ptr<Detector> detector_;
    std::shared_ptr<LandmarkFinder> landmarks_;
};

} // namespace

Result<std::shared_ptr<LandmarkFinder>> make_landmark_finder(const ModelStore &store,
                                                             const std::string &name,
                                                             const EngineOptions &options) {
    if (name.empty() || name == "none")
        return std::shared_ptr<LandmarkFinder>();
    auto model = store.resolve(name, ModelTask::Landmark);
    if (!model)
        return std::move(model).error();
    if (model->descriptor.decoder == "dlib-points68")
        return make_dlib_points68(*model, options);
    if (model->descriptor.decoder != "points68")
        return fail(Errc::Unsupported, model->descriptor.path,
                    ": there is no landmark decoder '", model->descriptor.decoder,
                    "'; this build has points68 and dlib-points68.");
    return make_points68(*model, options);
}

Result<std::shared_ptr<Detector>> make_detector(const ModelStore &store,
                                                const std::string &model,
                                                const std::string &landmark_model,
                                                const EngineOptions &options) {
    auto resolved = store.resolve(model, ModelTask::Detect);
    if (!resolved)
        return std::move(resolved).error();
    EngineOptions landmark_options = options;
    landmark_options.instance_id.clear(); // one id is one network
    auto landmarks = make_landmark_finder(
        store, landmark_model.empty() ? resolved->descriptor.landmark_model : landmark_model,
        landmark_options);
    if (!landmarks)
        return std::move(landmarks).error();
    auto decoder = find_decoder(resolved->descriptor);
    if (!decoder)
        return std::move(decoder).error();
    auto detector = make_by(**decoder, *resolved, options, *landmarks);
    if (!detector || !(*decoder)->own_landmarks || !*landmarks)
        return detector;
    return std::shared_ptr<Detector>(
        std::make_shared<RelocatingDetector>(std::move(*detector), std::move(*landmarks)));
}

Result<std::shared_ptr<Detector>> make_detector_on(const ResolvedModel &model,
                                                   std::shared_ptr<Engine> engine) {
    auto decoder = find_decoder(model.descriptor);
    if (!decoder)
        return std::move(decoder).error();
    if ((*decoder)->on_engine == nullptr)
        return fail(Errc::Unsupported, "Model ", model.descriptor.name,
                    " is not one network that an engine could run alone.");
    return (*decoder)->on_engine(model, std::move(engine), nullptr);
}

Letterbox fit_letterbox(int frame_width, int frame_height, int net_width, int net_height) {
    Letterbox box;
    const double scale = std::min(static_cast<double>(net_width) / frame_width,
                                  static_cast<double>(net_height) / frame_height);
    box.scale = static_cast<float>(scale);
    // Halves to even, as Python's round() in the reference pipelines.
    const auto scaled = [scale](int side, int limit) {
        return std::clamp(static_cast<int>(std::nearbyint(side * scale)), 1, limit);
    };
    box.width = scaled(frame_width, net_width);
    box.height = scaled(frame_height, net_height);
    return box;
}

Result<DetectOptions> resolve_options(const DetectOptions &options,
                                      const ModelDescriptor &descriptor) {
    DetectOptions resolved = options;
    // Written so that a NaN is refused as well.
    if (!(options.threshold <= 1) || !(options.nms_threshold <= 1))
        return fail(Errc::InvalidArgument, "threshold and nms-threshold are 0 to 1, or -1 for ",
                    "the model's own; not ", options.threshold, " and ", options.nms_threshold,
                    ".");
    if (!(options.min_face_size_px >= 0) || options.max_faces < 0)
        return fail(Errc::InvalidArgument, "min-face-size=", options.min_face_size_px,
                    " and max-faces=", options.max_faces, " must not be negative.");
    if (resolved.threshold < 0)
        resolved.threshold = static_cast<float>(descriptor.score_threshold);
    if (resolved.nms_threshold < 0)
        resolved.nms_threshold = static_cast<float>(descriptor.nms_threshold);
    const int own_width = descriptor.input.width, own_height = descriptor.input.height;
    if (resolved.input_width_px == 0 && resolved.input_height_px == 0) {
        resolved.input_width_px = own_width;
        resolved.input_height_px = own_height;
    }
    if (resolved.input_width_px == own_width && resolved.input_height_px == own_height)
        return resolved;
    if (own_width == 0 && own_height == 0)
        return fail(Errc::InvalidArgument, "Model ", descriptor.name,
                    " looks at the picture as it is and has no input-size.");
    if (!descriptor.input_size_is_free)
        return fail(Errc::InvalidArgument, "Model ", descriptor.name,
                    " takes input-size=", own_width, "x", own_height, " only.");
    const auto fits = [](int side) {
        return side >= kStepPx && side <= kMaxInputSidePx && side % kStepPx == 0;
    };
    if (!fits(resolved.input_width_px) || !fits(resolved.input_height_px))
        return fail(Errc::InvalidArgument, "Model ", descriptor.name,
                    " takes an input-size in multiples of ", kStepPx, " up to ",
                    kMaxInputSidePx, ", not ", resolved.input_width_px, "x",
                    resolved.input_height_px, ".");
    return resolved;
}

Result<DetectOptions> resolve_options(const DetectOptions &options,
                                      const ModelDescriptor &descriptor,
                                      const ImageView &frame) {
    auto resolved = resolve_options(options, descriptor);
    if (!resolved || !options.trim_input || frame.empty() || options.input_width_px != 0 ||
        options.input_height_px != 0 || !descriptor.input_size_is_free)
        return resolved;
    int &width = resolved->input_width_px, &height = resolved->input_height_px;
    const Letterbox box = fit_letterbox(frame.width, frame.height, width, height);
    const auto enough = [](int side) { return (side + kStepPx - 1) / kStepPx * kStepPx; };
    width = std::min(width, enough(box.width));
    height = std::min(height, enough(box.height));
    return resolved;
}

void select_faces(std::vector<Face> &faces, const DetectOptions &options) {
    if (std::ssize(faces) > kMaxCandidates) {
        std::nth_element(faces.begin(), faces.begin() + kMaxCandidates, faces.end(),
                         [](const Face &a, const Face &b) { return a.score > b.score; });
        faces.resize(kMaxCandidates);
    }
    std::vector<Box> boxes;
    std::vector<float> scores;
    boxes.reserve(faces.size());
    scores.reserve(faces.size());
    for (const Face &face : faces) {
        boxes.push_back(face.box);
        scores.push_back(face.score);
    }
    std::vector<Face> kept;
    for (const int i : non_maximum_suppression(boxes, scores, options.nms_threshold)) {
        Face &face = faces[static_cast<std::size_t>(i)];
        if (std::min(face.box.w, face.box.h) < options.min_face_size_px)
            continue;
        kept.push_back(std::move(face));
        if (options.max_faces > 0 && kept.size() == static_cast<std::size_t>(options.max_faces))
            break;
    }
    faces = std::move(kept);
}

Result<void> fill_letterbox(const ImageView &frame, const Letterbox &box, int width, int height,
                            const Normalization &norm, Tensor &input) {
    input.reset({1, 3, height, width});
    const std::ptrdiff_t plane = std::ptrdiff_t{width} * height;
    for (std::size_t c = 0; c < 3; ++c)
        std::fill_n(input.data.begin() + static_cast<std::ptrdiff_t>(c) * plane, plane,
                    (0 - norm.mean[c]) * norm.scale[c]);
    return resize_to_tensor(frame, {0, 0, frame.width, frame.height}, box.width, box.height,
                            norm, {input.data.data(), plane, width});
}

bool is_sound(const Face &face) {
    const Box &box = face.box;
    bool sound = std::isfinite(box.x) && std::isfinite(box.y) && std::isfinite(box.area()) &&
                 box.w > 0 && box.h > 0;
    if (face.landmarks)
        for (const Point2f &point : *face.landmarks)
            sound = sound && std::isfinite(point.x) && std::isfinite(point.y);
    return sound;
}

Result<void> timed_run(Engine &engine, const Tensor &input, std::vector<Tensor> &outputs,
                       DetectTiming *timing) {
    const auto begin = std::chrono::steady_clock::now();
    Result<void> result = engine.run(input, outputs);
    const std::chrono::duration<double, std::milli> elapsed =
        std::chrono::steady_clock::now() - begin;
    if (timing != nullptr)
        timing->inference_ms += elapsed.count();
    return result;
}

Result<void> check_outputs(std::span<const Tensor> outputs,
                           std::span<const std::int64_t> expected, const std::string &model) {
    if (outputs.size() != expected.size())
        return fail(Errc::Mismatch, "Model ", model, " gave ", outputs.size(),
                    " outputs where ", expected.size(),
                    " were expected: see `outputs` in its descriptor.");
    for (std::size_t i = 0; i < expected.size(); ++i)
        if (outputs[i].elements() != expected[i])
            return fail(Errc::Mismatch, "Model ", model, ": output ", i, " has ",
                        outputs[i].elements(), " numbers where ", expected[i],
                        " were expected.");
    return {};
}

} // namespace sphere
