// SPDX-License-Identifier: MIT
// Ranges of activations from a network's runs in fp32, and what int8 then makes of it.
#include "core/engine/calibration.h"

#include "core/engine/backends.h"
#include "core/engine/onednn/int8.h"
#include "core/engine/onednn/network.h"
#include "core/engine/onednn/plan.h"
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
constexpr std::size_t kTrials = 16;   ///< pictures that nodes are tried on
constexpr std::size_t kMaxFp32 = 12;  ///< nodes that may go back

using Rows = std::vector<std::vector<float>>; ///< outputs of one picture

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

double cosine(const Rows &a, const Rows &b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        double dot = 0, aa = 0, bb = 0;
        for (std::size_t k = 0; k < a[i].size(); ++k) {
            dot += static_cast<double>(a[i][k]) * b[i][k];
            aa += static_cast<double>(a[i][k]) * a[i][k];
            bb += static_cast<double>(b[i][k]) * b[i][k];
        }
        sum += aa > 0 && bb > 0 ? dot / std::sqrt(aa * bb) : aa == bb ? 1 : 0;
    }
    return sum / static_cast<double>(std::max<std::size_t>(a.size(), 1));
}

class Calibrator {
  public:
    Calibrator(Graph graph, const ResolvedModel &model, std::span<const Tensor> inputs,
               const CalibrationProgress &progress)
        : graph_(std::move(graph)), inputs_(inputs), progress_(progress),
          engine_(dnnl::engine::kind::cpu, 0), weights_(engine_, int8_weight_bits()) {
        result_.weight_bits = int8_weight_bits();
        result_.model = model.descriptor.name;
        result_.pictures = static_cast<int>(inputs.size());
        steps_ = 4 * inputs.size();
    }

    Result<Int8Calibration> run(std::string sha256) {
        result_.sha256 = std::move(sha256);
        SPHERE_TRY(measure_ranges());
        if (result_.ranges.empty())
            return fail(Errc::Unsupported, graph_.path,
                        ": the network has nothing that int8 would speed up.");
        const PlanSettings fp32;
        auto reference = run_all(graph_, fp32, inputs_);
        if (!reference)
            return std::move(reference).error();
        reference_ = std::move(*reference);
        SPHERE_TRY(choose_nodes());
        auto cosine = cosine_with(result_, inputs_.size());
        if (!cosine)
            return std::move(cosine).error();
        result_.cosine = *cosine;
        return std::move(result_);
    }

  private:
    void step() {
        ++done_;
        if (progress_)
            progress_(std::min(done_, steps_), steps_);
    }

    Result<void> run_each(const Graph &graph, const PlanSettings &settings,
                          std::span<const Tensor> inputs,
                          const std::function<void(const Plan &, const Rows &)> &take) {
        if (inputs.empty())
            return {};
        const Dims shape(inputs[0].shape.begin(), inputs[0].shape.end());
        const ThreadCount alone(1);
        auto plan = Plan::make(graph, shape, settings, engine_, weights_);
        if (!plan)
            return std::move(plan).error();
        Rows rows((*plan)->output_count());
        std::vector<float *> to;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            rows[i].resize(static_cast<std::size_t>(count_elements((*plan)->output_dims(i))));
            to.push_back(rows[i].data());
        }
        for (const Tensor &input : inputs) {
            if (input.shape != inputs[0].shape)
                return fail(Errc::InvalidArgument,
                            "calibrate_int8: the inputs are of different shapes.");
            const FlushDenormals flush;
            (*plan)->run(input.data.data(), to);
            take(**plan, rows);
        }
        return {};
    }

    Result<std::vector<Rows>> run_all(const Graph &graph, const PlanSettings &settings,
                                      std::span<const Tensor> inputs) {
        std::vector<Rows> all;
        SPHERE_TRY(run_each(graph, settings, inputs, [&](const Plan &, const Rows &rows) {
            all.push_back(rows);
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
            SPHERE_TRY(run_each(watched, {}, inputs_, [&](const Plan &, const Rows &rows) {
                for (std::size_t i = 0; i < rows.size(); ++i)
                    if (counts)
                        histograms[i].count(rows[i]);
                    else
                        histograms[i].widen(rows[i]);
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

    Result<double> cosine_with(const Int8Calibration &calibration, std::size_t pictures) {
        PlanSettings settings;
        settings.int8 = std::make_shared<const Int8Calibration>(calibration);
        auto rows = run_all(graph_, settings, inputs_.first(pictures));
        if (!rows)
            return std::move(rows).error();
        double sum = 0;
        for (std::size_t i = 0; i < rows->size(); ++i)
            sum += cosine((*rows)[i], reference_[i]);
        return sum / static_cast<double>(rows->size());
    }

    // Where all in int8 is not good enough: each node alone, and the worst go back to fp32
    // one by one.
    Result<void> choose_nodes() {
        const std::size_t few = std::min(kTrials, inputs_.size());
        auto now = cosine_with(result_, few);
        if (!now || *now >= kGoodCosine)
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
            auto value = cosine_with(alone, few);
            if (!value)
                return std::move(value).error();
            nodes.emplace_back(*value, name);
        }
        std::sort(nodes.begin(), nodes.end());
        for (std::size_t i = 0; i < nodes.size() && i < kMaxFp32 && *now < kGoodCosine; ++i) {
            result_.fp32_nodes.insert(nodes[i].second);
            now = cosine_with(result_, few);
            if (!now)
                return std::move(now).error();
        }
        return {};
    }

    Graph graph_;
    std::span<const Tensor> inputs_;
    const CalibrationProgress &progress_;
    dnnl::engine engine_;
    WeightStore weights_;
    Int8Calibration result_;
    std::vector<Rows> reference_;
    std::size_t done_ = 0, steps_ = 0;
};

} // namespace

Result<Int8Calibration> calibrate_int8(const ResolvedModel &model,
                                       std::span<const Tensor> inputs,
                                       const CalibrationProgress &progress) {
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
        return Calibrator(std::move(*graph), model, inputs, progress).run(std::move(*sha256));
    } catch (const std::exception &exception) {
        return fail(Errc::Engine, model.path_of("weights"),
                    ": oneDNN cannot run the network: ", exception.what());
    }
}

} // namespace sphere
