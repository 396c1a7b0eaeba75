// SPDX-License-Identifier: MIT
// The engine on oneDNN: reads the files, keeps a plan for each shape of input that comes along.
#include "core/engine/backends.h"
#include "core/engine/onednn/lanes.h"
#include "core/engine/onednn/network.h"
#include "core/engine/onednn/plan.h"
#include "core/engine/onednn/precision.h"
#include "core/engine/onednn/thread_state.h"

#include <algorithm>
#include <chrono>
#include <list>
#include <mutex>
#include <optional>

namespace sphere {
namespace {

using namespace onednn;

constexpr std::size_t kMaxPlans = 12; ///< of a lane: batches, and a few frame sizes
constexpr int kMaxThreads = 64;
/// Pictures, a power of two. With AVX-512 weights are what a core waits for, which pictures
/// share; without, the values between layers outgrow the second cache first.
std::int64_t largest_piece() {
    return row_avx512() != nullptr ? 8 : 4;
}
constexpr std::size_t kKeepFloats = 4096; ///< larger constants go once they are in the store

/// Whether a single picture of one shape gains by all threads: layers are short, and each ends
/// with the threads waiting for each other, which can cost more than it saves. Found by the
/// first runs.
class ThreadTrial {
  public:
    explicit ThreadTrial(Dims shape) : shape_(std::move(shape)) {}
    const Dims &shape() const { return shape_; }
    bool decided() const { return chosen_ > 0; }
    int threads(int all) const { return decided() ? chosen_ : runs_ < kRuns ? 1 : all; }

    /// What the last run took; true when that decided.
    bool note(double seconds, int all) {
        if (runs_ % kRuns > 0) { // the first of each makes the plan
            double &best = runs_ < kRuns ? one_s_ : all_s_;
            best = std::min(best, seconds);
        }
        if (++runs_ < 2 * kRuns)
            return false;
        chosen_ = all_s_ < kWorthIt * one_s_ ? all : 1;
        return true;
    }

  private:
    static constexpr int kRuns = 5;
    static constexpr double kWorthIt = 0.75; ///< of the time; below, cores do better elsewhere
    Dims shape_;
    int runs_ = 0, chosen_ = 0;
    double all_s_ = 1e9, one_s_ = 1e9;
};

class OnednnEngine final : public Engine {
  public:
    OnednnEngine(Graph graph, const ResolvedModel &model, int threads, Preparation with)
        : engine_(std::move(with.engine)), weights_(std::move(with.weights)),
          graph_(std::move(graph)), model_(model), settings_(std::move(with.settings)),
          lanes_(threads), plans_(static_cast<std::size_t>(threads)) {
        if (threads > 1)
            calm_openmp();
        model_.descriptor.batch = 0; // whatever the exporter baked: shapes are inferred anew
        if (with.plan)
            plans_[0].push_front(
                {one_picture(model.descriptor.input), 1, std::move(with.plan)});
    }

    Result<void> run(const sphere::Tensor &input,
                     std::vector<sphere::Tensor> &outputs) override {
        SPHERE_TRY(check_input(model_.descriptor, input));
        try {
            const std::lock_guard lock(mutex_);
            return run_pieces(input, outputs);
        } catch (const std::exception &exception) {
            return fail(Errc::Engine, graph_.path, ": oneDNN cannot run the network on ",
                        shape_text(input.shape), ": ", exception.what());
        }
    }
    const char *name() const override { return "onednn"; }
    int preferred_batch() const override {
        return static_cast<int>(largest_piece()) * lanes_.count();
    }

    std::vector<KernelUse> kernels() const override {
        const std::lock_guard lock(mutex_);
        return plans_[0].empty() ? std::vector<KernelUse>() : plans_[0].front().plan->kernels();
    }

    /// A network that does not fit its descriptor fails here, not at the first frame.
    Result<void> try_out() {
        if (!plans_[0].empty()) { // it has been run
            SPHERE_TRY(check_outputs(*plans_[0].front().plan, 1));
            release_weights();
            return {};
        }
        sphere::Tensor zeros;
        zeros.reset(one_picture(model_.descriptor.input));
        std::vector<sphere::Tensor> outputs;
        return run(zeros, outputs);
    }

