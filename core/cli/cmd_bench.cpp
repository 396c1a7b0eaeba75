// SPDX-License-Identifier: MIT
// spherectl bench: how fast each engine runs each network on this machine.
#include "core/cli/command.h"
#include "core/cli/machine_peak.h"
#include "core/cli/output.h"

#include "core/base/cpu.h"
#include "core/engine/engine.h"
#include "core/model/store.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <random>
#include <thread>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kWarmUps = 3;

std::vector<OptionSpec> options() {
    return {{"engine", "NAME", "this engine only (default: each that is built in)"},
            {"precision", "NAME", "this precision only: fp32, bf16 or int8 (default: each)"},
            {"threads", "N", "threads of an engine (default 1; 0: one a core)"},
            {"batch", "N", "pictures a call, 1 to 64 (default 1)"},
            {"runs", "N", "calls that are timed (default 30)"},
            {"kernels", "", "also print which code computes the layers"},
            {"no-peak", "", "do not measure what the machine can do at most"}};
}

struct Settings {
    std::string engine;
    std::string precision;
    int threads = 1, batch = 1, runs = 30;
};

/// One way to run a network, and how long its calls took.
struct Contender {
    std::string engine;
    const char *precision;
    std::shared_ptr<Engine> loaded;
    bool singly = false;    ///< it takes one picture a call
    std::vector<double> ms; ///< a picture
};

struct PrecisionName {
    const char *name;
    Precision value;
};
constexpr PrecisionName kPrecisions[] = {
    {"fp32", Precision::Fp32}, {"bf16", Precision::Bf16}, {"int8", Precision::Int8}};

std::string cpu_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("model name"))
            if (const std::size_t colon = line.find(": "); colon != std::string::npos)
                return line.substr(colon + 2);
    return "a CPU without a name";
}

std::vector<std::string> extension_names() {
    const CpuExtensions extensions = cpu_extensions();
    std::vector<std::string> names;
    if (extensions.avx_vnni)
        names.emplace_back("avx_vnni");
    if (extensions.avx512_vnni)
        names.emplace_back("avx512_vnni");
    if (extensions.avx512_bf16)
        names.emplace_back("avx512_bf16");
    return names;
}

Json machine_json(const Settings &settings, bool peak) {
    Json engines = Json::object();
    for (const EngineInfo &info : engine_backends())
        if (info.built && !info.version.empty())
            engines[info.name] = info.version;
    Json machine = {{"cpu", cpu_name()},
                    {"cores", std::thread::hardware_concurrency()},
                    {"kernels", cpu_level_name(cpu_level())},
                    {"extensions", extension_names()},
                    {"version", SPHERE_VERSION},
                    {"engines", engines},
                    {"threads", settings.threads},
                    {"batch", settings.batch},
                    {"runs", settings.runs}};
    if (!peak)
        return machine;
    const ArithmeticPeak measured = measure_peak();
    if (measured.fp32 > 0)
        machine["peak_gops"] = {
            {"fp32", measured.fp32}, {"bf16", measured.bf16}, {"int8", measured.int8}};
    machine["copied_gb_per_s"] = measure_copied_gb_per_s();
    return machine;
}

void print_machine(const Json &machine) {
    std::string line = machine["cpu"].get<std::string>() + ", " + machine["cores"].dump() +
                       " cores; kernels " + machine["kernels"].get<std::string>();
    for (const Json &extension : machine["extensions"])
        line += " " + extension.get<std::string>();
    print_line(line);
    line = "spherectl " + machine["version"].get<std::string>();
    for (const auto &[name, number] : machine["engines"].items())
        line += "; " + name + " " + number.get<std::string>();
    print_line(line + "; threads " + machine["threads"].dump() + ", batch " +
               machine["batch"].dump());
    line.clear();
    if (machine.contains("peak_gops"))
        for (const auto &[name, gops] : machine["peak_gops"].items())
            if (gops.get<double>() > 0)
                line += (line.empty() ? "one core at most, 1e9 operations/s: " : ", ") + name +
                        " " + fixed(gops.get<double>(), 0);
    if (machine.contains("copied_gb_per_s"))
        line += (line.empty() ? "" : "; ") + std::string("memory ") +
                fixed(machine["copied_gb_per_s"].get<double>(), 1) + " GB/s copied";
    if (!line.empty())
        print_line(line);
}

