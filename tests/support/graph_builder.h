// SPDX-License-Identifier: MIT
// Graphs of engine onednn made node by node, with random weights.
#pragma once

#include "core/engine/onednn/graph.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace sphere::testing_support {

/// Always the same `count` numbers in [-1, 1] for a seed.
inline std::vector<float> numbers(std::int64_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> values(-1, 1);
    std::vector<float> made(static_cast<std::size_t>(count));
    std::generate(made.begin(), made.end(), [&] { return values(random); });
    return made;
}

/// Of a convolution with a bias, and with the padding that keeps a picture's size.
struct ConvShape {
    std::int64_t inputs = 0, channels = 0;
    std::int64_t size = 1; ///< in both directions
    std::int64_t stride = 1;
    std::int64_t group = 1;
};

class GraphBuilder {
  public:
    onednn::Graph graph;

    explicit GraphBuilder(const char *path) {
        graph.path = path;
        graph.input = graph.add_value("data");
    }

    onednn::Node &last() { return graph.nodes.back(); }

    /// Random numbers up to `scale`.
    int constant(const onednn::Dims &dims, float scale) {
        onednn::Constant made{dims, numbers(onednn::count_elements(dims), ++seed_), {}, false};
        for (float &value : made.floats)
            value *= scale;
        return graph.add_constant(next_name(), std::move(made));
    }

    int add(const char *op, std::vector<int> inputs) {
        onednn::Node node;
        node.op = op;
        node.name = op + next_name();
        node.inputs = std::move(inputs);
        node.output = graph.add_value(node.name);
        graph.nodes.push_back(std::move(node));
        return last().output;
    }

    /// What it makes varies as much as what it takes.
    int conv(int x, const ConvShape &shape) {
        const std::int64_t inputs = shape.inputs / shape.group, size = shape.size;
        const float scale = std::sqrt(3.0F / static_cast<float>(inputs * size * size));
        const int weights = constant({shape.channels, inputs, size, size}, scale);
        const int value = add("Conv", {x, weights, constant({shape.channels}, 0.5F)});
        last().ints["strides"] = {shape.stride, shape.stride};
        last().ints["pads"] = {size / 2, size / 2, size / 2, size / 2};
        last().ints["group"] = {shape.group};
        return value;
    }

    int depthwise(int x, std::int64_t channels, std::int64_t stride = 1) {
        return conv(x, {channels, channels, 3, stride, channels});
    }

    int prelu(int x, std::int64_t channels) {
        return add("PRelu", {x, constant({channels, 1, 1}, 0.5F)});
    }

    /// The largest of each rows x pixels.
    int pool(int x, std::int64_t rows, std::int64_t pixels) {
        const int value = add("MaxPool", {x});
        last().ints["kernel_shape"] = last().ints["strides"] = {rows, pixels};
        return value;
    }

    /// Behind the last convolution.
    void relu(float slope = 0) {
        last().post.push_back({onednn::PostOp::Kind::Relu, slope, 0});
    }

  private:
    std::string next_name() const { return std::to_string(graph.values.size()); }

    unsigned seed_ = 0;
};

} // namespace sphere::testing_support
