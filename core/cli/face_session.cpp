// SPDX-License-Identifier: MIT
// From picture files to faces with embeddings.
#include "core/cli/face_session.h"

#include "core/base/log.h"
#include "core/image/codec.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <sys/stat.h>

namespace sphere::cli {
namespace {

constexpr std::string_view kPrecisions[] = {"auto", "fp32", "bf16", "int8"};
constexpr int kMaxInputPx = 8192;
constexpr int kMaxThreads = 1024;

Result<Precision> read_precision(const Arguments &arguments, std::string_view option) {
    auto name = arguments.choice(option, "auto", kPrecisions);
    if (!name)
        return std::move(name).error();
    if (*name == "fp32")
        return Precision::Fp32;
    if (*name == "bf16")
        return Precision::Bf16;
    return *name == "int8" ? Precision::Int8 : Precision::Auto;
}

Result<void> read_input_size(const Arguments &arguments, DetectOptions &detect) {
    const std::string text = arguments.text("input-size", "auto");
    if (text == "auto")
        return {};
    const std::size_t cross = text.find('x');
    const auto width = parse_integer(std::string_view(text).substr(0, cross));
    const auto height = cross == std::string::npos
                            ? std::nullopt
                            : parse_integer(std::string_view(text).substr(cross + 1));
    if (!width || !height || *width < 1 || *height < 1 || *width > kMaxInputPx ||
        *height > kMaxInputPx)
        return fail(Errc::InvalidArgument, "--input-size=", text,
                    ": give auto or WIDTHxHEIGHT in pixels, e.g. 640x640");
    detect.input_width_px = *width;
    detect.input_height_px = *height;
    return {};
}

Result<void> check_engine_name(const std::string &name) {
    std::string known = "auto";
    for (const EngineInfo &engine : engine_backends()) {
        if (name == engine.name)
            return {};
        known += std::string(", ") + engine.name + (engine.built ? "" : " (not built in)");
    }
    if (name == "auto")
        return {};
    return fail(Errc::InvalidArgument, "--engine=", name, ": give one of ", known);
}

/// Adds what the user can do about a picture that cannot be read.
Error unreadable(Error error) {
    if (error.code == Errc::NotFound)
        error.message += "; check the path";
    else if (error.code == Errc::Permission)
        error.message += "; make it readable";
    else if (error.code == Errc::Corrupt)
        error.message += "; replace this file or leave it out";
    return error;
}

Result<void> check_regular_file(const std::string &path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0)
        return {}; // read_image says why
    if (S_ISDIR(status.st_mode))
        return fail(Errc::InvalidArgument, path, ": is a directory; give picture files, as in ",
                    path, "/*.jpg");
    if (!S_ISREG(status.st_mode))
        return fail(Errc::InvalidArgument, path, ": is not a regular file; give picture files");
    return {};
}

} // namespace

std::vector<OptionSpec> image_options(ThresholdMeans threshold_means) {
    std::vector<OptionSpec> options = {
        {"detector", "NAME", "detector: a model's name, a descriptor's path or auto"},
        {"landmark-model", "NAME",
         "landmarks by this model; none = boxes only from a detector without"},
        {"model", "NAME", "recogniser: a model's name, a descriptor's path or auto"},
        {"engine", "NAME", "inference library: auto, opencv, …"},
        {"precision", "NAME", "auto, fp32, bf16 or int8"},
        {"detector-precision", "NAME", "the detector's, where it is another"},
        {"threads", "N", "threads of the inference library; 0 = one a core"},
        {"input-size", "WxH", "the detector's input in pixels, or auto"},
    };
    if (threshold_means == ThresholdMeans::Score) {
        options.push_back(
            {"threshold", "SCORE", "least score of a face, 0 to 1; -1 = the detector's own"});
    } else {
        options.push_back(
            {"threshold", "DISTANCE", "same person up to this distance; -1 = the model's own"});
        options.push_back({"detect-threshold", "SCORE",
                           "least score of a face, 0 to 1; -1 = the detector's own"});
    }
    return options;
}

Result<std::optional<double>> read_threshold(const Arguments &arguments, std::string_view name,
                                             double high) {
    const std::string text = arguments.text(name, "-1");
    const auto value = parse_number(text);
    if (value && *value == -1)
        return std::optional<double>();
    if (value && *value >= 0 && *value <= high)
        return std::optional<double>(*value);
    return fail(Errc::InvalidArgument, "--", std::string(name), "=", text, ": give a number ",
                high == 1 ? "from 0 to 1" : "of 0 or more", ", or -1 for the model's own");
}

