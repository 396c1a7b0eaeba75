// SPDX-License-Identifier: MIT
// Running a plan, laying out its memory, and weights in their layouts.
#include "core/engine/onednn/plan.h"

#include "core/engine/onednn/thread_state.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace sphere::onednn {
namespace {

// Training with weight decay leaves weights whose products are denormal numbers, which cost
// a CPU a hundred times more than others and add nothing.
constexpr float kNegligible = 1e-20F;
constexpr std::size_t kMaxArena = std::size_t{4} << 30;

dnnl::memory::desc row_major(const Dims &dims, dnnl::memory::data_type type) {
    Dims strides(dims.size(), 1);
    for (std::size_t i = dims.size(); i-- > 1;)
        strides[i - 1] = strides[i] * dims[i];
    return {dims, type, strides};
}

// That the library's primitives would take here.
int thread_count() {
    return omp_get_max_threads == nullptr ? 1 : omp_get_max_threads();
}

// nullptr where there is no memory.
void *handle(const dnnl::memory &memory) {
    return memory.get(true) == nullptr ? nullptr : memory.get_data_handle();
}

} // namespace

void Plan::count(const char *operation, const char *precision, const char *kernel) {
    const auto same = std::find_if(kernels_.begin(), kernels_.end(), [&](const KernelUse &use) {
        return use.operation == operation && use.precision == precision && use.kernel == kernel;
    });
    if (same != kernels_.end())
        ++same->layers;
    else
        kernels_.push_back({operation, precision, kernel, 1});
}

const Int8Weights &WeightStore::int8(int value, const Constant &constant,
                                     std::int64_t outputs) {
    const auto found = int8_.find(value);
    if (found != int8_.end())
        return found->second.weights;
    Int8Entry entry{quantise_weights(constant, outputs, int8_bits_), {}};
    return int8_.emplace(value, std::move(entry)).first->second.weights;
}

dnnl::memory WeightStore::get_int8(int value, const Constant &constant, const Dims &dims,
                                   const dnnl::memory::desc &wanted) {
    (void)int8(value, constant, dims[0]);
    Int8Entry &entry = int8_[value];
    for (const dnnl::memory &layout : entry.layouts)
        if (layout.get_desc() == wanted)
            return layout;
    std::vector<std::int8_t> codes = std::move(entry.weights.codes);
    entry.weights.codes.clear();
    if (codes.empty())
        codes = quantise_weights(constant, dims[0], int8_bits_).codes;
    dnnl::memory source(row_major(dims, dnnl::memory::data_type::s8), engine_, codes.data());
    dnnl::memory target(wanted, engine_);
    dnnl::stream stream(engine_);
    dnnl::reorder(source, target).execute(stream, source, target);
    stream.wait();
    entry.layouts.push_back(target);
    return target;
}

std::shared_ptr<const DotWeights> WeightStore::get_dot(int value, const Constant &constant) {
    std::shared_ptr<const DotWeights> &kept = dot_[value];
    if (!kept)
        kept = std::make_shared<const DotWeights>(pack_dot_weights(constant, int8_bits_));
    return kept;
}

std::shared_ptr<const DotWeights> WeightStore::get_product(int value, const Constant &constant,
                                                           const Dims &dims) {
    std::shared_ptr<const DotWeights> &kept = dot_[value];
    if (!kept)
        kept = std::make_shared<const DotWeights>(
            pack_product_weights(constant.floats, dims, int8_bits_));
    return kept;
}

std::shared_ptr<const WinogradWeights>
WeightStore::get_winograd(int value, const Constant &constant, std::int64_t tile, bool bf16) {
    std::vector<std::shared_ptr<const WinogradWeights>> &kept = winograd_[value];
    for (const auto &weights : kept)
        if (weights->tile == tile && weights->bf16 == bf16)
            return weights;
    kept.push_back(
        std::make_shared<const WinogradWeights>(transform_weights(constant, tile, bf16)));
    return kept.back();
}

dnnl::memory WeightStore::get(int value, const Constant &constant, const Dims &dims,
                              const dnnl::memory::desc &wanted) {
    std::vector<dnnl::memory> &layouts = kept_[value];
    for (const dnnl::memory &layout : layouts)
        if (layout.get_desc() == wanted)
            return layout;
    dnnl::memory target(wanted, engine_);
    dnnl::stream stream(engine_);
    const auto plain = row_major(dims, dnnl::memory::data_type::f32);
    std::vector<float> floats = constant.floats;
    for (float &x : floats)
        if (std::abs(x) < kNegligible)
            x = 0;
    dnnl::memory source(plain, engine_, floats.data());
    dnnl::reorder(source, target).execute(stream, source, target);
    stream.wait();
    layouts.push_back(target);
    return target;
}

