// SPDX-License-Identifier: MIT
// spherectl quantize: int8 calibration of a recogniser or a detector.
#include "core/cli/command.h"
#include "core/cli/face_session.h"
#include "core/cli/files.h"
#include "core/cli/output.h"

#include "core/engine/calibration.h"
#include "core/face/aligner.h"
#include "core/face/detector_calibration.h"
#include "core/image/codec.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kPictures = 128;                    ///< more hardly move a range
constexpr int kMostPictures = 1024;               ///< crops are held in memory: 150 KB each
constexpr std::int64_t kMostFloats = 512LL << 20; ///< of a detector's inputs: 2 GB
constexpr int kFew = 16;                          ///< faces; below, ranges are chance

std::vector<OptionSpec> options() {
    return {
        {"model", "NAME",
         "recogniser or detector: a model's name, a descriptor's path, or auto (recogniser)"},
        {"images", "DIR", "a folder of pictures with faces; its sub-folders count too"},
        {"detector", "NAME", "finds a recogniser's faces: name, descriptor's path or auto"},
        {"count", "N", "pictures to take, evenly spread (default 128)"},
        {"aligned", "", "the pictures are crops of a recogniser's template already"}};
}

Result<std::vector<std::string>> pictures_of(const std::string &folder, std::size_t count) {
    auto listing = list_folder(folder);
    if (!listing)
        return std::move(listing).error();
    std::vector<std::string> all = std::move(listing->pictures);
    for (const std::string &sub : listing->folders)
        if (auto more = list_folder(sub))
            all.insert(all.end(), more->pictures.begin(), more->pictures.end());
    if (all.empty())
        return fail(Errc::NotFound, folder,
                    ": holds no pictures; give a folder of photographs");
    if (all.size() <= count)
        return all;
    std::vector<std::string> some;
    for (std::size_t i = 0; i < count; ++i)
        some.push_back(all[i * all.size() / count]);
    return some;
}

/// From a picture to the recogniser's input.
class Cropper {
  public:
    Cropper(const ModelDescriptor &model, AlignTemplate tmpl, const FaceSession *detector)
        : model_(model), template_(std::move(tmpl)), detector_(detector) {}

    Result<Tensor> input(const std::string &path) const {
        auto crop = detector_ != nullptr ? detected(path) : aligned(path);
        if (!crop)
            return std::move(crop).error();
        const Normalization &norm = model_.input.norm;
        Tensor tensor;
        tensor.reset({1, norm.order == ChannelOrder::Gray ? 1 : 3, crop->height, crop->width});
        normalize_to_tensor(*crop, norm,
                            {tensor.data.data(),
                             static_cast<std::ptrdiff_t>(crop->width) * crop->height,
                             crop->width});
        return tensor;
    }

  private:
    Result<Image> detected(const std::string &path) const {
        auto photo = detector_->detect(path);
        if (!photo)
            return std::move(photo).error();
        if (photo->faces.empty())
            return no_face(path);
        Face &face = photo->faces[pick_face(*photo, Pick::Largest)];
        align_face(photo->image.view(), template_, AlignOptions{}, face);
        if (!face.crop)
            return fail(Errc::NotFound, path, ": its face cannot be aligned (",
                        face_reason_name(face.reason), ")");
        return *face.crop;
    }

    // A wider crop of the same height is the same face with more around it.
    Result<Image> aligned(const std::string &path) const {
        auto image = read_image(path);
        if (!image)
            return image;
        if (image->height != template_.height || image->width < template_.width)
            return fail(Errc::InvalidArgument, path, ": is ", image->width, "x", image->height,
                        " where --aligned needs crops of ", template_.width, "x",
                        template_.height, "; leave --aligned out");
        Image crop(template_.width, template_.height);
        const int left = (image->width - template_.width) / 2;
        for (int y = 0; y < crop.height; ++y)
            std::copy_n(image->bgr.data() +
                            (static_cast<std::size_t>(y) * image->width + left) * 3,
                        static_cast<std::size_t>(crop.width) * 3,
                        crop.bgr.data() + static_cast<std::size_t>(y) * crop.width * 3);
        return crop;
    }

    const ModelDescriptor &model_;
    AlignTemplate template_;
    const FaceSession *detector_;
};

Json to_json(const FaceAgreement &faces) {
    return {{"fp32", faces.fp32},
            {"int8", faces.int8},
            {"agreed", faces.agreed},
            {"iou", faces.iou},
            {"landmarks_mean", faces.landmarks_mean},
            {"landmarks_p95", faces.landmarks_p95},
            {"score_mean", faces.score_mean}};
}

