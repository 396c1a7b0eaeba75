// SPDX-License-Identifier: MIT
// Pairs of few channels that take the same value, the heads of a detector, as one pair that has
// the channels of all: their input is read once, and vectors are full.
#include "core/engine/onednn/plan_builder.h"

#include <algorithm>

namespace sphere::onednn {

using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

namespace {

// What reads a layout with gaps: a reorder.
bool copies_its_input(const Node &node) {
    return node.op == "Transpose" || node.op == "Reshape" || node.op == "Flatten";
}

// `from`, rows of `few` floats, into rows of `all`.
void spread(const dnnl::memory &from, std::int64_t rows, std::int64_t few, float *to,
            std::int64_t all) {
    const auto *const floats = static_cast<const float *>(from.get_data_handle());
    for (std::int64_t row = 0; row < rows; ++row)
        std::copy_n(floats + row * few, few, to + row * all);
}

} // namespace

void PlanBuilder::plan_siblings(const SoleTakers &takers) {
    std::map<int, std::vector<Pair>> by_input;
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
        const auto depth = takers[i];
        if (chains_[i] || !depth || !fits_pair(i, *depth) ||
            graph_.nodes[*depth].list("strides", {1, 1})[0] != 1)
            continue;
        const auto taker = takers[*depth];
        if (taker && copies_its_input(graph_.nodes[*taker]))
            by_input[graph_.nodes[i].inputs[0]].push_back({i, *depth, *depth});
    }
    for (auto &[value, pairs] : by_input) {
        const auto alike = [&, first = pairs[0]](const Pair &pair) {
            return graph_.nodes[pair.point].post.empty() ==
                       graph_.nodes[first.point].post.empty() &&
                   graph_.nodes[pair.depth].post.empty() ==
                       graph_.nodes[first.depth].post.empty();
        };
        if (pairs.size() < 2 || !std::all_of(pairs.begin(), pairs.end(), alike))
            continue;
        const auto made = std::make_shared<const std::vector<Pair>>(std::move(pairs));
        for (const Pair &pair : *made) {
            siblings_[pair.point] = siblings_[pair.depth] = made;
            int8_[pair.point].reset(); // together they are computed in fp32
        }
    }
}

// When the first of the nodes comes. Channels beyond those of all are zero.
void PlanBuilder::add_siblings(const std::vector<Pair> &pairs) {
    const Node &first = graph_.nodes[pairs[0].point];
    const Dims &in = dims(first.inputs[0]);
    std::int64_t channels = 0;
    for (const Pair &nodes : pairs)
        channels += dims(graph_.nodes[nodes.depth].output)[1];
    channels = (channels + kPairBlock - 1) / kPairBlock * kPairBlock;

    auto step = std::make_unique<Plan::PairStep>();
    step->kernel = best_pairs();
    // 1x1 weights, their biases, depthwise weights, theirs.
    step->joined.assign(static_cast<std::size_t>((in[1] + 11) * channels), 0.0F);
    float *const point = step->joined.data();
    float *const depth = point + (in[1] + 1) * channels;
    const Dims all = {in[0], channels, in[2], in[3]};
    const Md md(all, Type::f32, Tag::nhwc);
    const int block = new_block(md);
    std::int64_t at = 0;
    for (const Pair &nodes : pairs) {
        const int output = graph_.nodes[nodes.depth].output;
        const std::int64_t few = dims(output)[1];
        const auto copy = [&](const Node &node, std::int64_t rows, float *to) {
            const Dims &shape = dims(node.inputs[1]);
            spread(weight(node.inputs[1], shape, Md(shape, Type::f32, Tag::hwio)), rows, few,
                   to + at, channels);
            if (node.has_input(2))
                spread(weight(node.inputs[2], {few}, Md({few}, Type::f32, Tag::x)), 1, few,
                       to + rows * channels + at, channels);
        };
        copy(graph_.nodes[nodes.point], in[1], point);
        copy(graph_.nodes[nodes.depth], 9, depth);
        place(output, {block, md.submemory_desc(dims(output), {0, at, 0, 0}), true});
        at += few;
    }
    ConvPair pair;
    pair.point_weights = point;
    pair.point_bias = point + in[1] * channels;
    pair.depth_weights = depth;
    pair.depth_bias = depth + 9 * channels;
    pair.point_relu = !first.post.empty();
    pair.depth_relu = !graph_.nodes[pairs[0].depth].post.empty();
    pair.rows = in[2];
    pair.pixels = in[3];
    pair.inputs = in[1];
    pair.channels = channels;
    step->chain.pictures = in[0];
    step->chain.pairs = {pair};
    step->x = memory(as(slot(first.inputs[0]), Md(in, Type::f32, Tag::nhwc)));
    step->out = memory(block, md);
    plan_.count("1x1, depthwise, of several", "fp32", step->kernel->name);
    add_own(&Plan::Step::pairs, std::move(step));
}

} // namespace sphere::onednn
