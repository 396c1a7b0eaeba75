// SPDX-License-Identifier: MIT
// Model descriptors: every one of the project, what the format demands, and hostile JSON.
#include "core/model/descriptor.h"

#include "core/base/sha256.h"
#include "core/model/store.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

namespace sphere {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

std::string source_root() {
    const char *root = std::getenv("SPHERE_SOURCE_ROOT");
    return root != nullptr ? root : ".";
}

std::string read_file(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

std::vector<std::string> json_files(const std::string &directory) {
    std::vector<std::string> paths;
    for (const auto &entry : fs::directory_iterator(directory))
        if (entry.path().extension() == ".json")
            paths.push_back(entry.path().string());
    std::sort(paths.begin(), paths.end());
    return paths;
}

/// A recogniser that parses; the tests change one thing of it at a time.
json recogniser() {
    return json::parse(R"({
        "name": "mine", "task": "embed", "framework": "onnx", "decoder": "embedding",
        "title": "A recogniser", "licence": "MIT", "may_be_default": true,
        "files": [{"name": "mine.onnx", "bytes": 1234,
                   "sha256": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                   "sources": [{"npm": "@scope/pack-age@1.2.3", "member": "package/a/mine.onnx"},
                               {"url": "https://example.org/mine.onnx"}]}],
        "input": {"width": 96, "height": 112, "order": "RGB", "mean": [1, 2, 3], "scale": 0.5, "name": "in"},
        "outputs": ["out"], "batch": 1, "template": "sphereface-112x96", "dims": 512, "flip": "concat",
        "metric": "euclidean", "landmark_model": "points",
        "mirror_photographs": true,
        "metrics": {"cosine": {"threshold": 0.4, "source": "measured",
                               "identify_threshold": 0.35, "identify_source": "counted"},
                    "euclidean": {"threshold": 17.5, "source": "measured"}}})");
}

json detector() {
    return json::parse(R"({
        "name": "finder", "task": "detect", "framework": "onnx", "decoder": "ultralight",
        "files": [{"name": "finder.onnx"}], "input": {"width": 320, "height": 240},
        "outputs": ["scores", "boxes"], "score_threshold": 0.75, "nms_threshold": 0.25,
        "landmark_model": "points", "input_size_is_free": true, "parameters": {"a": 1.5}})");
}

json attribute() {
    return json::parse(R"({
        "name": "mood", "task": "attribute", "framework": "onnx", "decoder": "classes",
        "files": [{"name": "mood.onnx"}], "input": {"width": 64, "height": 64},
        "outputs": ["out"], "attribute": "mood", "region": "square", "region_scale": 1.25,
        "labels": ["fine", "poor"]})");
}

json cascade() {
    return json::parse(R"({
        "name": "three", "task": "detect", "framework": "caffe", "decoder": "mtcnn",
        "files": [{"name": "1.w", "role": "weights:pnet"}, {"name": "1.g", "role": "graph:pnet"},
                  {"name": "2.w", "role": "weights:rnet"}, {"name": "2.g", "role": "graph:rnet"},
                  {"name": "3.w", "role": "weights:onet"}, {"name": "3.g", "role": "graph:onet"}],
        "outputs": ["a", "b", "c", "d", "e", "f", "g"]})");
}

Result<ModelDescriptor> parse(const json &document) {
    return parse_descriptor(document.dump(), "x.json");
}

