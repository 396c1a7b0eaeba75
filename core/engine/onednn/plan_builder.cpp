// SPDX-License-Identifier: MIT
// Where values live, and how they get from one layout into another.
#include "core/engine/onednn/plan_builder.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace sphere::onednn {

using dnnl::memory;
using Tag = memory::format_tag;
using Type = memory::data_type;

PlanBuilder::PlanBuilder(Plan &plan, const Graph &graph, const Shapes &shapes,
                         const PlanSettings &settings, const dnnl::engine &engine,
                         WeightStore &weights)
    : plan_(plan), graph_(graph), shapes_(shapes), settings_(settings), engine_(engine),
      weights_(weights), conv_type_(settings.bf16_convolutions ? Type::bf16 : Type::f32),
      gemm_type_(settings.bf16_products ? Type::bf16 : Type::f32), made_type_(conv_type_),
      slots_(graph.values.size()), plain_(graph.values.size()),
      last_use_(graph.values.size(), -1) {
    attr_.set_scratchpad_mode(dnnl::scratchpad_mode::user);
}

Result<void> PlanBuilder::build() {
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i)
        for (const int input : graph_.nodes[i].inputs)
            if (input >= 0)
                last_use_[static_cast<std::size_t>(input)] = static_cast<int>(i);
    for (const int output : graph_.outputs)
        last_use_[static_cast<std::size_t>(output)] = std::numeric_limits<int>::max();
    done_.resize(graph_.nodes.size());
    std::iota(done_.begin(), done_.end(), 0);
    choose_layout();
    const SoleTakers takers = sole_takers();
    plan_int8();
    plan_chains(takers);
    plan_preluded(takers);
    plan_winograd(takers);
    plan_upsampled(takers);
    Slot input;
    input.md = plain_md(dims(graph_.input));
    input.set = true;
    slot(graph_.input) = input;
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
        now_ = static_cast<int>(i);
        if (!shapes_.is_static[static_cast<std::size_t>(graph_.nodes[i].output)])
            add_node(graph_.nodes[i], i);
    }
    ++now_;
    for (const int output : graph_.outputs) {
        if (!slot(output).set || slot(output).block == kInputBlock)
            return fail(Errc::Unsupported, graph_.path,
                        ": an output that is not computed at run time is not known to engine "
                        "onednn: use engine=opencv.");
        plan_.outputs_.push_back({dims(output), memory(plain(output))});
    }
    return {};
}

void PlanBuilder::add_node(const Node &node, std::size_t index) {
    const std::string &op = node.op;
    if (chains_[index]) {
        if (chains_[index]->last() == index)
            add_chain(*chains_[index]);
    } else if (siblings_[index]) {
        if (siblings_[index]->front().point == index)
            add_siblings(*siblings_[index]);
    } else if (winograd_[index]) {
        if (winograd_[index]->last() == index)
            add_winograd(*winograd_[index]);
    } else if (preluded_[index])
        add_dot(*preluded_[index], index);
    else if (int8_[index] && int8_[index]->dot) {
        if (done_[index] == now_)
            add_dot(index, std::nullopt);
    } else if (int8_[index])
        add_int8(node, *int8_[index]);
    else if (upsampled_[index])
        add_upsampled(graph_.nodes[*upsampled_[index]], node);
    else if (op == "Conv")
        add_conv(node, shapes_.pads[index]);
    else if (op == "Gemm")
        add_gemm(node);
    else if (op == "MaxPool" || op == "AveragePool" || op == "GlobalAveragePool")
        add_pool(node, shapes_.pads[index]);
    else if (op == "PRelu")
        add_prelu(node);
    else if (op == "Add" || op == "Sub" || op == "Mul" || op == "Div")
        add_binary(node);
    else if (op == "Softmax")
        add_softmax(node);
    else if (op == "Resize" || op == "Upsample") {
        if (done_[index] == now_)
            add_resize(node);
    } else if (op == "Concat")
        add_concat(node);
    else if (op == "Transpose")
        add_transpose(node);
    else if (op == "Slice")
        add_slice(node);
    else if (op == "Reshape" || op == "Flatten" || op == "Squeeze" || op == "Unsqueeze")
        add_view(node);
    else
        add_eltwise(node);
}

