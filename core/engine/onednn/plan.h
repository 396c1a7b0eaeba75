// SPDX-License-Identifier: MIT
// A graph made ready for one shape of its input: primitives, layouts and memory are fixed.
#pragma once

#include "core/engine/engine.h"
#include "core/engine/onednn/compat.h"
#include "core/engine/onednn/shapes.h"

#include <cstdlib>
#include <memory>
#include <unordered_map>
#include <vector>

namespace sphere::onednn {

/// Weights in the layouts that primitives asked for, each once, shared by the plans of a
/// network.
class WeightStore {
  public:
    explicit WeightStore(const dnnl::engine &engine) : engine_(engine) {}

    /// `constant` seen as `dims`, in layout `wanted`. Once here, the constant's own floats are
    /// not needed any more.
    dnnl::memory get(int value, const Constant &constant, const Dims &dims,
                     const dnnl::memory::desc &wanted);
    bool holds(int value) const { return kept_.contains(value); }

  private:
    dnnl::engine engine_;
    std::unordered_map<int, std::vector<dnnl::memory>> kept_;
};

/// Memory aligned for vector instructions.
struct AlignedFree {
    void operator()(std::byte *p) const { std::free(p); }
};
using AlignedBytes = std::unique_ptr<std::byte[], AlignedFree>;

/// Not thread-safe. Throws dnnl::error and std::bad_alloc: the engine catches.
class Plan {
  public:
    /// Picks primitives and lays out memory. `bf16`: convolutions and what lies between them
    /// compute in bfloat16, accumulating in fp32.
    static Result<std::unique_ptr<Plan>> make(const Graph &graph, const Dims &input, bool bf16,
                                              const dnnl::engine &engine, WeightStore &weights);

    /// `input` has as many floats as the input's shape. `outputs` in the graph's order.
    void run(const float *input, std::vector<sphere::Tensor> &outputs);

    const Dims &output_dims(std::size_t i) const { return outputs_[i].dims; }
    std::size_t arena_bytes() const { return arena_bytes_; }

  private:
    friend class PlanBuilder;
    struct Step {
        dnnl::primitive primitive;
        std::unordered_map<int, dnnl::memory> args;
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

    dnnl::stream stream_;
    std::vector<Step> steps_;
    std::vector<Block> blocks_;
    std::vector<Binding> bindings_;
    std::vector<dnnl::memory> inputs_, scratch_;
    std::vector<Output> outputs_;
    AlignedBytes arena_;
    std::size_t arena_bytes_ = 0;
};

} // namespace sphere::onednn