TEST(Descriptor, ReadsEveryFieldOfARecogniser) {
    const auto model = parse(recogniser());
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ(model->name, "mine");
    EXPECT_EQ(model->task, ModelTask::Embed);
    EXPECT_EQ(model->framework, "onnx");
    EXPECT_EQ(model->decoder, "embedding");
    EXPECT_EQ(model->title, "A recogniser");
    EXPECT_EQ(model->licence, "MIT");
    EXPECT_TRUE(model->may_be_default);
    ASSERT_EQ(model->files.size(), 1U);
    EXPECT_EQ(model->files[0].role, "weights");
    EXPECT_EQ(model->files[0].bytes, 1234U);
    ASSERT_EQ(model->files[0].sources.size(), 2U);
    EXPECT_EQ(model->files[0].sources[0].npm, "@scope/pack-age@1.2.3");
    EXPECT_EQ(model->files[0].sources[0].member, "package/a/mine.onnx");
    EXPECT_EQ(model->files[0].sources[1].url, "https://example.org/mine.onnx");
    EXPECT_EQ(model->input.width, 96);
    EXPECT_EQ(model->input.height, 112);
    EXPECT_EQ(model->input.name, "in");
    EXPECT_EQ(model->input.norm.order, ChannelOrder::RGB);
    EXPECT_EQ(model->input.norm.mean, (std::array<float, 3>{1, 2, 3}));
    EXPECT_EQ(model->input.norm.scale, (std::array<float, 3>{0.5F, 0.5F, 0.5F}));
    EXPECT_EQ(model->outputs, std::vector<std::string>{"out"});
    EXPECT_EQ(model->batch, 1);
    EXPECT_EQ(model->template_name, "sphereface-112x96");
    EXPECT_EQ(model->dims, 512);
    EXPECT_EQ(model->flip, FlipMode::Concat);
    EXPECT_EQ(model->default_metric, "euclidean");
    EXPECT_EQ(model->metrics.at("euclidean").threshold, 17.5);
    EXPECT_EQ(model->metrics.at("cosine").source, "measured");
    EXPECT_EQ(model->metrics.at("cosine").identifying(), 0.35);
    EXPECT_EQ(model->metrics.at("cosine").identify_source, "counted");
    EXPECT_EQ(model->metrics.at("euclidean").identifying(), 17.5);
    EXPECT_TRUE(model->mirror_photographs);
    EXPECT_EQ(model->landmark_model, "points");
    EXPECT_EQ(model->path, "x.json");
}

TEST(Descriptor, ReadsEveryFieldOfADetector) {
    const auto model = parse(detector());
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ(model->task, ModelTask::Detect);
    EXPECT_EQ(model->score_threshold, 0.75);
    EXPECT_EQ(model->nms_threshold, 0.25);
    EXPECT_EQ(model->landmark_model, "points");
    EXPECT_TRUE(model->input_size_is_free);
    EXPECT_EQ(model->parameters.at("a"), 1.5);
    EXPECT_FALSE(model->may_be_default) << "nothing is a default unless it says so";
    EXPECT_EQ(model->files[0].bytes, 0U);
    EXPECT_TRUE(model->files[0].sha256.empty());
}

TEST(Descriptor, ReadsEveryFieldOfAnAttribute) {
    const auto model = parse(attribute());
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ(model->task, ModelTask::Attribute);
    EXPECT_EQ(model->attribute, "mood");
    EXPECT_EQ(model->region, "square");
    EXPECT_EQ(model->region_scale, 1.25);
    EXPECT_EQ(model->labels, (std::vector<std::string>{"fine", "poor"}));
}

TEST(Descriptor, ReadsACascadeOfNetworks) {
    const auto model = parse(cascade());
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ(model->files[5].role, "graph:onet");
}

// Embeddings of unlike input arithmetic must not be compared: the id tells them apart.
TEST(Descriptor, PreprocessingIdTellsInputsApart) {
    const auto id = [](const std::function<void(json &)> &change) {
        json document = recogniser();
        change(document);
        const auto model = parse(document);
        return model ? model->preprocessing : "error: " + model.error().message;
    };
    const std::string base = id([](json &) {});
    EXPECT_EQ(base, "rgb 96x112 -1,2,3 *0.5");
    EXPECT_NE(id([](json &d) { d["input"]["order"] = "BGR"; }), base);
    EXPECT_NE(id([](json &d) { d["input"]["mean"] = 1; }), base);
    EXPECT_NE(id([](json &d) { d["input"]["scale"] = 0.50000006; }), base);
    EXPECT_EQ(id([](json &d) { d["title"] = "other"; }), base);
    EXPECT_EQ(id([](json &d) { d["preprocessing"] = "my own"; }), "my own");
}

