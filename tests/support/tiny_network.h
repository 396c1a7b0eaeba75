// SPDX-License-Identifier: MIT
// Networks of two layers, as ONNX and as Caffe files: 16x16 BGR in, the 48 means of 4x4 cells
// out. Small enough to be written by hand and to be computed by hand.
#pragma once

#include "core/model/store.h"
#include "tests/support/temporary_directory.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace sphere::testing_support {

inline constexpr int kTinySide = 16;
inline constexpr int kTinyCell = 4;
inline constexpr int kTinyDims = 48;

/// Sanitizers watch our code; libraries that they do not instrument give false alarms.
inline bool fake_engine_only() {
    return std::getenv("SPHERE_FAKE_ENGINE_ONLY") != nullptr;
}

/// Protobuf's wire format (protobuf.dev/programming-guides/encoding), as far as it is needed.
inline std::string proto_varint(std::uint64_t value) {
    std::string bytes;
    for (; value >= 0x80; value >>= 7)
        bytes += static_cast<char>((value & 0x7F) | 0x80);
    return bytes + static_cast<char>(value);
}
inline std::string proto_number(int field, std::uint64_t value) {
    return proto_varint(static_cast<std::uint64_t>(field) << 3) + proto_varint(value);
}
inline std::string proto_bytes(int field, const std::string &bytes) {
    return proto_varint(static_cast<std::uint64_t>(field) << 3 | 2) +
           proto_varint(bytes.size()) + bytes;
}

/// A field of onnx.proto's AttributeProto: name = 1, i = 3, ints = 8, type = 20 (INT 2, INTS
/// 7).
inline std::string onnx_ints(const std::string &name,
                             const std::vector<std::uint64_t> &values) {
    std::string bytes = proto_bytes(1, name);
    for (const std::uint64_t value : values)
        bytes += proto_number(8, value);
    return proto_bytes(5, bytes + proto_number(20, 7));
}
inline std::string onnx_int(const std::string &name, std::uint64_t value) {
    return proto_bytes(5, proto_bytes(1, name) + proto_number(3, value) + proto_number(20, 2));
}

/// ValueInfoProto of a float tensor: name = 1, type = 2 {tensor = 1 {elem_type = 1, shape =
/// 2}}.
inline std::string onnx_value(const std::string &name,
                              const std::vector<std::uint64_t> &shape) {
    std::string dims;
    for (const std::uint64_t d : shape)
        dims += proto_bytes(1, proto_number(1, d));
    return proto_bytes(1, name) +
           proto_bytes(2, proto_bytes(1, proto_number(1, 1) + proto_bytes(2, dims)));
}

/// NodeProto: input = 1, output = 2, op_type = 4, attribute = 5.
inline std::string onnx_node(const std::string &type, const std::string &in,
                             const std::string &out, const std::string &attributes) {
    return proto_bytes(1, in) + proto_bytes(2, out) + proto_bytes(4, type) + attributes;
}

/// With `exponential` the outputs are e^mean, which is beyond float from a mean of 89 on.
/// ModelProto: ir_version = 1, graph = 7, opset_import = 8; GraphProto: node = 1, name = 2,
/// input = 11, output = 12.
inline std::string tiny_onnx(bool exponential = false) {
    const std::string pool = onnx_node("AveragePool", "data", "pooled",
                                       onnx_ints("kernel_shape", {kTinyCell, kTinyCell}) +
                                           onnx_ints("strides", {kTinyCell, kTinyCell}));
    const std::string exp = onnx_node("Exp", "pooled", "raised", "");
    const std::string flatten =
        onnx_node("Flatten", exponential ? "raised" : "pooled", "means", onnx_int("axis", 1));
    const std::string graph =
        proto_bytes(1, pool) + (exponential ? proto_bytes(1, exp) : std::string()) +
        proto_bytes(1, flatten) + proto_bytes(2, "tiny") +
        proto_bytes(11, onnx_value("data", {1, 3, kTinySide, kTinySide})) +
        proto_bytes(12, onnx_value("means", {1, kTinyDims}));
    return proto_number(1, 6) + proto_bytes(8, proto_number(2, 11)) + proto_bytes(7, graph);
}

/// With `bakes_batch` the last layer makes one row of all pictures of a batch, as exporters do
/// that write the batch size into a Reshape.
inline std::string tiny_prototxt(bool bakes_batch = false) {
    return std::string(
               "name: \"tiny\"\n"
               "input: \"data\"\n"
               "input_dim: 1\ninput_dim: 3\ninput_dim: 16\ninput_dim: 16\n"
               "layer { name: \"pooled\" type: \"Pooling\" bottom: \"data\" top: \"pooled\"\n"
               "  pooling_param { pool: AVE kernel_size: 4 stride: 4 } }\n") +
           (bakes_batch ? "layer { name: \"means\" type: \"Reshape\" bottom: \"pooled\" top: "
                          "\"means\"\n"
                          "  reshape_param { shape { dim: 1 dim: -1 } } }\n"
                        : "layer { name: \"means\" type: \"Flatten\" bottom: \"pooled\" top: "
                          "\"means\" }\n");
}

/// NetParameter with its name alone: no layer of ours has weights.
inline std::string tiny_caffemodel() {
    return proto_bytes(1, "tiny");
}

/// A descriptor of the network in the framework's files, which are written to `directory`.
inline ResolvedModel tiny_model(const TemporaryDirectory &directory,
                                const std::string &framework) {
    ResolvedModel model;
    ModelDescriptor &d = model.descriptor;
    d.name = "tiny-" + framework;
    d.path = directory.path() + "/tiny-" + framework + ".json";
    d.task = ModelTask::Embed;
    d.framework = framework;
    d.decoder = "embedding";
    d.input.width = d.input.height = kTinySide;
    d.outputs = {"means"};
    d.dims = kTinyDims;
    const auto add = [&](const std::string &name, const std::string &role,
                         const std::string &content) {
        directory.write(name, content);
        ModelFile file;
        file.name = name;
        file.role = role;
        d.files.push_back(file);
        model.paths.push_back(directory.path() + "/" + name);
    };
    if (framework == "onnx")
        add("tiny.onnx", "weights", tiny_onnx());
    if (framework == "caffe") {
        add("tiny.caffemodel", "weights", tiny_caffemodel());
        add("tiny.prototxt", "graph", tiny_prototxt());
    }
    model.sha256 = "of " + d.name;
    return model;
}

} // namespace sphere::testing_support
