// SPDX-License-Identifier: MIT
// A graph made ready for one shape of its input: primitives, layouts and memory are fixed.
#pragma once

#include "core/engine/engine.h"
#include "core/engine/onednn/compat.h"
#include "core/engine/onednn/dot.h"
#include "core/engine/onednn/int8.h"
#include "core/engine/onednn/pairs.h"
#include "core/engine/onednn/rows.h"
#include "core/engine/onednn/shapes.h"
#include "core/engine/onednn/upsample.h"
#include "core/engine/onednn/winograd.h"

#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

namespace sphere::onednn {

/// Weights in the layouts that primitives asked for, each once, shared by the plans of a
/// network.
class WeightStore {
  public:
    /// `int8_bits` of a weight's code, as quantise_weights() takes them.
    explicit WeightStore(const dnnl::engine &engine, int int8_bits = 8)
        : engine_(engine), int8_bits_(int8_bits) {}

    /// `constant` seen as `dims`, in layout `wanted`. Its floats are needed where this layout
    /// has not been asked for before: Winograd's cannot be turned back.
    dnnl::memory get(int value, const Constant &constant, const Dims &dims,
                     const dnnl::memory::desc &wanted);
    bool holds(int value) const {
        return kept_.contains(value) || int8_.contains(value) || dot_.contains(value) ||
               winograd_.contains(value);
    }

    /// Scales and sums of `constant` in int8 with `outputs` channels.
    const Int8Weights &int8(int value, const Constant &constant, std::int64_t outputs);
    /// Its codes, as get().
    dnnl::memory get_int8(int value, const Constant &constant, const Dims &dims,
                          const dnnl::memory::desc &wanted);
    /// For kernels of our own.
    std::shared_ptr<const DotWeights> get_dot(int value, const Constant &constant);
    /// Of an inner product, seen as `dims`, [outputs][planes][rows][pixels].
    std::shared_ptr<const DotWeights> get_product(int value, const Constant &constant,
                                                  const Dims &dims);
    /// Transformed for tiles of `tile` x `tile`; floats are needed as for get().
    std::shared_ptr<const WinogradWeights> get_winograd(int value, const Constant &constant,
                                                        std::int64_t tile, bool bf16);

  private:
    dnnl::engine engine_;
    int int8_bits_;
    struct Int8Entry {
        Int8Weights weights; ///< codes only until they have a layout
        std::vector<dnnl::memory> layouts;
    };
    std::unordered_map<int, std::vector<dnnl::memory>> kept_;
    std::unordered_map<int, Int8Entry> int8_;
    std::unordered_map<int, std::shared_ptr<const DotWeights>> dot_;
    std::unordered_map<int, std::vector<std::shared_ptr<const WinogradWeights>>> winograd_;
};

/// What a plan computes in; accumulators are fp32 (int8: int32) throughout.
struct PlanSettings {
    bool bf16_convolutions = false;              ///< and what lies between them
    bool bf16_products = false;                  ///< inner products
    std::shared_ptr<const Int8Calibration> int8; ///< nullptr = no int8
};

/// Not thread-safe. Throws dnnl::error and std::bad_alloc: the engine catches.
class Plan {
  public:
    /// Picks primitives and lays out memory.
    static Result<std::unique_ptr<Plan>> make(const Graph &graph, const Dims &input,
                                              const PlanSettings &settings,
                                              const dnnl::engine &engine, WeightStore &weights);

    /// `input` has as many floats as the input's shape, each of `outputs` room for output_dims;
    /// they are in the graph's order.
    void run(const float *input, std::span<float *const> outputs);
    std::size_t output_count() const { return outputs_.size(); }

    const Dims &output_dims(std::size_t i) const { return outputs_[i].dims; }
    std::size_t arena_bytes() const { return arena_bytes_; }
    const std::vector<KernelUse> &kernels() const { return kernels_; }

  private:
    friend class PlanBuilder;
    struct RowStep { ///< a pass of our own; addresses are taken from the memories at each run
        RowPass pass;
        std::vector<float> slopes;
        dnnl::memory x, addend, out, codes;
    };
    struct PairStep { ///< convolutions of our own; the weights' addresses stay
        const PairKernel *kernel = nullptr;
        PairChain chain;
        dnnl::memory x, out; ///< fp32, where there is such
        dnnl::memory x_codes, out_codes;
        std::vector<dnnl::memory> weights;
        std::vector<float> joined;              ///< weights, where they are of several nodes
        std::vector<std::vector<float>> scaled; ///< those that make words
        std::vector<float> scratch;
    };
    struct DotStep { ///< a convolution in int8 of our own
        const DotKernel *kernel = nullptr;
        DotConv conv;
        dnnl::memory x, addend, out, codes;
    };
    struct WinogradStep { ///< a 3x3 convolution of our own
        const WinogradKernel *kernel = nullptr;
        WinogradConv conv;
        dnnl::memory x, addend, out;
        std::vector<float> scratch;
    };
    struct UpsampleStep { ///< an enlargement and a sum
        UpsampledSum sum;
        dnnl::memory x, addend, out;
    };
    struct Step { ///< a primitive, or what there is of the others
        dnnl::primitive primitive;
        std::unordered_map<int, dnnl::memory> memories;
        std::vector<dnnl_exec_arg_t> args; ///< these, as the library's C interface takes them
        std::unique_ptr<RowStep> rows;
        std::unique_ptr<PairStep> pairs;
        std::unique_ptr<DotStep> dot;
        std::unique_ptr<WinogradStep> winograd;
        std::unique_ptr<UpsampleStep> upsample;
    };
    struct Block { ///< of the arena
        std::size_t bytes = 0;
        std::size_t offset = 0;
        int first = 0, last = 0; ///< nodes between which it is in use
    };
    struct Binding { ///< memory objects get their addresses once the arena is laid out
        dnnl::memory memory;
        int block = 0;
    };
    struct Output {
        Dims dims;
        dnnl::memory memory;
    };

    explicit Plan(const dnnl::engine &engine) : stream_(engine) {}
    bool lay_out();
    void count(const char *operation, const char *precision, const char *kernel);
    static void run_row_step(RowStep &step);
    static void run_pair_step(PairStep &step);
    static void run_dot_step(DotStep &step);
    static void run_winograd_step(WinogradStep &step);
    static void run_upsample_step(UpsampleStep &step);

    dnnl::stream stream_;
    std::vector<Step> steps_;
    std::vector<Block> blocks_;
    std::vector<Binding> bindings_;
    std::vector<dnnl::memory> inputs_, scratch_;
    std::vector<Output> outputs_;
    std::vector<KernelUse> kernels_;
    AlignedBytes arena_;
    std::size_t arena_bytes_ = 0;
};

} // namespace sphere::onednn
