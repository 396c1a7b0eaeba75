// SPDX-License-Identifier: MIT
// The operators that the time goes to: convolutions and inner products.
#include "core/engine/onednn/plan_builder.h"

#include <string_view>

namespace sphere::onednn {

using dnnl::algorithm;
using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

namespace {

constexpr std::int64_t kBlock = 16;         ///< channels
constexpr std::int64_t kHalfBlock = 8;      ///< the same with AVX2
constexpr std::int64_t kWinogradLeast = 32; ///< channels below which the transforms cost more
constexpr std::int64_t kFewPixels =
    200; ///< of a batch: the larger weights of 4x4 tiles cost more time

bool contains(const char *text, std::string_view part) {
    return std::string_view(text).find(part) != std::string_view::npos;
}

// Reference code, and products of matrices in a layout made for something else.
bool is_slow(const char *implementation) {
    return contains(implementation, "ref") || contains(implementation, "gemm");
}

} // namespace

compat::Md PlanBuilder::wanted_md(const Dims &dims, Type type, Layout layout) {
    if (dims.size() == 4 && layout == Layout::Rows)
        return {dims, type, Tag::nhwc};
    if (dims.size() == 4 && layout == Layout::Blocks8 && dims[1] % kHalfBlock == 0)
        return {dims, type, Tag::nChw8c};
    if (dims.size() == 4 && layout == Layout::Blocked && dims[1] % kBlock == 0)
        return {dims, type, Tag::nChw16c};
    return {dims, type, Tag::any};
}

PlanBuilder::Layout PlanBuilder::layout_of(const Md &md) {
    const Dims dims = compat::dims_of(md);
    if (dims.size() != 4 || compat::type_of(md) != Type::f32)
        return Layout::Any;
    if (md == Md(dims, Type::f32, Tag::nhwc))
        return Layout::Rows;
    if (dims[1] % kHalfBlock == 0 && md == Md(dims, Type::f32, Tag::nChw8c))
        return Layout::Blocks8;
    if (dims[1] % kBlock == 0 && md == Md(dims, Type::f32, Tag::nChw16c))
        return Layout::Blocked;
    return Layout::Any;
}

// Winograd's F(4x4, 3x3) and F(2x2, 3x3) in fp32 take a fourth and 4/9 of the products (Lavin &
// Gray, Fast Algorithms for Convolutional Neural Networks, 2015).
bool PlanBuilder::suits_winograd(const Node &node, const Dims &pads) const {
    if (node.op != "Conv" || conv_type_ != Type::f32 || settings_.int8 ||
        row_avx512() == nullptr)
        return false;
    const Dims &in = dims(node.inputs[0]), &w = dims(node.inputs[1]);
    return node.integer("group", 1) == 1 && w[2] == 3 && w[3] == 3 &&
           node.list("strides", {1, 1}) == Dims{1, 1} &&
           node.list("dilations", {1, 1}) == Dims{1, 1} && pads == Dims{1, 1, 1, 1} &&
           in[1] >= kWinogradLeast && w[0] >= kWinogradLeast && in[1] % kBlock == 0 &&
           w[0] % kBlock == 0;
}

// Winograd's transforms work on blocks of channels; where there are some, all convolutions do,
// so that nothing is reordered between them.
void PlanBuilder::choose_layout() {
    if (settings_.int8) { // what bytes are multiplied in
        layout_ = Layout::Rows;
        return;
    }
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i)
        if (suits_winograd(graph_.nodes[i], shapes_.pads[i]))
            layout_ = Layout::Blocked;
}

PlanBuilder::ConvSpec PlanBuilder::conv_spec(const Node &node, const Dims &pads) const {
    ConvSpec spec;
    spec.in = dims(node.inputs[0]);
    spec.out = dims(node.output);
    spec.weights = dims(node.inputs[1]);
    const std::int64_t group = node.integer("group", 1);
    spec.window.kernel = {spec.weights[2], spec.weights[3]};
    if (group > 1) {
        spec.weights[0] /= group;
        spec.weights.insert(spec.weights.begin(), group);
    }
    spec.window.strides = node.list("strides", {1, 1});
    spec.window.dilations = node.list("dilations", {1, 1});
    for (std::int64_t &d : spec.window.dilations)
        --d; // the library counts the gaps
    spec.window.begin = {pads[0], pads[1]};
    spec.window.end = {pads[2], pads[3]};
    spec.biased = node.has_input(2);
    for (const PostOp &post : node.post) {
        if (post.kind == PostOp::Kind::Sum)
            spec.post.append_sum();
        else if (post.kind == PostOp::Kind::Relu)
            compat::append_eltwise(spec.post, algorithm::eltwise_relu, post.a, 0);
        else
            compat::append_eltwise(spec.post, algorithm::eltwise_clip, post.a, post.b);
    }
    return spec;
}

compat::Md PlanBuilder::weights_md(const ConvSpec &spec) const {
    return {spec.weights, conv_type_, Tag::any};
}

