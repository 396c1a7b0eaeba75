// SPDX-License-Identifier: MIT
// A chain of pairs as one pass: each row that a stage has made goes at once to the next one.
#include "core/engine/onednn/pair_words.h"

#include "core/engine/onednn/bands.h"

#include <algorithm>
#include <memory>

namespace sphere::onednn {
namespace {

constexpr std::int64_t kLeastBand = 8; ///< rows: those at its edges are computed twice

/// The rows of a pair that a band needs, and where they are for a while.
struct Stage {
    std::int64_t first = 0, last = 0; ///< rows before pooling
    float *ring = nullptr;            ///< three rows for the depthwise one, borders with them
    float *made = nullptr;            ///< one row for the next stage, or two to pool and one
    std::uint8_t *codes = nullptr;    ///< a row of its input, where it is taken in int8
};

/// A row of values, of their codes, or both.
struct Row {
    const float *floats = nullptr;
    const std::uint8_t *codes = nullptr;
};

// A block of one pixel in a ring, of floats or of words.
std::int64_t ring_pixel(const ConvPair &pair) {
    constexpr auto kWordsAFloat =
        static_cast<std::int64_t>(sizeof(float) / sizeof(std::int16_t));
    return pair.words ? kPairBlock / kWordsAFloat : kPairBlock;
}

std::int16_t *words(float *ring) {
    return reinterpret_cast<std::int16_t *>(ring);
}

const std::int16_t *words(const float *ring) {
    return reinterpret_cast<const std::int16_t *>(ring);
}

// In a ring each block of channels lies by itself: a window's pixels side by side, a few cache
// lines for all, where channels-last they are as far apart as a pixel is large, often in the
// same few sets of the cache.
std::int64_t ring_block(const ConvPair &pair) {
    return (pair.pixels + 2) * ring_pixel(pair);
}

// Row `to` of a ring of floats or of words.
template <typename Number> PlaceOf<Number> ring_place(const ConvPair &pair, Number *to) {
    return {to, kPairBlock, (pair.pixels + 2) * kPairBlock};
}

std::int64_t blocks_of(const ConvPair &pair) {
    return pair.channels / kPairBlock;
}

std::int64_t ring_row(const ConvPair &pair) {
    return blocks_of(pair) * ring_block(pair);
}

std::int64_t made_floats(const ConvPair &pair) {
    return (pair.pooled ? 3 : 1) * pair.depth_pixels() * pair.channels;
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
    const bool made = (chain.stem.planes > 0 && !first.alone) || chain.pools_input;
    return made ? first.pixels * first.inputs : 0;
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
            for (std::int64_t b = 0; b < 3 * blocks_of(pair); ++b) { // both ends stay zero
                float *const row = stages_[i].ring + b * ring_block(pair);
                std::fill_n(row, ring_pixel(pair), 0.0F);
                std::fill_n(row + ring_block(pair) - ring_pixel(pair), ring_pixel(pair), 0.0F);
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
            first = std::max<std::int64_t>(stages_[i].first * pair.stride - 1, 0);
            last = std::min((stages_[i].last - 1) * pair.stride + 2, pair.rows);
            if (stages_[i].first == 0 && !by_blocks())
                std::fill_n(place(i, -1), ring_row(pair), 0.0F);
        }
        if (by_blocks()) {
            for (std::int64_t b = 0; b < blocks_of(chain_.pairs[0]); ++b)
                run_block(b, first, last);
            return;
        }
        for (std::int64_t y = first; y < last; ++y)
            take_input(y);
        for (std::size_t i = 0; i < stages_.size(); ++i) {
            const ConvPair &pair = chain_.pairs[i];
            if (!reaches_beyond(i))
                continue;
            std::fill_n(place(i, pair.rows), ring_row(pair), 0.0F);
            const Window window = window_of(i, pair.rows);
            for (std::int64_t b = 0; b < blocks_of(pair); ++b)
                make(pair, at_block(pair, window, b), b);
            hand_on(i, pair.rows);
        }
    }

  private:
    float *place(std::size_t i, std::int64_t y) const {
        return stages_[i].ring + (y + 3) % 3 * ring_row(chain_.pairs[i]);
    }

    // All rows of a block before the next: what a window reads stays in the first cache. Codes
    // pass by again for each block, which costs little.
    bool by_blocks() const {
        return stages_.size() == 1 && chain_.pairs[0].dot && !chain_.pairs[0].pooled &&
               chain_.x_codes != nullptr;
    }

