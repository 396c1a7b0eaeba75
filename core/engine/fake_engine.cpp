// SPDX-License-Identifier: MIT
// An engine without a network, for tests: numbers that depend on the picture alone.
#include "core/engine/backends.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace sphere {
namespace {

constexpr int kGrid = 4; ///< the picture is reduced to kGrid x kGrid means a channel

// SplitMix64 (Steele et al., OOPSLA 2014): a fixed weight for each pair of numbers.
double fixed_weight(std::uint64_t a, std::uint64_t b) {
    std::uint64_t z = (a * 0x9E3779B97F4A7C15ULL) ^ (b + 0xBF58476D1CE4E5B9ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    z ^= z >> 31;
    return static_cast<double>(z >> 11) / 4503599627370496.0 - 1.0; // [-1, 1)
}

class FakeEngine final : public Engine {
  public:
    explicit FakeEngine(const ModelDescriptor &descriptor)
        : descriptor_(descriptor),
          dims_(std::max({1, descriptor.dims, static_cast<int>(descriptor.labels.size())})),
          outputs_(std::max<std::size_t>(1, descriptor.outputs.size())) {}

    Result<void> run(const Tensor &input, std::vector<Tensor> &outputs) override {
        SPHERE_TRY(check_input(descriptor_, input));
        outputs.resize(outputs_);
        const std::int64_t batch = input.shape[0];
        for (Tensor &output : outputs)
            output.reset({batch, dims_});
        for (std::int64_t n = 0; n < batch; ++n) {
            const std::vector<double> means = grid_means(input, n);
            for (std::size_t o = 0; o < outputs.size(); ++o)
                for (int d = 0; d < dims_; ++d) {
                    double sum = 0;
                    for (std::size_t i = 0; i < means.size(); ++i)
                        sum +=
                            means[i] * fixed_weight(o * 100003 + static_cast<unsigned>(d), i);
                    outputs[o].data[static_cast<std::size_t>(n * dims_ + d)] =
                        static_cast<float>(sum);
                }
        }
        return {};
    }
    const char *name() const override { return "fake"; }
    int preferred_batch() const override { return descriptor_.batch == 1 ? 1 : 8; }

  private:
    static std::vector<double> grid_means(const Tensor &input, std::int64_t n) {
        const std::int64_t channels = input.shape[1], height = input.shape[2],
                           width = input.shape[3];
        std::vector<double> means;
        means.reserve(static_cast<std::size_t>(channels * kGrid * kGrid));
        for (std::int64_t c = 0; c < channels; ++c) {
            const float *plane = input.data.data() + (n * channels + c) * height * width;
            for (int gy = 0; gy < kGrid; ++gy)
                for (int gx = 0; gx < kGrid; ++gx) {
                    double sum = 0;
                    std::int64_t count = 0;
                    for (std::int64_t y = height * gy / kGrid; y < height * (gy + 1) / kGrid;
                         ++y)
                        for (std::int64_t x = width * gx / kGrid; x < width * (gx + 1) / kGrid;
                             ++x) {
                            sum += plane[y * width + x];
                            ++count;
                        }
                    means.push_back(count > 0 ? sum / static_cast<double>(count) : 0);
                }
        }
        return means;
    }

    const ModelDescriptor descriptor_;
    const int dims_;
    const std::size_t outputs_;
};

} // namespace

Result<std::shared_ptr<Engine>> make_fake_engine(const ResolvedModel &model,
                                                 const EngineOptions &options) {
    SPHERE_TRY(require_fp32("fake", options.precision));
    return std::shared_ptr<Engine>(std::make_shared<FakeEngine>(model.descriptor));
}

} // namespace sphere
