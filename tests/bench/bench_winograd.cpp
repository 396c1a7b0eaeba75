// SPDX-License-Identifier: MIT
// SphereFace-20's 3x3 convolutions of stride 1: oneDNN's direct ones, in both layouts that a
// plan may choose, against Winograd's by kernels of our own. One thread; other memory passes
// before each run, so that weights are not in the cache, as in a network.
//
//     OMP_NUM_THREADS=1 bench_winograd [batch]
#include "core/engine/onednn/compat.h"
#include "core/engine/onednn/winograd.h"

#include <oneapi/dnnl/dnnl.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <vector>

namespace {

using namespace sphere::onednn;
using dnnl::memory;

constexpr std::size_t kOtherMemory = std::size_t{64} << 20;
constexpr int kRuns = 20;

struct Layer {
    std::int64_t channels, rows, pixels;
};
constexpr Layer kLayers[] = {{64, 56, 48}, {128, 28, 24}, {256, 14, 12}, {512, 7, 6}};

class Bench {
  public:
    Bench(const Layer &layer, std::int64_t pictures)
        : layer_(layer), pictures_(pictures), other_(kOtherMemory) {
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        const std::int64_t c = layer.channels;
        weights_.dims = {c, c, 3, 3};
        weights_.floats.resize(static_cast<std::size_t>(9 * c * c));
        for (float &w : weights_.floats)
            w = normal(random) * std::sqrt(2.0F / static_cast<float>(9 * c));
        x_.resize(static_cast<std::size_t>(pictures * layer.rows * layer.pixels * c));
        for (float &x : x_)
            x = normal(random);
        out_ = x_;
    }

    double direct(memory::format_tag layout) {
        const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
        dnnl::stream stream(engine);
        const auto f32 = memory::data_type::f32;
        const std::int64_t c = layer_.channels;
        const memory::desc plane({pictures_, c, layer_.rows, layer_.pixels}, f32, layout);
        const memory::desc any({c, c, 3, 3}, f32, memory::format_tag::any);
        const auto pd =
            compat::convolution(engine, dnnl::algorithm::convolution_direct, plane, any, {},
                                plane, {{3, 3}, {1, 1}, {0, 0}, {1, 1}, {1, 1}}, {});
        const memory plain({{c, c, 3, 3}, f32, memory::format_tag::oihw}, engine,
                           weights_.floats.data());
        memory weights(pd.weights_desc(), engine), x(plane, engine, x_.data()),
            out(plane, engine, out_.data());
        dnnl::reorder(plain, weights).execute(stream, const_cast<memory &>(plain), weights);
        const dnnl::convolution_forward convolution(pd);
        return best([&] {
            convolution.execute(
                stream, {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, out}});
        });
    }

    double winograd(const WinogradKernel &kernel, std::int64_t tile) {
        WinogradConv conv;
        conv.weights =
            std::make_shared<const WinogradWeights>(transform_weights(weights_, tile));
        conv.bias.assign(static_cast<std::size_t>(layer_.channels), 0);
        conv.x = x_.data();
        conv.out = out_.data();
        conv.pictures = pictures_;
        conv.rows = layer_.rows;
        conv.pixels = layer_.pixels;
        std::vector<float> scratch;
        return best([&] { run_winograd(kernel, conv, 1, scratch); });
    }

  private:
    // Milliseconds a picture. The input is in the cache: the layer before has made it.
    double best(const std::function<void()> &run) {
        using Clock = std::chrono::steady_clock;
        double least = 1e9;
        for (int i = 0; i < kRuns; ++i) {
            std::memset(other_.data(), i, other_.size());
            std::copy(x_.begin(), x_.end(), out_.begin());
            const auto start = Clock::now();
            run();
            least = std::min(
                least, std::chrono::duration<double, std::milli>(Clock::now() - start).count());
        }
        return least / static_cast<double>(pictures_);
    }

    Layer layer_;
    std::int64_t pictures_;
    std::vector<char> other_;
    Constant weights_;
    std::vector<float> x_, out_;
};

} // namespace

int main(int argc, char **argv) {
    const std::int64_t pictures = argc > 1 ? std::atol(argv[1]) : 1;
    const WinogradKernel *const kernel = winograd_avx2();
    if (pictures < 1 || pictures > 64 || kernel == nullptr) {
        std::fprintf(stderr, "usage: bench_winograd [batch, 1 to 64], on a CPU with AVX2\n");
        return 1;
    }
    std::printf("batch %ld, ms a picture: direct nChw8c, direct nhwc, F(2x2), F(4x4); taken\n",
                static_cast<long>(pictures));
    for (const Layer &layer : kLayers) {
        Bench bench(layer, pictures);
        const double blocks = bench.direct(memory::format_tag::nChw8c),
                     rows = bench.direct(memory::format_tag::nhwc);
        const double two = bench.winograd(*kernel, 2), four = bench.winograd(*kernel, 4);
        std::printf("%4ld channels, %ldx%ld  %6.2f %6.2f %6.2f %6.2f   %ld\n",
                    static_cast<long>(layer.channels), static_cast<long>(layer.rows),
                    static_cast<long>(layer.pixels), blocks, rows, two, four,
                    static_cast<long>(best_winograd_tile(layer.rows, layer.pixels, false)));
    }
    return 0;
}
