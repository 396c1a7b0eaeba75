// SPDX-License-Identifier: MIT
// Channels that training has emptied (weight decay does it to those that a batch norm lets go):
// their weights are zero, or so small that a sum in fp32 does not notice them. Recognisers for
// phones are half made of them in their later layers.
#include "core/engine/onednn/passes.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

namespace sphere::onednn {
namespace {

/// For all dropped ones together, of the largest: as much is lost when numbers of fp32 are
/// added (2^-24, half a last digit).
constexpr double kNothing = 1e-7;
constexpr std::size_t kWhole = 16; ///< kernels make so many channels at a time

/// What a channel can do to what comes after it. The first two are compared with those of
/// other channels only: how large a network's values are is not known here.
struct Reach {
    double input = 0;    ///< how much the input is multiplied by on the way, at most
    double border = 0;   ///< likewise constants, which end where a picture does
    double constant = 0; ///< what it is everywhere, but for the two above

    void scale(double by) {
        input *= by;
        border *= by;
    }
};

/// A convolution that makes channels, what works on each of them alone, and one that sums.
struct Path {
    std::size_t first = 0, last = 0;       ///< nodes
    std::vector<std::size_t> between = {}; ///< depthwise convolutions and PReLUs
};

class DeadChannels {
  public:
    explicit DeadChannels(Graph &graph)
        : graph_(graph), uses_(count_uses(graph)), taker_(graph.values.size()) {
        for (std::size_t i = 0; i < graph.nodes.size(); ++i)
            for (const int input : graph.nodes[i].inputs)
                if (input >= 0)
                    taker_[at(input)] = i;
    }

    void drop() {
        for (std::size_t i = 0; i < graph_.nodes.size(); ++i)
            if (const auto path = path_from(i))
                drop_on(*path);
    }

  private:
    static std::size_t at(int value) { return static_cast<std::size_t>(value); }

    /// Floats of as many numbers as their dimensions say.
    const Constant *floats(const Node &node, std::size_t input) const {
        const Constant *found =
            node.has_input(input) ? graph_.constant(node.inputs[input]) : nullptr;
        return found != nullptr && !found->is_int &&
                       count_elements(found->dims) ==
                           static_cast<std::int64_t>(found->floats.size())
                   ? found
                   : nullptr;
    }

    /// Its outputs if it is a convolution whose weights are known; else 0.
    std::size_t outputs_of(const Node &node) const {
        const Constant *weights = node.op == "Conv" ? floats(node, 1) : nullptr;
        if (weights == nullptr || weights->dims.size() != 4 || weights->floats.empty())
            return 0;
        const auto outputs = static_cast<std::size_t>(weights->dims[0]);
        if (!node.has_input(2))
            return outputs;
        const Constant *bias = floats(node, 2);
        return bias != nullptr && bias->floats.size() == outputs ? outputs : 0;
    }
    bool is_dense(const Node &node) const {
        return outputs_of(node) > 0 && node.integer("group", 1) == 1;
    }
    bool is_depthwise(const Node &node, std::size_t channels) const {
        return outputs_of(node) == channels && node.addend < 0 &&
               node.integer("group", 1) == static_cast<std::int64_t>(channels) &&
               floats(node, 1)->dims[1] == 1;
    }
    bool is_prelu(const Node &node, std::size_t channels) const {
        const Constant *slopes = node.op == "PRelu" ? floats(node, 1) : nullptr;
        return slopes != nullptr && node.addend < 0 &&
               (slopes->floats.size() == 1 || slopes->floats.size() == channels);
    }

    std::optional<Path> path_from(std::size_t first) const {
        const Node &maker = graph_.nodes[first];
        if (!is_dense(maker) || maker.addend >= 0)
            return std::nullopt;
        const std::size_t channels = outputs_of(maker);
        Path path{first, first};
        int value = maker.output;
        for (std::size_t now = first; uses_[at(value)] == 1 && taker_[at(value)] > now;) {
            const std::size_t next = now = taker_[at(value)];
            const Node &node = graph_.nodes[next];
            if (node.inputs[0] != value)
                return std::nullopt;
            if (is_dense(node)) {
                path.last = next;
                const bool fits =
                    floats(node, 1)->dims[1] == static_cast<std::int64_t>(channels);
                return fits ? std::optional(path) : std::nullopt;
            }
            if (!is_depthwise(node, channels) && !is_prelu(node, channels))
                return std::nullopt;
            path.between.push_back(next);
            value = node.output;
        }
        return std::nullopt; // an output, or of use to several
    }