Result<SessionOptions> read_session_options(const Arguments &arguments,
                                            ThresholdMeans threshold_means) {
    SessionOptions options;
    options.detector = arguments.text("detector", "auto");
    options.landmark_model = arguments.text("landmark-model");
    options.model = arguments.text("model", "auto");
    options.engine.engine = arguments.text("engine", "auto");
    SPHERE_TRY(check_engine_name(options.engine.engine));
    auto precision = read_precision(arguments, "precision");
    if (!precision)
        return std::move(precision).error();
    options.engine.precision = *precision;
    if (arguments.has("detector-precision")) {
        auto own = read_precision(arguments, "detector-precision");
        if (!own)
            return std::move(own).error();
        options.detector_precision = *own;
    }
    auto threads = arguments.integer("threads", 0, 0, kMaxThreads);
    if (!threads)
        return std::move(threads).error();
    options.engine.threads = *threads;
    SPHERE_TRY(read_input_size(arguments, options.detect));

    const char *name =
        threshold_means == ThresholdMeans::Score ? "threshold" : "detect-threshold";
    auto threshold = read_threshold(arguments, name, 1);
    if (!threshold)
        return std::move(threshold).error();
    options.detect.threshold = static_cast<float>(threshold->value_or(-1));

    if (arguments.has("flip")) {
        options.flip = parse_flip_mode(arguments.text("flip"));
        if (!options.flip)
            return fail(Errc::InvalidArgument, "--flip=", arguments.text("flip"),
                        ": give one of none, concat, sum");
    }
    return options;
}

SessionOptions for_gallery(SessionOptions options) {
    options.recogniser_landmarks = true;
    options.mirrored = !options.flip;
    return options;
}

Error no_face(const std::string &path) {
    return fail(Errc::NotFound, path,
                ": no face found; use a picture with a larger or clearer face, or lower the "
                "detector's threshold");
}

std::size_t pick_face(const Photo &photo, Pick pick) {
    std::size_t best = 0;
    double best_value = -std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < photo.faces.size(); ++i) {
        const Box &box = photo.faces[i].box;
        double value = box.area();
        if (pick == Pick::NearestCentre) {
            const double dx = box.x + box.w / 2.0 - photo.image.width / 2.0;
            const double dy = box.y + box.h / 2.0 - photo.image.height / 2.0;
            value = -(dx * dx + dy * dy);
        }
        if (value > best_value) {
            best_value = value;
            best = i;
        }
    }
    return best;
}

Result<FaceSession> FaceSession::open_detector(const SessionOptions &options) {
    const ModelStore store = ModelStore::from_environment();
    FaceSession session;
    // Resolved here too, to know which detector `auto` took.
    auto resolved = store.resolve(options.detector, ModelTask::Detect);
    if (!resolved)
        return std::move(resolved).error();
    session.detector_name_ = resolved->descriptor.name;
    EngineOptions engine = options.engine;
    engine.precision = options.detector_precision.value_or(engine.precision);
    auto detector = make_detector(store, options.detector, options.landmark_model, engine);
    if (!detector)
        return std::move(detector).error();
    session.detector_ = std::move(*detector);
    session.detect_options_ = options.detect;
    return session;
}

Result<FaceSession> FaceSession::open(const SessionOptions &options) {
    const ModelStore store = ModelStore::from_environment();
    auto embedder = Embedder::make(store, options.model, options.flip, options.engine);
    if (!embedder)
        return std::move(embedder).error();
    SessionOptions own = options;
    const std::string &landmark_model = (*embedder)->descriptor().landmark_model;
    if (options.recogniser_landmarks && options.landmark_model.empty() &&
        !landmark_model.empty()) {
        const auto model = store.find(landmark_model);
        if (model && store.installed(*model))
            own.landmark_model = landmark_model;
        else
            log(LogLevel::Warning,
                landmark_model + " is not installed: the detector's " +
                    "landmarks are taken, by which " + (*embedder)->descriptor().name +
                    " recognises worse (spherectl models fetch " + landmark_model + ")");
    }
    auto session = open_detector(own);
    if (!session)
        return session;
    session->mirrored_ = options.mirrored && (*embedder)->descriptor().mirror_photographs;
    session->embedder_ = std::move(*embedder);
    return session;
}

Result<std::vector<Embedding>>
FaceSession::embed_crops(std::span<const Image *const> crops) const {
    return mirrored_ ? embedder_->embed_mirrored(crops) : embedder_->embed(crops);
}

Result<Photo> FaceSession::detect(const std::string &path) const {
    SPHERE_TRY(check_regular_file(path));
    auto image = read_image(path);
    if (!image)
        return unreadable(std::move(image).error());
    Photo photo;
    photo.path = path;
    photo.image = std::move(*image);
    auto faces = detector_->detect(photo.image.view(), detect_options_);
    if (!faces)
        return fail(faces.error().code, path, ": ", faces.error().message);
    photo.faces = std::move(*faces);
    return photo;
}

