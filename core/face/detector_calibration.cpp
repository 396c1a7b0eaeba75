// SPDX-License-Identifier: MIT
// The detector's own code makes the inputs and decodes the outputs: it runs on an engine that
// keeps what it is given, and on one that gives back outputs made elsewhere.
#include "core/face/detector_calibration.h"

#include "core/face/face_agreement.h"

#include <algorithm>

namespace sphere {

/// Runs the network and keeps the last input.
class DetectorCalibrator::WatchedEngine final : public Engine {
  public:
    explicit WatchedEngine(std::shared_ptr<Engine> engine) : engine_(std::move(engine)) {}

    Result<void> run(const Tensor &input, std::vector<Tensor> &outputs) override {
        input_ = input;
        return engine_->run(input, outputs);
    }
    const char *name() const override { return engine_->name(); }
    int preferred_batch() const override { return 1; }
    const Tensor &input() const { return input_; }

  private:
    std::shared_ptr<Engine> engine_;
    Tensor input_;
};

namespace {

/// Runs nothing: gives the outputs that it was told to give.
class ReplayEngine final : public Engine {
  public:
    void give(const NetworkOutputs &outputs) { outputs_ = &outputs; }

    Result<void> run(const Tensor &, std::vector<Tensor> &outputs) override {
        outputs = *outputs_;
        return {};
    }
    const char *name() const override { return "replay"; }
    int preferred_batch() const override { return 1; }

  private:
    const NetworkOutputs *outputs_ = nullptr;
};

/// By the faces that the detector decodes from the outputs.
class FaceJudge final : public Int8Judge {
  public:
    static Result<FaceJudge> make(const ResolvedModel &model) {
        FaceJudge judge;
        judge.engine_ = std::make_shared<ReplayEngine>();
        auto detector = make_detector_on(model, judge.engine_);
        if (!detector)
            return std::move(detector).error();
        judge.detector_ = std::move(*detector);
        // As large as the input: faces come in the network's pixels, and overlaps and shares of
        // the eyes' distance are those of any other size.
        judge.frame_ = Image(model.descriptor.input.width, model.descriptor.input.height);
        return judge;
    }

    // A little is kept from the bar: pictures to come are not those that were measured.
    Result<double> harm(std::span<const NetworkOutputs> fp32,
                        std::span<const NetworkOutputs> int8) override {
        auto compared = compare(fp32, int8);
        if (!compared)
            return std::move(compared).error();
        const FaceAgreement &faces = *compared;
        if (std::max(faces.fp32, faces.int8) == 0)
            return 0.0;
        if (faces.agreed == 0)
            return kLost;
        // One face more or less is at the threshold by chance, and says nothing of a layer.
        const int most = std::max(faces.fp32, faces.int8);
        const double lost = std::max(0.0, most - faces.agreed - 1.0) / most;
        return std::max({lost / (1 - kInt8LeastFaceShare),
                         (1 - faces.iou) / (1 - kInt8LeastIou),
                         faces.landmarks_mean / kInt8MostLandmarkError}) /
               kShareOfBar;
    }

    Result<void> note(std::span<const NetworkOutputs> fp32,
                      std::span<const NetworkOutputs> int8,
                      Int8Calibration &calibration) override {
        auto compared = compare(fp32, int8);
        if (!compared)
            return std::move(compared).error();
        calibration.faces = *compared;
        return {};
    }

  private:
    static constexpr double kLost = 1000; ///< harm where no face is left
    static constexpr double kShareOfBar = 0.9;
    /// In the network's pixels: 2 % of it is a third of a pixel, and no network knows the
    /// points of a face better.
    static constexpr float kLeastEyesPx = 16;

    FaceJudge() = default;

    Result<std::vector<Face>> decode(const NetworkOutputs &outputs) {
        engine_->give(outputs);
        return detector_->detect(frame_.view(), {});
    }

    Result<FaceAgreement> compare(std::span<const NetworkOutputs> fp32,
                                  std::span<const NetworkOutputs> int8) {
        FaceComparison comparison(kLeastEyesPx);
        for (std::size_t i = 0; i < int8.size(); ++i) {
            auto want = decode(fp32[i]);
            if (!want)
                return std::move(want).error();
            auto got = decode(int8[i]);
            if (!got)
                return std::move(got).error();
            comparison.add(*want, *got);
        }
        return comparison.result();
    }

    std::shared_ptr<ReplayEngine> engine_;
    std::shared_ptr<Detector> detector_;
    Image frame_;
};

} // namespace

Result<DetectorCalibrator> DetectorCalibrator::make(const ResolvedModel &model) {
    EngineOptions options;
    options.engine = "onednn";
    options.precision = Precision::Fp32;
    auto engine = make_engine(model, options);
    if (!engine)
        return std::move(engine).error();
    DetectorCalibrator made;
    made.model_ = model;
    made.engine_ = std::make_shared<WatchedEngine>(std::move(*engine));
    auto detector = make_detector_on(model, made.engine_);
    if (!detector)
        return std::move(detector).error();
    made.detector_ = std::move(*detector);
    return made;
}

Result<DetectorCalibrator::Looked> DetectorCalibrator::look(const ImageView &frame) {
    if (frame.empty())
        return fail(Errc::InvalidArgument, "DetectorCalibrator: the picture is empty.");
    auto faces = detector_->detect(frame, {});
    if (!faces)
        return std::move(faces).error();
    return Looked{engine_->input(), static_cast<int>(faces->size())};
}

Result<Int8Calibration> DetectorCalibrator::calibrate(std::span<const Tensor> inputs,
                                                      const CalibrationProgress &progress) {
    auto judge = FaceJudge::make(model_);
    if (!judge)
        return std::move(judge).error();
    auto calibration = calibrate_int8(model_, inputs, progress, &*judge);
    if (calibration && calibration->faces->fp32 == 0)
        return fail(Errc::NotFound, "Model ", model_.descriptor.name,
                    " finds no face in any of the pictures, by which int8 is judged: take "
                    "pictures with faces.");
    return calibration;
}

} // namespace sphere
