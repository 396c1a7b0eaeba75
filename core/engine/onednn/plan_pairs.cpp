// SPDX-License-Identifier: MIT
// Which convolutions go in pairs, and how a pair becomes a step.
#include "core/engine/onednn/plan_builder.h"

namespace sphere::onednn {

using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

namespace {

// Nothing that run_pair() does not do: a ReLU at most.
bool ends_simply(const Node &node) {
    return node.post.empty() ||
           (node.post.size() == 1 && node.post[0].kind == PostOp::Kind::Relu &&
            node.post[0].a == 0);
}

} // namespace

bool PlanBuilder::is_pair(std::size_t point, std::size_t depth) const {
    const Node &first = graph_.nodes[point], &second = graph_.nodes[depth];
    if (first.op != "Conv" || second.op != "Conv" || first.output != second.inputs[0] ||
        !ends_simply(first) || !ends_simply(second) ||
        graph_.constant(first.inputs[1]) == nullptr ||
        graph_.constant(second.inputs[1]) == nullptr)
        return false;
    const Dims &in = dims(first.inputs[0]), &out = dims(first.output);
    const Dims &w1 = dims(first.inputs[1]), &w2 = dims(second.inputs[1]);
    const Dims ones = {1, 1};
    return first.integer("group", 1) == 1 && w1[2] == 1 && w1[3] == 1 &&
           first.list("strides", ones) == ones && shapes_.pads[point] == Dims{0, 0, 0, 0} &&
           out[1] % kPairBlock == 0 && second.integer("group", 1) == out[1] &&
           w2 == Dims{out[1], 1, 3, 3} && second.list("strides", ones) == ones &&
           second.list("dilations", ones) == ones && shapes_.pads[depth] == Dims{1, 1, 1, 1} &&
           in[2] == out[2] && in[3] == out[3];
}

bool PlanBuilder::pools_pair(std::size_t depth, std::size_t pool) const {
    const Node &node = graph_.nodes[pool];
    const Dims &in = dims(node.inputs[0]), &out = dims(node.output);
    const Dims twos = {2, 2};
    return node.op == "MaxPool" && node.inputs[0] == graph_.nodes[depth].output &&
           node.list("kernel_shape", {}) == twos && node.list("strides", {1, 1}) == twos &&
           node.list("dilations", {1, 1}) == Dims{1, 1} &&
           shapes_.pads[pool] == Dims{0, 0, 0, 0} && in[2] == 2 * out[2] && in[3] == 2 * out[3];
}

// All but the last of them are passed over. Their input is wanted until then.
void PlanBuilder::plan_pairs() {
    pairs_.assign(graph_.nodes.size(), std::nullopt);
    if (layout_ != Layout::Any || conv_type_ != Type::f32 || settings_.int8 ||
        pair_avx512() == nullptr)
        return;
    std::vector<int> takers(graph_.values.size(), 0);
    for (const Node &node : graph_.nodes) {
        for (const int input : node.inputs)
            if (input >= 0)
                ++takers[static_cast<std::size_t>(input)];
        if (node.addend >= 0)
            ++takers[static_cast<std::size_t>(node.addend)];
    }
    for (const int output : graph_.outputs)
        ++takers[static_cast<std::size_t>(output)];
    const std::size_t count = graph_.nodes.size();
    const auto taken_once = [&](std::size_t node) {
        return takers[static_cast<std::size_t>(graph_.nodes[node].output)] == 1;
    };
    for (std::size_t i = 0; i < count; ++i)
        for (std::size_t j = i + 1; j < count; ++j) {
            if (!taken_once(i) || !is_pair(i, j))
                continue;
            Pair nodes{i, j, j};
            for (std::size_t k = j + 1; k < count && taken_once(j); ++k)
                if (pools_pair(j, k))
                    nodes.last = k;
            pairs_[i] = pairs_[j] = pairs_[nodes.last] = nodes;
            int &last = last_use_[static_cast<std::size_t>(graph_.nodes[i].inputs[0])];
            last = std::max(last, static_cast<int>(nodes.last));
        }
}

void PlanBuilder::add_pair(const Pair &nodes) {
    const Node &point = graph_.nodes[nodes.point], &depth = graph_.nodes[nodes.depth];
    const int output = graph_.nodes[nodes.last].output;
    const Dims &in = dims(point.inputs[0]), &out = dims(output);
    auto step = std::make_unique<Plan::PairStep>();
    ConvPair &pair = step->pair;
    pair.pictures = in[0];
    pair.rows = in[2];
    pair.pixels = in[3];
    pair.inputs = in[1];
    pair.channels = out[1];
    pair.pooled = nodes.last != nodes.depth;
    pair.point_relu = !point.post.empty();
    pair.depth_relu = !depth.post.empty();
    const auto weights = [&](const Node &node, bool bias) {
        const Dims &shape = dims(node.inputs[1]);
        return bias ? weight(node.inputs[2], {shape[0]}, Md({shape[0]}, Type::f32, Tag::x))
                    : weight(node.inputs[1], shape, Md(shape, Type::f32, Tag::hwio));
    };
    step->weights = {weights(point, false), weights(depth, false)};
    const auto floats = [](const dnnl::memory &memory) {
        return static_cast<const float *>(memory.get_data_handle());
    };
    pair.point_weights = floats(step->weights[0]);
    pair.depth_weights = floats(step->weights[1]);
    if (point.has_input(2)) {
        step->weights.push_back(weights(point, true));
        pair.point_bias = floats(step->weights.back());
    }
    if (depth.has_input(2)) {
        step->weights.push_back(weights(depth, true));
        pair.depth_bias = floats(step->weights.back());
    }
    step->x = memory(as(slot(point.inputs[0]), Md(in, Type::f32, Tag::nhwc)));
    step->out = memory(result(output, Md(out, Type::f32, Tag::nhwc)));
    plan_.count(pair.pooled ? "1x1, depthwise, pool" : "1x1, depthwise", "fp32",
                "sphere avx512");
    plan_.steps_.push_back({{}, {}, nullptr, std::move(step)});
}

} // namespace sphere::onednn
