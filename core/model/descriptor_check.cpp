// SPDX-License-Identifier: MIT
// The rules of docs/models.md that go across keys: tasks, decoders, templates, sources.
#include "core/model/descriptor_check.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <optional>
#include <set>
#include <sstream>
#include <vector>

namespace sphere {
namespace {

/// What a decoder needs; `outputs` 0 = none, -1 = at least one.
struct DecoderRule {
    const char *decoder;
    ModelTask task;
    const char *frameworks; ///< separated by spaces
    int outputs;
    bool sized;             ///< needs input width and height
    const char *parts = ""; ///< networks of a cascade: each has files of its own, "role:part"
};
constexpr std::array kDecoders = {
    DecoderRule{"yunet", ModelTask::Detect, "onnx caffe", 12, true},
    DecoderRule{"ultralight", ModelTask::Detect, "onnx caffe", 2, true},
    DecoderRule{"scrfd", ModelTask::Detect, "onnx caffe", 9, true},
    DecoderRule{"retinaface", ModelTask::Detect, "onnx caffe", 3, true},
    DecoderRule{"ssd", ModelTask::Detect, "tensorflow caffe onnx", 1, true},
    DecoderRule{"mtcnn", ModelTask::Detect, "caffe", 7, false, "pnet rnet onet"},
    DecoderRule{"haar", ModelTask::Detect, "opencv-cascade", 0, false},
    DecoderRule{"dlib-hog", ModelTask::Detect, "dlib", 0, false}, // comes with the library
    DecoderRule{"dlib-points68", ModelTask::Landmark, "dlib", 0, false},
    DecoderRule{"points68", ModelTask::Landmark, "onnx caffe", 1, true},
    DecoderRule{"ssr", ModelTask::Attribute, "onnx caffe", 9, true},
    DecoderRule{"classes", ModelTask::Attribute, "onnx caffe tensorflow fake", 1, true},
    DecoderRule{"angles", ModelTask::Attribute, "onnx caffe", 3, true},
    DecoderRule{"embedding", ModelTask::Embed, "onnx caffe tensorflow torch fake", 1, true},
    DecoderRule{"fake", ModelTask::Detect, "fake", -1, false},
    DecoderRule{"fake", ModelTask::Landmark, "fake", -1, false},
};

struct FrameworkRule {
    const char *name;
    const char *roles; ///< each exactly once
};
constexpr std::array kFrameworks = {
    FrameworkRule{"onnx", "weights"},
    FrameworkRule{"caffe", "weights graph"},
    FrameworkRule{"tensorflow", "weights"},
    FrameworkRule{"torch", "weights"},
    FrameworkRule{"opencv-cascade", "weights"},
    FrameworkRule{"dlib", ""},
    FrameworkRule{"fake", ""},
};

bool has_word(std::string_view words, std::string_view word) {
    const std::string padded = " " + std::string(words) + " ";
    return padded.find(" " + std::string(word) + " ") != std::string::npos;
}

bool is_lower_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool starts_with_letter_or_digit(std::string_view text) {
    return !text.empty() && std::isalnum(static_cast<unsigned char>(text.front())) != 0;
}

/// "package@version", the package with or without a scope. It becomes one argument of npm, so
/// an option ("-…"), a path, a URL or a shell's character has no business in it.
bool is_npm_spec(std::string_view spec) {
    const std::size_t at = spec.rfind('@');
    if (at == std::string_view::npos || at == 0 || spec.size() > 200)
        return false;
    std::string_view package = spec.substr(0, at);
    const std::string_view version = spec.substr(at + 1);
    const auto plain = [](std::string_view text) {
        return starts_with_letter_or_digit(text) &&
               std::all_of(text.begin(), text.end(), [](char c) {
                   return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' ||
                          c == '_' || c == '-' || c == '+';
               });
    };
    if (package.front() == '@') {
        const std::size_t slash = package.find('/');
        if (slash == std::string_view::npos || !plain(package.substr(1, slash - 1)))
            return false;
        package = package.substr(slash + 1);
    }
    return plain(package) && plain(version);
}

/// A relative path inside a tar ball, without '..' and without tar's wildcards.
bool is_tar_member(std::string_view member) {
    if (!starts_with_letter_or_digit(member) || member.back() == '/' || member.size() > 512)
        return false;
    if (member.find_first_of("*?[]\\") != std::string_view::npos)
        return false;
    const std::string padded = "/" + std::string(member) + "/";
    return padded.find("/../") == std::string::npos && padded.find("//") == std::string::npos;
}

bool is_https_url(std::string_view url) {
    constexpr std::string_view scheme = "https://";
    return url.substr(0, scheme.size()) == scheme && url.size() > scheme.size() &&
           starts_with_letter_or_digit(url.substr(scheme.size())) &&
           url.find_first_of(" \"<>\\^`{|}") == std::string_view::npos;
}

Result<void> check_source(const ModelSource &source, const std::string &where) {
    const int ways =
        static_cast<int>(!source.npm.empty()) + static_cast<int>(!source.url.empty()) +
        static_cast<int>(!source.path.empty()) + static_cast<int>(!source.page.empty());
    if (ways != 1)
        return fail(Errc::Corrupt, where,
                    ": exactly one of \"npm\", \"url\", \"path\", \"page\" is needed");
    if (!source.npm.empty() && !is_npm_spec(source.npm))
        return fail(Errc::Corrupt, where, ".npm: \"", source.npm,
                    "\" is not of the form package@version");
    if (source.npm.empty() != source.member.empty())
        return fail(Errc::Corrupt, where, ": \"npm\" and \"member\" go together");
    if (!source.member.empty() && !is_tar_member(source.member))
        return fail(Errc::Corrupt, where, ".member: \"", source.member,
                    "\" is not a plain relative path");
    if (!source.url.empty() && !is_https_url(source.url))
        return fail(Errc::Corrupt, where, ".url: \"", source.url, "\" is not an https URL");
    if (!source.page.empty() && !is_https_url(source.page))
        return fail(Errc::Corrupt, where, ".page: \"", source.page, "\" is not an https URL");
    if (!source.path.empty() && source.path.front() != '/')
        return fail(Errc::Corrupt, where, ".path: \"", source.path, "\" is not absolute");
    if (!source.package.empty() && source.path.empty())
        return fail(Errc::Corrupt, where,
                    ": \"package\" names the Debian package of a \"path\"");
    return {};
}

Result<void> check_file(const ModelFile &file, const std::string &where) {
    if (!is_plain_file_name(file.name))
        return fail(Errc::Corrupt, where, ".name: \"", file.name,
                    "\" is not a plain file name (no directory, no '..', no leading dot)");
    if (!file.sha256.empty() &&
        (file.sha256.size() != 64 ||
         !std::all_of(file.sha256.begin(), file.sha256.end(), is_lower_hex)))
        return fail(Errc::Corrupt, where, ".sha256: not 64 lower-case hex digits");
    for (std::size_t i = 0; i < file.sources.size(); ++i) {
        const ModelSource &source = file.sources[i];
        const std::string place = where + ".sources[" + std::to_string(i) + "]";
        SPHERE_TRY(check_source(source, place));
        // What is fetched runs in the user's process: it must be the very file that was vetted.
        if ((!source.npm.empty() || !source.url.empty()) &&
            (file.sha256.empty() || file.bytes == 0))
            return fail(Errc::Corrupt, place,
                        ": a file that is fetched needs \"bytes\" and \"sha256\"");
    }
    return {};
}

const DecoderRule *rule_of(const ModelDescriptor &model) {
    const auto *rule =
        std::find_if(kDecoders.begin(), kDecoders.end(), [&](const DecoderRule &r) {
            return model.task == r.task && model.decoder == r.decoder;
        });
    return rule == kDecoders.end() ? nullptr : rule;
}

/// What follows a role in `files`: ":pnet" and so on for a cascade of networks, else nothing.
std::vector<std::string> parts_of(const ModelDescriptor &model) {
    const DecoderRule *rule = rule_of(model);
    std::istringstream words(rule != nullptr ? rule->parts : "");
    std::vector<std::string> parts;
    for (std::string word; words >> word;)
        parts.push_back(":" + word);
    return parts.empty() ? std::vector<std::string>{""} : parts;
}

Result<void> check_files(const ModelDescriptor &model) {
    const auto *rule =
        std::find_if(kFrameworks.begin(), kFrameworks.end(),
                     [&](const FrameworkRule &r) { return model.framework == r.name; });
    if (rule == kFrameworks.end())
        return fail(
            Errc::Unsupported, "framework: \"", model.framework,
            "\" is not one of onnx, caffe, tensorflow, torch, opencv-cascade, dlib, fake");
    const std::vector<std::string> parts = parts_of(model);
    std::set<std::string> names;
    std::set<std::string> roles;
    for (std::size_t i = 0; i < model.files.size(); ++i) {
        const ModelFile &file = model.files[i];
        const std::string where = "files[" + std::to_string(i) + "]";
        SPHERE_TRY(check_file(file, where));
        if (!names.insert(file.name).second)
            return fail(Errc::Corrupt, where, ".name: \"", file.name, "\" stands there twice");
        const std::size_t colon = std::min(file.role.find(':'), file.role.size());
        const bool known =
            has_word("weights graph eyes", file.role.substr(0, colon)) &&
            std::find(parts.begin(), parts.end(), file.role.substr(colon)) != parts.end();
        if (!known || !roles.insert(file.role).second)
            return fail(
                Errc::Corrupt, where, ".role: \"", file.role,
                known ? "\" stands there twice" : "\" is not one of weights, graph, eyes",
                !known && !parts[0].empty() ? ", each with one of :pnet, :rnet, :onet" : "");
    }
    if (model.decoder == "dlib-points68" && roles.count("weights") == 0)
        return fail(Errc::Corrupt, "files: decoder dlib-points68 needs a file of role weights");
    for (const std::string &part : parts)
        for (const char *role : {"weights", "graph"})
            if (has_word(rule->roles, role) && roles.count(role + part) == 0)
                return fail(Errc::Corrupt, "files: framework ", model.framework,
                            " needs a file of role ", role, part);
    return {};
}

/// The crop's width and height from a template's name, which gives height x width at its end.
std::optional<std::array<int, 2>> template_size(std::string_view name) {
    const std::size_t dash = name.rfind('-');
    if (dash == std::string_view::npos || dash == 0)
        return std::nullopt;
    std::array<int, 2> height_width{};
    const char *at = name.data() + dash + 1;
    const char *end = name.data() + name.size();
    const auto first = std::from_chars(at, end, height_width[0]);
    if (first.ec != std::errc() || first.ptr == end || *first.ptr != 'x')
        return std::nullopt;
    const auto second = std::from_chars(first.ptr + 1, end, height_width[1]);
    if (second.ec != std::errc() || second.ptr != end)
        return std::nullopt;
    return std::array<int, 2>{height_width[1], height_width[0]};
}

Result<void> check_embed(const ModelDescriptor &model) {
    const auto size = template_size(model.template_name);
    if (!is_model_name(model.template_name) || !size)
        return fail(Errc::Corrupt, "template: \"", model.template_name,
                    "\" is not of the form NAME-HEIGHTxWIDTH, as arcface-112x112");
    if ((*size)[0] != model.input.width || (*size)[1] != model.input.height)
        return fail(Errc::Corrupt, "template: ", model.template_name,
                    " is height x width and does not fit input ", model.input.width, " wide, ",
                    model.input.height, " high");
    if (model.dims < 1)
        return fail(Errc::Corrupt, "dims: missing; give the length of the network's output");
    if (!has_word("cosine euclidean", model.default_metric))
        return fail(Errc::Corrupt, "metric: \"", model.default_metric,
                    "\" is not cosine or euclidean");
    for (const auto &[metric, value] : model.metrics) {
        if (!has_word("cosine euclidean", metric))
            return fail(Errc::Corrupt, "metrics: \"", metric, "\" is not cosine or euclidean");
        if (metric == "cosine" && (value.threshold > 2 || value.identifying() > 2))
            return fail(Errc::Corrupt, "metrics.cosine: a cosine distance is at most 2");
        if (value.source.empty())
            return fail(Errc::Corrupt, "metrics.", metric,
                        ".source: must say where the threshold comes from");
        if (value.identify_threshold.has_value() == value.identify_source.empty())
            return fail(Errc::Corrupt, "metrics.", metric,
                        ": identify_threshold and identify_source go together");
    }
    return {};
}

Result<void> check_decoder(const ModelDescriptor &model) {
    const DecoderRule *rule = rule_of(model);
    const char *task = model_task_name(model.task);
    if (rule == nullptr) {
        std::string known;
        for (const DecoderRule &r : kDecoders)
            if (r.task == model.task)
                known += std::string(known.empty() ? "" : ", ") + r.decoder;
        return fail(Errc::Unsupported, "decoder: \"", model.decoder, "\" is not one for task ",
                    task, " (", known, ")");
    }
    if (!has_word(rule->frameworks, model.framework))
        return fail(Errc::Corrupt, "decoder: ", model.decoder, " does not go with framework ",
                    model.framework);
    // Torch's modules have no names: the network's end is its output.
    const bool unnamed = model.framework == "torch" && model.outputs.empty();
    if (model.framework != "fake" && !unnamed && rule->outputs >= 0 &&
        model.outputs.size() != static_cast<std::size_t>(rule->outputs))
        return fail(Errc::Corrupt, "outputs: decoder ", model.decoder, " needs ", rule->outputs,
                    ", there are ", model.outputs.size());
    if (rule->sized && (model.input.width < 1 || model.input.height < 1))
        return fail(Errc::Corrupt, "input: decoder ", model.decoder, " needs width and height");
    if (model.input_size_is_free && (model.task != ModelTask::Detect || !rule->sized))
        return fail(Errc::Corrupt,
                    "input_size_is_free: only for a detector with an input size");
    if (!model.landmark_model.empty() && model.task != ModelTask::Detect &&
        model.task != ModelTask::Embed)
        return fail(Errc::Corrupt, "landmark_model: only a detector or a recogniser has one");
    return {};
}

Result<void> check_attribute(const ModelDescriptor &model) {
    if (!is_model_name(model.attribute))
        return fail(Errc::Corrupt, "attribute: \"", model.attribute,
                    "\" is not 1 to 64 letters, digits, '.', '_' or '-'");
    if (!has_word("box square shifted-box eyes", model.region))
        return fail(Errc::Corrupt, "region: \"", model.region,
                    "\" is not one of box, square, shifted-box, eyes");
    const std::size_t labels = model.labels.size();
    if (model.decoder == "classes" && labels < 2)
        return fail(Errc::Corrupt, "labels: decoder classes needs at least two");
    if (model.decoder == "ssr" && labels != 0 && labels != 2)
        return fail(Errc::Corrupt, "labels: decoder ssr has two, or none for a number");
    const auto first = model.parameters.find("first");
    if (first != model.parameters.end() && !(first->second >= 0 && first->second <= 65536))
        return fail(Errc::Corrupt, "parameters.first: must be from 0 to 65536");
    return {};
}

} // namespace

bool is_model_name(std::string_view name) {
    return name.size() <= 64 && starts_with_letter_or_digit(name) &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' ||
                      c == '_' || c == '-';
           });
}