struct Wrong {
    const char *what;
    std::function<json()> document;
    const char *message; ///< a part of it
    Errc code = Errc::Corrupt;
};

json with(json document, const char *pointer, const json &value) {
    document[json::json_pointer(pointer)] = value;
    return document;
}

json without(json document, const char *key) {
    document.erase(key);
    return document;
}

TEST(Descriptor, RefusesWhatIsWrongAndNamesIt) {
    const std::string file = "/files/0";
    const auto r = [](const char *pointer, const json &value) {
        return [pointer, value] { return with(recogniser(), pointer, value); };
    };
    const auto d = [](const char *pointer, const json &value) {
        return [pointer, value] { return with(detector(), pointer, value); };
    };
    const auto a = [](const char *pointer, const json &value) {
        return [pointer, value] { return with(attribute(), pointer, value); };
    };
    const auto gone = [](const char *key) {
        return [key] { return without(recogniser(), key); };
    };
    const std::vector<Wrong> table = {
        {"unknown key", r("/tresholds", 1), "tresholds: is not a key"},
        {"unknown key inside", r("/files/0/size", 1), "files[0].size: is not a key"},
        {"unknown key of a source", r("/files/0/sources/1/uri", "x"),
         "files[0].sources[1].uri: is not a key"},
        {"unknown key of a metric", r("/metrics/cosine/from", "x"),
         "metrics.cosine.from: is not a key"},
        {"a detector's key on a recogniser", r("/nms_threshold", 0.5),
         "nms_threshold: is not a key"},
        {"a recogniser's key on a detector", d("/dims", 5), "dims: is not a key"},
        {"later schema", r("/schema", "sphere.model/2"), "schema: must be sphere.model/1"},
        {"no name", gone("name"), "name: is missing"},
        {"no task", gone("task"), "task: is missing"},
        {"no framework", gone("framework"), "framework: is missing"},
        {"no decoder", gone("decoder"), "decoder: is missing"},
        {"no template", gone("template"), "template: is missing"},
        {"no dims", gone("dims"), "dims: is missing"},
        {"no outputs", gone("outputs"), "outputs: decoder embedding needs 1"},
        {"no files", gone("files"), "needs a file of role weights"},
        {"no input", gone("input"), "input: decoder embedding needs width and height"},
        {"name is a path", r("/name", "../x"), "name: \"../x\""},
        {"name is an option", r("/name", "-x"), "name: \"-x\""},
        {"name is a number", r("/name", 5), "name: must be a string"},
        {"name is too long", r("/name", std::string(65, 'a')), "name: "},
        {"control character", r("/title", "a\nb"), "title: holds a control character"},
        {"long title", r("/title", std::string(2000, 'a')), "title: is too long"},
        {"task", r("/task", "recognise"), "task: must be detect, landmark, embed or attribute"},
        {"framework", r("/framework", "tflite"), "framework: \"tflite\" is not one of onnx",
         Errc::Unsupported},
        {"decoder", r("/decoder", "yunet"),
         "decoder: \"yunet\" is not one for task embed (embedding)", Errc::Unsupported},
        {"cascade recogniser", r("/framework", "opencv-cascade"),
         "does not go with framework opencv-cascade"},
        {"caffe without graph", r("/framework", "caffe"), "needs a file of role graph"},
        {"role of a cascade's network", r("/files/0/role", "weights:pnet"),
         "files[0].role: \"weights:pnet\" is not one of"},
        {"cascade without its third network",
         [] {
             json j = cascade();
             j["files"].erase(5);
             return j;
         },
         "needs a file of role graph:onet"},
        {"cascade's file without a network",
         [] { return with(cascade(), "/files/0/role", "weights"); },
         "files[0].role: \"weights\" is not one of weights, graph, eyes, each with one of"},
        {"attribute without a name", a("/attribute", ""), "attribute: \"\" is not"},
        {"attribute's region", a("/region", "nose"), "region: \"nose\" is not one of box"},
        {"one class", a("/labels", json::array({"one"})), "labels: decoder classes needs"},
        {"classes before the first", a("/parameters", json::object({{"first", -1}})),
         "parameters.first: must be from 0"},
        {"labels no strings", a("/labels", json::array({1, 2})), "labels: must be an array of"},
        {"a detector's key on an attribute", a("/score_threshold", 0.5),
         "score_threshold: is not a key"},
        {"dlib's points without a file",
         [] {
             return json{{"name", "x"},
                         {"task", "landmark"},
                         {"framework", "dlib"},
                         {"decoder", "dlib-points68"}};
         },
         "needs a file of role weights"},
        {"default without licence", r("/licence", ""),
         "may_be_default: a model without a stated licence"},
        {"boolean", r("/may_be_default", 1), "may_be_default: must be true or false"},
        {"files no array", r("/files", 5), "files: must be an array"},
        {"file no object", r("/files/0", 5), "files[0]: must be an object"},
        {"file in a directory", r("/files/0/name", "a/b.onnx"),
         "files[0].name: \"a/b.onnx\" is not a plain file name"},
        {"file upwards", r("/files/0/name", "..onnx"), "is not a plain file name"},
        {"hidden file", r("/files/0/name", ".x"), "is not a plain file name"},
        {"file twice",
         [] {
             json j = recogniser();
             j["files"].push_back(j["files"][0]);
             return j;
         },
         "files[1].name: \"mine.onnx\" stands there twice"},
        {"role", r("/files/0/role", "labels"), "files[0].role: \"labels\" is not one of"},
        {"short sha256", r("/files/0/sha256", "abc"), "files[0].sha256: not 64"},
        {"upper-case sha256", r("/files/0/sha256", std::string(64, 'A')),
         "files[0].sha256: not 64"},
        {"sha256 not hex", r("/files/0/sha256", std::string(64, 'g')),
         "files[0].sha256: not 64"},
        {"fetched without sha256", r("/files/0/sha256", ""), "a file that is fetched needs"},
        {"zero bytes", r("/files/0/bytes", 0), "files[0].bytes: must be from 1"},
        {"negative bytes", r("/files/0/bytes", -5), "files[0].bytes: must be from 1"},
        {"broken bytes", r("/files/0/bytes", 1.5), "files[0].bytes: must be a whole number"},
        {"http", r("/files/0/sources/1/url", "http://example.org/x"), "is not an https URL"},
        {"file url", r("/files/0/sources/1/url", "file:///etc/passwd"), "is not an https URL"},
        {"url with a space", r("/files/0/sources/1/url", "https://a b"), "is not an https URL"},
        {"url and npm", r("/files/0/sources/0/url", "https://a.b/c"), "exactly one of"},
        {"empty source", r("/files/0/sources/0", json::object()), "exactly one of"},
        {"npm without version", r("/files/0/sources/0/npm", "pack"),
         "is not of the form package@version"},
        {"npm option", r("/files/0/sources/0/npm", "--global@1"),
         "is not of the form package@version"},
        {"npm path", r("/files/0/sources/0/npm", "../x@1"),
         "is not of the form package@version"},
        {"npm shell", r("/files/0/sources/0/npm", "a;b@1"),
         "is not of the form package@version"},
        {"npm git", r("/files/0/sources/0/npm", "git+ssh://h@1"),
         "is not of the form package@version"},
        {"member upwards", r("/files/0/sources/0/member", "package/../../x"),
         "is not a plain relative path"},
        {"member absolute", r("/files/0/sources/0/member", "/etc/passwd"),
         "is not a plain relative path"},
        {"member pattern", r("/files/0/sources/0/member", "package/*"),
         "is not a plain relative path"},
        {"member alone", r("/files/0/sources/1/member", "package/x"), "go together"},
        {"relative path",
         [] { return with(detector(), "/files/0/sources", json::parse(R"([{"path": "x"}])")); },
         "is not absolute"},
        {"package alone",
         [] {
             return with(detector(), "/files/0/sources",
                         json::parse(R"([{"page": "https://a.b", "package": "x"}])"));
         },
         "names the Debian package of a"},
        {"width 0", r("/input/width", 0), "input.width: must be from 1 to 8192"},
        {"width huge", r("/input/width", 1e9), "input.width: must be from 1 to 8192"},
        {"order", r("/input/order", "rgb"), "input.order: must be BGR, RGB or GRAY"},
        {"two means", r("/input/mean", json::array({1, 2})),
         "input.mean: must be a number or three numbers"},
        {"scale 0", r("/input/scale", 0), "input.scale: must not be 0"},
        {"scale text", r("/input/scale", "1"), "input.scale: must be a number"},
        {"outputs no strings", r("/outputs", json::array({1})),
         "outputs: must be an array of strings"},
        {"outputs too few", d("/outputs", json::array({"scores"})),
         "outputs: decoder ultralight needs 2, there are 1"},
        {"batch", r("/batch", -1), "batch: must be from 0"},
        {"template does not fit", r("/template", "arcface-112x112"),
         "template: arcface-112x112 is height x width"},
        {"template's form", r("/template", "arcface"),
         "template: \"arcface\" is not of the form"},
        {"template's numbers", r("/template", "a-112x96x3"), "is not of the form"},
        {"dims 0", r("/dims", 0), "dims: must be from 1"},
        {"flip", r("/flip", "mirror"), "flip: must be none, concat or sum"},
        {"metric", r("/metric", "manhattan"), "metric: \"manhattan\""},
        {"metrics' name", r("/metrics/l1", json::parse(R"({"threshold": 1, "source": "x"})")),
         "metrics: \"l1\""},
        {"cosine beyond 2", r("/metrics/cosine/threshold", 2.5),
         "a cosine distance is at most 2"},
        {"negative threshold", r("/metrics/cosine/threshold", -0.1),
         "metrics.cosine.threshold: must be from 0"},
        {"identifying beyond 2",
         r("/metrics/cosine", json::parse(R"({"threshold": 1, "source": "x",
            "identify_threshold": 2.5, "identify_source": "y"})")),
         "metrics.cosine: a cosine distance is at most 2"},
        {"identifying without source",
         r("/metrics/cosine",
           json::parse(R"({"threshold": 1, "source": "x", "identify_threshold": 0.5})")),
         "metrics.cosine: identify_threshold and identify_source go together"},
        {"source without identifying",
         r("/metrics/cosine",
           json::parse(R"({"threshold": 1, "source": "x", "identify_source": "y"})")),
         "metrics.cosine: identify_threshold and identify_source go together"},
        {"threshold without source", r("/metrics/cosine/source", ""),
         "must say where the threshold comes from"},
        {"no source key", r("/metrics/cosine", json::parse(R"({"threshold": 1})")),
         "metrics.cosine.source: is missing"},
        {"preprocessing with the stamp's separator", r("/preprocessing", "a|b"),
         "must not contain '|'"},
        {"score threshold", d("/score_threshold", 1.01),
         "score_threshold: must be from 0 to 1"},
        {"nms threshold", d("/nms_threshold", -1), "nms_threshold: must be from 0 to 1"},
        {"landmark model's path", d("/landmark_model", "a/b"),
         "landmark_model: \"a/b\" is not a model's name"},
        {"parameter", d("/parameters/a", "x"), "parameters.a: must be a number"},
        {"too many keys",
         [] {
             json j = detector();
             for (int i = 0; i < 100; ++i)
                 j["parameters"]["k" + std::to_string(i)] = i;
             return j;
         },
         "parameters: has too many keys"},
    };
    ASSERT_TRUE(parse(recogniser()));
    ASSERT_TRUE(parse(detector()));
    for (const Wrong &wrong : table) {
        const auto model = parse(wrong.document());
        ASSERT_FALSE(model) << wrong.what;
        const std::string &message = model.error().message;
        EXPECT_NE(message.find(wrong.message), std::string::npos)
            << wrong.what << ": " << message;
        EXPECT_EQ(message.rfind("x.json: ", 0), 0U) << message;
        EXPECT_EQ(model.error().code, wrong.code) << wrong.what;
    }
}

TEST(Descriptor, RefusesHostileText) {
    const std::string good = recogniser().dump();
    const std::vector<std::pair<std::string, std::string>> table = {
        {"", "not valid JSON"},
        {"[]", "must be an object"},
        {"null", "must be an object"},
        {"{\n \"name\": }", "line 2"},
        {std::string(100000, '['), "nested deeper"},
        {"{\"a\":" + std::string(100, '{'), "nested deeper"},
        {std::string(kMaxDescriptorBytes + 1, ' '), "larger than"},
        {R"({"name": "a", "name": "b"})", "name: the key stands there twice"},
        {R"({"files": [{"name": "a", "name": "b"}]})", "name: the key stands there twice"},
        {R"({"dims": 1e999})", "number is too large"},
        {"{\"na\\u0000me\": 1}", "is missing"},
        {"{\"name\": \"\xff\xfe\"}", "not valid JSON"},
        {R"({"name": "\ud800"})", "not valid JSON"},
        {good + "{}", "not valid JSON"},
    };
    for (const auto &[text, part] : table) {
        const auto model = parse_descriptor(text, "x.json");
        ASSERT_FALSE(model) << text.substr(0, 80);
        EXPECT_NE(model.error().message.find(part), std::string::npos)
            << text.substr(0, 80) << ": " << model.error().message;
        for (const char c : model.error().message)
            EXPECT_FALSE(static_cast<unsigned char>(c) < 0x20) << "a message is one line";
    }
    for (std::size_t n = 0; n < good.size(); ++n)
        EXPECT_FALSE(parse_descriptor(good.substr(0, n), "x.json")) << n;
    // A bracket in a string is no nesting.
    EXPECT_TRUE(parse(with(recogniser(), "/title", std::string(500, '{'))));
}

TEST(Descriptor, UnreadableFiles) {
    EXPECT_EQ(load_descriptor("nowhere/x.json").error().code, Errc::NotFound);
    EXPECT_EQ(load_descriptor(source_root()).error().code, Errc::Corrupt);
    EXPECT_EQ(load_descriptor("/dev/zero").error().code, Errc::Corrupt)
        << "and does not read it for ever";
}

TEST(Descriptor, NamesGoBothWays) {
    for (const FlipMode mode : {FlipMode::None, FlipMode::Concat, FlipMode::Sum})
        EXPECT_EQ(parse_flip_mode(flip_mode_name(mode)), mode);
    EXPECT_FALSE(parse_flip_mode("").has_value());
    EXPECT_STREQ(model_task_name(ModelTask::Attribute), "attribute");
}

TEST(ProjectDescriptors, AllParseAndAreInstalled) {
    const std::string meson = read_file(source_root() + "/models/meson.build");
    const auto paths = json_files(source_root() + "/models");
    EXPECT_GE(paths.size(), 9U);
    for (const std::string &path : paths) {
        const auto model = load_descriptor(path);
        ASSERT_TRUE(model) << model.error().message;
        EXPECT_EQ(model->name, fs::path(path).stem().string());
        EXPECT_FALSE(model->title.empty()) << path;
        // Files without a stated licence: never a default, and never fetched, only pointed to.
        if (model->licence.empty()) {
            EXPECT_FALSE(model->may_be_default) << path;
            for (const ModelFile &file : model->files)
                for (const ModelSource &source : file.sources)
                    EXPECT_FALSE(source.page.empty()) << path << " " << file.name;
        }
        EXPECT_NE(meson.find("'" + model->name + ".json'"), std::string::npos)
            << path << " is not installed";
        for (const ModelFile &file : model->files) {
            EXPECT_FALSE(file.sources.empty()) << path << " " << file.name;
            // What only a person can fetch may be described before anybody here saw it.
            if (std::all_of(file.sources.begin(), file.sources.end(),
                            [](const ModelSource &s) { return !s.page.empty(); }))
                continue;
            EXPECT_FALSE(file.sha256.empty()) << path << " " << file.name;
            EXPECT_GT(file.bytes, 0U) << path << " " << file.name;
        }
        if (model->task == ModelTask::Embed) {
            EXPECT_EQ(model->metrics.count(model->default_metric), 1U) << path;
        }
    }
    for (const std::string &path : json_files(source_root() + "/tests/support/models"))
        EXPECT_TRUE(load_descriptor(path)) << path;
}

// What README and CONTRACT promise of the article's model: numbers that nobody may round.
TEST(ProjectDescriptors, TheArticlesNumbers) {
    const auto model = load_descriptor(source_root() + "/models/sphereface20-deepface.json");
    ASSERT_TRUE(model);
    EXPECT_EQ(model->metrics.at("euclidean").threshold, 17.212238311767578);
    EXPECT_EQ(model->metrics.at("cosine").threshold, 0.4668717384338379);
    EXPECT_EQ(model->input.width, 112);
    EXPECT_EQ(model->input.height, 96);
    EXPECT_EQ(model->flip, FlipMode::None);
    EXPECT_EQ(model->input.norm.mean, (std::array<float, 3>{0, 0, 0}));
    EXPECT_EQ(model->input.norm.scale[0], 1.0F / 255);
    const auto official = load_descriptor(source_root() + "/models/sphereface20.json");
    ASSERT_TRUE(official);
    EXPECT_EQ(official->flip, FlipMode::Concat);
    EXPECT_EQ(official->input.width, 96);
    EXPECT_EQ(official->input.norm.scale[0], 1.0F / 128);
    EXPECT_EQ(official->template_name, "sphereface-112x96");
}

// The files that are at hand, by whatever way, are the ones that the descriptors speak of.
TEST(ProjectDescriptors, SizesAndHashesAreThoseOfTheFiles) {
    const ModelStore store = ModelStore::from_environment();
    int checked = 0;
    for (const std::string &path : json_files(source_root() + "/models")) {
        const auto model = load_descriptor(path);
        ASSERT_TRUE(model);
        for (const ModelFile &file : model->files) {
            const std::string found = store.locate(*model, file);
            if (found.empty())
                continue;
            EXPECT_EQ(fs::file_size(found), file.bytes) << found;
            const auto hash = sha256_of_file(found);
            ASSERT_TRUE(hash) << found;
            EXPECT_EQ(*hash, file.sha256) << found;
            ++checked;
        }
    }
    if (checked == 0)
        GTEST_SKIP()
            << "no model's file is installed (spherectl models fetch) nor in ../shared/models";
}

// The manual's examples are descriptors that load.
TEST(ProjectDescriptors, TheManualsExamplesParse) {
    const std::string manual = read_file(source_root() + "/docs/models.md");
    ASSERT_FALSE(manual.empty());
    int examples = 0;
    for (std::size_t at = manual.find("```json\n"); at != std::string::npos;
         at = manual.find("```json\n", at)) {
        at += 8;
        const std::string example = manual.substr(at, manual.find("```", at) - at);
        if (example.find("\"task\"") == std::string::npos)
            continue;
        const auto model = parse_descriptor(example, "docs/models.md");
        EXPECT_TRUE(model) << model.error().message;
        ++examples;
    }
    EXPECT_GE(examples, 1);
}

} // namespace
} // namespace sphere