const Dims &PlanBuilder::dims(int value) const {
    return shapes_.dims[static_cast<std::size_t>(value)];
}

compat::Md PlanBuilder::plain_md(const Dims &dims) {
    Dims strides(dims.size(), 1);
    for (std::size_t i = dims.size(); i-- > 1;)
        strides[i - 1] = strides[i] * dims[i];
    return {dims, Type::f32, strides};
}

// The work of `node` is done at `later`: what it takes is wanted until then.
void PlanBuilder::done_at(std::size_t node, std::size_t later) {
    const int last = static_cast<int>(later);
    done_[node] = last;
    for (const int input : graph_.nodes[node].inputs)
        if (input >= 0)
            last_use_[static_cast<std::size_t>(input)] = std::max(last_use(input), last);
}

int PlanBuilder::new_block(const Md &md) {
    plan_.blocks_.push_back({std::max<std::size_t>(md.get_size(), 1), 0, now_, now_});
    return static_cast<int>(plan_.blocks_.size()) - 1;
}

void PlanBuilder::place(int value, Slot place) {
    if (place.block != kInputBlock) {
        int &last = plan_.blocks_[static_cast<std::size_t>(place.block)].last;
        last = std::max(last, last_use(value));
    }
    place.set = true;
    slot(value) = place;
}

memory PlanBuilder::memory(int block, const Md &md) {
    dnnl::memory made(md, engine_, nullptr);
    if (block == kInputBlock)
        plan_.inputs_.push_back(made);
    else
        plan_.bindings_.push_back({made, block});
    return made;
}

memory PlanBuilder::memory(const Slot &slot) {
    return memory(slot.block, slot.md);
}

