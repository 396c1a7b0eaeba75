// SPDX-License-Identifier: MIT
// Convolutions and inner products in int8: codes in, fp32 out. With x = (code - zero) * scale
// and w = wcode * wscale, a sum of products is wscale * scale * (sum of codes' products - zero
// * sum of wcodes): the last term joins the bias, and padding becomes a border of `zero` that
// the pass before writes. So the library multiplies unsigned by signed bytes and knows no zero.
#include "core/engine/onednn/plan_builder.h"

#include <string_view>

namespace sphere::onednn {

using dnnl::algorithm;
using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

namespace {

bool is_reference(const char *implementation) {
    return std::string_view(implementation).find("ref") != std::string_view::npos;
}

} // namespace

// Which nodes are computed in int8, known before the first is built: whoever makes a value must
// know whether its codes are wanted.
void PlanBuilder::plan_int8() {
    int8_.resize(graph_.nodes.size());
    takers_.resize(graph_.values.size());
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i)
        for (const int input : graph_.nodes[i].inputs)
            if (input >= 0)
                takers_[static_cast<std::size_t>(input)].push_back(static_cast<int>(i));
    if (!settings_.int8)
        return;
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
        const Node &node = graph_.nodes[i];
        const std::string &value =
            node.has_input(0) ? graph_.values[static_cast<std::size_t>(node.inputs[0])].name
                              : node.name;
        const auto range = settings_.int8->ranges.find(value);
        if (!can_be_int8(graph_, node) || range == settings_.int8->ranges.end() ||
            settings_.int8->fp32_nodes.contains(node.name))
            continue;
        Int8Node made;
        made.codes = code_scale(range->second);
        try {
            if (fits_dot(i))
                describe_dot(node, shapes_.pads[i], made);
            else if (node.op == "Conv")
                describe_conv(node, shapes_.pads[i], made);
            else if (fits_product(node))
                describe_product(node, made);
            else
                describe_gemm(node, made);
        } catch (const dnnl::error &) {
            continue; // the library has nothing for this shape: fp32
        }
        int8_[i] = std::move(made);
    }
}

void PlanBuilder::describe_conv(const Node &node, const Dims &pads, Int8Node &made) const {
    ConvSpec spec = conv_spec(node, pads);
    spec.in[2] += pads[0] + pads[2];
    spec.in[3] += pads[1] + pads[3];
    spec.window.begin = spec.window.end = {0, 0};
    made.border = pads;
    made.in = spec.in;
    made.weights = spec.weights;
    dnnl::primitive_attr attr = conv_attr(spec);
    compat::set_channel_scales(attr, channel_scales(node, made));
    const Md bias({spec.out[1]}, Type::f32, Tag::x);
    made.conv = compat::convolution(engine_, algorithm::convolution_direct,
                                    Md(spec.in, Type::u8, Tag::nhwc),
                                    Md(spec.weights, Type::s8, Tag::any), bias,
                                    Md(spec.out, Type::f32, Tag::nhwc), spec.window, attr);
    if (is_reference(made.conv.impl_info_str()))
        throw dnnl::error(dnnl_unimplemented, "only reference code");
}

void PlanBuilder::describe_gemm(const Node &node, Int8Node &made) const {
    made.in = dims(node.inputs[0]);
    if (made.in.size() != 4)
        made.in = {made.in[0], count_elements(made.in) / made.in[0]};
    made.border = {0, 0, 0, 0};
    made.weights = made.in;
    made.weights[0] = dims(node.output)[1];
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    compat::set_channel_scales(attr, channel_scales(node, made));
    const Md bias({made.weights[0]}, Type::f32, Tag::x);
    made.gemm = compat::inner_product(
        engine_, Md(made.in, Type::u8, made.in.size() == 4 ? Tag::nhwc : Tag::nc),
        Md(made.weights, Type::s8, Tag::any), bias, Md(dims(node.output), Type::f32, Tag::nc),
        attr);
    if (is_reference(made.gemm.impl_info_str()))
        throw dnnl::error(dnnl_unimplemented, "only reference code");
}

std::vector<float> PlanBuilder::channel_scales(const Node &node, const Int8Node &made) const {
    std::vector<float> scales =
        weights_.int8(node.inputs[1], *graph_.constant(node.inputs[1]), made.weights[0]).scales;
    for (float &scale : scales)
        scale *= made.codes.scale;
    return scales;
}