void print_faces(const FaceAgreement &faces) {
    print_line("faces       " + std::to_string(faces.fp32) + " in fp32, " +
               std::to_string(faces.int8) + " in int8, " + std::to_string(faces.agreed) +
               " by both");
    print_line("boxes       IoU " + fixed(faces.iou, 4) + ", mean");
    print_line("landmarks   " + fixed(100 * faces.landmarks_mean, 2) +
               " % of the eyes' distance apart, mean; " + fixed(100 * faces.landmarks_p95, 2) +
               " %, 95th percentile");
    print_line("scores      " + fixed(faces.score_mean, 4) + " apart, mean");
}

void print_result(const Context &context, const Int8Calibration &result,
                  const std::string &path, std::span<const Failure> failures) {
    if (context.json) {
        Json json = {{"model", result.model},
                     {"path", path},
                     {"pictures", result.pictures},
                     {"weight_bits", result.weight_bits}};
        if (result.faces)
            json["faces"] = to_json(*result.faces);
        else
            json["cosine"] = result.cosine;
        json["values"] = result.ranges.size();
        json["int8_products"] = result.int8_products;
        json["fp32"] = result.fp32_nodes;
        json["failed"] = failure_rows(failures);
        print_line(json.dump(-1, ' ', false, Json::error_handler_t::replace));
        return;
    }
    print_line("model       " + result.model);
    print_line("pictures    " + std::to_string(result.pictures) + "; " +
               std::to_string(failures.size()) + " others failed");
    print_line("weights     " + std::to_string(result.weight_bits) + " bits");
    if (result.faces)
        print_faces(*result.faces);
    else
        print_line("cosine      " + fixed(result.cosine, 5) + " of int8 to fp32, mean");
    print_line("in int8     " + fixed(100 * result.int8_products, 1) +
               " % of the multiplications; " + std::to_string(result.fp32_nodes.size()) +
               " layers went back to fp32");
    print_line("stored as   " + path);
}

Result<std::vector<Tensor>> read_inputs(const Cropper &cropper,
                                        const std::vector<std::string> &paths,
                                        std::vector<Failure> &failures) {
    std::vector<Tensor> inputs;
    Progress progress("pictures", paths.size());
    for (std::size_t i = 0; i < paths.size(); ++i) {
        progress.update(i);
        auto input = cropper.input(paths[i]);
        if (input)
            inputs.push_back(std::move(*input));
        else
            note_failure(failures, paths[i], std::move(input).error());
    }
    if (inputs.empty())
        return fail(Errc::NotFound, "quantize: none of the pictures has a face that can be "
                                    "used; give a folder of photographs of faces");
    if (inputs.size() < kFew)
        print_warning("quantize: " + std::to_string(inputs.size()) +
                      " faces are few; 100 or more make safer ranges");
    return inputs;
}

Result<Int8Calibration> measure_recogniser(const Arguments &arguments,
                                           const ResolvedModel &model,
                                           const std::vector<std::string> &paths,
                                           std::vector<Failure> &failures) {
    auto tmpl = find_template(model.descriptor.template_name);
    if (!tmpl)
        return std::move(tmpl).error();
    std::optional<FaceSession> detector;
    if (!arguments.has("aligned")) {
        SessionOptions session;
        session.detector = arguments.text("detector", "auto");
        auto opened = FaceSession::open_detector(session);
        if (!opened)
            return std::move(opened).error();
        detector = std::move(*opened);
    }
    const Cropper cropper(model.descriptor, *tmpl, detector ? &*detector : nullptr);
    auto inputs = read_inputs(cropper, paths, failures);
    if (!inputs)
        return std::move(inputs).error();
    Progress progress("calibrate", 4 * inputs->size());
    return calibrate_int8(
        model, *inputs, [&progress](std::size_t done, std::size_t) { progress.update(done); });
}

