// SPDX-License-Identifier: MIT
// The order in which a convolution by Winograd is done: tiles are transformed as many at a time
// as stay near, then each sixteen channels' weights pass by once for all of them.
#include "core/engine/onednn/winograd.h"

#include "core/engine/onednn/bands.h"

#include <algorithm>
#include <array>
#include <memory>

namespace sphere::onednn {
namespace {

constexpr std::int64_t kGroup = kWinogradGroup;
// Tiles that are transformed at a time: few stay in the second cache, many share what it costs
// to read the weights.
constexpr std::int64_t kLeastTiles = 24, kMostTiles = 48;
constexpr std::int64_t kKept = 36 * 24 * 256; ///< floats of transformed input
constexpr std::int64_t kPad =
    16; ///< floats, a cache line, between positions: they share no set

/// A band's share of the work: tiles and blocks of 16 outputs.
struct Share {
    std::int64_t first_tile, last_tile, first_block, last_block;
};

/// The work of one thread.
class Worker {
  public:
    Worker(const WinogradKernel &kernel, const WinogradConv &conv, float *scratch)
        : kernel_(kernel), conv_(conv), weights_(*conv.weights), sums_(scratch),
          input_(reinterpret_cast<std::uint8_t *>(sums_ + sums_floats(conv))),
          zeros_(sums_ + sums_floats(conv) + input_floats(conv)) {}

    static std::int64_t group(const WinogradConv &conv) {
        const std::int64_t kept = kKept / conv.weights->positions() / conv.weights->inputs;
        return std::min(std::clamp(kept, kLeastTiles, kMostTiles) / kGroup * kGroup,
                        conv.tiles());
    }
    /// Whole cache lines.
    static std::int64_t scratch_floats(const WinogradConv &conv) {
        return (conv.weights->inputs + input_floats(conv) + sums_floats(conv) + kPad - 1) /
               kPad * kPad;
    }

    void run(const Share &share) {
        std::fill_n(zeros_, weights_.inputs, 0.0F);
        // As many groups each time as can be.
        const std::int64_t all = groups(share.last_tile - share.first_tile);
        const std::int64_t most = groups(group(conv_)), turns = (all + most - 1) / most;
        for (std::int64_t turn = 0; turn < turns; ++turn) {
            const std::int64_t first = share.first_tile + all * turn / turns * kGroup;
            const std::int64_t end = share.first_tile + all * (turn + 1) / turns * kGroup;
            const std::int64_t count = std::min(end, share.last_tile) - first;
            for (std::int64_t t = 0; t < count; ++t)
                transform(first + t, input_ + t * weights_.inputs * value_);
            for (std::int64_t block = share.first_block; block < share.last_block; ++block)
                make(block, first, count);
        }
    }

  private:
    static std::int64_t groups(std::int64_t tiles) { return (tiles + kGroup - 1) / kGroup; }
    struct Place { ///< of a tile
        std::int64_t picture, row, pixel;
    };
    static std::int64_t stride(const WinogradConv &conv) {
        return group(conv) * conv.weights->inputs + kPad;
    }
    static std::int64_t input_floats(const WinogradConv &conv) {
        constexpr std::int64_t kFloat = sizeof(float);
        return conv.weights->positions() * stride(conv) * conv.weights->value_bytes() / kFloat;
    }
    static std::int64_t sums_floats(const WinogradConv &conv) {
        return group(conv) * conv.weights->positions() * kWinogradOutputs;
    }
    Place place(std::int64_t tile) const {
        const std::int64_t across = conv_.tiles_across(), down = conv_.tiles_down();
        return {tile / (across * down), tile / across % down * weights_.tile,
                tile % across * weights_.tile};
    }

    void transform(std::int64_t tile, void *to) const {
        const Place at = place(tile);
        const float *const picture =
            conv_.x + at.picture * conv_.rows * conv_.pixels * weights_.inputs;
        std::array<const float *, kWinogradMost> points;
        std::size_t i = 0;
        for (std::int64_t y = at.row - 1; y <= at.row + weights_.tile; ++y)
            for (std::int64_t x = at.pixel - 1; x <= at.pixel + weights_.tile; ++x)
                points[i++] = y >= 0 && x >= 0 && y < conv_.rows && x < conv_.pixels
                                  ? picture + (y * conv_.pixels + x) * weights_.inputs
                                  : zeros_;
        kernel_.input(weights_, points.data(), stride(conv_), to);
    }

    // 16 channels of the tiles that are transformed.
    void make(std::int64_t block, std::int64_t first, std::int64_t count) const {
        const std::int64_t positions = weights_.positions(), inputs = weights_.inputs;
        const std::int64_t each = inputs * kWinogradOutputs * value_;
        const auto *const weights =
            reinterpret_cast<const std::uint8_t *>(weights_.bytes.get()) +
            block * positions * each;
        for (std::int64_t i = 0; i < positions; ++i)
            kernel_.multiply(input_ + i * stride(conv_) * value_, count, inputs,
                             weights + i * each, positions * kWinogradOutputs,
                             sums_ + i * kWinogradOutputs);
        for (std::int64_t t = 0; t < count; ++t) {
            const Place at = place(first + t);
            const std::int64_t offset =
                ((at.picture * conv_.rows + at.row) * conv_.pixels + at.pixel) *
                    weights_.outputs +
                block * kWinogradOutputs;
            kernel_.output(conv_, sums_ + t * positions * kWinogradOutputs,
                           {block, std::min(weights_.tile, conv_.rows - at.row),
                            std::min(weights_.tile, conv_.pixels - at.pixel),
                            conv_.addend == nullptr ? nullptr : conv_.addend + offset,
                            conv_.out + offset});
        }
    }

    const WinogradKernel &kernel_;
    const WinogradConv &conv_;
    const WinogradWeights &weights_;
    const std::int64_t value_ = weights_.value_bytes(); ///< of what is multiplied
    float *sums_;
    std::uint8_t *input_;
    float *zeros_;
};

} // namespace

void run_winograd(const WinogradKernel &kernel, const WinogradConv &conv, int threads,
                  std::vector<float> &scratch) {
    const std::int64_t tiles = conv.tiles(), blocks = conv.weights->outputs / kWinogradOutputs;
    const std::int64_t wanted = std::max(threads, 1);
    // Few tiles: each thread reads weights of its own.
    const bool by_tiles = tiles >= wanted * Worker::group(conv);
    const std::int64_t bands = std::min(wanted, by_tiles ? tiles : blocks);
    const std::int64_t each = Worker::scratch_floats(conv);
    const auto wanted_floats = static_cast<std::size_t>(each * bands + kPad);
    if (scratch.size() < wanted_floats)
        scratch.resize(wanted_floats);
    void *start = scratch.data();
    std::size_t room = scratch.size() * sizeof(float);
    auto *const lines = static_cast<float *>(
        std::align(kPad * sizeof(float), wanted_floats * sizeof(float) - kPad * sizeof(float),
                   start, room));
    const auto band = [&](std::int64_t i) {
        Worker worker(kernel, conv, lines + i * each);
        if (by_tiles)
            worker.run({tiles * i / bands, tiles * (i + 1) / bands, 0, blocks});
        else
            worker.run({0, tiles, blocks * i / bands, blocks * (i + 1) / bands});
    };
    run_bands(bands, band);
}

} // namespace sphere::onednn