Result<std::vector<Face>> FaceSession::detect_again(const Photo &photo, double &ms) const {
    const auto begin = std::chrono::steady_clock::now();
    auto faces = detector_->detect(photo.image.view(), detect_options_);
    ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
             .count();
    return faces;
}

Result<void> FaceSession::embed(const Photo &photo, std::span<Face *const> faces) const {
    std::vector<const Image *> crops;
    std::vector<Face *> cropped;
    for (Face *face : faces) {
        align_face(photo.image.view(), embedder_->align_template(), AlignOptions{}, *face);
        if (face->crop) {
            crops.push_back(face->crop.get());
            cropped.push_back(face);
        } else if (face->reason == FaceReason::None) {
            face->reason = FaceReason::NotEmbedded;
        }
    }
    if (crops.empty())
        return {};
    auto embeddings = embed_crops(crops);
    if (!embeddings)
        return fail(embeddings.error().code, photo.path, ": ", embeddings.error().message);
    for (std::size_t i = 0; i < cropped.size(); ++i) {
        if ((*embeddings)[i].values.empty()) // not finite
            cropped[i]->reason = FaceReason::NotEmbedded;
        else
            cropped[i]->embedding = std::move((*embeddings)[i]);
    }
    return {};
}

Result<Photo> FaceSession::embed_one(const std::string &path, Pick pick) const {
    auto photo = detect(path);
    if (!photo)
        return photo;
    if (photo->faces.empty())
        return no_face(path);
    Face face = std::move(photo->faces[pick_face(*photo, pick)]);
    Face *const faces[] = {&face};
    SPHERE_TRY(embed(*photo, faces));
    if (!face.embedding)
        return fail(Errc::NotFound, path, ": the face at ", std::to_string(face.box.x), ",",
                    std::to_string(face.box.y), " cannot be embedded (",
                    face_reason_name(face.reason), "); use another picture or detector");
    photo->faces.clear();
    photo->faces.push_back(std::move(face));
    return photo;
}

Result<std::vector<float>>
FaceSession::embed_thumbnail(const std::string &name, const std::vector<std::uint8_t> &jpeg,
                             const std::string &template_name) const {
    auto image = decode_image(name, jpeg);
    if (!image)
        return std::move(image).error();
    Face face;
    face.box = {0, 0, static_cast<float>(image->width), static_cast<float>(image->height)};
    if (template_name == embedder_->align_template().name) {
        face.crop = std::make_shared<Image>(std::move(*image));
    } else {
        const auto from = find_template(template_name);
        if (from && from->uses_landmarks)
            face.landmarks = from->points;
        align_face(image->view(), embedder_->align_template(), AlignOptions{}, face);
    }
    if (!face.crop)
        return fail(Errc::Unsupported, name, ": a crop of ", template_name,
                    " cannot be brought to ", embedder_->align_template().name,
                    ": enrol the photographs again");
    const Image *const crops[] = {face.crop.get()};
    auto embeddings = embed_crops(crops);
    if (!embeddings)
        return fail(embeddings.error().code, name, ": ", embeddings.error().message);
    if (embeddings->front().values.empty())
        return fail(Errc::Corrupt, name, ": its embedding is not finite");
    return std::move(embeddings->front().values);
}

namespace {

Result<Metric> metric_by_model(const Arguments &arguments, const ModelDescriptor &model) {
    std::string name = arguments.text("metric", "auto");
    if (name == "auto")
        name = model.default_metric;
    auto metric = parse_metric(name);
    if (!metric)
        return fail(metric.error().code, "--metric=", name, ": give auto, cosine or euclidean");
    return metric;
}

} // namespace

Result<Judgement> judge_by_model(const Arguments &arguments, const ModelDescriptor &model,
                                 Question question) {
    auto chosen = metric_by_model(arguments, model);
    if (!chosen)
        return std::move(chosen).error();
    auto threshold = read_threshold(arguments, "threshold", kMaxDistance);
    if (!threshold)
        return std::move(threshold).error();
    if (*threshold)
        return Judgement{*chosen, **threshold};
    const auto own = model.metrics.find(metric_name(*chosen));
    if (own == model.metrics.end())
        return fail(Errc::InvalidArgument, "model ", model.name,
                    " has no threshold for metric ", metric_name(*chosen),
                    "; give --threshold (spherectl calibrate finds one), or another --metric");
    return Judgement{*chosen, question == Question::Who ? own->second.identifying()
                                                        : own->second.threshold};
}

Result<Metric> FaceSession::metric(const Arguments &arguments) const {
    return metric_by_model(arguments, model());
}

Result<Judgement> FaceSession::judgement(const Arguments &arguments, Question question) const {
    return judge_by_model(arguments, model(), question);
}

} // namespace sphere::cli
