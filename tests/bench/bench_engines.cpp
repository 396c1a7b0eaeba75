// SPDX-License-Identifier: MIT
// ms a picture of each network by each engine: the median and the best of many, side by side,
// and the median of the ratios to the first engine within a round.
//   bench_engines [--threads N] [--batch N] [--runs N] MODEL...
// MODEL is a descriptor's name, or PROTOTXT:CAFFEMODEL for SphereFace's input.
#include "core/engine/engine.h"

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
    std::vector<std::string> models;
};

struct Contender {
    const char *title, *engine;
    Precision precision;
    std::shared_ptr<Engine> loaded;
    std::vector<double> ms;
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

double run_once(Contender &contender, const Tensor &input, std::vector<Tensor> &outputs) {
    const auto start = std::chrono::steady_clock::now();
    auto ran = contender.loaded->run(input, outputs);
    const std::chrono::duration<double, std::milli> took =
        std::chrono::steady_clock::now() - start;
    if (!ran) {
        std::fprintf(stderr, "%s: %s\n", contender.title, ran.error().message.c_str());
        std::exit(3);
    }
    return took.count();
}

// Turns alternate, so that a busy machine is as bad for one as for the other.
void bench(const std::string &name, const Options &options) {
    const ResolvedModel model = find(name);
    std::vector<Contender> contenders = {{"opencv fp32", "opencv", Precision::Fp32, {}, {}},
                                         {"onednn fp32", "onednn", Precision::Fp32, {}, {}},
                                         {"onednn bf16", "onednn", Precision::Bf16, {}, {}}};
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
        return false;
    });
    const ModelInput &in = model.descriptor.input;
    Tensor input;
    input.reset(
        {options.batch, in.norm.order == ChannelOrder::Gray ? 1 : 3, in.height, in.width});
    std::mt19937 random(1);
    std::uniform_real_distribution<float> values(-1, 1);
    for (float &x : input.data)
        x = values(random);
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
        if (!number("--threads", options.threads) && !number("--batch", options.batch) &&
            !number("--runs", options.runs))
            options.models.emplace_back(argv[i]);
    }
    std::printf("gst-sphere %s\n", SPHERE_VERSION);
    for (const std::string &model : options.models)
        bench(model, options);
    return 0;
}
