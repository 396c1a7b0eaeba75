// SPDX-License-Identifier: MIT
// Ranges of activations from a network's runs in fp32, and what int8 then makes of it.
#include "core/engine/calibration.h"

#include "core/engine/backends.h"
#include "core/engine/onednn/int8.h"
#include "core/engine/onednn/network.h"
#include "core/engine/onednn/plan.h"
#include "core/engine/onednn/shapes.h"
#include "core/engine/onednn/thread_state.h"

#include "core/base/sha256.h"

#include <algorithm>
#include <cmath>

namespace sphere {
namespace {

using namespace onednn;

constexpr std::size_t kBins = 2048;
constexpr int kCuts = 100;            ///< ranges that are tried for a value
constexpr double kGoodCosine = 0.997; ///< below, the most harmful nodes go back to fp32
constexpr std::size_t kTrials = 32;   ///< pictures that nodes are tried on
constexpr std::size_t kMaxFp32 = 12;  ///< nodes that may go back

/// Counts of a value's numbers between the extremes that were seen.
struct Histogram {
    float low = 0, high = 0;
    std::vector<double> counts;

    void widen(std::span<const float> values) {
        const auto [least, most] = std::minmax_element(values.begin(), values.end());
        low = std::min(low, *least);
        high = std::max(high, *most);
    }
    void count(std::span<const float> values) {
        counts.resize(kBins);
        const float by = static_cast<float>(kBins) / std::max(high - low, 1e-20F);
        for (const float x : values) {
            const auto bin = static_cast<std::size_t>(std::max(0.0F, (x - low) * by));
            counts[std::min(bin, kBins - 1)] += 1;
        }
    }
    // Mean square error of codes over `range`: rounding within, cutting without.
    double error(ValueRange range) const {
        const CodeScale code = code_scale(range);
        const double width = (static_cast<double>(high) - low) / kBins;
        const double first = -code.zero * static_cast<double>(code.scale);
        const double last = (255 - code.zero) * static_cast<double>(code.scale);
        const double rounding = static_cast<double>(code.scale) * code.scale / 12;
        double sum = 0;
        for (std::size_t i = 0; i < kBins; ++i) {
            const double x = low + (static_cast<double>(i) + 0.5) * width;
            const double cut = x < first ? first - x : x > last ? x - last : 0;
            sum += counts[i] * (rounding + cut * cut);
        }
        return sum;
    }
    // Both ends are drawn in by the same share, then each alone.
    ValueRange best() const {
        ValueRange best{low, high};
        double least = error(best);
        const auto consider = [&](ValueRange range) {
            const double e = error(range);
            if (e < least) {
                least = e;
                best = range;
            }
        };
        for (int i = kCuts - 1; i >= kCuts / 10; --i) {
            const float share = static_cast<float>(i) / kCuts;
            consider({low * share, high * share});
            consider({low, high * share});
            consider({low * share, high});
        }
        return best;
    }
};

/// Of a recogniser, and of whatever else has a direction.
class CosineJudge final : public Int8Judge {
  public:
    Result<double> harm(std::span<const NetworkOutputs> fp32,
                        std::span<const NetworkOutputs> int8) override {
        return (1 - mean(fp32, int8)) / (1 - kGoodCosine);
    }
    Result<void> note(std::span<const NetworkOutputs> fp32,
                      std::span<const NetworkOutputs> int8,
                      Int8Calibration &calibration) override {
        calibration.cosine = mean(fp32, int8);
        return {};
    }

  private:
    static double cosine(const Tensor &a, const Tensor &b) {
        double dot = 0, aa = 0, bb = 0;
        for (std::size_t k = 0; k < a.data.size(); ++k) {
            dot += static_cast<double>(a.data[k]) * b.data[k];
            aa += static_cast<double>(a.data[k]) * a.data[k];
            bb += static_cast<double>(b.data[k]) * b.data[k];
        }
        return aa > 0 && bb > 0 ? dot / std::sqrt(aa * bb) : aa == bb ? 1 : 0;
    }
    static double mean(std::span<const NetworkOutputs> fp32,
                       std::span<const NetworkOutputs> int8) {
        double sum = 0;
        std::size_t n = 0;
        for (std::size_t i = 0; i < int8.size(); ++i)
            for (std::size_t k = 0; k < int8[i].size(); ++k, ++n)
                sum += cosine(int8[i][k], fp32[i][k]);
        return sum / static_cast<double>(std::max<std::size_t>(n, 1));
    }
};

class Calibrator {
  public:
    Calibrator(Graph graph, const ResolvedModel &model, std::span<const Tensor> inputs,
               const CalibrationProgress &progress, Int8Judge &judge)
        : graph_(std::move(graph)), inputs_(inputs), progress_(progress), judge_(judge),
          engine_(dnnl::engine::kind::cpu, 0), weights_(engine_, int8_weight_bits()) {
        result_.weight_bits = int8_weight_bits();
        result_.model = model.descriptor.name;
        result_.pictures = static_cast<int>(inputs.size());
        steps_ = 4 * inputs.size();
        const std::size_t few = std::min(kTrials, inputs.size());
        for (std::size_t i = 0; i < inputs.size(); ++i)
            all_.push_back(i);
        for (std::size_t i = 0; i < few; ++i)
            trials_.push_back(i * inputs.size() / few);
    }

