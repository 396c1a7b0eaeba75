// SPDX-License-Identifier: MIT
// A detector and an embedder, opened once: from picture files to faces with embeddings.
#pragma once

#include "core/base/result.h"
#include "core/cli/options.h"
#include "core/face/detector.h"
#include "core/face/embedder.h"
#include "core/gallery/index.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sphere::cli {

/// Which face of a picture counts, where one is wanted (CONTRACT, section 1).
enum class Pick : std::uint8_t { Largest, NearestCentre };

struct SessionOptions {
    std::string detector = "auto";
    std::string landmark_model; ///< empty = the detector's own
    std::string model = "auto";
    std::optional<FlipMode> flip; ///< empty = the model's own
    bool recogniser_landmarks =
        false;             ///< without landmark_model: the recogniser's, if installed
    bool mirrored = false; ///< Embedder::embed_mirrored(), where the recogniser gains by it
    EngineOptions engine;
    std::optional<Precision> detector_precision; ///< empty = the engine's, as the recogniser
    DetectOptions detect;
};

/// Whether --threshold is the detector's score or the distance that decides (then the
/// detector's is
/// --detect-threshold).
enum class ThresholdMeans : std::uint8_t { Score, Distance };

/// The options that every image command takes, and what they say.
std::vector<OptionSpec> image_options(ThresholdMeans threshold_means);
Result<SessionOptions> read_session_options(const Arguments &arguments,
                                            ThresholdMeans threshold_means);

/// For pictures that go into a gallery or are looked for in one: they are seen once, so more
/// can be done for each than for a frame. Before follow_stamp(), which fills in a flip.
SessionOptions for_gallery(SessionOptions options);

/// A threshold of 0 to `high`, or empty where it is not given or is -1, "the model's own".
Result<std::optional<double>> read_threshold(const Arguments &arguments, std::string_view name,
                                             double high);
/// No distance is as large as this; a bound for read_threshold().
inline constexpr double kMaxDistance = 1e9;

/// How distances are judged: --metric and --threshold, or what the model says of itself.
struct Judgement {
    Metric metric = Metric::Cosine;
    double threshold = 0;
};
/// What is asked of distances: whether two faces are one person, or who of many.
enum class Question : std::uint8_t { Same, Who };
inline constexpr OptionSpec kMetricOption = {
    "metric", "METRIC", "auto, cosine or euclidean (auto: the model's own)"};
inline constexpr OptionSpec kFlipOption = {
    "flip", "MODE", "none, concat or sum: use of the mirrored face (default: the model's own)"};

/// A picture file with its faces, best score first.
struct Photo {
    std::string path;
    Image image;
    std::vector<Face> faces;
};

class FaceSession {
  public:
    /// Errors: as make_detector; with an embedder also as Embedder::make.
    static Result<FaceSession> open_detector(const SessionOptions &options);
    static Result<FaceSession> open(const SessionOptions &options);

    /// Reads a picture file and finds its faces. Errors name the path: as read_image, and
    /// InvalidArgument for a directory or device.
    Result<Photo> detect(const std::string &path) const;

    /// The faces once more, and how long that took.
    Result<std::vector<Face>> detect_again(const Photo &photo, double &ms) const;

    /// Aligns and embeds the faces in place. A face that cannot be keeps no embedding and gets
    /// a reason. Errors: Engine, InvalidArgument.
    Result<void> embed(const Photo &photo, std::span<Face *const> faces) const;

    /// The one face that `pick` says, embedded. `Photo::faces` of the result holds it alone.
    /// NotFound: no face, or none that can be embedded.
    Result<Photo> embed_one(const std::string &path, Pick pick) const;

    /// Embeds a kept thumbnail: a crop of `template_name`, as JPEG. One of another template
    /// than the model's is brought to it by the templates' own points. Errors name `name`:
    /// Corrupt, Unsupported (no way from one template to the other), Engine.
    Result<std::vector<float>> embed_thumbnail(const std::string &name,
                                               const std::vector<std::uint8_t> &jpeg,
                                               const std::string &template_name) const;

    /// --metric and --threshold of `arguments`. InvalidArgument where neither the option nor
    /// the model gives a threshold.
    Result<Judgement> judgement(const Arguments &arguments, Question question) const;
    Result<Metric> metric(const Arguments &arguments) const;

    const std::string &detector_name() const { return detector_name_; }
    const ModelDescriptor &model() const { return embedder_->descriptor(); }
    const EmbeddingStamp &stamp() const { return *embedder_->stamp(); }

  private:
    FaceSession() = default;
    Result<std::vector<Embedding>> embed_crops(std::span<const Image *const> crops) const;

    bool mirrored_ = false; ///< embeddings are means with the mirror image's
    std::string detector_name_;
    DetectOptions detect_options_;
    std::shared_ptr<Detector> detector_;
    std::shared_ptr<Embedder> embedder_; ///< null where only a detector was asked for
};

/// --metric and --threshold of `arguments`, or what `model` says of itself. InvalidArgument
/// where neither gives a threshold.
Result<Judgement> judge_by_model(const Arguments &arguments, const ModelDescriptor &model,
                                 Question question);

/// Index of the face that `pick` says; `faces` must not be empty.
std::size_t pick_face(const Photo &photo, Pick pick);

/// The Error for a picture in which a face is needed and none was found.
Error no_face(const std::string &path);

} // namespace sphere::cli
