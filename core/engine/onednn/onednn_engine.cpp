// SPDX-License-Identifier: MIT
// The engine on oneDNN: reads the files, keeps a plan for each shape of input that comes along.
#include "core/base/log.h"
#include "core/engine/backends.h"
#include "core/engine/onednn/passes.h"
#include "core/engine/onednn/plan.h"

#include <algorithm>
#include <fstream>
#include <list>
#include <mutex>
#include <optional>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

// The library's own OpenMP runtime, if it is built on one: the number of threads is a property
// of the thread that runs a primitive.
extern "C" {
__attribute__((weak)) void omp_set_num_threads(int);
__attribute__((weak)) int omp_get_max_threads();
}

namespace sphere {
namespace {

using namespace onednn;

constexpr std::size_t kMaxPlans = 12; ///< batches of 1 to 8 faces, and a few frame sizes
constexpr int kPreferredBatch = 8;
constexpr std::size_t kKeepFloats = 4096; ///< larger constants go once they are in the store

class ThreadCount {
  public:
    explicit ThreadCount(int threads) {
        if (threads <= 0 || omp_set_num_threads == nullptr || omp_get_max_threads == nullptr)
            return;
        before_ = omp_get_max_threads();
        omp_set_num_threads(threads);
    }
    ~ThreadCount() {
        if (before_ > 0)
            omp_set_num_threads(before_);
    }
    ThreadCount(const ThreadCount &) = delete;
    ThreadCount &operator=(const ThreadCount &) = delete;

  private:
    int before_ = 0;
};

// Denormal numbers count as zero while a network runs; threads that it starts inherit this.
class FlushDenormals {
  public:
#if defined(__SSE2__)
    FlushDenormals() {
        _mm_setcsr(before_ | 0x8040);
    } // flush to zero, denormals are zero
    ~FlushDenormals() {
        _mm_setcsr(before_);
    }
#else
    FlushDenormals() = default;
#endif
    FlushDenormals(const FlushDenormals &) = delete;
    FlushDenormals &operator=(const FlushDenormals &) = delete;

  private:
#if defined(__SSE2__)
    unsigned before_ = _mm_getcsr();
#endif
};

class OnednnEngine final : public Engine {
  public:
    OnednnEngine(Graph graph, const ModelDescriptor &descriptor, int threads, bool bf16)
        : engine_(dnnl::engine::kind::cpu, 0), weights_(engine_), graph_(std::move(graph)),
          descriptor_(descriptor), threads_(threads), bf16_(bf16) {}

    Result<void> run(const sphere::Tensor &input,
                     std::vector<sphere::Tensor> &outputs) override {
        SPHERE_TRY(check_input(descriptor_, input));
        try {
            const std::lock_guard lock(mutex_);
            const ThreadCount threads(threads_);
            const FlushDenormals flush;
            auto plan = plan_for(input.shape);
            if (!plan)
                return std::move(plan).error();
            (*plan)->run(input.data.data(), outputs);
            return {};
        } catch (const std::exception &exception) {
            return fail(Errc::Engine, graph_.path, ": oneDNN cannot run the network on ",
                        shape_text(input.shape), ": ", exception.what());
        }
    }
    const char *name() const override { return "onednn"; }
    int preferred_batch() const override {
        return descriptor_.batch == 1 ? 1 : kPreferredBatch;
    }

    /// A network that does not fit its descriptor fails here, not at the first frame.
    Result<void> try_out() {
        const int channels = descriptor_.input.norm.order == ChannelOrder::Gray ? 1 : 3;
        sphere::Tensor zeros;
        zeros.reset({1, channels, descriptor_.input.height, descriptor_.input.width});
        std::vector<sphere::Tensor> outputs;
        SPHERE_TRY(run(zeros, outputs));
        release_weights();
        return {};
    }

  private:
    struct Planned {
        Dims shape;
        std::unique_ptr<Plan> plan;
    };

    // The latest first; the one that has waited longest goes.
    Result<Plan *> plan_for(const Dims &shape) {
        for (auto planned = plans_.begin(); planned != plans_.end(); ++planned)
            if (planned->shape == shape) {
                plans_.splice(plans_.begin(), plans_, planned);
                return plans_.front().plan.get();
            }
        auto made = Plan::make(graph_, shape, bf16_, engine_, weights_);
        if (!made)
            return std::move(made).error();
        SPHERE_TRY(check_outputs(**made, shape[0]));
        if (plans_.size() >= kMaxPlans)
            plans_.pop_back();
        plans_.push_front({shape, std::move(*made)});
        return plans_.front().plan.get();
    }

