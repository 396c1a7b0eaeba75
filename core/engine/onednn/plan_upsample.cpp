// SPDX-License-Identifier: MIT
// Which enlargements are one step with the sum behind them.
#include "core/engine/onednn/plan_builder.h"

namespace sphere::onednn {

// Nearest neighbours by whole factors, all of which goes into a sum of two tensors of its
// shape.
void PlanBuilder::plan_upsampled(const SoleTakers &takers) {
    upsampled_.resize(graph_.nodes.size());
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
        const Node &resize = graph_.nodes[i];
        if ((resize.op != "Resize" && resize.op != "Upsample") || !takers[i] ||
            resize.text("mode", "nearest") != "nearest" ||
            shapes_.is_static[static_cast<std::size_t>(resize.output)])
            continue;
        const Node &sum = graph_.nodes[*takers[i]];
        if (sum.op != "Add" || sum.inputs.size() != 2)
            continue;
        const int other = sum.inputs[sum.inputs[0] == resize.output ? 1 : 0];
        if (graph_.constant(other) != nullptr ||
            shapes_.is_static[static_cast<std::size_t>(other)] ||
            dims(other) != dims(resize.output))
            continue;
        upsampled_[*takers[i]] = i;
        done_at(i, *takers[i]);
    }
}

// When the sum comes. Where the small map does not lie channels-last, by the library.
void PlanBuilder::add_upsampled(const Node &resize, const Node &sum) {
    const Slot x = slot(resize.inputs[0]);
    if (x.block == kInputBlock || layout_of(x.md) != Layout::Rows) {
        add_resize(resize);
        add_binary(sum);
        return;
    }
    const int other = sum.inputs[sum.inputs[0] == resize.output ? 1 : 0];
    const Dims &in = dims(resize.inputs[0]), &out = dims(resize.output);
    const Md md = wanted_md(out, dnnl::memory::data_type::f32, Layout::Rows);
    const Slot addend = as(slot(other), md);
    auto step = std::make_unique<Plan::UpsampleStep>();
    step->sum.pictures = in[0];
    step->sum.channels = in[1];
    step->sum.rows = in[2];
    step->sum.pixels = in[3];
    step->sum.factor_y = out[2] / in[2];
    step->sum.factor_x = out[3] / in[3];
    step->x = memory(x);
    step->addend = memory(addend);
    if (addend.block != x.block && is_dead_after_this(addend)) {
        place(sum.output, addend);
        step->out = memory(addend);
    } else {
        step->out = memory(result(sum.output, md));
    }
    plan_.count("resize", "fp32", "sphere");
    add_own(&Plan::Step::upsample, std::move(step));
}

} // namespace sphere::onednn
