// SPDX-License-Identifier: MIT
// The operators between the convolutions.
#include "core/engine/onednn/plan_builder.h"

#include <limits>

namespace sphere::onednn {

using dnnl::algorithm;
using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

void PlanBuilder::add_pool(const Node &node, const Dims &pads) {
    const Dims &in = dims(node.inputs[0]);
    const bool global = node.op == "GlobalAveragePool";
    const Dims kernel = global ? Dims{in[2], in[3]} : node.list("kernel_shape", {});
    const auto kind = node.op == "MaxPool" ? algorithm::pooling_max
                      : node.integer("count_include_pad", 0) != 0
                          ? algorithm::pooling_avg_include_padding
                          : algorithm::pooling_avg_exclude_padding;
    const Slot src = slot(node.inputs[0]);
    const auto pd = compat::pooling(
        engine_, kind, src.md, Md(dims(node.output), compat::type_of(src.md), Tag::any),
        {kernel, node.list("strides", {1, 1}), {}, {pads[0], pads[1]}, {pads[2], pads[3]}},
        attr_);
    const Slot dst = result(node.output, pd.dst_desc());
    add<dnnl::pooling_forward>(pd, {{DNNL_ARG_SRC, memory(src)}, {DNNL_ARG_DST, memory(dst)}});
}

void PlanBuilder::add_prelu(const Node &node) {
    const Dims &in = dims(node.inputs[0]);
    const Slot src = slot(node.inputs[0]);
    if (add_prelu_rows(node, src))
        return;
    const Constant &slopes = *graph_.constant(node.inputs[1]);
    Dims shape(in.size(), 1);
    if (count_elements(slopes.dims) != 1)
        shape[1] = in[1];
    const auto pd =
        compat::prelu(engine_, src.md, Md(shape, compat::type_of(src.md), Tag::any), attr_);
    const Slot dst = in_place(node);
    add<dnnl::prelu_forward>(
        pd, {{DNNL_ARG_SRC, memory(src)},
             {DNNL_ARG_WEIGHTS, weight(node.inputs[1], shape, pd.weights_desc())},
             {DNNL_ARG_DST, memory(dst)}});
    if (node.addend < 0)
        return;
    const auto sum =
        compat::binary(engine_, algorithm::binary_add, dst.md, dst.md, dst.md, attr_);
    add<dnnl::binary>(sum, {{DNNL_ARG_SRC_0, memory(dst)},
                            {DNNL_ARG_SRC_1, memory(as(slot(node.addend), dst.md))},
                            {DNNL_ARG_DST, memory(dst)}});
}

void PlanBuilder::shape_rows(RowPass &pass, const Dims &shape, Layout layout) {
    const bool flat = shape.size() != 4; // one row
    pass.pictures = flat ? 1 : shape[0];
    pass.rows = flat ? 1 : shape[2];
    pass.pixels = flat ? count_elements(shape) : shape[3];
    pass.channels = flat ? 1 : shape[1];
    if (layout == Layout::Blocked || layout == Layout::Blocks8) {
        pass.channels = layout == Layout::Blocked ? 16 : 8;
        pass.slope_groups = shape[1] / pass.channels;
        pass.pictures *= pass.slope_groups;
    }
}

// Slopes and a sum in one pass, where the tensor lies as the pass wants it.
bool PlanBuilder::add_prelu_rows(const Node &node, const Slot &src) {
    const Layout layout = layout_of(src.md);
    if (layout == Layout::Any || src.block == kInputBlock)
        return false;
    const Dims &shape = dims(node.output);
    auto step = std::make_unique<Plan::RowStep>();
    step->slopes = slopes_of(node);
    shape_rows(step->pass, shape, layout);
    if (node.addend >= 0)
        step->addend = memory(as(slot(node.addend), src.md));
    step->x = memory(src);
    const Int8Node *made = layout == Layout::Rows ? codes_wanted(node.output) : nullptr;
    if (made != nullptr)
        step->codes = memory(want_codes(step->pass, node.output, *made));
    if (made == nullptr || floats_wanted(node.output, *made))
        step->out = memory(in_place(node));
    plan_.count("prelu", "fp32", "sphere");
    add_own(&Plan::Step::rows, std::move(step));
    return true;
}

void PlanBuilder::eltwise(const Node &node, algorithm kind, float a, float b) {
    const Slot src = slot(node.inputs[0]);
    const auto pd = compat::eltwise(engine_, kind, src.md, a, b, attr_);
    const Slot dst = in_place(node);
    add<dnnl::eltwise_forward>(pd, {{DNNL_ARG_SRC, memory(src)}, {DNNL_ARG_DST, memory(dst)}});
}

void PlanBuilder::add_eltwise(const Node &node) {
    if (node.op == "Relu")
        return eltwise(node, algorithm::eltwise_relu, 0, 0);
    if (node.op == "LeakyRelu")
        return eltwise(node, algorithm::eltwise_relu, node.number("alpha", 0.01F), 0);
    if (node.op == "Sigmoid")
        return eltwise(node, algorithm::eltwise_logistic, 0, 0);
    if (node.op == "Tanh")
        return eltwise(node, algorithm::eltwise_tanh, 0, 0);
    if (node.op == "Exp")
        return eltwise(node, algorithm::eltwise_exp, 0, 0);
    // Clip: bounds are attributes before opset 11, inputs since.
    const auto bound = [&](const char *key, std::size_t input, float fallback) {
        const Constant *constant =
            node.has_input(input) ? graph_.constant(node.inputs[input]) : nullptr;
        return constant != nullptr && constant->floats.size() == 1 ? constant->floats[0]
                                                                   : node.number(key, fallback);
    };
    eltwise(node, algorithm::eltwise_clip,
            bound("min", 1, std::numeric_limits<float>::lowest()),
            bound("max", 2, std::numeric_limits<float>::max()));
}

void PlanBuilder::add_binary(const Node &node) {
    int first = node.inputs[0], second = node.inputs[1];
    const bool commutes = node.op == "Add" || node.op == "Mul";
    // The library broadcasts its second operand only.
    if (commutes && (graph_.constant(first) != nullptr || dims(first) != dims(node.output)))
        std::swap(first, second);
    const auto kind = node.op == "Add"   ? algorithm::binary_add
                      : node.op == "Sub" ? algorithm::binary_sub
                      : node.op == "Mul" ? algorithm::binary_mul
                                         : algorithm::binary_div;
    Dims shape = dims(second);
    const std::size_t rank = dims(node.output).size();
    if (node.integer("per_channel", 0) == 1) {
        shape.assign(rank, 1);
        shape[1] = dims(second)[0];
    }
    shape.insert(shape.begin(), rank - std::min(rank, shape.size()), 1);
    const Constant *constant = graph_.constant(second);
    const Slot a = slot(first);
    const Md a_md = graph_.constant(first) != nullptr ? plain_md(dims(first)) : a.md;
    const bool same = constant == nullptr && dims(first) == dims(second);
    // By channel: in the blocks of the first, or the library's reference code takes it.
    const Layout blocks = layout_of(a_md);
    const bool blocked = constant != nullptr && shape.size() == 4 &&
                         shape[1] == dims(first)[1] &&
                         (blocks == Layout::Blocks8 || blocks == Layout::Blocked);
    const Md b_md = same      ? a_md
                    : blocked ? wanted_md(shape, Type::f32, blocks)
                              : plain_md(shape);
    const auto pd = compat::binary(engine_, kind, a_md, b_md,
                                   dims(first) == dims(node.output)
                                       ? a_md
                                       : Md(dims(node.output), compat::type_of(a_md), Tag::any),
                                   attr_);
    const dnnl::memory b =
        constant != nullptr
            ? weight(second, shape, b_md)
            : memory(same ? as(slot(second), b_md) : Slot{plain(second).block, b_md, true});
    const dnnl::memory from =
        graph_.constant(first) != nullptr ? weight(first, dims(first), a_md) : memory(a);
    Slot dst;
    if (graph_.constant(first) == nullptr && pd.dst_desc() == a.md && is_dead_after_this(a)) {
        place(node.output, a);
        dst = a;
    } else {
        dst = result(node.output, pd.dst_desc());
    }
    add<dnnl::binary>(
        pd, {{DNNL_ARG_SRC_0, from}, {DNNL_ARG_SRC_1, b}, {DNNL_ARG_DST, memory(dst)}});
}

void PlanBuilder::add_softmax(const Node &node) {
    const Slot src = plain(node.inputs[0]);
    const bool old = graph_.opset > 0 && graph_.opset < 13;
    const auto axis =
        normal_axis(node.integer("axis", old ? 1 : -1), dims(node.inputs[0]).size());
    const auto pd = compat::softmax(engine_, src.md, static_cast<int>(axis), attr_);
    const Slot dst = result(node.output, src.md);
    add<dnnl::softmax_forward>(pd, {{DNNL_ARG_SRC, memory(src)}, {DNNL_ARG_DST, memory(dst)}});
}

void PlanBuilder::add_resize(const Node &node) {
    const Slot src = slot(node.inputs[0]);
    const auto kind = node.text("mode", "nearest") == "linear" ? algorithm::resampling_linear
                                                               : algorithm::resampling_nearest;
    const auto pd = compat::resampling(
        engine_, kind, src.md, Md(dims(node.output), compat::type_of(src.md), Tag::any), attr_);
    const Slot dst = result(node.output, pd.dst_desc());
    add<dnnl::resampling_forward>(pd,
                                  {{DNNL_ARG_SRC, memory(src)}, {DNNL_ARG_DST, memory(dst)}});
}

void PlanBuilder::add_concat(const Node &node) {
    std::vector<Slot> parts;
    std::vector<Md> mds;
    bool alike = true;
    for (const int input : node.inputs) {
        parts.push_back(slot(input));
        mds.push_back(parts.back().md);
        alike = alike && compat::type_of(mds.back()) == compat::type_of(mds.front());
    }
    if (!alike) // fp32 and bf16 meet
        for (std::size_t i = 0; i < parts.size(); ++i) {
            parts[i] = plain(node.inputs[i]);
            mds[i] = parts[i].md;
        }
    const auto axis = normal_axis(node.integer("axis", 1), dims(node.output).size());
    const auto pd = compat::concat(engine_, static_cast<int>(axis), mds, attr_);
    const Slot dst = result(node.output, pd.dst_desc());
    std::unordered_map<int, dnnl::memory> args = {{DNNL_ARG_DST, memory(dst)}};
    for (std::size_t i = 0; i < parts.size(); ++i)
        args.emplace(DNNL_ARG_MULTIPLE_SRC + static_cast<int>(i), memory(parts[i]));
    add<dnnl::concat>(pd, std::move(args));
}

// The same bytes under another shape.
void PlanBuilder::add_view(const Node &node) {
    Slot view = plain(node.inputs[0]);
    view.md = plain_md(dims(node.output));
    place(node.output, view);
}

// One reorder from whatever layout there is: the target is the input's shape with the strides
// that its axes have in the result.
void PlanBuilder::add_transpose(const Node &node) {
    const Dims &in = dims(node.inputs[0]), &out = dims(node.output);
    const Dims perm = node.list("perm", {});
    Dims strides(in.size(), 1);
    std::int64_t stride = 1;
    for (std::size_t i = out.size(); i-- > 0; stride *= out[i])
        strides[static_cast<std::size_t>(perm[i])] = stride;
    const Slot dst = result(node.output, plain_md(out));
    reorder(memory(slot(node.inputs[0])), memory(dst.block, Md(in, Type::f32, strides)));
}

void PlanBuilder::add_slice(const Node &node) {
    const Slot src = plain(node.inputs[0]);
    const Md part = src.md.submemory_desc(
        dims(node.output), shapes_.integers[static_cast<std::size_t>(node.output)]);
    const Slot dst = result(node.output, plain_md(dims(node.output)));
    reorder(memory(src.block, part), memory(dst));
}

} // namespace sphere::onednn