  private:
    struct Planned {
        Dims shape;
        int threads;
        std::unique_ptr<Plan> plan;
    };
    using Plans = std::list<Planned>; ///< the latest first

    struct Piece {
        std::int64_t first, count; ///< pictures
        std::size_t lane;
        Plan *plan;
    };

    // Each lane takes as many pictures, in pieces of a few sizes, so that there are few plans.
    // A single picture takes all threads.
    Result<void> run_pieces(const sphere::Tensor &input, std::vector<sphere::Tensor> &outputs) {
        const std::int64_t batch = input.shape[0], lanes = lanes_.count();
        std::vector<Piece> pieces;
        Dims shape(input.shape.begin(), input.shape.end());
        ThreadTrial *const trial = batch == 1 && lanes > 1 ? &trial_of(shape) : nullptr;
        const int threads = trial != nullptr ? trial->threads(lanes_.count()) : 1;
        std::int64_t done = 0;
        for (std::int64_t lane = 0; lane < lanes; ++lane) {
            const std::int64_t until =
                done + (batch - done + lanes - lane - 1) / (lanes - lane);
            for (; done < until; done += shape[0]) {
                shape[0] = largest_piece();
                while (shape[0] > until - done)
                    shape[0] /= 2;
                const auto at = static_cast<std::size_t>(lane);
                auto plan = plan_for(plans_[at], shape, threads);
                if (!plan)
                    return std::move(plan).error();
                pieces.push_back({done, shape[0], at, *plan});
            }
        }
        release_weights();
        size_outputs(pieces[0], batch, outputs);
        if (pieces.size() == 1)
            return run_single(pieces[0], threads, trial, input, outputs);
        std::vector<Result<void>> results(static_cast<std::size_t>(lanes));
        lanes_.run([&](int lane) {
            const auto at = static_cast<std::size_t>(lane);
            for (const Piece &piece : pieces)
                if (piece.lane == at && results[at])
                    results[at] = run_piece(piece, 1, input, outputs);
        });
        for (Result<void> &result : results)
            if (!result)
                return result;
        return {};
    }

    Result<void> run_single(const Piece &piece, int threads, ThreadTrial *trial,
                            const sphere::Tensor &input, std::vector<sphere::Tensor> &outputs) {
        if (trial == nullptr || trial->decided())
            return run_piece(piece, threads, input, outputs);
        const auto start = std::chrono::steady_clock::now();
        auto ran = run_piece(piece, threads, input, outputs);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        if (trial->note(took.count(), lanes_.count())) {
            const int chosen = trial->threads(lanes_.count());
            plans_[0].remove_if([&](const Planned &planned) {
                return planned.shape == trial->shape() && planned.threads != chosen;
            });
        }
        return ran;
    }

    // The trial that has waited longest goes.
    ThreadTrial &trial_of(const Dims &shape) {
        for (auto trial = trials_.begin(); trial != trials_.end(); ++trial)
            if (trial->shape() == shape) {
                trials_.splice(trials_.begin(), trials_, trial);
                return trials_.front();
            }
        if (trials_.size() >= kMaxPlans)
            trials_.pop_back();
        trials_.emplace_front(shape);
        return trials_.front();
    }

    static void size_outputs(const Piece &piece, std::int64_t batch,
                             std::vector<sphere::Tensor> &outputs) {
        outputs.resize(piece.plan->output_count());
        for (std::size_t i = 0; i < outputs.size(); ++i) {
            Dims dims = piece.plan->output_dims(i);
            dims[0] = dims[0] / piece.count * batch;
            outputs[i].reset(std::move(dims));
        }
    }

    Result<void> run_piece(const Piece &piece, int threads, const sphere::Tensor &input,
                           std::vector<sphere::Tensor> &outputs) const {
        try {
            const ThreadCount count(threads);
            const FlushDenormals flush;
            const auto at = [&](const sphere::Tensor &tensor) {
                return piece.first * (tensor.elements() / input.shape[0]);
            };
            std::vector<float *> to;
            to.reserve(outputs.size());
            for (sphere::Tensor &output : outputs)
                to.push_back(output.data.data() + at(output));
            piece.plan->run(input.data.data() + at(input), to);
            return {};
        } catch (const std::exception &exception) { // must not leave a lane's thread
            return fail(Errc::Engine, graph_.path, ": oneDNN cannot run the network on ",
                        shape_text(input.shape), ": ", exception.what());
        }
    }