// Pictures without a face count as well: int8 must not find one there.
Result<std::vector<Tensor>> read_inputs(DetectorCalibrator &calibrator,
                                        const std::vector<std::string> &paths,
                                        std::vector<Failure> &failures) {
    std::vector<Tensor> inputs;
    int faces = 0;
    Progress progress("pictures", paths.size());
    for (std::size_t i = 0; i < paths.size(); ++i) {
        progress.update(i);
        auto image = read_image(paths[i]);
        if (!image) {
            note_failure(failures, paths[i], std::move(image).error());
            continue;
        }
        auto looked = calibrator.look(image->view());
        if (!looked)
            return std::move(looked).error();
        inputs.push_back(std::move(looked->input));
        faces += looked->faces;
    }
    if (faces == 0)
        return fail(Errc::NotFound, "quantize: the detector finds no face in any of the "
                                    "pictures; give a folder of photographs with faces");
    if (faces < kFew)
        print_warning("quantize: " + std::to_string(faces) +
                      " faces are few; 100 or more make safer ranges");
    return inputs;
}

Result<Int8Calibration> measure_detector(const ResolvedModel &model,
                                         const std::vector<std::string> &paths,
                                         std::vector<Failure> &failures) {
    auto calibrator = DetectorCalibrator::make(model);
    if (!calibrator)
        return std::move(calibrator).error();
    auto inputs = read_inputs(*calibrator, paths, failures);
    if (!inputs)
        return std::move(inputs).error();
    Progress progress("calibrate", 4 * inputs->size());
    return calibrator->calibrate(
        *inputs, [&progress](std::size_t done, std::size_t) { progress.update(done); });
}

Result<ResolvedModel> find_model(const Arguments &arguments) {
    const ModelStore store = ModelStore::from_environment();
    const std::string name = arguments.text("model", "auto");
    if (name == "auto")
        return store.resolve(name, ModelTask::Embed);
    auto descriptor = store.find(name);
    if (!descriptor)
        return std::move(descriptor).error();
    if (descriptor->task != ModelTask::Detect)
        return store.resolve(name, ModelTask::Embed);
    for (const char *option : {"detector", "aligned"})
        if (arguments.has(option))
            return fail(Errc::InvalidArgument, "quantize: --", option,
                        " is for recognisers, and ", name,
                        " is a detector, which takes pictures as they are; leave it out");
    return store.resolve(name, ModelTask::Detect);
}

// Inputs are held in memory.
int most_pictures(const ModelDescriptor &model) {
    const std::int64_t floats = std::int64_t{3} * model.input.width * model.input.height;
    return static_cast<int>(std::clamp<std::int64_t>(
        kMostFloats / std::max<std::int64_t>(floats, 1), 1, kMostPictures));
}

Result<int> run(const Context &context) {
    const Arguments &arguments = context.arguments;
    if (!arguments.positionals().empty())
        return fail(Errc::InvalidArgument, "quantize: unexpected ", arguments.positionals()[0],
                    "; usage: spherectl quantize --model NAME --images DIR");
    auto folder = arguments.required("images", "give the folder that the pictures are in");
    if (!folder)
        return std::move(folder).error();
    auto model = find_model(arguments);
    if (!model)
        return std::move(model).error();
    auto count = arguments.integer("count", kPictures, 1, most_pictures(model->descriptor));
    if (!count)
        return std::move(count).error();
    auto paths = pictures_of(*folder, static_cast<std::size_t>(*count));
    if (!paths)
        return std::move(paths).error();
    std::vector<Failure> failures;
    auto result = model->descriptor.task == ModelTask::Detect
                      ? measure_detector(*model, *paths, failures)
                      : measure_recogniser(arguments, *model, *paths, failures);
    if (!result)
        return std::move(result).error();
    auto path = save_calibration(*model, *result);
    if (!path)
        return std::move(path).error();
    print_result(context, *result, *path, failures);
    if (!int8_is_accurate(*result, model->descriptor.task))
        print_warning("quantize: int8 strays too far from fp32 for this model: precision=auto "
                      "will not take it");
    return kExitDone;
}

} // namespace

const Command kQuantizeCommand = {
    "quantize",
    "measure what int8 needs to know of a recogniser or detector",
    "--model=NAME --images=DIR [OPTION…]",
    "Runs the network on the pictures, a recogniser on the largest face of each, and stores "
    "the\n"
    "ranges of its activations as NAME.int8.json beside its weights, or in the user's model "
    "folder,\n"
    "with how far int8 then is from fp32: a recogniser's embeddings, the faces that a detector "
    "finds.\n"
    "After that precision=int8 works, and precision=auto takes it where that is near enough "
    "and\n"
    "faster. Take 100 pictures or more of the kind that will be looked at.",
    "spherectl quantize --model fr_feature --images photos",
    &options,
    &run,
};

} // namespace sphere::cli
