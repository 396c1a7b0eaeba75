// SPDX-License-Identifier: MIT
// spherectl quantize: int8 calibration of a recogniser.
#include "core/cli/command.h"
#include "core/cli/face_session.h"
#include "core/cli/files.h"
#include "core/cli/output.h"

#include "core/engine/calibration.h"
#include "core/face/aligner.h"
#include "core/image/codec.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kPictures = 128;      ///< more hardly move a range
constexpr int kMostPictures = 1024; ///< crops are held in memory: 150 KB each
constexpr int kFew = 16;            ///< below, ranges are a matter of chance

std::vector<OptionSpec> options() {
    return {{"model", "NAME", "recogniser: a model's name, a descriptor's path or auto"},
            {"images", "DIR", "a folder of pictures with faces; its sub-folders count too"},
            {"detector", "NAME", "detector: a model's name, a descriptor's path or auto"},
            {"count", "N", "pictures to take, evenly spread (default 128)"},
            {"aligned", "", "the pictures are crops of the model's template already"}};
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

void print_result(const Context &context, const Int8Calibration &result,
                  const std::string &path, std::span<const Failure> failures) {
    if (context.json) {
        print_line(Json{{"model", result.model},
                        {"path", path},
                        {"pictures", result.pictures},
                        {"weight_bits", result.weight_bits},
                        {"cosine", result.cosine},
                        {"values", result.ranges.size()},
                        {"fp32", result.fp32_nodes},
                        {"failed", failure_rows(failures)}}
                       .dump(-1, ' ', false, Json::error_handler_t::replace));
        return;
    }
    print_line("model       " + result.model);
    print_line("pictures    " + std::to_string(result.pictures) + "; " +
               std::to_string(failures.size()) + " others failed");
    print_line("weights     " + std::to_string(result.weight_bits) + " bits");
    print_line("cosine      " + fixed(result.cosine, 5) + " of int8 to fp32, mean");
    print_line("in fp32     " + std::to_string(result.fp32_nodes.size()) + " of " +
               std::to_string(result.ranges.size()) + " layers");
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

Result<int> run(const Context &context) {
    const Arguments &arguments = context.arguments;
    if (!arguments.positionals().empty())
        return fail(Errc::InvalidArgument, "quantize: unexpected ", arguments.positionals()[0],
                    "; usage: spherectl quantize --model NAME --images DIR");
    auto folder = arguments.required("images", "give the folder that the pictures are in");
    auto count = arguments.integer("count", kPictures, 1, kMostPictures);
    if (!folder || !count)
        return folder ? std::move(count).error() : std::move(folder).error();
    auto model = ModelStore::from_environment().resolve(arguments.text("model", "auto"),
                                                        ModelTask::Embed);
    if (!model)
        return std::move(model).error();
    auto tmpl = find_template(model->descriptor.template_name);
    if (!tmpl)
        return std::move(tmpl).error();
    auto paths = pictures_of(*folder, static_cast<std::size_t>(*count));
    if (!paths)
        return std::move(paths).error();
    std::optional<FaceSession> detector;
    if (!arguments.has("aligned")) {
        SessionOptions session;
        session.detector = arguments.text("detector", "auto");
        auto opened = FaceSession::open_detector(session);
        if (!opened)
            return std::move(opened).error();
        detector = std::move(*opened);
    }
    std::vector<Failure> failures;
    const Cropper cropper(model->descriptor, *tmpl, detector ? &*detector : nullptr);
    auto inputs = read_inputs(cropper, *paths, failures);
    if (!inputs)
        return std::move(inputs).error();
    Progress progress("calibrate", 4 * inputs->size());
    auto result = calibrate_int8(
        *model, *inputs, [&progress](std::size_t done, std::size_t) { progress.update(done); });
    if (!result)
        return std::move(result).error();
    auto path = save_calibration(*model, *result);
    if (!path)
        return std::move(path).error();
    print_result(context, *result, *path, failures);
    if (result->cosine < kInt8LeastCosine)
        print_warning("quantize: int8 strays too far from fp32 for this model: precision=auto "
                      "will not take it");
    return kExitDone;
}

} // namespace

const Command kQuantizeCommand = {
    "quantize",
    "measure what int8 needs to know of a recogniser",
    "--model=NAME --images=DIR [OPTION…]",
    "Runs the recogniser on the faces of the pictures, the largest of each, and stores the "
    "ranges of\n"
    "its activations as NAME.int8.json beside its weights, or in the user's model folder. "
    "After\n"
    "that precision=int8 works, and precision=auto takes it. Take 100 pictures or more of the "
    "kind\n"
    "that will be recognised.",
    "spherectl quantize --model fr_feature --images photos",
    &options,
    &run,
};

} // namespace sphere::cli