    // The plan that has waited longest goes.
    Result<Plan *> plan_for(Plans &plans, const Dims &shape, int threads) {
        for (auto planned = plans.begin(); planned != plans.end(); ++planned)
            if (planned->shape == shape && planned->threads == threads) {
                plans.splice(plans.begin(), plans, planned);
                return plans.front().plan.get();
            }
        if (released_) { // for layouts that this shape may need
            auto graph = load_graph(model_);
            if (!graph)
                return std::move(graph).error();
            graph_ = std::move(*graph);
            released_ = false;
        }
        const ThreadCount count(threads); // primitives are made for so many
        auto made = Plan::make(graph_, shape, settings_, engine_, weights_);
        if (!made)
            return std::move(made).error();
        SPHERE_TRY(check_outputs(**made, shape[0]));
        if (plans.size() >= kMaxPlans)
            plans.pop_back();
        plans.push_front({shape, threads, std::move(*made)});
        return plans.front().plan.get();
    }

    // One row a picture, and as many numbers as the descriptor says of an embedding.
    Result<void> check_outputs(const Plan &plan, std::int64_t batch) const {
        const ModelDescriptor &descriptor = model_.descriptor;
        const bool embeds = descriptor.task == ModelTask::Embed;
        for (std::size_t i = 0; i < graph_.outputs.size(); ++i) {
            const Dims &dims = plan.output_dims(i);
            if (dims.empty() || dims[0] != batch ||
                (embeds && count_elements(dims) != batch * descriptor.dims))
                return fail(Errc::Mismatch, graph_.path, ": output ",
                            graph_.values[static_cast<std::size_t>(graph_.outputs[i])].name,
                            " is ", shape_text(dims), " where ",
                            embeds ? shape_text({batch, descriptor.dims})
                                   : std::to_string(batch) + " rows",
                            " are expected: correct `dims` or `batch` in ", descriptor.path,
                            ".");
        }
        return {};
    }

    // The store has them in the layout that is used; another shape reads the file again.
    void release_weights() {
        if (released_)
            return;
        for (std::size_t i = 0; i < graph_.values.size(); ++i) {
            std::vector<float> &floats = graph_.values[i].constant.floats;
            if (floats.size() >= kKeepFloats && weights_.holds(static_cast<int>(i))) {
                std::vector<float>().swap(floats);
                released_ = true;
            }
        }
    }

    mutable std::mutex mutex_; ///< plans hold their activations: one run at a time
    dnnl::engine engine_;
    WeightStore weights_;
    Graph graph_;
    ResolvedModel model_;
    const PlanSettings settings_;
    Lanes lanes_;
    std::vector<Plans> plans_; ///< by lane
    std::list<ThreadTrial> trials_;
    bool released_ = false; ///< graph_ lacks its large constants
};

int thread_count(int wanted) {
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    return std::clamp(wanted > 0 ? wanted : cores, 1, kMaxThreads);
}

} // namespace

Result<std::shared_ptr<Engine>> make_onednn_engine(const ResolvedModel &model,
                                                   const EngineOptions &options) {
    const std::string &framework = model.descriptor.framework;
    if (framework != "onnx" && framework != "caffe")
        return fail(Errc::Unsupported, "Model ", model.descriptor.name, " (framework ",
                    framework, ") is not a network that engine onednn can run.");
    try {
        auto graph = load_graph(model);
        if (!graph)
            return std::move(graph).error();
        auto with = prepare(model, *graph, options.precision);
        if (!with)
            return std::move(with).error();
        auto engine = std::make_shared<OnednnEngine>(
            std::move(*graph), model, thread_count(options.threads), std::move(*with));
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

std::string onednn_engine_version() {
    const dnnl::version_t *const version = dnnl::version();
    return std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
           std::to_string(version->patch);
}

} // namespace sphere
