// SPDX-License-Identifier: MIT
// A chain of pairs as one pass: each row that a stage has made goes at once to the next one.
#include "core/engine/onednn/pairs.h"

#include "core/engine/onednn/bands.h"

#include <algorithm>
#include <memory>

namespace sphere::onednn {
namespace {

constexpr std::int64_t kLeastBand = 8; ///< rows: those at its edges are computed twice

/// The rows of a pair that a band needs, and where they are for a while.
struct Stage {
    std::int64_t first = 0, last = 0; ///< rows before pooling
    float *ring = nullptr;            ///< three rows of the 1x1 convolution, borders with them
    float *made = nullptr;            ///< one row for the next stage, or two to pool and one
    std::uint8_t *codes = nullptr;    ///< a row of its input, where it is taken in int8
};

/// A row of values, of their codes, or both.
struct Row {
    const float *floats = nullptr;
    const std::uint8_t *codes = nullptr;
};

std::int64_t ring_row(const ConvPair &pair) {
    return (pair.pixels + 2) * pair.channels;
}

std::int64_t made_floats(const ConvPair &pair) {
    return (pair.pooled ? 3 : 1) * pair.pixels * pair.channels;
}

// Room for the codes of its input, where it takes those.
std::int64_t code_floats(const ConvPair &pair) {
    constexpr std::int64_t kFloat = sizeof(float);
    const std::int64_t codes = pair.dot ? pair.pixels * pair.inputs / kFloat : 0;
    return (codes + kPairBlock - 1) / kPairBlock * kPairBlock;
}

std::int64_t stage_floats(const ConvPair &pair) {
    return 3 * ring_row(pair) + made_floats(pair) + code_floats(pair);
}

// One that the stem reads beyond its planes.
std::int64_t zeros_floats(const ConvStem &stem) {
    return (stem.pixels + kPairBlock - 1) / kPairBlock * kPairBlock;
}

// What a stem or a pooling makes of the input.
std::int64_t entry_floats(const PairChain &chain) {
    const ConvPair &first = chain.pairs[0];
    return chain.stem.planes > 0 || chain.pools_input ? first.pixels * first.inputs : 0;
}

class Band {
  public:
    Band(const PairKernel &kernel, const PairChain &chain, float *scratch)
        : kernel_(kernel), chain_(chain), stages_(chain.pairs.size()), zeros_(scratch),
          entry_row_(scratch + zeros_floats(chain.stem)) {
        std::fill_n(zeros_, zeros_floats(chain.stem), 0.0F);
        input_.pixels = (chain.pools_input ? 2 : 1) * chain.pairs[0].pixels;
        input_.channels = chain.pairs[0].inputs;
        scratch = entry_row_ + entry_floats(chain);
        for (std::size_t i = 0; i < stages_.size(); ++i) {
            const ConvPair &pair = chain.pairs[i];
            stages_[i].ring = scratch;
            stages_[i].made = scratch + 3 * ring_row(pair);
            stages_[i].codes =
                reinterpret_cast<std::uint8_t *>(stages_[i].made + made_floats(pair));
            scratch += stage_floats(pair);
            for (int r = 0; r < 3; ++r) { // both ends stay zero
                float *const row = stages_[i].ring + r * ring_row(pair);
                std::fill_n(row, pair.channels, 0.0F);
                std::fill_n(row + ring_row(pair) - pair.channels, pair.channels, 0.0F);
            }
        }
    }

    /// Rows [first, last) of the result.
    void run(std::int64_t picture, std::int64_t first, std::int64_t last) {
        picture_ = picture;
        for (std::size_t i = stages_.size(); i-- > 0;) {
            const ConvPair &pair = chain_.pairs[i];
            const std::int64_t scale = pair.pooled ? 2 : 1;
            stages_[i].first = scale * first;
            stages_[i].last = scale * last;
            first = std::max<std::int64_t>(stages_[i].first - 1, 0);
            last = std::min(stages_[i].last + 1, pair.rows);
            if (stages_[i].first == 0)
                std::fill_n(place(i, -1), ring_row(pair), 0.0F);
        }
        for (std::int64_t y = first; y < last; ++y)
            take(0, input(y), y);
        for (std::size_t i = 0; i < stages_.size(); ++i) {
            const ConvPair &pair = chain_.pairs[i];
            if (stages_[i].last != pair.rows)
                continue;
            std::fill_n(place(i, pair.rows), ring_row(pair), 0.0F);
            make(i, pair.rows);
        }
    }

  private:
    float *place(std::size_t i, std::int64_t y) const {
        return stages_[i].ring + (y + 3) % 3 * ring_row(chain_.pairs[i]);
    }

    Row input(std::int64_t y) const {
        const ConvPair &pair = chain_.pairs[0];
        if (chain_.x_codes != nullptr)
            return {nullptr,
                    chain_.x_codes + (picture_ * pair.rows + y) * pair.pixels * pair.inputs};
        const float *const row = input_floats(y);
        if (!pair.dot)
            return {row, nullptr};
        finish({pair.pixels, pair.inputs, nullptr}, row, nullptr, stages_[0].codes, pair.codes);
        return {nullptr, stages_[0].codes};
    }