bool is_plain_file_name(std::string_view name) {
    return !name.empty() && name.size() <= 128 && name.front() != '.' && name.front() != '-' &&
           name.find('/') == std::string_view::npos &&
           name.find("..") == std::string_view::npos &&
           std::none_of(name.begin(), name.end(),
                        [](char c) { return std::iscntrl(static_cast<unsigned char>(c)); });
}

Result<void> check_descriptor(const ModelDescriptor &model) {
    if (!is_model_name(model.name))
        return fail(
            Errc::Corrupt, "name: \"", model.name,
            "\" is not 1 to 64 letters, digits, '.', '_' or '-', letter or digit first");
    SPHERE_TRY(check_files(model));
    SPHERE_TRY(check_decoder(model));
    if (!model.landmark_model.empty() && !is_model_name(model.landmark_model))
        return fail(Errc::Corrupt, "landmark_model: \"", model.landmark_model,
                    "\" is not a model's name");
    if (model.preprocessing.find('|') != std::string::npos)
        return fail(Errc::Corrupt, "preprocessing: must not contain '|'");
    if (model.may_be_default && model.licence.empty())
        return fail(Errc::Corrupt,
                    "may_be_default: a model without a stated licence is never a default");
    if (model.task == ModelTask::Attribute)
        return check_attribute(model);
    if (model.task == ModelTask::Embed)
        return check_embed(model);
    return {};
}

std::string preprocessing_id(const ModelInput &input) {
    const Normalization &n = input.norm;
    const char *order = n.order == ChannelOrder::BGR   ? "bgr"
                        : n.order == ChannelOrder::RGB ? "rgb"
                                                       : "gray";
    const std::size_t channels = n.order == ChannelOrder::Gray ? 1 : 3;
    std::string id = std::string(order) + " " + std::to_string(input.width) + "x" +
                     std::to_string(input.height);
    // %.9g tells every float from every other.
    const auto append = [&id, channels](const char *what, const std::array<float, 3> &values) {
        id += what;
        const bool equal =
            std::all_of(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(channels),
                        [&values](float v) { return v == values[0]; });
        for (std::size_t c = 0; c < (equal ? 1 : channels); ++c) {
            std::array<char, 32> text{};
            std::snprintf(text.data(), text.size(), "%s%.9g", c == 0 ? "" : ",",
                          static_cast<double>(values[c]));
            id += text.data();
        }
    };
    append(" -", n.mean);
    append(" *", n.scale);
    return id;
}

} // namespace sphere