    /// The rows [first, last) of the input, for one block of channels, in the ring's first.
    void run_block(std::int64_t block, std::int64_t first, std::int64_t last) {
        const ConvPair &pair = chain_.pairs[0];
        if (stages_[0].first == 0)
            std::fill_n(place(0, -1), ring_block(pair), 0.0F);
        for (std::int64_t y = first; y < last; ++y) {
            dot(pair, block, codes_row(y), place(0, y) + ring_pixel(pair));
            if (completes(0, y))
                make(pair, window_of(0, y), block);
        }
        if (reaches_beyond(0)) {
            std::fill_n(place(0, pair.rows), ring_block(pair), 0.0F);
            make(pair, window_of(0, pair.rows), block);
        }
    }

    /// Whether row y of its input is the last of a window of stage i.
    bool completes(std::size_t i, std::int64_t y) const {
        const std::int64_t stride = chain_.pairs[i].stride;
        const std::int64_t middle = y - 1, first = stages_[i].first * stride;
        return middle >= first && (middle - first) % stride == 0;
    }

    /// Whether the last window of stage i ends with a row of zeros below the input.
    bool reaches_beyond(std::size_t i) const {
        const ConvPair &pair = chain_.pairs[i];
        return (stages_[i].last - 1) * pair.stride + 1 == pair.rows;
    }

    const std::uint8_t *codes_row(std::int64_t y) const {
        const ConvPair &pair = chain_.pairs[0];
        return chain_.x_codes + input_row(y) * pair.pixels * pair.inputs;
    }

    /// Row y of the input of the first stage.
    void take_input(std::int64_t y) {
        const ConvPair &pair = chain_.pairs[0];
        if (chain_.x_codes != nullptr)
            return take(0, {nullptr, codes_row(y)}, y);
        if (pair.alone) {
            float *const to = place(0, y) + ring_pixel(pair);
            if (pair.words)
                run_stem(chain_.words->stem, y, ring_place(pair, words(to)));
            else
                run_stem(kernel_.stem, y, ring_place(pair, to));
            return take(0, {}, y);
        }
        if (pair.dot && chain_.pools_input) {
            pool_input(y, {nullptr, stages_[0].codes, pair.codes});
            return take(0, {nullptr, stages_[0].codes}, y);
        }
        const float *const row = input_floats(y);
        if (!pair.dot)
            return take(0, {row, nullptr}, y);
        encode({pair.pixels, pair.inputs}, row, stages_[0].codes, pair.codes);
        take(0, {nullptr, stages_[0].codes}, y);
    }

    std::int64_t input_row(std::int64_t y) const { return picture_ * chain_.pairs[0].rows + y; }

    const float *input_floats(std::int64_t y) const {
        const std::int64_t row = input_.pixels * input_.channels, at = input_row(y);
        if (chain_.pools_input) {
            pool_input(y, {entry_row_, nullptr, {}});
            return entry_row_;
        }
        if (chain_.stem.planes == 0)
            return chain_.x + at * row;
        run_stem(kernel_.stem, y, RowPlace{entry_row_, chain_.stem.channels, kPairBlock});
        return entry_row_;
    }

    void pool_input(std::int64_t y, const MadeRow &to) const {
        const float *const above =
            chain_.x + 2 * input_row(y) * input_.pixels * input_.channels;
        kernel_.pool(input_, above, above + input_.pixels * input_.channels, to);
    }

    template <typename Kernel, typename Place>
    void run_stem(Kernel kernel, std::int64_t y, const Place &to) const {
        const ConvStem &stem = chain_.stem;
        const float *rows[3 * kStemPlanes];
        for (std::int64_t i = 0; i < 3 * stem.planes; ++i) {
            const std::int64_t plane = picture_ * stem.planes + i % stem.planes;
            const std::int64_t from = y * stem.stride + i / stem.planes - 1;
            rows[i] = from < 0 || from >= stem.rows
                          ? zeros_
                          : chain_.x + (plane * stem.rows + from) * stem.pixels;
        }
        kernel(stem, rows, to);
    }

    /// Row y of the input of stage i.
    void take(std::size_t i, const Row &x, std::int64_t y) {
        const ConvPair &pair = chain_.pairs[i];
        float *const to = place(i, y) + ring_pixel(pair);
        if (!pair.alone && !pair.dot)
            point(pair, x.floats, to);
        const bool whole = completes(i, y);
        const Window window = whole ? window_of(i, y) : Window{};
        for (std::int64_t b = 0; b < blocks_of(pair); ++b) {
            if (pair.dot)
                dot(pair, b, x.codes, to + b * ring_block(pair));
            if (whole)
                make(pair, at_block(pair, window, b), b);
        }
        if (whole)
            hand_on(i, y);
    }

