// SPDX-License-Identifier: MIT
// Times one convolution of a recogniser's middle in fp32 and in bf16, and whole networks.
#include "core/engine/onednn/probe.h"

#include "core/engine/onednn/compat.h"
#include "core/engine/onednn/thread_state.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <future>
#include <limits>
#include <optional>

namespace sphere::onednn {
namespace {

using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

class Contender {
  public:
    Contender(const dnnl::engine &engine, Type type, dnnl::algorithm kind) : stream_(engine) {
        const compat::Md picture({1, 128, 28, 24}, type, Tag::any),
            weights({128, 128, 3, 3}, type, Tag::any), bias({128}, Type::f32, Tag::x);
        dnnl::primitive_attr attr;
        const auto pd = compat::convolution(engine, kind, picture, weights, bias, picture,
                                            {{3, 3}, {1, 1}, {0, 0}, {1, 1}, {1, 1}}, attr);
        conv_ = dnnl::convolution_forward(pd);
        args_ = {{DNNL_ARG_SRC, dnnl::memory(pd.src_desc(), engine)},
                 {DNNL_ARG_WEIGHTS, dnnl::memory(pd.weights_desc(), engine)},
                 {DNNL_ARG_BIAS, dnnl::memory(pd.bias_desc(), engine)},
                 {DNNL_ARG_DST, dnnl::memory(pd.dst_desc(), engine)}};
        for (auto &arg : args_)
            std::memset(arg.second.get_data_handle(), 0, arg.second.get_desc().get_size());
    }
    void run() {
        const auto start = std::chrono::steady_clock::now();
        conv_.execute(stream_, args_);
        stream_.wait();
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        best_ = std::min(best_, took.count());
    }
    double best() const { return best_; }

  private:
    dnnl::stream stream_;
    dnnl::convolution_forward conv_;
    std::unordered_map<int, dnnl::memory> args_;
    double best_ = std::numeric_limits<double>::infinity();
};

std::optional<Contender> contender(const dnnl::engine &engine, Type type,
                                   dnnl::algorithm kind) {
    try {
        return std::optional<Contender>(std::in_place, engine, type, kind);
    } catch (const dnnl::error &) {
        return std::nullopt;
    }
}

/// A network made ready by some settings.
class Rehearsal {
  public:
    static Result<Rehearsal> make(const Graph &graph, const Dims &input,
                                  const PlanSettings &settings) {
        const ThreadCount one(1); // a property of the thread that makes it
        Rehearsal made(settings);
        Preparation &with = made.with_;
        auto plan = Plan::make(graph, input, settings, with.engine, with.weights);
        if (!plan)
            return std::move(plan).error();
        with.plan = std::move(*plan);
        made.input_.resize(static_cast<std::size_t>(count_elements(input)));
        for (std::size_t i = 0; i < with.plan->output_count(); ++i) {
            const auto n = static_cast<std::size_t>(count_elements(with.plan->output_dims(i)));
            made.outputs_.emplace_back(n);
            made.to_.push_back(made.outputs_.back().data());
        }
        return made;
    }
    void run() {
        const auto start = std::chrono::steady_clock::now();
        with_.plan->run(input_.data(), to_);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        best_ = std::min(best_, took.count());
    }
    double best() const { return best_; }
    Preparation take() && { return std::move(with_); }

  private:
    explicit Rehearsal(const PlanSettings &settings) : with_(settings) {}

    Preparation with_;
    std::vector<float> input_; ///< zeros
    std::vector<std::vector<float>> outputs_;
    std::vector<float *> to_;
    double best_ = std::numeric_limits<double>::infinity();
};

bool measure() {
    const ThreadCount one(1);
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    auto bf16 = contender(engine, Type::bf16, dnnl::algorithm::convolution_direct);
    auto fp32 = contender(engine, Type::f32, dnnl::algorithm::convolution_direct);
    if (!bf16 || !fp32)
        return false;
    for (int i = 0; i < 5; ++i) { // in turns; the best of five is not a neighbour's doing
        bf16->run();
        fp32->run();
    }
    return bf16->best() < fp32->best();
}

} // namespace

Preparation::Preparation(PlanSettings of)
    : settings(std::move(of)), engine(dnnl::engine::kind::cpu, 0),
      weights(engine, settings.int8 ? settings.int8->weight_bits : 8) {}

Result<Race> time_plans(const Graph &graph, const Dims &input, const PlanSettings &first,
                        const PlanSettings &second) {
    constexpr int kFewestRuns = 2, kMostRuns = 4; // the first ones warm up
    constexpr double kPlain = 1.2;                ///< a ratio that noise does not turn round
    const ThreadCount one(1);
    const FlushDenormals flush;
    // Each is made by one thread, in as long as two pictures take.
    auto other =
        std::async(std::launch::async, [&] { return Rehearsal::make(graph, input, second); });
    auto a = Rehearsal::make(graph, input, first);
    auto b = other.get();
    if (!a)
        return std::move(a).error();
    if (!b)
        return std::move(b).error();
    for (int i = 0; i < kMostRuns; ++i) {
        const auto [faster, slower] = std::minmax({a->best(), b->best()});
        if (i >= kFewestRuns && slower > kPlain * faster)
            break;
        a->run();
        b->run();
    }
    auto &winner = a->best() < b->best() ? *a : *b;
    return Race{a->best(), b->best(), std::move(winner).take()};
}

bool cpu_has_bf16() {
    return compat::uses(dnnl::cpu_isa::avx512_core_bf16);
}

bool bf16_is_faster() {
    static const bool faster = cpu_has_bf16() && measure();
    return faster;
}

} // namespace sphere::onednn
