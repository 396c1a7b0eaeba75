// SPDX-License-Identifier: MIT
// The graph's own arithmetic: values, attributes, selection of outputs.
#include "core/engine/onednn/graph.h"

#include <algorithm>

namespace sphere::onednn {

std::int64_t count_elements(const Dims &dims) {
    std::int64_t n = 1;
    for (const std::int64_t d : dims) {
        if (d < 0 || (d > 0 && n > kMaxElements / d))
            return -1;
        n *= d;
    }
    return n;
}

std::string dims_text(const Dims &dims) {
    std::string text;
    for (const std::int64_t d : dims)
        text += (text.empty() ? "" : "x") + std::to_string(d);
    return text.empty() ? "scalar" : text;
}

std::int64_t Node::integer(const char *key, std::int64_t fallback) const {
    const auto found = ints.find(key);
    return found == ints.end() || found->second.empty() ? fallback : found->second[0];
}

Dims Node::list(const char *key, const Dims &fallback) const {
    const auto found = ints.find(key);
    return found == ints.end() ? fallback : found->second;
}

float Node::number(const char *key, float fallback) const {
    const auto found = floats.find(key);
    return found == floats.end() ? fallback : found->second;
}

std::string Node::text(const char *key, const std::string &fallback) const {
    const auto found = texts.find(key);
    return found == texts.end() ? fallback : found->second;
}

int Graph::add_value(std::string name) {
    values.push_back({std::move(name), false, {}});
    return static_cast<int>(values.size()) - 1;
}

int Graph::add_constant(std::string name, Constant constant) {
    values.push_back({std::move(name), true, std::move(constant)});
    return static_cast<int>(values.size()) - 1;
}

const Constant *Graph::constant(int value) const {
    if (value < 0 || !values[static_cast<std::size_t>(value)].is_constant)
        return nullptr;
    return &values[static_cast<std::size_t>(value)].constant;
}

std::vector<int> count_uses(const Graph &graph) {
    std::vector<int> uses(graph.values.size());
    for (const Node &node : graph.nodes)
        for (const int input : node.inputs)
            if (input >= 0)
                ++uses[static_cast<std::size_t>(input)];
    for (const int output : graph.outputs)
        ++uses[static_cast<std::size_t>(output)];
    return uses;
}

void replace_constant(Graph &graph, std::vector<int> &uses, int &input, Constant constant) {
    if (input >= 0) {
        const auto at = static_cast<std::size_t>(input);
        if (uses[at] == 1) {
            graph.values[at].constant = std::move(constant);
            return;
        }
        --uses[at];
    }
    input = graph.add_constant("folded", std::move(constant));
    uses.push_back(1);
}

Result<void> select_outputs(Graph &graph, const std::vector<std::string> &names) {
    if (!names.empty()) {
        graph.outputs.clear();
        for (const std::string &name : names) {
            const auto found = graph.names.find(name);
            if (found == graph.names.end())
                return fail(Errc::Mismatch, graph.path, ": the network has no output '", name,
                            "': correct `outputs` in the model's descriptor.");
            graph.outputs.push_back(found->second);
        }
    }
    if (graph.outputs.empty())
        return fail(Errc::Corrupt, graph.path, ": the network has no output.");
    std::vector<char> needed(graph.values.size(), 0);
    for (const int output : graph.outputs)
        needed[static_cast<std::size_t>(output)] = 1;
    std::vector<Node> kept;
    for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
        if (!needed[static_cast<std::size_t>(node->output)])
            continue;
        for (const int input : node->inputs)
            if (input >= 0)
                needed[static_cast<std::size_t>(input)] = 1;
        kept.push_back(std::move(*node));
    }
    std::reverse(kept.begin(), kept.end());
    graph.nodes = std::move(kept);
    return {};
}

bool is_supported_op(std::string_view op) {
    static constexpr std::string_view kOps[] = {
        "Add",       "AveragePool", "BatchNormalization",
        "Cast",      "Clip",        "Concat",
        "Constant",  "Conv",        "Div",
        "Dropout",   "Exp",         "Flatten",
        "Gather",    "Gemm",        "GlobalAveragePool",
        "Identity",  "LeakyRelu",   "MaxPool",
        "Mul",       "PRelu",       "Relu",
        "Reshape",   "Resize",      "Shape",
        "Sigmoid",   "Slice",       "Softmax",
        "Squeeze",   "Sub",         "Tanh",
        "Transpose", "Unsqueeze",   "Upsample",
    };
    return std::find(std::begin(kOps), std::end(kOps), op) != std::end(kOps);
}

} // namespace sphere::onednn