    Result<Int8Calibration> run(std::string sha256) {
        result_.sha256 = std::move(sha256);
        SPHERE_TRY(measure_ranges());
        if (result_.ranges.empty())
            return fail(Errc::Unsupported, graph_.path,
                        ": the network has nothing that int8 would speed up.");
        const PlanSettings fp32;
        auto reference = run_all(fp32, all_);
        if (!reference)
            return std::move(reference).error();
        reference_ = std::move(*reference);
        SPHERE_TRY(choose_nodes());
        auto outputs = run_int8(result_, all_);
        if (!outputs)
            return std::move(outputs).error();
        SPHERE_TRY(judge_.note(reference_, *outputs, result_));
        SPHERE_TRY(count_products());
        return std::move(result_);
    }

  private:
    void step() {
        ++done_;
        if (progress_)
            progress_(std::min(done_, steps_), steps_);
    }

    Result<void> run_each(const Graph &graph, const PlanSettings &settings,
                          std::span<const std::size_t> which,
                          const std::function<void(const NetworkOutputs &)> &take) {
        const Dims &shape = inputs_[0].shape;
        const ThreadCount alone(1);
        auto plan = Plan::make(graph, shape, settings, engine_, weights_);
        if (!plan)
            return std::move(plan).error();
        NetworkOutputs outputs((*plan)->output_count());
        std::vector<float *> to;
        for (std::size_t i = 0; i < outputs.size(); ++i) {
            outputs[i].reset((*plan)->output_dims(i));
            to.push_back(outputs[i].data.data());
        }
        for (const std::size_t i : which) {
            const Tensor &input = inputs_[i];
            if (input.shape != shape)
                return fail(Errc::InvalidArgument,
                            "calibrate_int8: the inputs are of different shapes.");
            const FlushDenormals flush;
            (*plan)->run(input.data.data(), to);
            take(outputs);
        }
        return {};
    }

    Result<std::vector<NetworkOutputs>> run_all(const PlanSettings &settings,
                                                std::span<const std::size_t> which) {
        std::vector<NetworkOutputs> all;
        SPHERE_TRY(run_each(graph_, settings, which, [&](const NetworkOutputs &outputs) {
            all.push_back(outputs);
            if (!settings.int8)
                step();
        }));
        return all;
    }

    // The values that int8 nodes take become outputs of a copy of the network.
    Result<void> measure_ranges() {
        Graph watched = graph_;
        watched.outputs.clear();
        for (const Node &node : graph_.nodes)
            if (can_be_int8(graph_, node) &&
                std::find(watched.outputs.begin(), watched.outputs.end(), node.inputs[0]) ==
                    watched.outputs.end())
                watched.outputs.push_back(node.inputs[0]);
        if (watched.outputs.empty())
            return {};
        std::vector<Histogram> histograms(watched.outputs.size());
        for (const bool counts : {false, true})
            SPHERE_TRY(run_each(watched, {}, all_, [&](const NetworkOutputs &values) {
                for (std::size_t i = 0; i < values.size(); ++i)
                    if (counts)
                        histograms[i].count(values[i].data);
                    else
                        histograms[i].widen(values[i].data);
                step();
            }));
        for (std::size_t i = 0; i < histograms.size(); ++i) {
            const std::string &name =
                graph_.values[static_cast<std::size_t>(watched.outputs[i])].name;
            const ValueRange range = histograms[i].best();
            const auto [at, fresh] = result_.ranges.emplace(name, range);
            if (!fresh) // values of one name share what covers both
                at->second = {std::min(at->second.low, range.low),
                              std::max(at->second.high, range.high)};
        }
        return {};
    }