    // One row a picture, and as many numbers as the descriptor says of an embedding.
    Result<void> check_outputs(const Plan &plan, std::int64_t batch) const {
        const bool embeds = descriptor_.task == ModelTask::Embed;
        for (std::size_t i = 0; i < graph_.outputs.size(); ++i) {
            const Dims &dims = plan.output_dims(i);
            if (dims.empty() || dims[0] != batch ||
                (embeds && count_elements(dims) != batch * descriptor_.dims))
                return fail(Errc::Mismatch, graph_.path, ": output ",
                            graph_.values[static_cast<std::size_t>(graph_.outputs[i])].name,
                            " is ", shape_text(dims), " where ",
                            embeds ? shape_text({batch, descriptor_.dims})
                                   : std::to_string(batch) + " rows",
                            " are expected: correct `dims` or `batch` in ", descriptor_.path,
                            ".");
        }
        return {};
    }

    // The store has them in the layout that is used; the file's order is not needed again.
    void release_weights() {
        for (std::size_t i = 0; i < graph_.values.size(); ++i) {
            std::vector<float> &floats = graph_.values[i].constant.floats;
            if (floats.size() >= kKeepFloats && weights_.holds(static_cast<int>(i)))
                std::vector<float>().swap(floats);
        }
    }

    std::mutex mutex_; ///< a plan holds its activations: one run at a time
    dnnl::engine engine_;
    WeightStore weights_;
    Graph graph_;
    const ModelDescriptor descriptor_;
    std::list<Planned> plans_;
    int threads_;
    bool bf16_;
};

Result<std::string> read_file(const std::string &path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file)
        return fail(Errc::NotFound, path, ": the file cannot be opened.");
    const std::streamoff size = file.tellg();
    if (size < 0 || static_cast<std::uint64_t>(size) > kMaxFileBytes)
        return fail(Errc::Unsupported, path, ": the file is larger than engine onednn reads.");
    std::string bytes(static_cast<std::size_t>(size), '\0');
    file.seekg(0);
    if (!file.read(bytes.data(), size))
        return fail(Errc::Io, path, ": the file cannot be read.");
    return bytes;
}

Result<Graph> read_graph(const ResolvedModel &model) {
    const std::string path = model.path_of("weights");
    auto weights = read_file(path);
    if (!weights)
        return std::move(weights).error();
    if (model.descriptor.framework == "onnx")
        return read_onnx(*weights, path);
    auto prototxt = read_file(model.path_of("graph"));
    if (!prototxt)
        return std::move(prototxt).error();
    return read_caffe(*prototxt, *weights, path);
}

bool cpu_has_bf16() {
    return __builtin_cpu_supports("avx512bf16") != 0;
}

} // namespace

Result<std::shared_ptr<Engine>> make_onednn_engine(const ResolvedModel &model,
                                                   const EngineOptions &options) {
    const std::string &framework = model.descriptor.framework;
    if (framework != "onnx" && framework != "caffe")
        return fail(Errc::Unsupported, "Model ", model.descriptor.name, " (framework ",
                    framework, ") is not a network that engine onednn can run.");
    if (options.precision == Precision::Int8)
        return fail(
            Errc::Unsupported,
            "Engine onednn computes in fp32 and bf16: set precision=fp32, bf16 or auto.");
    bool bf16 = options.precision == Precision::Bf16;
    if (bf16 && !cpu_has_bf16()) {
        log(LogLevel::Info, "engine onednn: this CPU has no bfloat16; precision=fp32 is used");
        bf16 = false;
    }
    try {
        auto graph = read_graph(model);
        if (!graph)
            return std::move(graph).error();
        SPHERE_TRY(select_outputs(*graph, model.descriptor.outputs));
        SPHERE_TRY(simplify(*graph));
        auto engine = std::make_shared<OnednnEngine>(std::move(*graph), model.descriptor,
                                                     options.threads, bf16);
        SPHERE_TRY(engine->try_out());
        return std::shared_ptr<Engine>(std::move(engine));
    } catch (const std::exception &exception) {
        return fail(Errc::Engine, model.path_of("weights"),
                    ": oneDNN cannot load the network: ", exception.what());
    }
}

bool onednn_engine_built() {
    return true;
}

} // namespace sphere