    /// Three rows of a ring, and where what is made of them goes.
    struct Window {
        const float *rows[3] = {};
        MadeRow to;
    };

    /// The window of stage i that ends with row y, which the ring has with those before it.
    Window window_of(std::size_t i, std::int64_t y) const {
        const ConvPair &pair = chain_.pairs[i];
        const std::int64_t done = (y - 1) / pair.stride;
        Window window = {{place(i, y - 2), place(i, y - 1), place(i, y)}, {}};
        if (pair.pooled)
            window.to.out = stages_[i].made + done % 2 * pair.depth_pixels() * pair.channels;
        else
            window.to = goal(i, done);
        return window;
    }

    /// Of a ring that has all blocks, one.
    static Window at_block(const ConvPair &pair, const Window &window, std::int64_t block) {
        const std::int64_t at = block * ring_block(pair);
        return {{window.rows[0] + at, window.rows[1] + at, window.rows[2] + at}, window.to};
    }

    void make(const ConvPair &pair, const Window &window, std::int64_t block) const {
        const MadeRow &to = window.to;
        if (!pair.words)
            return kernel_.depth(pair, block, window.rows, to);
        const std::int16_t *const rows[3] = {words(window.rows[0]), words(window.rows[1]),
                                             words(window.rows[2])};
        chain_.words->depth(pair, block, rows,
                            pair.pooled ? MadeWords{words(to.out), {}}
                                        : MadeWords{nullptr, to});
    }

    /// A row's 1x1 convolution into a ring; and a block of it.
    void point(const ConvPair &pair, const float *x, float *to) const {
        if (pair.words)
            chain_.words->point(pair, x, ring_place(pair, words(to)));
        else
            kernel_.point(pair, x, ring_place(pair, to));
    }
    void dot(const ConvPair &pair, std::int64_t block, const std::uint8_t *x, float *to) const {
        if (pair.words)
            chain_.words->dot(*pair.dot, block, pair.pixels, x, words(to));
        else
            chain_.dot->row(*pair.dot, {block}, pair.pixels, x, nullptr, to, nullptr);
    }

    /// Where row y of what stage i makes goes.
    MadeRow goal(std::size_t i, std::int64_t y) const {
        if (i + 1 < stages_.size()) {
            const ConvPair &next = chain_.pairs[i + 1];
            if (next.dot)
                return {nullptr, stages_[i + 1].codes, next.codes};
            return {own_floats(i), nullptr, {}};
        }
        const ConvPair &pair = chain_.pairs[i];
        const std::int64_t at =
            (picture_ * pair.rows_out() + y) * pair.pixels_out() * pair.channels;
        return {chain_.out == nullptr ? nullptr : chain_.out + at,
                chain_.codes == nullptr ? nullptr : chain_.codes + at, chain_.encoding};
    }

    float *own_floats(std::size_t i) const {
        const ConvPair &pair = chain_.pairs[i];
        return stages_[i].made + (pair.pooled ? 2 * pair.pixels * pair.channels : 0);
    }

    /// What stage i has made of the windows that end with row y, to the next stage.
    void hand_on(std::size_t i, std::int64_t y) {
        const ConvPair &pair = chain_.pairs[i];
        std::int64_t done = (y - 1) / pair.stride;
        if (pair.pooled && done % 2 == 0)
            return;
        done = pair.pooled ? done / 2 : done;
        const MadeRow made = goal(i, done);
        if (pair.pooled) {
            const float *const above = stages_[i].made;
            const float *const below = above + pair.pixels * pair.channels;
            if (pair.words)
                chain_.words->pool(pair, words(above), words(below), made);
            else
                kernel_.pool(pair, above, below, made);
        }
        if (i + 1 < stages_.size())
            take(i + 1, {made.out, made.codes}, done);
    }

    struct Shape { ///< of a row
        std::int64_t pixels, channels;
    };
    static void encode(const Shape &shape, const float *x, std::uint8_t *codes,
                       const Encoding &encoding) {
        RowPass pass;
        pass.pixels = shape.pixels;
        pass.channels = shape.channels;
        pass.inverse_scale = encoding.inverse_scale;
        pass.zero = encoding.zero;
        best_row()(pass, x, nullptr, nullptr, nullptr, codes);
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
