// SPDX-License-Identifier: MIT
// A network as the readers of model files give it: operators by ONNX's names, single
// assignment.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sphere::onednn {

using Dims = std::vector<std::int64_t>;

// What an untrusted file may ask for. The largest network that is meant to load is far below.
inline constexpr std::size_t kMaxFileBytes = std::size_t{512} << 20;
inline constexpr std::size_t kMaxNodes = 8192;
inline constexpr std::size_t kMaxRank = 6;
inline constexpr std::int64_t kMaxElements = std::int64_t{1} << 28; ///< of one tensor

/// Product of `dims`; -1 if one is negative or the product exceeds kMaxElements.
std::int64_t count_elements(const Dims &dims);
std::string dims_text(const Dims &dims); ///< "1x3x112x96"

/// A tensor known when the network is loaded: weights, or integers that shapes are made of.
struct Constant {
    Dims dims;
    std::vector<float> floats;
    std::vector<std::int64_t> ints; ///< used instead of `floats` where is_int
    bool is_int = false;
};

struct Value {
    std::string name;
    bool is_constant = false;
    Constant constant;
};

/// Work on a convolution's result before it is stored.
struct PostOp {
    enum class Kind : std::uint8_t {
        Relu, ///< negative values times `a`
        Clip, ///< into [a, b]
        Sum,  ///< plus the value Node::addend
    };
    Kind kind = Kind::Relu;
    float a = 0;
    float b = 0;
};

/// One operator with one result. Attributes have ONNX's names and meanings.
struct Node {
    std::string op;
    std::string name;        ///< for messages
    std::vector<int> inputs; ///< indices of Graph::values; -1 = left out
    int output = -1;
    std::map<std::string, Dims> ints;
    std::map<std::string, float> floats;
    std::map<std::string, std::string> texts;
    std::vector<PostOp> post; ///< Conv only; filled by the passes
    int addend = -1;          ///< value of PostOp::Kind::Sum; of a PRelu: added to its result

    std::int64_t integer(const char *key, std::int64_t fallback) const;
    Dims list(const char *key, const Dims &fallback) const;
    float number(const char *key, float fallback) const;
    std::string text(const char *key, const std::string &fallback) const;
    bool has_input(std::size_t i) const { return i < inputs.size() && inputs[i] >= 0; }
};

struct Graph {
    std::string path; ///< of the file, for messages
    std::vector<Value> values;
    std::vector<Node> nodes;                       ///< each after those whose results it takes
    std::map<std::string, int, std::less<>> names; ///< values by name
    int input = -1;                                ///< the picture
    std::vector<int> outputs; ///< what the caller wants; set by select_outputs
    int opset = 0;            ///< ONNX; 0 = Caffe

    int add_value(std::string name);
    int add_constant(std::string name, Constant constant);
    const Constant *constant(int value) const; ///< nullptr if it is not one
};

/// By value, how many take it; an output counts as a taker.
std::vector<int> count_uses(const Graph &graph);

/// What `input` stands for becomes `constant`: in place where nobody else reads it, so that
/// weights are not held twice. `uses` is as count_uses() has it, and stays so.
void replace_constant(Graph &graph, std::vector<int> &uses, int &input, Constant constant);

/// Sets `outputs` by their names (all of the file's if empty) and drops what they do not need.
Result<void> select_outputs(Graph &graph, const std::vector<std::string> &names);

/// The operators that the readers let through.
bool is_supported_op(std::string_view op);

/// Reads the ONNX file whose bytes are `bytes`. Errors: Corrupt, Unsupported (names what).
Result<Graph> read_onnx(std::string_view bytes, const std::string &path);

/// Reads a Caffe network: `prototxt` is text, `weights` the bytes of the caffemodel.
Result<Graph> read_caffe(std::string_view prototxt, std::string_view weights,
                         const std::string &path);

} // namespace sphere::onednn
