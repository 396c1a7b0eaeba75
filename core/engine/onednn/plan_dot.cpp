// SPDX-License-Identifier: MIT
// Convolutions in int8 by kernels of our own, with the PReLU and the sum behind them.
#include "core/engine/onednn/plan_builder.h"

#include <algorithm>

namespace sphere::onednn {

using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

namespace {

// A ReLU, then a sum, each where there is one: what RowPass does.
bool ends_as_rows(const Node &node) {
    const std::size_t count = node.post.size();
    const auto is = [&](std::size_t i, PostOp::Kind kind) { return node.post[i].kind == kind; };
    if (count == 0)
        return true;
    if (count == 1)
        return is(0, PostOp::Kind::Relu) || is(0, PostOp::Kind::Sum);
    return count == 2 && is(0, PostOp::Kind::Relu) && is(1, PostOp::Kind::Sum);
}

} // namespace

bool PlanBuilder::fits_dot(std::size_t conv) const {
    const Node &node = graph_.nodes[conv];
    if (node.op != "Conv" || best_dot() == nullptr || !ends_as_rows(node))
        return false;
    const Dims &weights = dims(node.inputs[1]);
    const Dims strides = node.list("strides", {1, 1});
    return weights.size() == 4 && weights[0] % kDotOutputs == 0 &&
           weights[1] % kDotInputs == 0 &&
           weights[1] * weights[2] * weights[3] <= kMostProducts && strides[0] == strides[1] &&
           node.list("dilations", {1, 1}) == Dims{1, 1};
}

void PlanBuilder::describe_dot(const Node &node, const Dims &pads, Int8Node &made) const {
    made.border = pads;
    made.in = dims(node.inputs[0]);
    made.in[2] += pads[0] + pads[2];
    made.in[3] += pads[1] + pads[3];
    made.weights = dims(node.inputs[1]);
    made.dot = weights_.get_dot(node.inputs[1], *graph_.constant(node.inputs[1]));
}

// Where several blocks are computed at a time: weights, used once a picture, come from memory
// as several streams, which is faster than one.
bool PlanBuilder::fits_product(const Node &gemm) const {
    const Dims &in = dims(gemm.inputs[0]);
    return best_dot() != nullptr && best_dot()->most_blocks > 1 && ends_as_rows(gemm) &&
           (in.size() == 4 || in.size() == 2) && in[1] % kDotInputs == 0 &&
           dims(gemm.output)[1] % kDotOutputs == 0 &&
           count_elements(in) / in[0] <= kMostProducts;
}

void PlanBuilder::describe_product(const Node &gemm, Int8Node &made) const {
    made.border = {0, 0, 0, 0};
    made.in = dims(gemm.inputs[0]);
    made.weights = made.in;
    made.weights.resize(4, 1);
    made.weights[0] = dims(gemm.output)[1];
    made.dot =
        weights_.get_product(gemm.inputs[1], *graph_.constant(gemm.inputs[1]), made.weights);
}

// A convolution and its PReLU are one step, which comes where the PReLU is.
void PlanBuilder::plan_preluded(const SoleTakers &takers) {
    preluded_.resize(graph_.nodes.size());
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
        if (!int8_[i] || !int8_[i]->dot || chains_[i])
            continue;
        if (const auto prelu = prelu_behind(takers, i)) {
            preluded_[*prelu] = i;
            done_at(i, *prelu);
        }
    }
}

std::vector<float> PlanBuilder::slopes_of(const Node &prelu) const {
    std::vector<float> slopes = graph_.constant(prelu.inputs[1])->floats;
    if (slopes.size() == 1)
        slopes.assign(static_cast<std::size_t>(dims(prelu.output)[1]), slopes[0]);
    return slopes;
}

// But for where its tensors are.
DotConv PlanBuilder::make_dot(const Node &conv, const Node *prelu, const Int8Node &made) const {
    DotConv dot;
    const auto outputs = static_cast<std::size_t>(made.dot->outputs);
    dot.weights = made.dot;
    const Constant *bias = conv.has_input(2) ? graph_.constant(conv.inputs[2]) : nullptr;
    for (std::size_t o = 0; o < outputs; ++o) {
        const float scale = made.dot->scales[o] * made.codes.scale;
        dot.scales.push_back(scale);
        dot.bias.push_back((bias != nullptr ? bias->floats[o] : 0) -
                           scale * static_cast<float>(made.codes.zero) * made.dot->sums[o]);
    }
    if (prelu != nullptr)
        dot.slopes = slopes_of(*prelu);
    else if (!conv.post.empty() && conv.post[0].kind == PostOp::Kind::Relu)
        dot.slopes.assign(outputs, conv.post[0].a);
    dot.stride = conv.list("strides", {1, 1})[0];
    const Dims &out = dims(conv.output);
    if (conv.op == "Gemm") { // each picture is a pixel
        dot.to.pictures = dot.to.rows = 1;
        dot.to.pixels = out[0];
        dot.to.channels = out[1];
        return dot;
    }
    dot.x_row = made.in[3] * made.in[1];
    dot.x_picture = made.in[2] * dot.x_row;
    shape_rows(dot.to, out, Layout::Rows);
    return dot;
}

void PlanBuilder::add_dot(std::size_t conv, std::optional<std::size_t> prelu) {
    const Node &node = graph_.nodes[conv], &last = graph_.nodes[prelu.value_or(conv)];
    const Int8Node &made = *int8_[conv];
    auto step = std::make_unique<Plan::DotStep>();
    step->kernel = best_dot();
    step->conv = make_dot(node, prelu ? &last : nullptr, made);
    step->x = memory(codes_of(node.inputs[0], made));
    const Dims &out = dims(last.output);
    const Md md(out, Type::f32, out.size() == 4 ? Tag::nhwc : Tag::nc);
    std::optional<Slot> addend;
    if (last.addend >= 0) {
        addend = as(slot(last.addend), md);
        step->addend = memory(*addend);
    }
    const Int8Node *const next = codes_wanted(last.output);
    if (next != nullptr)
        step->codes = memory(want_codes(step->conv.to, last.output, *next));
    if (next == nullptr || floats_wanted(last.output, *next)) {
        if (addend && is_dead_after_this(*addend)) {
            place(last.output, *addend);
            step->out = memory(*addend);
        } else {
            step->out = memory(result(last.output, md));
        }
    }
    flatten(step->conv);
    plan_.count(node.op == "Gemm" ? "inner_product" : "convolution", "int8",
                step->kernel->name);
    add_own(&Plan::Step::dot, std::move(step));
}

} // namespace sphere::onednn