    static bool has_border(const Node &conv) {
        const Dims pads = conv.list("pads", {});
        return conv.texts.contains("auto_pad") ||
               std::any_of(pads.begin(), pads.end(), [](std::int64_t pad) { return pad != 0; });
    }
    static float slope_of(const Constant &slopes, std::size_t channel) {
        return slopes.floats[slopes.floats.size() == 1 ? 0 : channel];
    }
    static double size_of(const Constant &weights, std::size_t from, std::size_t count) {
        double sum = 0;
        for (std::size_t i = from; i < from + count; ++i)
            sum += std::abs(weights.floats[i]);
        return sum;
    }
    double bias_of(const Node &conv, std::size_t channel) const {
        return conv.has_input(2) ? floats(conv, 2)->floats[channel] : 0;
    }

    static void bend(Reach &reach, double slope) {
        reach.scale(std::max(1.0, std::abs(slope)));
        reach.constant *= reach.constant < 0 ? slope : 1;
    }
    static void finish(const Node &conv, Reach &reach) {
        for (const PostOp &post : conv.post)
            if (post.kind == PostOp::Kind::Relu)
                bend(reach, post.a);
            else
                reach.constant =
                    std::clamp<double>(reach.constant, post.a, std::max(post.a, post.b));
    }

    Reach reach_of(const Path &path, std::size_t channel) const {
        const Node &maker = graph_.nodes[path.first];
        const Constant &own = *floats(maker, 1);
        const std::size_t each = own.floats.size() / outputs_of(maker);
        Reach reach{size_of(own, channel * each, each), 0, bias_of(maker, channel)};
        finish(maker, reach);
        for (const std::size_t i : path.between) {
            const Node &node = graph_.nodes[i];
            const Constant &constant = *floats(node, 1);
            if (node.op == "PRelu") {
                bend(reach, slope_of(constant, channel));
                continue;
            }
            const std::size_t taps = constant.floats.size() / outputs_of(node);
            reach.border += std::abs(reach.constant);
            reach.scale(size_of(constant, channel * taps, taps));
            reach.constant = bias_of(node, channel);
            finish(node, reach);
        }
        const Node &taker = graph_.nodes[path.last];
        if (has_border(taker)) {
            reach.border += std::abs(reach.constant);
            reach.constant = 0;
        }
        return reach;
    }

    /// By input, the most that a convolution multiplies it by.
    std::vector<double> most_taken(const Node &conv) const {
        const Constant &weights = *floats(conv, 1);
        const auto inputs = static_cast<std::size_t>(weights.dims[1]);
        const std::size_t taps = weights.floats.size() / (outputs_of(conv) * inputs);
        std::vector<double> most(inputs);
        for (std::size_t at = 0; at < weights.floats.size(); at += taps) {
            double &of_input = most[at / taps % inputs];
            of_input = std::max(of_input, size_of(weights, at, taps));
        }
        return most;
    }

    void drop_on(const Path &path) {
        const std::size_t channels = outputs_of(graph_.nodes[path.first]);
        const std::vector<double> taken = most_taken(graph_.nodes[path.last]);
        std::vector<Reach> reaches;
        double input = 0, border = 0;
        for (std::size_t c = 0; c < channels; ++c) {
            reaches.push_back(reach_of(path, c));
            reaches[c].scale(taken[c]);
            input = std::max(input, reaches[c].input);
            border = std::max(border, reaches[c].border);
        }
        const double nothing = kNothing / static_cast<double>(channels);
        const auto lives = [&](std::size_t c) {
            return !(reaches[c].input <= nothing * input &&
                     reaches[c].border <= nothing * border);
        };
        std::vector<std::size_t> kept(channels);
        std::iota(kept.begin(), kept.end(), std::size_t{0});
        const auto dead = std::stable_partition(kept.begin(), kept.end(), lives);
        const auto living = static_cast<std::size_t>(dead - kept.begin());
        const std::size_t whole =
            std::max<std::size_t>((living + kWhole - 1) / kWhole, 1) * kWhole;
        if (whole >= channels)
            return;
        add_constants(graph_.nodes[path.last],
                      {kept.begin() + static_cast<std::ptrdiff_t>(whole), kept.end()}, reaches);
        kept.resize(whole);
        std::sort(kept.begin(), kept.end());
        shrink(path, kept);
    }