    Result<std::vector<NetworkOutputs>> run_int8(const Int8Calibration &calibration,
                                                 std::span<const std::size_t> which) {
        PlanSettings settings;
        settings.int8 = std::make_shared<const Int8Calibration>(calibration);
        return run_all(settings, which);
    }

    Result<double> harm_with(const Int8Calibration &calibration) {
        auto outputs = run_int8(calibration, trials_);
        if (!outputs)
            return std::move(outputs).error();
        std::vector<NetworkOutputs> reference;
        for (const std::size_t i : trials_)
            reference.push_back(reference_[i]);
        return judge_.harm(reference, *outputs);
    }

    // Where all in int8 is not good enough: each node alone, and the worst go back to fp32
    // one by one.
    Result<void> choose_nodes() {
        auto now = harm_with(result_);
        if (!now || *now <= 1)
            return now ? Result<void>() : Result<void>(std::move(now).error());
        std::vector<std::pair<double, std::string>> nodes;
        std::set<std::string> all;
        for (const Node &node : graph_.nodes)
            if (can_be_int8(graph_, node))
                all.insert(node.name);
        for (const std::string &name : all) {
            Int8Calibration alone = result_;
            alone.fp32_nodes = all;
            alone.fp32_nodes.erase(name);
            auto harm = harm_with(alone);
            if (!harm)
                return std::move(harm).error();
            nodes.emplace_back(-*harm, name);
        }
        std::sort(nodes.begin(), nodes.end());
        for (std::size_t i = 0; i < nodes.size() && i<kMaxFp32 && * now> 1; ++i) {
            result_.fp32_nodes.insert(nodes[i].second);
            now = harm_with(result_);
            if (!now)
                return std::move(now).error();
        }
        return {};
    }

    // Multiplications of convolutions and inner products.
    Result<void> count_products() {
        const auto shapes = infer_shapes(graph_, inputs_[0].shape);
        if (!shapes)
            return shapes.error();
        double int8 = 0, all = 0;
        for (const Node &node : graph_.nodes) {
            if ((node.op != "Conv" && node.op != "Gemm") || !node.has_input(1))
                continue;
            const auto size = [&](int value) {
                return static_cast<double>(
                    count_elements(shapes->dims[static_cast<std::size_t>(value)]));
            };
            // Each number of the result is of all weights of its channel.
            const double channels =
                static_cast<double>(shapes->dims[static_cast<std::size_t>(node.output)].at(1));
            const double products = size(node.output) * size(node.inputs[1]) / channels;
            all += products;
            if (can_be_int8(graph_, node) && !result_.fp32_nodes.contains(node.name))
                int8 += products;
        }
        result_.int8_products = all > 0 ? int8 / all : 0;
        return {};
    }

    Graph graph_;
    std::span<const Tensor> inputs_;
    const CalibrationProgress &progress_;
    Int8Judge &judge_;
    dnnl::engine engine_;
    WeightStore weights_;
    Int8Calibration result_;
    std::vector<std::size_t> all_, trials_; ///< inputs; few of them, evenly spread
    std::vector<NetworkOutputs> reference_; ///< by input
    std::size_t done_ = 0, steps_ = 0;
};

} // namespace

Result<Int8Calibration> calibrate_int8(const ResolvedModel &model,
                                       std::span<const Tensor> inputs,
                                       const CalibrationProgress &progress, Int8Judge *judge) {
    if (inputs.empty())
        return fail(Errc::InvalidArgument, "calibrate_int8: there are no pictures.");
    for (const Tensor &input : inputs)
        SPHERE_TRY(check_input(model.descriptor, input));
    if (int8_weight_bits() == 0)
        return fail(Errc::Unsupported, "int8 needs AVX2, which this CPU lacks or "
                                       "ONEDNN_MAX_CPU_ISA forbids.");
    try {
        auto graph = load_graph(model);
        if (!graph)
            return std::move(graph).error();
        auto sha256 = model.sha256.empty() ? sha256_of_file(model.path_of("weights"))
                                           : Result<std::string>(model.sha256);
        if (!sha256)
            return std::move(sha256).error();
        CosineJudge cosine;
        return Calibrator(std::move(*graph), model, inputs, progress,
                          judge != nullptr ? *judge : cosine)
            .run(std::move(*sha256));
    } catch (const std::exception &exception) {
        return fail(Errc::Engine, model.path_of("weights"),
                    ": oneDNN cannot run the network: ", exception.what());
    }
}

} // namespace sphere