Tensor random_pictures(const ModelInput &in, int count) {
    Tensor input;
    input.reset({count, in.norm.order == ChannelOrder::Gray ? 1 : 3, in.height, in.width});
    std::mt19937 random(1);
    std::uniform_real_distribution<float> values(-1, 1);
    for (float &x : input.data)
        x = values(random);
    return input;
}

Result<double> run_once(Contender &contender, const Tensor &input,
                        std::vector<Tensor> &outputs) {
    const auto start = std::chrono::steady_clock::now();
    if (contender.singly) {
        Tensor one;
        one.reset({1, input.shape[1], input.shape[2], input.shape[3]});
        for (std::int64_t n = 0; n < input.shape[0]; ++n) {
            const auto first = input.data.begin() + n * one.elements();
            std::copy(first, first + one.elements(), one.data.begin());
            SPHERE_TRY(contender.loaded->run(one, outputs));
        }
    } else {
        SPHERE_TRY(contender.loaded->run(input, outputs));
    }
    const std::chrono::duration<double, std::milli> took =
        std::chrono::steady_clock::now() - start;
    return took.count() / static_cast<double>(input.shape[0]);
}

// Those that the model cannot have are named with the reason, once each.
std::vector<Contender> contenders_of(const ResolvedModel &model, const Settings &settings,
                                     Json &absent) {
    std::vector<Contender> contenders;
    for (const EngineInfo &info : engine_backends()) {
        const std::string engine = info.name;
        if (!info.built || engine == "fake" ||
            (!settings.engine.empty() && settings.engine != engine))
            continue;
        for (const PrecisionName &precision : kPrecisions) {
            if (!settings.precision.empty() && settings.precision != precision.name)
                continue;
            EngineOptions wanted;
            wanted.engine = engine;
            wanted.precision = precision.value;
            wanted.threads = settings.threads;
            auto loaded = make_engine(model, wanted);
            if (!loaded) {
                // That OpenCV computes in fp32 only is no news for each model.
                if (engine == "onednn" || precision.value == Precision::Fp32)
                    absent.push_back({{"engine", engine},
                                      {"precision", precision.name},
                                      {"why", loaded.error().message}});
                continue;
            }
            const bool singly =
                model.descriptor.batch == 1 && (*loaded)->preferred_batch() == 1;
            contenders.push_back({engine, precision.name, std::move(*loaded), singly, {}});
        }
    }
    return contenders;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

Json result_json(const Contender &contender, const Contender &first) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < contender.ms.size(); ++i)
        ratios.push_back(first.ms[i] / contender.ms[i]);
    Json kernels = Json::array();
    for (const KernelUse &use : contender.loaded->kernels())
        kernels.push_back({{"operation", use.operation},
                           {"precision", use.precision},
                           {"kernel", use.kernel},
                           {"layers", use.layers}});
    return {{"engine", contender.engine},
            {"precision", contender.precision},
            {"median_ms", median(contender.ms)},
            {"best_ms", *std::min_element(contender.ms.begin(), contender.ms.end())},
            {"ratio", median(ratios)},
            {"kernels", kernels}};
}

// Turns alternate, so that a busy machine is as bad for one as for the other.
Result<Json> compare(const ResolvedModel &model, const Settings &settings) {
    Json absent = Json::array(), results = Json::array();
    std::vector<Contender> contenders = contenders_of(model, settings, absent);
    const Tensor input = random_pictures(model.descriptor.input, settings.batch);
    std::vector<Tensor> outputs;
    for (int i = -kWarmUps; i < settings.runs; ++i)
        for (Contender &contender : contenders) {
            auto ms = run_once(contender, input, outputs);
            if (!ms)
                return std::move(ms).error();
            if (i >= 0)
                contender.ms.push_back(*ms);
        }
    for (const Contender &contender : contenders)
        results.push_back(result_json(contender, contenders[0]));
    return Json{{"model", model.descriptor.name}, {"results", results}, {"absent", absent}};
}