    /// What `dropped` inputs, constants by now, add to the results of `conv`.
    void add_constants(Node &conv, const std::vector<std::size_t> &dropped,
                       const std::vector<Reach> &reaches) {
        const Constant &weights = *floats(conv, 1);
        const auto inputs = static_cast<std::size_t>(weights.dims[1]);
        const std::size_t outputs = outputs_of(conv),
                          taps = weights.floats.size() / (outputs * inputs);
        Constant bias{{weights.dims[0]}, std::vector<float>(outputs), {}, false};
        for (std::size_t o = 0; o < outputs; ++o) {
            double sum = bias_of(conv, o);
            for (const std::size_t c : dropped)
                for (std::size_t t = 0; t < taps; ++t)
                    sum += reaches[c].constant * weights.floats[(o * inputs + c) * taps + t];
            bias.floats[o] = static_cast<float>(sum);
        }
        replace(conv, 2, std::move(bias));
    }

    void shrink(const Path &path, const std::vector<std::size_t> &kept) {
        Node &maker = graph_.nodes[path.first], &taker = graph_.nodes[path.last];
        const auto channels = static_cast<std::int64_t>(kept.size());
        keep_rows(maker, 1, kept);
        keep_rows(maker, 2, kept);
        for (const std::size_t i : path.between) {
            Node &node = graph_.nodes[i];
            keep_rows(node, 1, kept);
            if (node.op == "Conv") {
                keep_rows(node, 2, kept);
                node.ints["group"] = {channels};
            }
        }
        const Constant &old = *floats(taker, 1);
        const auto inputs = static_cast<std::size_t>(old.dims[1]);
        const std::size_t outputs = outputs_of(taker),
                          taps = old.floats.size() / (outputs * inputs);
        Constant weights;
        weights.dims = {old.dims[0], channels, old.dims[2], old.dims[3]};
        for (std::size_t o = 0; o < outputs; ++o)
            for (const std::size_t c : kept)
                append(weights, old, (o * inputs + c) * taps, taps);
        replace(taker, 1, std::move(weights));
    }

    static void append(Constant &to, const Constant &from, std::size_t first,
                       std::size_t count) {
        const auto begin = from.floats.begin() + static_cast<std::ptrdiff_t>(first);
        to.floats.insert(to.floats.end(), begin, begin + static_cast<std::ptrdiff_t>(count));
    }

    /// Of a constant with one row a channel; others stay.
    void keep_rows(Node &node, std::size_t input, const std::vector<std::size_t> &kept) {
        const Constant *old = floats(node, input);
        if (old == nullptr || old->floats.size() == 1)
            return;
        const bool slopes = node.op == "PRelu"; // [C, 1, 1] or [1, C, 1, 1]
        const std::size_t rows = slopes ? old->floats.size()
                                        : static_cast<std::size_t>(old->dims[0]),
                          each = old->floats.size() / rows;
        Constant constant;
        constant.dims = old->dims;
        for (std::int64_t &dim : constant.dims)
            if (dim == static_cast<std::int64_t>(rows)) {
                dim = static_cast<std::int64_t>(kept.size());
                break;
            }
        for (const std::size_t c : kept)
            append(constant, *old, c * each, each);
        replace(node, input, std::move(constant));
    }

    void replace(Node &node, std::size_t input, Constant constant) {
        node.inputs.resize(std::max(node.inputs.size(), input + 1), -1);
        replace_constant(graph_, uses_, node.inputs[input], std::move(constant));
    }

    Graph &graph_;
    std::vector<int> uses_;
    std::vector<std::size_t> taker_; ///< by value: the last node that takes it
};

} // namespace

void drop_dead_channels(Graph &graph) {
    DeadChannels(graph).drop();
}

} // namespace sphere::onednn