void PlanBuilder::reorder(const dnnl::memory &from, const dnnl::memory &to) {
    const dnnl::reorder::primitive_desc pd(from, to, attr_);
    add<dnnl::reorder>(pd, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

namespace {

const char *operation_name(dnnl::primitive::kind kind) {
    using Kind = dnnl::primitive::kind;
    switch (kind) {
    case Kind::convolution:
        return "convolution";
    case Kind::inner_product:
        return "inner_product";
    case Kind::reorder:
        return "reorder";
    case Kind::prelu:
        return "prelu";
    case Kind::concat:
        return "concat";
    default:
        return "other";
    }
}

const char *precision_name(const std::unordered_map<int, dnnl::memory> &args) {
    const auto source = args.find(DNNL_ARG_SRC);
    if (source == args.end())
        return "fp32";
    switch (compat::type_of(source->second.get_desc())) {
    case Type::bf16:
        return "bf16";
    case Type::u8:
    case Type::s8:
        return "int8";
    default:
        return "fp32";
    }
}

} // namespace

template <typename Primitive, typename Pd>
void PlanBuilder::add(const Pd &pd, std::unordered_map<int, dnnl::memory> args) {
    const Md scratch = pd.scratchpad_desc();
    if (scratch.get_size() > 0) {
        dnnl::memory made(scratch, engine_, nullptr);
        plan_.scratch_.push_back(made);
        args.emplace(DNNL_ARG_SCRATCHPAD, made);
    }
    const Primitive primitive(pd);
    plan_.count(operation_name(primitive.get_kind()), precision_name(args), pd.impl_info_str());
    std::vector<dnnl_exec_arg_t> list;
    list.reserve(args.size());
    for (const auto &[index, memory] : args)
        list.push_back({index, memory.get()});
    Plan::Step step;
    step.primitive = primitive;
    step.memories = std::move(args);
    step.args = std::move(list);
    plan_.steps_.push_back(std::move(step));
}

PlanBuilder::Slot PlanBuilder::plain(int value) {
    const Md wanted = plain_md(dims(value));
    if (slot(value).md == wanted)
        return slot(value);
    Slot &copy = plain_[static_cast<std::size_t>(value)];
    if (!copy.set) {
        copy = {new_block(wanted), wanted, true};
        plan_.blocks_[static_cast<std::size_t>(copy.block)].last =
            std::max(now_, last_use(value));
        reorder(memory(slot(value)), memory(copy));
    }
    return copy;
}

PlanBuilder::Slot PlanBuilder::as(const Slot &from, const Md &md) {
    if (from.md == md)
        return from;
    const Slot copy{new_block(md), md, true};
    reorder(memory(from), memory(copy));
    return copy;
}

PlanBuilder::Slot PlanBuilder::result(int value, const Md &md) {
    const Slot made{new_block(md), md, true};
    place(value, made);
    return made;
}

bool PlanBuilder::is_dead_after_this(const Slot &slot) const {
    return slot.block != kInputBlock &&
           plan_.blocks_[static_cast<std::size_t>(slot.block)].last <= now_;
}

PlanBuilder::Slot PlanBuilder::in_place(const Node &node) {
    const Slot input = slot(node.inputs[0]);
    if (!is_dead_after_this(input))
        return result(node.output, input.md);
    place(node.output, input);
    return input;
}

memory PlanBuilder::weight(int value, const Dims &seen_as, const Md &md) {
    return weights_.get(value, *graph_.constant(value), seen_as, md);
}

Result<std::unique_ptr<Plan>> Plan::make(const Graph &graph, const Dims &input,
                                         const PlanSettings &settings,
                                         const dnnl::engine &engine, WeightStore &weights) {
    auto shapes = infer_shapes(graph, input);
    if (!shapes)
        return std::move(shapes).error();
    std::unique_ptr<Plan> plan(new Plan(engine));
    SPHERE_TRY(PlanBuilder(*plan, graph, *shapes, settings, engine, weights).build());
    if (!plan->lay_out())
        return fail(Errc::InvalidArgument, graph.path, ": an input of ", dims_text(input),
                    " takes more memory than this engine allows.");
    return plan;
}

// The operators are built in plan_conv.cpp and plan_ops.cpp.
template void
PlanBuilder::add<dnnl::convolution_forward>(const dnnl::convolution_forward::primitive_desc &,
                                            std::unordered_map<int, dnnl::memory>);
template void PlanBuilder::add<dnnl::inner_product_forward>(
    const dnnl::inner_product_forward::primitive_desc &, std::unordered_map<int, dnnl::memory>);
template void
PlanBuilder::add<dnnl::pooling_forward>(const dnnl::pooling_forward::primitive_desc &,
                                        std::unordered_map<int, dnnl::memory>);
template void PlanBuilder::add<dnnl::prelu_forward>(const dnnl::prelu_forward::primitive_desc &,
                                                    std::unordered_map<int, dnnl::memory>);
template void
PlanBuilder::add<dnnl::eltwise_forward>(const dnnl::eltwise_forward::primitive_desc &,
                                        std::unordered_map<int, dnnl::memory>);
template void PlanBuilder::add<dnnl::binary>(const dnnl::binary::primitive_desc &,
                                             std::unordered_map<int, dnnl::memory>);
template void
PlanBuilder::add<dnnl::softmax_forward>(const dnnl::softmax_forward::primitive_desc &,
                                        std::unordered_map<int, dnnl::memory>);
template void
PlanBuilder::add<dnnl::resampling_forward>(const dnnl::resampling_forward::primitive_desc &,
                                           std::unordered_map<int, dnnl::memory>);
template void PlanBuilder::add<dnnl::concat>(const dnnl::concat::primitive_desc &,
                                             std::unordered_map<int, dnnl::memory>);

} // namespace sphere::onednn
