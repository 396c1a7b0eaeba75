// SPDX-License-Identifier: MIT
// ms a picture of each network by each engine: the median and the best of many, side by side,
// and the median of the ratios to the first engine within a round.
//   bench_engines [--threads N] [--batch N] [--runs N] [--calibrate] MODEL...
// MODEL is a descriptor's name, or PROTOTXT:CAFFEMODEL for SphereFace's input.
#include "core/engine/calibration.h"

#include "core/cli/machine_peak.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

namespace {

using namespace sphere;

struct Options {
    int threads = 1, batch = 1, runs = 60;
    bool calibrate = false;
    std::vector<std::string> models;
};

struct Contender {
    const char *title, *engine;
    Precision precision;
    std::shared_ptr<Engine> loaded;
    std::vector<double> ms;
    bool singly = false; ///< the file bakes batch 1 and the engine keeps to it
};

ResolvedModel find(const std::string &name) {
    const ModelStore store = ModelStore::from_environment();
    const std::size_t colon = name.find(':');
    auto found = store.find(colon == std::string::npos ? name : "sphereface20");
    ResolvedModel model;
    if (!found) {
        std::fprintf(stderr, "%s\n", found.error().message.c_str());
        std::exit(2);
    }
    model.descriptor = *found;
    for (const ModelFile &file : found->files)
        model.paths.push_back(colon == std::string::npos ? store.locate(*found, file)
                              : file.role == "graph"     ? name.substr(0, colon)
                                                         : name.substr(colon + 1));
    return model;
}

Result<void> run_singly(Engine &engine, const Tensor &input, std::vector<Tensor> &outputs) {
    Tensor one = input;
    one.shape[0] = 1;
    const auto each = static_cast<std::ptrdiff_t>(one.elements());
    for (std::ptrdiff_t n = 0; n < input.shape[0]; ++n) {
        one.data.assign(input.data.begin() + n * each, input.data.begin() + (n + 1) * each);
        SPHERE_TRY(engine.run(one, outputs));
    }
    return {};
}

double run_once(Contender &contender, const Tensor &input, std::vector<Tensor> &outputs) {
    const auto start = std::chrono::steady_clock::now();
    auto ran = contender.singly ? run_singly(*contender.loaded, input, outputs)
                                : contender.loaded->run(input, outputs);
    const std::chrono::duration<double, std::milli> took =
        std::chrono::steady_clock::now() - start;
    if (!ran) {
        std::fprintf(stderr, "%s: %s\n", contender.title, ran.error().message.c_str());
        std::exit(3);
    }
    return took.count();
}

Tensor random_pictures(const ModelInput &in, int count, unsigned seed) {
    Tensor input;
    input.reset({count, in.norm.order == ChannelOrder::Gray ? 1 : 3, in.height, in.width});
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> values(-1, 1);
    for (float &x : input.data)
        x = values(random);
    return input;
}

// For speed alone: ranges of random pictures, stored beside the weights.
void calibrate(const ResolvedModel &model) {
    std::vector<Tensor> pictures;
    for (unsigned seed = 2; seed < 10; ++seed)
        pictures.push_back(random_pictures(model.descriptor.input, 1, seed));
    const auto made = calibrate_int8(model, pictures);
    const auto stored = made ? save_calibration(model, *made) : made.error();
    if (!stored)
        std::fprintf(stderr, "%s\n", stored.error().message.c_str());
    else
        std::printf("%-14s int8: cosine to fp32 %.5f, %zu nodes in fp32\n",
                    model.descriptor.name.c_str(), made->cosine, made->fp32_nodes.size());
}

// Turns alternate, so that a busy machine is as bad for one as for the other.
void compare(const std::string &name, const Options &options) {
    const ResolvedModel model = find(name);
    std::vector<Contender> contenders = {
        {"opencv fp32", "opencv", Precision::Fp32, {}, {}, false},
        {"onednn fp32", "onednn", Precision::Fp32, {}, {}, false},
        {"onednn bf16", "onednn", Precision::Bf16, {}, {}, false},
        {"onednn int8", "onednn", Precision::Int8, {}, {}, false}};
    if (options.calibrate)
        calibrate(model);
    std::erase_if(contenders, [&](Contender &contender) {
        EngineOptions wanted;
        wanted.engine = contender.engine;
        wanted.precision = contender.precision;
        wanted.threads = options.threads;
        auto made = make_engine(model, wanted);
        if (!made) {
            std::printf("%-14s %s: %s\n", model.descriptor.name.c_str(), contender.title,
                        made.error().message.c_str());
            return true;
        }
        contender.loaded = *made;
        contender.singly =
            model.descriptor.batch == 1 && contender.loaded->preferred_batch() == 1;
        return false;
    });
    const Tensor input = random_pictures(model.descriptor.input, options.batch, 1);
    std::vector<Tensor> outputs;
    for (int i = -3; i < options.runs; ++i)
        for (Contender &contender : contenders) {
            const double ms = run_once(contender, input, outputs);
            if (i >= 0) // the first ones warm up
                contender.ms.push_back(ms / options.batch);
        }
    for (const Contender &contender : contenders) {
        std::vector<double> ms = contender.ms, ratios;
        for (std::size_t i = 0; i < ms.size(); ++i)
            ratios.push_back(contenders[0].ms[i] / ms[i]);
        std::sort(ms.begin(), ms.end());
        std::sort(ratios.begin(), ratios.end());
        std::printf("%-14s %-12s batch %d, threads %d: median %8.3f ms, best %8.3f ms, "
                    "%5.2fx\n",
                    model.descriptor.name.c_str(), contender.title, options.batch,
                    options.threads, ms[ms.size() / 2], ms.front(), ratios[ratios.size() / 2]);
    }
}

} // namespace

int main(int argc, char **argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const auto number = [&](const char *key, int &value) {
            if (std::strcmp(argv[i], key) != 0 || i + 1 >= argc)
                return false;
            value = std::max(1, std::atoi(argv[++i]));
            return true;
        };
        if (std::strcmp(argv[i], "--calibrate") == 0)
            options.calibrate = true;
        else if (!number("--threads", options.threads) && !number("--batch", options.batch) &&
                 !number("--runs", options.runs))
            options.models.emplace_back(argv[i]);
    }
    std::printf("gst-sphere %s; OpenCV %s; oneDNN %s\n", SPHERE_VERSION, SPHERE_OPENCV,
                SPHERE_ONEDNN);
    const cli::ArithmeticPeak peak = cli::measure_peak();
    std::printf("peak of one core, 1e9 operations/s: fp32 %.0f, bf16 %.0f, int8 %.0f\n",
                peak.fp32, peak.bf16, peak.int8);
    std::printf("memory, one core: %.1f GB/s copied\n", cli::measure_copied_gb_per_s());
    for (const std::string &model : options.models)
        compare(model, options);
    return 0;
}
