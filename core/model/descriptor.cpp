// SPDX-License-Identifier: MIT
// JSON to ModelDescriptor. Types, ranges and unknown keys are checked here, the rules across
// keys in descriptor_check.cpp.
#include "core/model/descriptor.h"

#include "core/model/descriptor_check.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <set>

namespace sphere {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 8;             ///< the format needs 5
constexpr std::size_t kMaxItems = 64;    ///< of any array or object
constexpr std::size_t kMaxString = 1024; ///< bytes
constexpr double kMaxSide = 8192;        ///< px
constexpr double kMaxFileBytes = 1LL << 40;
constexpr double kAnyNumber = 1e9; ///< bound of numbers without a natural one

/// The deepest nesting of brackets outside strings. Counted before parsing, so that no parser's
/// stack or tree has to stand what follows.
int bracket_depth(std::string_view text) {
    int depth = 0;
    int deepest = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            deepest = std::max(deepest, ++depth);
        } else if (c == '}' || c == ']') {
            --depth;
        }
    }
    return deepest;
}

/// Reads the keys of one JSON object; the first thing wrong is kept and ends all further
/// reading.
class ObjectReader {
  public:
    ObjectReader(const json &object, std::string where, Result<void> &state)
        : object_(object), where_(std::move(where)), state_(state) {
        if (!object.is_object())
            wrong("", "must be an object");
        else if (object.size() > kMaxItems)
            wrong("", "has too many keys");
    }

    bool has(const char *key) const { return object_.is_object() && object_.contains(key); }

    void string(const char *key, std::string &out) {
        const json *value = take(key);
        if (value == nullptr)
            return;
        if (!value->is_string())
            return wrong(key, "must be a string");
        const auto &text = value->get_ref<const std::string &>();
        if (text.size() > kMaxString)
            return wrong(key, "is too long");
        if (std::any_of(text.begin(), text.end(), [](char c) {
                return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
            }))
            return wrong(key, "holds a control character");
        out = text;
    }

    void boolean(const char *key, bool &out) {
        const json *value = take(key);
        if (value == nullptr)
            return;
        if (!value->is_boolean())
            return wrong(key, "must be true or false");
        out = value->get<bool>();
    }

    void number(const char *key, double &out, double low, double high) {
        if (const json *value = take(key))
            number_of(*value, key, out, low, high);
    }

    template <typename Integer>
    void integer(const char *key, Integer &out, double low, double high) {
        const json *value = take(key);
        double number = 0;
        if (value == nullptr || !number_of(*value, key, number, low, high))
            return;
        if (!value->is_number_integer())
            return wrong(key, "must be a whole number");
        out = static_cast<Integer>(number);
    }

    /// One number for all three channels, or three of them.
    void channels(const char *key, std::array<float, 3> &out, bool zero_allowed) {
        const json *value = take(key);
        if (value == nullptr)
            return;
        if (value->is_array() && value->size() != 3)
            return wrong(key, "must be a number or three numbers");
        for (std::size_t c = 0; c < 3; ++c) {
            double number = 0;
            if (!number_of(value->is_array() ? (*value)[c] : *value, key, number, -1e6, 1e6))
                return;
            out[c] = static_cast<float>(number);
            if (!zero_allowed && out[c] == 0)
                return wrong(key, "must not be 0");
        }
    }

    /// Calls `read(ObjectReader&, index)` for each object of an array.
    template <typename Read> void objects(const char *key, Read read) {
        const json *value = take(key);
        if (value == nullptr)
            return;
        if (!value->is_array() || value->size() > kMaxItems)
            return wrong(key, "must be an array of at most 64 objects");
        for (std::size_t i = 0; i < value->size() && state_; ++i) {
            ObjectReader item((*value)[i], path(key) + "[" + std::to_string(i) + "]", state_);
            read(item);
            item.finish();
        }
    }

    template <typename Read> void object(const char *key, Read read) {
        const json *value = take(key);
        if (value == nullptr)
            return;
        ObjectReader inner(*value, path(key), state_);
        read(inner);
        inner.finish();
    }

    void strings(const char *key, std::vector<std::string> &out) {
        const json *value = take(key);
        if (value == nullptr)
            return;
        if (!value->is_array() || value->size() > kMaxItems)
            return wrong(key, "must be an array of at most 64 strings");
        for (const json &item : *value) {
            if (!item.is_string() || item.get_ref<const std::string &>().empty() ||
                item.get_ref<const std::string &>().size() > kMaxString)
                return wrong(key, "must be an array of strings");
            out.push_back(item.get<std::string>());
        }
    }

    /// All keys of the object, for maps whose keys are data.
    std::vector<std::string> keys() const {
        std::vector<std::string> names;
        if (object_.is_object())
            for (const auto &item : object_.items())
                names.push_back(item.key());
        return names;
    }

