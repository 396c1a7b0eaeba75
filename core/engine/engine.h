// SPDX-License-Identifier: MIT
// One neural network, loaded.
#pragma once

#include "core/base/result.h"
#include "core/model/store.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sphere {

/// A dense float tensor, row-major, first dimension outermost (NCHW for pictures).
struct Tensor {
    std::vector<std::int64_t> shape;
    std::vector<float> data;

    std::int64_t elements() const {
        std::int64_t n = 1;
        for (const std::int64_t d : shape)
            n *= d;
        return n;
    }
    /// Sets the shape and sizes the data; keeps the allocation where it suffices.
    void reset(std::vector<std::int64_t> new_shape) {
        shape = std::move(new_shape);
        data.resize(static_cast<std::size_t>(elements()));
    }
};

enum class Precision : std::uint8_t { Auto, Fp32, Bf16, Int8 };

/// What the user chose.
struct EngineOptions {
    std::string engine = "auto"; ///< auto, opencv, onednn, onnxruntime, cuda, fake
    Precision precision =
        Precision::Auto;      ///< Auto = the fastest that keeps the model's accuracy
    int threads = 0;          ///< 0 = as many as the machine has cores
    std::string instance_id;  ///< equal ids share an engine whatever else differs
    int batch_timeout_ms = 0; ///< acquire_engine: how long a run() waits for those of other
                              ///< holders to share a batch with; 0 = not at all
    int batch_size = 0;       ///< pictures of such a batch; 0 = as the engine prefers
    bool operator==(const EngineOptions &) const = default;
};

/// Most pictures that one run() takes, whatever the network allows.
inline constexpr int kMaxBatch = 256;

/// What computes a part of a network.
struct KernelUse {
    std::string operation; ///< "convolution", "inner_product", "reorder", …
    std::string precision; ///< of its input: "fp32", "bf16", "int8"
    std::string kernel;    ///< as the library calls its code
    int layers = 0;        ///< so many do it so
};

/// A loaded network. Thread-safe: run() may be called from any thread; calls may be serialised.
class Engine {
  public:
    virtual ~Engine() = default;

    /// Runs the network on `input` (NCHW, batch first). `outputs` gets one tensor for each name
    /// of the descriptor's `outputs`, in that order; its allocations are reused from call to
    /// call. Errors: InvalidArgument (a shape that the network cannot take), Engine (the
    /// library's message).
    virtual Result<void> run(const Tensor &input, std::vector<Tensor> &outputs) = 0;

    /// Backend name, e.g. "opencv".
    virtual const char *name() const = 0;

    /// Largest batch that one run() takes to advantage. Above 1 a run() takes several pictures
    /// even where the descriptor says that the file bakes batch 1.
    virtual int preferred_batch() const = 0;

    /// Which code computes the network at the shape that ran last; empty where the library does
    /// not tell.
    virtual std::vector<KernelUse> kernels() const { return {}; }
};

/// Loads `model` by the backend that `options` names. With `auto`: onednn where it is built in
/// and knows the network's operators, else opencv, which the log says once. Errors: Unsupported
/// (backend not built in; says how to enable it), Engine, NotFound, Corrupt.
Result<std::shared_ptr<Engine>> make_engine(const ResolvedModel &model,
                                            const EngineOptions &options);

/// As make_engine, but one loaded engine a process for equal (files, engine, precision,
/// threads) or for equal instance_id. The engine lives while somebody holds it. Thread-safe.
Result<std::shared_ptr<Engine>> acquire_engine(const ResolvedModel &model,
                                               const EngineOptions &options);

/// Names of the backends, whether each is built in, and the version of its library ("" where
/// there is none).
struct EngineInfo {
    const char *name;
    bool built;
    std::string version;
};
std::vector<EngineInfo> engine_backends();

} // namespace sphere
