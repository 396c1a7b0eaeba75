// SPDX-License-Identifier: MIT
// What models/NAME.json says of a model: docs/models.md has the format for users.
#pragma once

#include "core/base/result.h"
#include "core/image/resize.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sphere {

enum class ModelTask : std::uint8_t { Detect, Landmark, Embed, Attribute };
const char *model_task_name(ModelTask task); ///< "detect", "landmark", "embed", "attribute"

/// How an embedding is made of a crop and its mirror image.
enum class FlipMode : std::uint8_t {
    None,   ///< the crop alone
    Concat, ///< crop then mirror, one after the other: twice the dims
    Sum,    ///< element-wise sum
};
const char *flip_mode_name(FlipMode mode); ///< "none", "concat", "sum"
std::optional<FlipMode> parse_flip_mode(std::string_view name);

/// Where a file can be had. Exactly one of `npm` and `url` is set, or `path` for a file that a
/// distribution's package installs.
struct ModelSource {
    std::string npm;    ///< "package@version"
    std::string member; ///< path inside the npm package's tar ball, e.g. "package/model/x.onnx"
    std::string url;    ///< https, fetched directly
    std::string path;   ///< absolute path of a distribution's file
    std::string package; ///< the Debian package of `path`
    std::string page;    ///< a page for a person, where no program can fetch it
};

struct ModelFile {
    std::string name; ///< file name, no directory
    /// "weights", "graph" (prototxt, pbtxt) or "eyes" (a cascade that finds eyes), each once;
    /// for a cascade of networks with the network's name: "weights:pnet"
    std::string role;
    std::uint64_t bytes = 0; ///< 0 = not known
    std::string sha256;      ///< 64 lower-case hex digits, or empty = not known
    std::vector<ModelSource> sources;
};

struct ModelInput {
    int width = 0;  ///< px
    int height = 0; ///< px
    Normalization norm;
    std::string name; ///< of the network's input; empty = its only one
};

struct MetricThreshold {
    double threshold = 0; ///< accept when distance <= threshold
    std::string source;   ///< where the number comes from; never empty
    /// For one face against a gallery, where each person enrolled is a chance to be mistaken;
    /// empty = as `threshold`.
    std::optional<double> identify_threshold;
    std::string identify_source; ///< empty without identify_threshold

    double identifying() const { return identify_threshold.value_or(threshold); }
};

/// Immutable once loaded.
struct ModelDescriptor {
    std::string name;
    ModelTask task = ModelTask::Embed;
    std::string title;     ///< one line for `spherectl models list`
    std::string framework; ///< "onnx", "caffe", "tensorflow", "torch", "opencv-cascade",
                           ///< "dlib", "fake"
    std::string decoder;   ///< "yunet", "ultralight", "scrfd", "retinaface", "ssd", "mtcnn",
                         ///< "haar", "dlib-hog", "points68", "dlib-points68", "ssr", "classes",
                         ///< "angles", "embedding", "fake"
    std::string licence;         ///< SPDX where there is one; empty = none stated
    bool may_be_default = false; ///< `auto` and the demo may take it
    std::vector<ModelFile> files;
    ModelInput input;
    std::vector<std::string> outputs; ///< tensor names in the order that the decoder expects
    int batch = 0;                    ///< 1 = the file bakes batch 1; 0 = any

    // detect
    double score_threshold = 0.5;
    double nms_threshold = 0.4;
    /// detect: model for a detector without landmarks; empty = none needed or none. embed: the
    /// model whose landmarks this recogniser knows best; empty = any detector's.
    std::string landmark_model;
    /// embed: a photograph for a gallery gives the mean with its mirror image's embedding.
    bool mirror_photographs = false;
    double box_scale =
        1.0; ///< landmark: the box is grown to a square of this times its longer side

    // attribute
    std::string attribute; ///< name of what it estimates: "age"
    std::string region;    ///< "box", "square", "shifted-box" or "eyes"
    double region_scale = 1.0;
    std::vector<std::string> labels; ///< of its classes, in the network's order

    // embed
    std::string template_name;
    int dims = 0;                   ///< of one forward pass, before flip
    FlipMode flip = FlipMode::None; ///< default
    std::string preprocessing; ///< id of the exact input arithmetic, part of the gallery stamp
    std::string default_metric = "cosine";
    std::map<std::string, MetricThreshold> metrics;

    std::map<std::string, double> parameters; ///< numbers of one decoder's own
    std::string path;                         ///< the descriptor file it was read from

    bool input_size_is_free =
        false; ///< a detector that runs at other sizes that are multiples of input_step
    int input_step_px = 32; ///< not in the JSON; 1 for MTCNN's first network
};

/// Largest descriptor file that is read.
inline constexpr std::size_t kMaxDescriptorBytes = 256 * 1024;

/// Parses and validates `json`. `path` is for messages and is stored. Unknown keys are an error
/// that names them, so that a slip of the pen is not silently ignored. Errors: Corrupt,
/// Unsupported.
Result<ModelDescriptor> parse_descriptor(std::string_view json, const std::string &path);

/// Reads and parses a descriptor file. Errors: NotFound, Permission, Corrupt, Unsupported.
Result<ModelDescriptor> load_descriptor(const std::string &path);

} // namespace sphere