// Largest first, each at the lowest place that is free while it lives. Scratch memory comes
// last: it is in use at each node.
bool Plan::lay_out() {
    std::vector<std::size_t> order(blocks_.size()), placed;
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
        return blocks_[a].bytes > blocks_[b].bytes;
    });
    std::size_t end = 0;
    for (const std::size_t i : order) {
        Block &block = blocks_[i];
        std::size_t offset = 0;
        for (const std::size_t other : placed) { // sorted by offset
            const Block &taken = blocks_[other];
            if (taken.last < block.first || block.last < taken.first)
                continue;
            if (taken.offset >= offset + aligned(block.bytes))
                break;
            offset = std::max(offset, taken.offset + aligned(taken.bytes));
        }
        block.offset = offset;
        end = std::max(end, offset + aligned(block.bytes));
        placed.insert(std::upper_bound(placed.begin(), placed.end(), i,
                                       [this](std::size_t a, std::size_t b) {
                                           return blocks_[a].offset < blocks_[b].offset;
                                       }),
                      i);
    }
    std::size_t scratch = 0;
    for (const dnnl::memory &memory : scratch_)
        scratch = std::max(scratch, memory.get_desc().get_size());
    arena_bytes_ = std::max(end + aligned(scratch), kAlignment);
    if (arena_bytes_ > kMaxArena)
        return false;
    arena_ = allocate_aligned(arena_bytes_);
    if (!arena_)
        return false;
    std::memset(arena_.get(), 0, arena_bytes_);
    for (Binding &binding : bindings_)
        binding.memory.set_data_handle(arena_.get() +
                                       blocks_[static_cast<std::size_t>(binding.block)].offset);
    for (dnnl::memory &memory : scratch_)
        memory.set_data_handle(arena_.get() + end);
    return true;
}

void Plan::run_row_step(RowStep &step) {
    step.pass.x = static_cast<const float *>(handle(step.x));
    step.pass.slopes = step.slopes.empty() ? nullptr : step.slopes.data();
    step.pass.addend = static_cast<const float *>(handle(step.addend));
    step.pass.out = static_cast<float *>(handle(step.out));
    step.pass.codes = static_cast<std::uint8_t *>(handle(step.codes));
    run_rows(step.pass);
}

void Plan::run_dot_step(DotStep &step) {
    RowPass &to = step.conv.to;
    step.conv.x = static_cast<const std::uint8_t *>(handle(step.x));
    to.addend = static_cast<const float *>(handle(step.addend));
    to.out = static_cast<float *>(handle(step.out));
    to.codes = static_cast<std::uint8_t *>(handle(step.codes));
    run_dot(*step.kernel, step.conv, thread_count());
}

void Plan::run_winograd_step(WinogradStep &step) {
    step.conv.x = static_cast<const float *>(handle(step.x));
    step.conv.addend = static_cast<const float *>(handle(step.addend));
    step.conv.out = static_cast<float *>(handle(step.out));
    run_winograd(*step.kernel, step.conv, thread_count(), step.scratch);
}

void Plan::run_upsample_step(UpsampleStep &step) {
    step.sum.x = static_cast<const float *>(handle(step.x));
    step.sum.addend = static_cast<const float *>(handle(step.addend));
    step.sum.out = static_cast<float *>(handle(step.out));
    run_upsampled_sum(step.sum, thread_count());
}

void Plan::run_pair_step(PairStep &step) {
    step.chain.x = static_cast<const float *>(handle(step.x));
    step.chain.x_codes = static_cast<const std::uint8_t *>(handle(step.x_codes));
    step.chain.out = static_cast<float *>(handle(step.out));
    step.chain.codes = static_cast<std::uint8_t *>(handle(step.out_codes));
    run_pairs(*step.kernel, step.chain, thread_count(), step.scratch);
}

void Plan::run(const float *input, std::span<float *const> outputs) {
    for (dnnl::memory &memory : inputs_)
        memory.set_data_handle(const_cast<float *>(input)); // primitives only read it
    for (Step &step : steps_)
        if (step.rows)
            run_row_step(*step.rows);
        else if (step.pairs)
            run_pair_step(*step.pairs);
        else if (step.dot)
            run_dot_step(*step.dot);
        else if (step.winograd)
            run_winograd_step(*step.winograd);
        else if (step.upsample)
            run_upsample_step(*step.upsample);
        else
            // primitive::execute() makes the array anew at each call.
            dnnl::error::wrap_c_api(dnnl_primitive_execute(step.primitive.get(), stream_.get(),
                                                           static_cast<int>(step.args.size()),
                                                           step.args.data()),
                                    "could not execute a primitive");
    stream_.wait();
    for (std::size_t i = 0; i < outputs_.size(); ++i)
        std::memcpy(outputs[i], outputs_[i].memory.get_data_handle(),
                    static_cast<std::size_t>(count_elements(outputs_[i].dims)) * sizeof(float));
}

} // namespace sphere::onednn
