// SPDX-License-Identifier: MIT
// Readers of ONNX and Caffe files: what they refuse, and that no damage gets past them.
#include "core/engine/onednn/passes.h"
#include "core/engine/onednn/shapes.h"
#include "core/engine/onednn/wire.h"

#include "tests/support/tiny_network.h"

#include <gtest/gtest.h>

#include <cmath>
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

// BlobProto: shape 7 {dim 1}, data 5, raw_data_type 10, raw_data 12.
std::string slopes_model(const std::string &numbers) {
    const std::string blob = proto_bytes(7, proto_bytes(1, proto_varint(3))) + numbers;
    return proto_bytes(100,
                       proto_bytes(1, "p") + proto_bytes(2, "PReLU") + proto_bytes(7, blob));
}

Result<std::vector<float>> slopes_of(const std::string &numbers) {
    const auto graph =
        read_caffe("input: \"data\" layer { name: \"p\" type: \"PReLU\" bottom: \"data\" top: "
                   "\"p\" }",
                   slopes_model(numbers), "t");
    if (!graph)
        return graph.error();
    return graph->constant(graph->nodes.at(0).inputs.at(1))->floats;
}

TEST(NetworkFiles, BlobsInHalfPrecisionAreReadExactly) {
    const std::string halves("\x00\x3c\x00\xc0\x01\x00", 6); // 1, -2, 2^-24
    const auto read = slopes_of(proto_number(10, 2) + proto_bytes(12, halves));
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(*read, (std::vector<float>{1.0F, -2.0F, 0x1p-24F}));
    const std::vector<float> numbers{1.0F, -2.0F, 0.1F};
    const std::string floats(reinterpret_cast<const char *>(numbers.data()), 12);
    const auto raw = slopes_of(proto_number(10, 1) + proto_bytes(12, floats));
    ASSERT_TRUE(raw.ok()) << raw.error().message;
    EXPECT_EQ(*raw, numbers);
    EXPECT_EQ(half_to_float(0x7bff), 65504.0F);
    EXPECT_EQ(half_to_float(0x03ff), 1023 * 0x1p-24F); // the largest subnormal number
    EXPECT_EQ(half_to_float(0x0400), 0x1p-14F);
    EXPECT_TRUE(std::signbit(half_to_float(0x8000)));
    EXPECT_TRUE(std::isinf(half_to_float(0x7c00)));
    EXPECT_TRUE(std::isnan(half_to_float(0x7e00)));
}

TEST(NetworkFiles, DamagedHalfPrecisionIsRefused) {
    const auto code = [](const std::string &numbers) {
        const auto read = slopes_of(numbers);
        return read.ok() ? Errc{} : read.error().code;
    };
    const std::string six("\x00\x3c\x00\xc0\x01\x00", 6), twelve(12, '\0');
    EXPECT_EQ(code(proto_number(10, 2) + proto_bytes(12, six.substr(1))), Errc::Corrupt);
    EXPECT_EQ(code(proto_number(10, 2) + proto_bytes(12, six.substr(2))), Errc::Corrupt);
    EXPECT_EQ(code(proto_bytes(12, six)), Errc::Corrupt); // not floats
    EXPECT_EQ(code(proto_bytes(5, twelve) + proto_number(10, 2) + proto_bytes(12, six)),
              Errc::Corrupt); // twice
    EXPECT_EQ(code(proto_number(10, 3) + proto_bytes(12, six)), Errc::Unsupported);
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
