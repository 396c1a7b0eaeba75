// SPDX-License-Identifier: MIT
// Readers of ONNX and Caffe files: what they refuse, and that no damage gets past them.
#include "core/engine/onednn/passes.h"
#include "core/engine/onednn/shapes.h"

#include "tests/support/tiny_network.h"

#include <gtest/gtest.h>

#include <random>

namespace sphere::onednn {
namespace {

using namespace testing_support;

std::string onnx_with(const std::string &nodes_and_constants) {
    const std::string graph = nodes_and_constants +
                              proto_bytes(11, onnx_value("data", {1, 3, 16, 16})) +
                              proto_bytes(12, onnx_value("out", {1, 48}));
    return proto_number(1, 6) + proto_bytes(8, proto_number(2, 11)) + proto_bytes(7, graph);
}

// Everything that an engine does before it asks the library.
Result<Shapes> load(Result<Graph> graph) {
    if (!graph)
        return std::move(graph).error();
    SPHERE_TRY(select_outputs(*graph, {}));
    SPHERE_TRY(simplify(*graph));
    return infer_shapes(*graph, {1, 3, kTinySide, kTinySide});
}

void expect_error(Result<Shapes> result, Errc code, const char *mentions) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, code) << result.error().message;
    EXPECT_NE(result.error().message.find(mentions), std::string::npos)
        << result.error().message;
}

TEST(NetworkFiles, TheTinyNetworksAreRead) {
    const auto onnx = load(read_onnx(tiny_onnx(), "t.onnx"));
    EXPECT_TRUE(onnx.ok()) << onnx.error().message;
    const auto caffe = load(read_caffe(tiny_prototxt(), tiny_caffemodel(), "t"));
    EXPECT_TRUE(caffe.ok()) << caffe.error().message;
}

TEST(NetworkFiles, AnUnknownOperatorIsNamed) {
    expect_error(
        load(read_onnx(onnx_with(proto_bytes(1, onnx_node("Einsum", "data", "out", ""))),
                       "t.onnx")),
        Errc::Unsupported, "Einsum");
    expect_error(load(read_caffe("input: \"data\" layer { name: \"x\" type: \"LRN\" bottom: "
                                 "\"data\" top: \"x\" }",
                                 tiny_caffemodel(), "t")),
                 Errc::Unsupported, "LRN");
}

TEST(NetworkFiles, ATensorThatClaimsMoreThanItHasIsRefused) {
    const auto with_dims = [](std::uint64_t a, std::uint64_t b) {
        return onnx_with(proto_bytes(5, proto_number(1, a) + proto_number(1, b) +
                                            proto_number(2, 1) + proto_bytes(8, "w") +
                                            proto_bytes(9, std::string(16, '\0'))) +
                         proto_bytes(1, onnx_node("Relu", "data", "out", "")));
    };
    EXPECT_TRUE(load(read_onnx(with_dims(2, 2), "t")).ok());
    for (const auto &[a, b] : {std::pair<std::uint64_t, std::uint64_t>{2, 3},
                               {1ULL << 40, 1ULL << 40},
                               {1ULL << 32, 1ULL << 32},
                               {~0ULL, 4},
                               {0, 4}})
        expect_error(load(read_onnx(with_dims(a, b), "t")), Errc::Corrupt, "'w'");
}

TEST(NetworkFiles, ANodeThatTakesWhatNobodyMakesIsRefused) {
    expect_error(
        load(read_onnx(onnx_with(proto_bytes(1, onnx_node("Relu", "gone", "out", ""))), "t")),
        Errc::Corrupt, "gone");
    expect_error(load(read_caffe("input: \"data\" layer { name: \"x\" type: \"ReLU\" bottom: "
                                 "\"gone\" top: \"x\" }",
                                 tiny_caffemodel(), "t")),
                 Errc::Corrupt, "gone");
}

TEST(NetworkFiles, MissingWeightsAreNamed) {
    expect_error(load(read_caffe("input: \"data\" layer { name: \"c1\" type: \"Convolution\" "
                                 "bottom: \"data\" top: \"c1\" convolution_param { num_output: "
                                 "8 kernel_size: 3 } }",
                                 tiny_caffemodel(), "t")),
                 Errc::Corrupt, "c1");
}

TEST(NetworkFiles, AWindowLargerThanThePictureIsAMismatch) {
    const auto pool = onnx_node("MaxPool", "data", "out", onnx_ints("kernel_shape", {40, 40}));
    expect_error(load(read_onnx(onnx_with(proto_bytes(1, pool)), "t")), Errc::Mismatch,
                 "MaxPool");
    const auto huge =
        onnx_node("MaxPool", "data", "out", onnx_ints("kernel_shape", {1ULL << 62, 1}));
    expect_error(load(read_onnx(onnx_with(proto_bytes(1, huge)), "t")), Errc::Mismatch,
                 "MaxPool");
}

TEST(NetworkFiles, APrototxtSaysWhichLineIsWrong) {
    expect_error(load(read_caffe("input: \"data\"\nlayer {\n name \"x\"\n}", "", "t.prototxt")),
                 Errc::Corrupt, "line 3");
    EXPECT_FALSE(load(read_caffe(std::string(100000, '{'), "", "t")).ok());
    std::string deep;
    for (int i = 0; i < 100000; ++i)
        deep += "a {";
    EXPECT_FALSE(load(read_caffe(deep, "", "t")).ok());
}

TEST(NetworkFiles, NoTruncationAndNoFlippedByteDoesHarm) {
    const std::string onnx = tiny_onnx(), prototxt = tiny_prototxt();
    int refused = 0;
    for (std::size_t n = 0; n < onnx.size(); ++n)
        refused += !load(read_onnx(onnx.substr(0, n), "t")).ok();
    EXPECT_EQ(refused, static_cast<int>(onnx.size()));
    std::mt19937 random(3);
    for (int i = 0; i < 20000; ++i) {
        std::string bytes = onnx, text = prototxt;
        for (int k = 0; k < 3; ++k) {
            bytes[random() % bytes.size()] = static_cast<char>(random());
            text[random() % text.size()] = static_cast<char>(random());
        }
        (void)load(read_onnx(bytes, "t"));
        (void)load(read_caffe(text, tiny_caffemodel(), "t"));
    }
}

} // namespace
} // namespace sphere::onednn