    void require(std::initializer_list<const char *> keys) {
        for (const char *key : keys)
            if (!has(key))
                wrong(key, "is missing");
    }

    /// An error for each key that nobody asked for.
    void finish() {
        if (!state_ || !object_.is_object())
            return;
        for (const auto &item : object_.items())
            if (taken_.count(item.key()) == 0)
                return wrong(item.key(), "is not a key of this format (a slip of the pen?)");
    }

    /// `key` may be hostile: it is cut and made printable.
    void wrong(const std::string &key, const char *what) {
        if (!state_)
            return;
        std::string shown = key.substr(0, 64);
        std::replace_if(
            shown.begin(), shown.end(), [](char c) { return c < 0x20 || c == 0x7f; }, '?');
        state_ = fail(Errc::Corrupt, path(shown), ": ", what);
    }

  private:
    std::string path(const std::string &key) const {
        if (key.empty())
            return where_.empty() ? "the document" : where_;
        return where_.empty() ? key : where_ + "." + key;
    }

    const json *take(const char *key) {
        if (!state_ || !has(key))
            return nullptr;
        taken_.insert(key);
        return &object_[key];
    }

    bool number_of(const json &value, const char *key, double &out, double low, double high) {
        if (!value.is_number()) {
            wrong(key, "must be a number");
            return false;
        }
        const double number = value.get<double>();
        if (!std::isfinite(number) || number < low || number > high) {
            std::array<char, 96> text{};
            std::snprintf(text.data(), text.size(), "must be from %g to %g", low, high);
            wrong(key, text.data());
            return false;
        }
        out = number;
        return true;
    }

    const json &object_;
    std::string where_;
    Result<void> &state_;
    std::set<std::string> taken_;
};

void read_source(ObjectReader &in, ModelSource &source) {
    in.string("npm", source.npm);
    in.string("member", source.member);
    in.string("url", source.url);
    in.string("path", source.path);
    in.string("package", source.package);
    in.string("page", source.page);
}

void read_file(ObjectReader &in, ModelFile &file) {
    in.require({"name"});
    in.string("name", file.name);
    file.role = "weights";
    in.string("role", file.role);
    in.integer("bytes", file.bytes, 1, kMaxFileBytes);
    in.string("sha256", file.sha256);
    in.objects("sources",
               [&file](ObjectReader &item) { read_source(item, file.sources.emplace_back()); });
}

void read_input(ObjectReader &in, ModelInput &input) {
    in.integer("width", input.width, 1, kMaxSide);
    in.integer("height", input.height, 1, kMaxSide);
    in.string("name", input.name);
    std::string order = "BGR";
    in.string("order", order);
    if (order == "BGR")
        input.norm.order = ChannelOrder::BGR;
    else if (order == "RGB")
        input.norm.order = ChannelOrder::RGB;
    else if (order == "GRAY")
        input.norm.order = ChannelOrder::Gray;
    else
        in.wrong("order", "must be BGR, RGB or GRAY");
    in.channels("mean", input.norm.mean, true);
    in.channels("scale", input.norm.scale, false);
}

void read_task(ObjectReader &in, ModelDescriptor &model) {
    std::string task;
    in.string("task", task);
    for (const ModelTask t :
         {ModelTask::Detect, ModelTask::Landmark, ModelTask::Embed, ModelTask::Attribute})
        if (task == model_task_name(t)) {
            model.task = t;
            return;
        }
    in.wrong("task", "must be detect, landmark, embed or attribute");
}

void read_detect(ObjectReader &in, ModelDescriptor &model) {
    in.number("score_threshold", model.score_threshold, 0, 1);
    in.number("nms_threshold", model.nms_threshold, 0, 1);
    in.string("landmark_model", model.landmark_model);
    in.boolean("input_size_is_free", model.input_size_is_free);
}

void read_attribute(ObjectReader &in, ModelDescriptor &model) {
    in.string("attribute", model.attribute);
    model.region = "box";
    in.string("region", model.region);
    in.number("region_scale", model.region_scale, 0.1, 10);
    in.strings("labels", model.labels);
}

void read_embed(ObjectReader &in, ModelDescriptor &model) {
    in.require({"template", "dims"});
    in.string("template", model.template_name);
    in.integer("dims", model.dims, 1, 65536);
    std::string flip = flip_mode_name(model.flip);
    in.string("flip", flip);
    if (const auto mode = parse_flip_mode(flip))
        model.flip = *mode;
    else
        in.wrong("flip", "must be none, concat or sum");
    in.string("preprocessing", model.preprocessing);
    in.string("landmark_model", model.landmark_model);
    in.boolean("mirror_photographs", model.mirror_photographs);
    in.string("metric", model.default_metric);
    in.object("metrics", [&model](ObjectReader &metrics) {
        for (const std::string &name : metrics.keys())
            metrics.object(name.c_str(), [&model, &name](ObjectReader &metric) {
                metric.require({"threshold", "source"});
                metric.number("threshold", model.metrics[name].threshold, 0, 1e6);
                metric.string("source", model.metrics[name].source);
                double identify = -1;
                metric.number("identify_threshold", identify, 0, 1e6);
                if (identify >= 0)
                    model.metrics[name].identify_threshold = identify;
                metric.string("identify_source", model.metrics[name].identify_source);
            });
    });
}