void print_model(const Json &compared, bool kernels) {
    const std::string name = compared["model"];
    print_line("");
    print_line(name + ", ms a picture");
    for (const Json &result : compared["results"]) {
        const std::string who =
            result["engine"].get<std::string>() + " " + result["precision"].get<std::string>();
        print_line("  " + who + std::string(who.size() < 18 ? 18 - who.size() : 1, ' ') +
                   "median " + fixed(result["median_ms"], 3) + ", best " +
                   fixed(result["best_ms"], 3) + ", " + fixed(result["ratio"], 2) +
                   " times the first");
        for (const Json &use : kernels ? result["kernels"] : Json::array())
            print_line("    " + use["layers"].dump() + " x " +
                       use["operation"].get<std::string>() + ", " +
                       use["precision"].get<std::string>() + ", " +
                       use["kernel"].get<std::string>());
    }
    for (const Json &absent : compared["absent"])
        print_line("  " + absent["engine"].get<std::string>() + " " +
                   absent["precision"].get<std::string>() + ": " +
                   absent["why"].get<std::string>());
}

// What `auto` would take to detect and to embed, where nothing is named.
Result<std::vector<std::string>> models_of(const Arguments &arguments,
                                           const ModelStore &store) {
    if (!arguments.positionals().empty())
        return arguments.positionals();
    std::vector<std::string> names;
    for (const ModelTask task : {ModelTask::Detect, ModelTask::Embed}) {
        auto model = store.resolve("auto", task);
        if (!model)
            return std::move(model).error();
        names.push_back(model->descriptor.name);
    }
    return names;
}

Result<Settings> read_settings(const Arguments &arguments) {
    Settings settings;
    std::vector<std::string_view> engines = {""};
    const std::vector<EngineInfo> known = engine_backends();
    for (const EngineInfo &info : known)
        engines.emplace_back(info.name);
    auto engine = arguments.choice("engine", "", engines);
    constexpr std::string_view kNames[] = {"", "fp32", "bf16", "int8"};
    auto precision = arguments.choice("precision", "", kNames);
    auto threads = arguments.integer("threads", 1, 0, 64);
    auto batch = arguments.integer("batch", 1, 1, 64);
    auto runs = arguments.integer("runs", 30, 1, 100000);
    for (const auto *text : {&engine, &precision})
        if (!*text)
            return text->error();
    for (const auto *number : {&threads, &batch, &runs})
        if (!*number)
            return number->error();
    return Settings{*engine, *precision, *threads, *batch, *runs};
}

Result<int> run(const Context &context) {
    auto settings = read_settings(context.arguments);
    if (!settings)
        return std::move(settings).error();
    const ModelStore store = ModelStore::from_environment();
    auto names = models_of(context.arguments, store);
    if (!names)
        return std::move(names).error();
    const Json machine = machine_json(*settings, !context.arguments.has("no-peak"));
    if (!context.json)
        print_machine(machine);
    std::vector<Failure> failures;
    Json models = Json::array();
    for (const std::string &name : *names) {
        auto compared = [&]() -> Result<Json> {
            auto known = store.find(name);
            if (!known)
                return std::move(known).error();
            auto model = store.resolve(name, known->task);
            if (!model)
                return std::move(model).error();
            return compare(*model, *settings);
        }();
        if (!compared)
            note_failure(failures, name, std::move(compared).error());
        else if (context.json)
            models.push_back(std::move(*compared));
        else
            print_model(*compared, context.arguments.has("kernels"));
    }
    if (context.json)
        print_line(
            Json{{"machine", machine}, {"models", models}, {"failed", failure_rows(failures)}}
                .dump(-1, ' ', false, Json::error_handler_t::replace));
    return exit_code_with(failures, kExitDone);
}

} // namespace

const Command kBenchCommand = {
    "bench",
    "how fast the engines run the networks here",
    "[OPTION…] [MODEL…]",
    "Runs each network by each engine and precision in turn, on random input, and prints the\n"
    "median of the times and of the ratios to the first. Without a name: the detector and the\n"
    "recogniser that auto takes. int8 is there once `spherectl quantize` has run.",
    "spherectl bench --batch 4 fr_feature",
    &options,
    &run,
};

} // namespace sphere::cli