    const float *input_floats(std::int64_t y) const {
        const ConvStem &stem = chain_.stem;
        const std::int64_t row = input_.pixels * input_.channels;
        const std::int64_t at = picture_ * chain_.pairs[0].rows + y;
        if (chain_.pools_input) {
            kernel_.pool(input_, chain_.x + 2 * at * row, chain_.x + (2 * at + 1) * row,
                         entry_row_);
            return entry_row_;
        }
        if (stem.planes == 0)
            return chain_.x + at * row;
        const float *rows[3 * kStemPlanes];
        for (std::int64_t i = 0; i < 3 * stem.planes; ++i) {
            const std::int64_t plane = picture_ * stem.planes + i % stem.planes;
            const std::int64_t from = y * stem.stride + i / stem.planes - 1;
            rows[i] = from < 0 || from >= stem.rows
                          ? zeros_
                          : chain_.x + (plane * stem.rows + from) * stem.pixels;
        }
        kernel_.stem(stem, rows, entry_row_);
        return entry_row_;
    }

    /// Row y of the input of stage i.
    void take(std::size_t i, const Row &x, std::int64_t y) {
        const ConvPair &pair = chain_.pairs[i];
        float *const to = place(i, y) + pair.channels;
        if (pair.dot)
            run_dot_row(chain_.dot, *pair.dot, x.codes, to);
        else
            kernel_.point(pair, x.floats, to);
        if (y > stages_[i].first)
            make(i, y);
    }

    /// Row y - 1 of stage i: the ring has those around it.
    void make(std::size_t i, std::int64_t y) {
        const ConvPair &pair = chain_.pairs[i];
        const bool ends = i + 1 == stages_.size();
        const std::int64_t row = pair.pixels * pair.channels;
        const std::int64_t result = pair.pixels_out() * pair.channels;
        const float *const rows[3] = {place(i, y - 2), place(i, y - 1), place(i, y)};
        std::int64_t done = y - 1;
        float *const made = stages_[i].made;
        float *to = pair.pooled ? made + 2 * row : made;
        const auto goal = [&] { // the result's own place, where it has one
            return ends && chain_.out != nullptr
                       ? chain_.out + (picture_ * pair.rows_out() + done) * result
                       : to;
        };
        if (pair.pooled) {
            kernel_.depth(pair, rows, made + done % 2 * row);
            if (done % 2 == 0)
                return;
            done /= 2;
            to = goal();
            kernel_.pool(pair, made, made + row, to);
        } else {
            to = goal();
            kernel_.depth(pair, rows, to);
        }
        hand_on(i, to, done);
    }

    /// Row y of what stage i makes, but for a PReLU, to the next stage or to the result.
    void hand_on(std::size_t i, float *to, std::int64_t y) {
        const ConvPair &pair = chain_.pairs[i];
        const Shape shape{pair.pixels_out(), pair.channels,
                          pair.depth_slopes.empty() ? nullptr : pair.depth_slopes.data()};
        if (i + 1 < stages_.size()) {
            const ConvPair &next = chain_.pairs[i + 1];
            std::uint8_t *const codes = next.dot ? stages_[i + 1].codes : nullptr;
            finish(shape, to, next.dot ? nullptr : to, codes, next.codes);
            return take(i + 1, {to, codes}, y);
        }
        std::uint8_t *codes = chain_.codes;
        if (codes != nullptr)
            codes += (picture_ * pair.rows_out() + y) * shape.pixels * shape.channels;
        finish(shape, to, chain_.out == nullptr ? nullptr : to, codes, chain_.encoding);
    }

    struct Shape { ///< of a row, and what it still lacks
        std::int64_t pixels, channels;
        const float *slopes;
    };
    /// PReLU, and the codes of what it gives.
    static void finish(const Shape &shape, const float *x, float *out, std::uint8_t *codes,
                       const Encoding &encoding) {
        if (codes == nullptr && (out == nullptr || shape.slopes == nullptr))
            return;
        RowPass pass;
        pass.pixels = shape.pixels;
        pass.channels = shape.channels;
        pass.inverse_scale = encoding.inverse_scale;
        pass.zero = encoding.zero;
        if (out == x && shape.slopes == nullptr)
            out = nullptr; // it is there
        best_row()(pass, x, shape.slopes, nullptr, out, codes);
    }

    const PairKernel &kernel_;
    const PairChain &chain_;
    std::vector<Stage> stages_;
    ConvPair input_; ///< its rows, for the pooling
    float *zeros_, *entry_row_;
    std::int64_t picture_ = 0;
};

} // namespace

void run_pairs(const PairKernel &kernel, const PairChain &chain, int threads,
               std::vector<float> &scratch) {
    const std::int64_t rows = chain.pairs.back().rows_out();
    const std::int64_t bands =
        std::clamp<std::int64_t>(rows / kLeastBand, 1, std::max(threads, 1));
    std::int64_t floats = zeros_floats(chain.stem) + entry_floats(chain);
    for (const ConvPair &pair : chain.pairs)
        floats += stage_floats(pair);
    // Channels come in sixteens, so that each row, and each load, is within a cache line.
    const auto wanted = static_cast<std::size_t>(floats * bands + kPairBlock);
    if (scratch.size() < wanted)
        scratch.resize(wanted);
    void *aligned = scratch.data();
    std::size_t space = scratch.size() * sizeof(float);
    auto *const start = static_cast<float *>(
        std::align(kPairBlock * sizeof(float), sizeof(float), aligned, space));
    const auto band = [&](std::int64_t i) {
        Band made(kernel, chain, start + floats * i);
        for (std::int64_t n = 0; n < chain.pictures; ++n)
            made.run(n, rows * i / bands, rows * (i + 1) / bands);
    };
    run_bands(bands, band);
}

} // namespace sphere::onednn