void read_model(ObjectReader &in, ModelDescriptor &model) {
    in.require({"name", "task", "framework", "decoder"});
    std::string schema;
    in.string("schema", schema);
    if (!schema.empty() && schema != "sphere.model/1")
        in.wrong("schema", "must be sphere.model/1: this file is for another version");
    in.string("name", model.name);
    read_task(in, model);
    in.string("title", model.title);
    in.string("framework", model.framework);
    in.string("decoder", model.decoder);
    in.string("licence", model.licence);
    in.boolean("may_be_default", model.may_be_default);
    in.objects("files",
               [&model](ObjectReader &item) { read_file(item, model.files.emplace_back()); });
    in.object("input", [&model](ObjectReader &input) { read_input(input, model.input); });
    in.strings("outputs", model.outputs);
    in.integer("batch", model.batch, 0, 1024);
    in.object("parameters", [&model](ObjectReader &parameters) {
        for (const std::string &name : parameters.keys())
            parameters.number(name.c_str(), model.parameters[name], -kAnyNumber, kAnyNumber);
    });
    // Keys of another task are unknown keys, and said to be so by finish().
    if (model.task == ModelTask::Detect)
        read_detect(in, model);
    if (model.task == ModelTask::Landmark)
        in.number("box_scale", model.box_scale, 0.1, 10);
    if (model.task == ModelTask::Attribute)
        read_attribute(in, model);
    if (model.task == ModelTask::Embed)
        read_embed(in, model);
    in.finish();
}

/// Line and column of a byte offset, both from 1, for messages.
std::string place_of(std::string_view text, std::size_t offset) {
    const std::string_view before = text.substr(0, std::min(offset, text.size()));
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const std::size_t last = before.rfind('\n');
    const std::size_t column = before.size() - (last == std::string_view::npos ? 0 : last + 1);
    return "line " + std::to_string(line) + ", column " +
           std::to_string(std::max<std::size_t>(column, 1));
}

/// Text to tree. Duplicate keys are an error: which of two values holds must not depend on a
/// parser.
Result<json> parse_text(std::string_view text) {
    if (text.size() > kMaxDescriptorBytes)
        return fail(Errc::Corrupt, "larger than ", kMaxDescriptorBytes, " bytes");
    if (bracket_depth(text) > kMaxDepth)
        return fail(Errc::Corrupt, "nested deeper than ", kMaxDepth, " levels");
    std::vector<std::set<std::string>> open;
    std::string duplicate;
    const auto watch = [&open, &duplicate](int, json::parse_event_t event, json &parsed) {
        if (event == json::parse_event_t::object_start)
            open.emplace_back();
        else if (event == json::parse_event_t::object_end)
            open.pop_back();
        else if (event == json::parse_event_t::key && duplicate.empty() && !open.empty() &&
                 !open.back().insert(parsed.get<std::string>()).second)
            duplicate = parsed.get<std::string>().substr(0, 64);
        return true;
    };
    try {
        json tree = json::parse(text, watch);
        if (!duplicate.empty())
            return fail(Errc::Corrupt, duplicate, ": the key stands there twice");
        return tree;
    } catch (const json::parse_error &e) {
        return fail(Errc::Corrupt, "not valid JSON at ", place_of(text, e.byte));
    } catch (const json::out_of_range &) {
        return fail(Errc::Corrupt, "a number is too large");
    }
}

} // namespace

Result<ModelDescriptor> parse_descriptor(std::string_view text, const std::string &path) {
    try {
        auto tree = parse_text(text);
        if (!tree)
            return fail(tree.error().code, path, ": ", tree.error().message);
        ModelDescriptor model;
        Result<void> state;
        ObjectReader reader(*tree, "", state);
        read_model(reader, model);
        if (state)
            state = check_descriptor(model);
        if (!state)
            return fail(state.error().code, path, ": ", state.error().message,
                        " (the format: docs/models.md)");
        if (model.preprocessing.empty() && model.task == ModelTask::Embed)
            model.preprocessing = preprocessing_id(model.input);
        model.path = path;
        return model;
    } catch (const std::exception &e) {
        return fail(Errc::Internal, path, ": ", e.what());
    }
}

} // namespace sphere
