// SPDX-License-Identifier: MIT
// Which convolutions go by Winograd's kernels of our own, with the PReLU and the sum behind
// them.
#include "core/engine/onednn/plan_builder.h"

#include <algorithm>

namespace sphere::onednn {

using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

namespace {

constexpr std::int64_t kLeastChannels = 32; ///< below which the transforms cost more

// A ReLU and a sum, in either order, each where there is one.
bool ends_in_one_pass(const Node &node) {
    const auto of = [&](PostOp::Kind kind) {
        return std::count_if(node.post.begin(), node.post.end(),
                             [&](const PostOp &post) { return post.kind == kind; });
    };
    return of(PostOp::Kind::Relu) <= 1 && of(PostOp::Kind::Sum) <= 1 &&
           of(PostOp::Kind::Clip) == 0;
}

} // namespace

std::int64_t PlanBuilder::winograd_tile(std::size_t conv) const {
    const Node &node = graph_.nodes[conv];
    if (node.op != "Conv" || shapes_.is_static[static_cast<std::size_t>(node.output)] ||
        graph_.constant(node.inputs[1]) == nullptr || !ends_in_one_pass(node))
        return 0;
    const Dims &in = dims(node.inputs[0]), &w = dims(node.inputs[1]);
    const Dims ones = {1, 1};
    const bool bf16 = settings_.bf16_convolutions;
    if (node.integer("group", 1) != 1 || w.size() != 4 || w[2] != 3 || w[3] != 3 ||
        node.list("strides", ones) != ones || node.list("dilations", ones) != ones ||
        shapes_.pads[conv] != Dims{1, 1, 1, 1} || w[0] % kWinogradOutputs != 0 ||
        w[1] % (bf16 ? 2 * kWinogradInputs : kWinogradInputs) != 0 ||
        std::min(w[0], w[1]) < kLeastChannels)
        return 0;
    return best_winograd_tile(in[2], in[3], bf16);
}

// They want channels innermost, as chains do. Other convolutions are slower with that: there
// are none unless they do half of the work, or the others are laid out so anyhow. In bf16 they
// take and make fp32, and so do the others make what they take.
void PlanBuilder::plan_winograd(const SoleTakers &takers) {
    const std::size_t count = graph_.nodes.size();
    winograd_.assign(count, nullptr);
    if (best_winograd(settings_.bf16_convolutions) == nullptr || settings_.int8 ||
        (layout_ != Layout::Any && layout_ != Layout::Rows))
        return;
    double fit = 0, all = 0;
    for (std::size_t i = 0; i < count; ++i) {
        all += products(i);
        const std::int64_t tile = chains_[i] || siblings_[i] ? 0 : winograd_tile(i);
        if (tile == 0)
            continue;
        fit += products(i);
        const auto made = std::make_shared<const WinogradNode>(
            WinogradNode{i, prelu_behind(takers, i), tile});
        winograd_[i] = winograd_[made->last()] = made;
    }
    if (layout_ == Layout::Any && fit <= all / 2) {
        winograd_.assign(count, nullptr);
        return;
    }
    layout_ = Layout::Rows;
    made_type_ = Type::f32;
    for (std::size_t i = 0; i < count; ++i)
        if (winograd_[i])
            done_at(i, winograd_[i]->last());
}

// When the last of the nodes comes.
void PlanBuilder::add_winograd(const WinogradNode &nodes) {
    const Node &node = graph_.nodes[nodes.conv], &last = graph_.nodes[nodes.last()];
    const Dims &in = dims(node.inputs[0]), &out = dims(node.output);
    auto step = std::make_unique<Plan::WinogradStep>();
    step->kernel = best_winograd(settings_.bf16_convolutions);
    WinogradConv &conv = step->conv;
    conv.weights = weights_.get_winograd(node.inputs[1], *graph_.constant(node.inputs[1]),
                                         nodes.tile, step->kernel->bf16);
    if (node.has_input(2))
        conv.bias = graph_.constant(node.inputs[2])->floats;
    else
        conv.bias.assign(static_cast<std::size_t>(out[1]), 0);
    if (nodes.prelu)
        conv.slopes = slopes_of(last);
    for (const PostOp &post : node.post)
        if (post.kind == PostOp::Kind::Relu)
            conv.slopes.assign(static_cast<std::size_t>(out[1]), post.a);
    conv.adds_first = !node.post.empty() && node.post[0].kind == PostOp::Kind::Sum;
    conv.pictures = in[0];
    conv.rows = in[2];
    conv.pixels = in[3];
    const Slot x = as(slot(node.inputs[0]), Md(in, Type::f32, Tag::nhwc));
    const Md md(out, Type::f32, Tag::nhwc);
    step->x = memory(x);
    std::optional<Slot> addend;
    if (last.addend >= 0) {
        addend = as(slot(last.addend), md);
        step->addend = memory(*addend);
    }
    // Over what is added, but not over what other tiles still read.
    if (addend && addend->block != x.block && is_dead_after_this(*addend)) {
        place(last.output, *addend);
        step->out = memory(*addend);
    } else {
        step->out = memory(result(last.output, md));
    }
    plan_.count("convolution", step->kernel->bf16 ? "bf16" : "fp32", step->kernel->name);
    add_own(&Plan::Step::winograd, std::move(step));
}

} // namespace sphere::onednn