compat::Md PlanBuilder::bias_md(const ConvSpec &spec) {
    return spec.biased ? Md({spec.out[1]}, Type::f32, Tag::x) : Md();
}

dnnl::primitive_attr PlanBuilder::conv_attr(const ConvSpec &spec) {
    dnnl::primitive_attr attr; // a copy of attr_ would share its state
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    attr.set_post_ops(spec.post);
    return attr;
}

PlanBuilder::ConvPd PlanBuilder::direct_convolution(const ConvSpec &spec, Layout layout) const {
    return compat::convolution(engine_, algorithm::convolution_direct,
                               wanted_md(spec.in, conv_type_, layout), weights_md(spec),
                               bias_md(spec), wanted_md(spec.out, made_type_, layout),
                               spec.window, conv_attr(spec));
}

// Nothing where this library or CPU has none.
std::optional<PlanBuilder::ConvPd>
PlanBuilder::winograd_convolution(const ConvSpec &spec) const {
    const bool few = spec.out[0] * spec.out[2] * spec.out[3] < kFewPixels;
    try {
        return compat::winograd(engine_, wanted_md(spec.in, Type::f32, Layout::Any),
                                weights_md(spec), bias_md(spec),
                                wanted_md(spec.out, Type::f32, Layout::Any), spec.window,
                                conv_attr(spec), few);
    } catch (const dnnl::error &) {
        return std::nullopt;
    }
}

// Nothing where the library has only slow code for these layouts.
std::optional<PlanBuilder::ConvPd>
PlanBuilder::laid_out_convolution(const ConvSpec &spec) const {
    try {
        ConvPd pd = direct_convolution(spec, layout_);
        if (!is_slow(pd.impl_info_str()))
            return pd;
        return std::nullopt;
    } catch (const dnnl::error &) {
        return std::nullopt;
    }
}

PlanBuilder::ConvPd PlanBuilder::pick_convolution(const Node &node, const ConvSpec &spec,
                                                  const Dims &pads) const {
    if (suits_winograd(node, pads))
        if (auto pd = winograd_convolution(spec))
            return *pd;
    if (layout_ != Layout::Any)
        if (auto pd = laid_out_convolution(spec))
            return *pd;
    return direct_convolution(spec, Layout::Any);
}

// With a sum the result is written over the addend.
PlanBuilder::Slot PlanBuilder::conv_result(const Node &node, const Md &md) {
    if (node.addend < 0)
        return result(node.output, md);
    const Slot addend = slot(node.addend);
    Slot dst = as(addend, md); // a copy in the right layout …
    if (dst.block == addend.block && !is_dead_after_this(addend)) {
        dst = {new_block(addend.md), addend.md, true}; // … or because it is wanted later
        reorder(memory(addend), memory(dst));
    }
    place(node.output, dst);
    return dst;
}

void PlanBuilder::add_conv(const Node &node, const Dims &pads) {
    const ConvSpec spec = conv_spec(node, pads);
    const ConvPd pd = pick_convolution(node, spec, pads);
    const Slot src = as(slot(node.inputs[0]), pd.src_desc());
    const Slot dst = conv_result(node, pd.dst_desc());
    std::unordered_map<int, dnnl::memory> args = {
        {DNNL_ARG_SRC, memory(src)},
        {DNNL_ARG_WEIGHTS, weight(node.inputs[1], spec.weights, pd.weights_desc())},
        {DNNL_ARG_DST, memory(dst)}};
    if (spec.biased)
        args.emplace(DNNL_ARG_BIAS, weight(node.inputs[2], {spec.out[1]}, pd.bias_desc()));
    add<dnnl::convolution_forward>(pd, std::move(args));
}

void PlanBuilder::add_gemm(const Node &node) {
    Dims in = dims(node.inputs[0]);
    const Dims &out = dims(node.output);
    Slot from = slot(node.inputs[0]);
    if (in.size() != 4 && in.size() != 2) { // flat, as the weights are
        from = plain(node.inputs[0]);
        in = {in[0], count_elements(in) / in[0]};
        from.md = plain_md(in);
    }
    Dims shape = in;
    shape[0] = out[1];
    const bool biased = node.has_input(2);
    const Md bias = biased ? Md({out[1]}, Type::f32, Tag::x) : Md();
    const auto pd = compat::inner_product(
        engine_, wanted_md(in, gemm_type_, layout_of(from.md)), Md(shape, gemm_type_, Tag::any),
        bias, Md(out, Type::f32, Tag::any), attr_);
    const Slot src = as(from, pd.src_desc());
    const Slot dst = result(node.output, pd.dst_desc());
    std::unordered_map<int, dnnl::memory> args = {
        {DNNL_ARG_SRC, memory(src)},
        {DNNL_ARG_WEIGHTS, weight(node.inputs[1], shape, pd.weights_desc())},
        {DNNL_ARG_DST, memory(dst)}};
    if (biased)
        args.emplace(DNNL_ARG_BIAS, weight(node.inputs[2], {out[1]}, pd.bias_desc()));
    add<dnnl::inner_product_forward>(pd, std::move(args));
}

} // namespace sphere::onednn