// Adds to `args` what both kinds of node take.
void PlanBuilder::add_int8_arguments(const Node &node, const Int8Node &made, const Md &weights,
                                     std::unordered_map<int, dnnl::memory> &args) {
    const Constant &constant = *graph_.constant(node.inputs[1]);
    const std::vector<float> scales = channel_scales(node, made);
    const std::vector<float> &sums =
        weights_.int8(node.inputs[1], constant, made.weights[0]).sums;
    const dnnl::memory bias(Md({made.weights[0]}, Type::f32, Tag::x), engine_);
    auto *values = static_cast<float *>(bias.get_data_handle());
    const Constant *own = node.has_input(2) ? graph_.constant(node.inputs[2]) : nullptr;
    for (std::size_t o = 0; o < scales.size(); ++o)
        values[o] = compat::int8_bias(own != nullptr ? own->floats[o] : 0, scales[o],
                                      static_cast<float>(made.codes.zero) * sums[o]);
    args.emplace(DNNL_ARG_SRC, memory(codes_of(node.inputs[0], made)));
    args.emplace(DNNL_ARG_WEIGHTS,
                 weights_.get_int8(node.inputs[1], constant, made.weights, weights));
    args.emplace(DNNL_ARG_BIAS, bias);
    compat::add_scale_arguments(args, engine_, scales);
}

void PlanBuilder::add_int8(const Node &node, const Int8Node &made) {
    std::unordered_map<int, dnnl::memory> args;
    if (made.conv) {
        add_int8_arguments(node, made, made.conv.weights_desc(), args);
        args.emplace(DNNL_ARG_DST, memory(conv_result(node, made.conv.dst_desc())));
        add<dnnl::convolution_forward>(made.conv, std::move(args));
    } else {
        add_int8_arguments(node, made, made.gemm.weights_desc(), args);
        args.emplace(DNNL_ARG_DST, memory(result(node.output, made.gemm.dst_desc())));
        add<dnnl::inner_product_forward>(made.gemm, std::move(args));
    }
}

PlanBuilder::Slot PlanBuilder::new_codes(int value, const Int8Node &made) {
    const Md md(made.in, Type::u8, made.in.size() == 4 ? Tag::nhwc : Tag::nc);
    const Slot codes{new_block(md), md, true};
    int &last = plan_.blocks_[static_cast<std::size_t>(codes.block)].last;
    for (const int taker : takers_[static_cast<std::size_t>(value)])
        if (int8_[static_cast<std::size_t>(taker)])
            last = std::max(last, done_[static_cast<std::size_t>(taker)]);
    codes_[{value, made.border}] = codes;
    return codes;
}

// Made by a pass of its own where the maker of the value did not do it.
PlanBuilder::Slot PlanBuilder::codes_of(int value, const Int8Node &made) {
    const auto found = codes_.find({value, made.border});
    if (found != codes_.end())
        return found->second;
    Slot from = slot(value);
    const Dims &shape = dims(value);
    if (made.in.size() == 4)
        from = as(from, Md(shape, Type::f32, Tag::nhwc));
    else
        from = plain(value);
    auto step = std::make_unique<Plan::RowStep>();
    shape_rows(step->pass, shape, Layout::Rows);
    step->x = memory(from);
    step->codes = memory(want_codes(step->pass, value, made));
    plan_.count("codes", "fp32", "sphere");
    add_own(&Plan::Step::rows, std::move(step));
    return codes_[{value, made.border}];
}

PlanBuilder::Slot PlanBuilder::want_codes(RowPass &pass, int value, const Int8Node &made) {
    pass.inverse_scale = 1 / made.codes.scale;
    pass.zero = made.codes.zero;
    pass.top = made.border[0];
    pass.left = made.border[1];
    pass.bottom = made.border[2];
    pass.right = made.border[3];
    return new_codes(value, made);
}

// The first node that wants codes of `value`; nullptr if none does.
const PlanBuilder::Int8Node *PlanBuilder::codes_wanted(int value) const {
    for (const int taker : takers_[static_cast<std::size_t>(value)])
        if (int8_[static_cast<std::size_t>(taker)] &&
            graph_.nodes[static_cast<std::size_t>(taker)].inputs[0] == value)
            return &*int8_[static_cast<std::size_t>(taker)];
    return nullptr;
}

// Whether somebody takes `value` otherwise than by the codes that `made` is content with.
bool PlanBuilder::floats_wanted(int value, const Int8Node &made) const {
    if (last_use(value) >= static_cast<int>(graph_.nodes.size()))
        return true; // an output
    for (const int taker : takers_[static_cast<std::size_t>(value)]) {
        const auto &other = int8_[static_cast<std::size_t>(taker)];
        const Node &node = graph_.nodes[static_cast<std::size_t>(taker)];
        if (!other || node.inputs[0] != value || node.addend == value ||
            other->border != made.border)
            return true;
    }
    return false;
}

} // namespace sphere::onednn
