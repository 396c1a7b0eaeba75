// SPDX-License-Identifier: MIT
// Which convolutions go in pairs, and how a chain of them becomes a step.
#include "core/engine/onednn/pair_words.h"
#include "core/engine/onednn/plan_builder.h"

#include <algorithm>

namespace sphere::onednn {

using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

namespace {

Encoding encoding(const CodeScale &codes) {
    return {1 / codes.scale, codes.zero};
}

// Nothing that run_pair() does not do: a ReLU at most.
bool ends_simply(const Node &node) {
    return node.post.empty() ||
           (node.post.size() == 1 && node.post[0].kind == PostOp::Kind::Relu &&
            node.post[0].a == 0);
}

} // namespace

bool PlanBuilder::fits_depth(std::size_t depth) const {
    const Node &node = graph_.nodes[depth];
    if (node.op != "Conv" || !ends_simply(node) || graph_.constant(node.inputs[1]) == nullptr)
        return false;
    const Dims &in = dims(node.inputs[0]), &out = dims(node.output),
               &pads = shapes_.pads[depth];
    const Dims strides = node.list("strides", {1, 1});
    const std::int64_t stride = strides[0];
    return in.size() == 4 && node.integer("group", 1) == in[1] &&
           dims(node.inputs[1]) == Dims{in[1], 1, 3, 3} && (stride == 1 || stride == 2) &&
           strides[1] == stride && node.list("dilations", {1, 1}) == Dims{1, 1} &&
           pads[0] == 1 && pads[1] == 1 && out[2] == (in[2] - 1) / stride + 1 &&
           out[3] == (in[3] - 1) / stride + 1;
}

bool PlanBuilder::fits_pair(std::size_t point, std::size_t depth) const {
    const Node &first = graph_.nodes[point];
    if (first.op != "Conv" || !ends_simply(first) ||
        graph_.constant(first.inputs[1]) == nullptr || !fits_depth(depth))
        return false;
    const Dims &weights = dims(first.inputs[1]);
    return first.integer("group", 1) == 1 && weights[2] == 1 && weights[3] == 1 &&
           first.list("strides", {1, 1}) == Dims{1, 1} &&
           shapes_.pads[point] == Dims{0, 0, 0, 0};
}

// The largest of each 2x2, of rows and pixels that are even.
bool PlanBuilder::halves(std::size_t pool) const {
    const Node &node = graph_.nodes[pool];
    if (node.op != "MaxPool")
        return false;
    const Dims &in = dims(node.inputs[0]), &out = dims(node.output);
    const Dims twos = {2, 2};
    return node.list("kernel_shape", {}) == twos && node.list("strides", {1, 1}) == twos &&
           node.list("dilations", {1, 1}) == Dims{1, 1} &&
           shapes_.pads[pool] == Dims{0, 0, 0, 0} && in[1] % kPairBlock == 0 &&
           in[2] == 2 * out[2] && in[3] == 2 * out[3];
}

// A first convolution, on the picture itself: its planes lie as the caller gives them.
bool PlanBuilder::is_stem(std::size_t node) const {
    const Node &conv = graph_.nodes[node];
    if (conv.op != "Conv" || conv.inputs[0] != graph_.input || !ends_simply(conv) ||
        graph_.constant(conv.inputs[1]) == nullptr)
        return false;
    const Dims &in = dims(conv.inputs[0]), &w = dims(conv.inputs[1]),
               &pads = shapes_.pads[node];
    const Dims strides = conv.list("strides", {1, 1});
    return in.size() == 4 && in[1] <= kStemPlanes && conv.integer("group", 1) == 1 &&
           w[0] % kPairBlock == 0 && w[2] == 3 && w[3] == 3 && strides[0] == strides[1] &&
           conv.list("dilations", {1, 1}) == Dims{1, 1} && pads[0] == 1 && pads[1] == 1;
}

// By node, the one that takes what it makes; nothing where there are more, or none.
PlanBuilder::SoleTakers PlanBuilder::sole_takers() const {
    std::vector<std::vector<std::size_t>> takers(graph_.values.size());
    const auto note = [&](int value, std::size_t node) {
        if (value >= 0)
            takers[static_cast<std::size_t>(value)].push_back(node);
    };
    const std::size_t count = graph_.nodes.size();
    for (std::size_t i = 0; i < count; ++i) {
        for (const int input : graph_.nodes[i].inputs)
            note(input, i);
        note(graph_.nodes[i].addend, i);
    }
    SoleTakers sole(count);
    for (std::size_t i = 0; i < count; ++i) {
        const int output = graph_.nodes[i].output;
        const auto &found = takers[static_cast<std::size_t>(output)];
        if (found.size() == 1 && std::find(graph_.outputs.begin(), graph_.outputs.end(),
                                           output) == graph_.outputs.end())
            sole[i] = found[0];
    }
    return sole;
}

// The convolution's, if nobody else wants what comes between.
std::optional<std::size_t> PlanBuilder::prelu_behind(const SoleTakers &takers,
                                                     std::size_t conv) const {
    const auto prelu = takers[conv];
    if (!prelu || !graph_.nodes[conv].post.empty())
        return std::nullopt;
    const Node &node = graph_.nodes[*prelu];
    const bool simple = node.op == "PRelu" && node.inputs[0] == graph_.nodes[conv].output &&
                        graph_.constant(node.inputs[1]) != nullptr;
    return simple ? prelu : std::nullopt;
}

// One that adds nothing.
std::optional<std::size_t> PlanBuilder::simple_prelu(const SoleTakers &takers,
                                                     std::size_t conv) const {
    const auto prelu = prelu_behind(takers, conv);
    return prelu && graph_.nodes[*prelu].addend < 0 ? prelu : std::nullopt;
}

// What comes behind the depthwise convolution: a PReLU in a network in int8, or a pooling.
void PlanBuilder::find_end(const SoleTakers &takers, Pair &pair) const {
    pair.last = pair.depth;
    if (settings_.int8)
        pair.depth_prelu = simple_prelu(takers, pair.depth);
    const auto pool = takers[pair.depth];
    const bool whole = graph_.nodes[pair.depth].list("strides", {1, 1})[0] == 1;
    if (pair.depth_prelu)
        pair.last = *pair.depth_prelu;
    else if (pool && whole && halves(*pool))
        pair.last = *pool;
}

// With a PReLU between them where the 1x1 convolution is computed in int8.
std::optional<PlanBuilder::Pair> PlanBuilder::pair_from(const SoleTakers &takers,
                                                        std::size_t point) const {
    Pair pair{point, point, point};
    if (int8_[point]) {
        if (!int8_[point]->dot)
            return std::nullopt;
        pair.point_prelu = simple_prelu(takers, point);
    }
    const auto depth = takers[pair.point_prelu.value_or(point)];
    if (!depth || !fits_pair(point, *depth) ||
        dims(graph_.nodes[point].output)[1] % kPairBlock != 0)
        return std::nullopt;
    pair.depth = *depth;
    find_end(takers, pair);
    return pair;
}

// No pairs: nothing begins here. In a network in int8 a stem may have a PReLU, and a depthwise
// convolution without a 1x1 one behind it.
PlanBuilder::Chain PlanBuilder::chain_from(const SoleTakers &takers, std::size_t node) const {
    Chain chain;
    std::optional<std::size_t> point = node;
    if (is_stem(node)) {
        chain.entry = node;
        if (settings_.int8)
            chain.entry_prelu = simple_prelu(takers, node);
        point = takers[chain.entry_prelu.value_or(node)];
        if (settings_.int8 && point && fits_depth(*point)) {
            Pair alone{*point, *point, *point};
            find_end(takers, alone);
            chain.pairs.push_back(alone);
            point = takers[alone.last];
        }
    } else if (halves(node)) {
        chain.entry = node;
        point = takers[node];
    }
    while (point) {
        const auto pair = pair_from(takers, *point);
        if (!pair)
            break;
        chain.pairs.push_back(*pair);
        point = takers[pair->last];
    }
    return chain;
}

double PlanBuilder::products(std::size_t node) const {
    const Node &conv = graph_.nodes[node];
    if (conv.op != "Conv" || shapes_.is_static[static_cast<std::size_t>(conv.output)])
        return 0;
    const Dims &w = dims(conv.inputs[1]);
    return static_cast<double>(count_elements(dims(conv.output))) *
           static_cast<double>(count_elements(w)) / static_cast<double>(w[0]);
}

bool PlanBuilder::can_chain() const {
    const bool int8 = settings_.int8 != nullptr;
    return conv_type_ == Type::f32 && best_pairs() != nullptr &&
           (int8 ? best_dot() != nullptr : layout_ == Layout::Any);
}

// All but the last of a chain's nodes are passed over. Its input is wanted until then. Chains
// want channels innermost, as all of a network in int8 does; in fp32 other convolutions are
// slower with that, or pay for it by reorders: there are none unless they do most of the work.
void PlanBuilder::plan_chains(const SoleTakers &takers) {
    const std::size_t count = graph_.nodes.size();
    chains_.assign(count, nullptr);
    siblings_.assign(count, nullptr);
    if (!can_chain())
        return;
    double chained = 0, all = 0;
    for (std::size_t i = 0; i < count; ++i) {
        all += products(i);
        if (!chains_[i]) {
            const auto chain = std::make_shared<const Chain>(chain_from(takers, i));
            if (chain->pairs.empty())
                continue;
            chains_[i] = chain; // its entry, or the first of these
            for (const Pair &pair : chain->pairs) {
                for (const std::size_t node : {pair.point, pair.depth, pair.last})
                    chains_[node] = chain;
                if (pair.point_prelu)
                    chains_[*pair.point_prelu] = chain;
            }
            if (chain->entry_prelu)
                chains_[*chain->entry_prelu] = chain;
        }
        chained += products(i);
    }
    if (!settings_.int8 && chained <= all / 2) {
        chains_.assign(count, nullptr);
        return;
    }
    layout_ = Layout::Rows;
    for (std::size_t i = 0; i < count; ++i)
        if (chains_[i])
            done_at(i, chains_[i]->last());
    plan_siblings(takers);
}

const float *PlanBuilder::chain_weights(Plan::PairStep &step, int value, bool bias) {
    const Dims &shape = dims(value);
    step.weights.push_back(
        weight(value, shape, Md(shape, Type::f32, bias ? Tag::x : Tag::hwio)));
    return static_cast<const float *>(step.weights.back().get_data_handle());
}

ConvStem PlanBuilder::make_stem(Plan::PairStep &step, const Chain &nodes) {
    const Node &node = graph_.nodes[*nodes.entry];
    const Dims &in = dims(node.inputs[0]), &out = dims(node.output);
    ConvStem stem;
    stem.weights = chain_weights(step, node.inputs[1], false);
    if (node.has_input(2))
        stem.bias = chain_weights(step, node.inputs[2], true);
    stem.relu = !node.post.empty();
    if (nodes.entry_prelu)
        stem.slopes = slopes_of(graph_.nodes[*nodes.entry_prelu]);
    stem.planes = in[1];
    stem.rows = in[2];
    stem.pixels = in[3];
    stem.stride = node.list("strides", {1, 1})[0];
    stem.pixels_out = out[3];
    stem.channels = out[1];
    plan_.count("3x3 on planes", "fp32", step.kernel->name);
    return stem;
}

ConvPair PlanBuilder::make_pair(Plan::PairStep &step, const Pair &nodes) {
    const Node &point = graph_.nodes[nodes.point], &depth = graph_.nodes[nodes.depth];
    const Dims &in = dims(point.inputs[0]);
    ConvPair pair;
    pair.alone = nodes.alone();
    const auto &int8 = int8_[nodes.point];
    if (int8) {
        const Node *const prelu =
            nodes.point_prelu ? &graph_.nodes[*nodes.point_prelu] : nullptr;
        DotConv dot = make_dot(point, prelu, *int8);
        dot.to.channels = kPairBlock; // its pixels lie as in a RowPlace
        pair.dot = std::make_shared<const DotConv>(std::move(dot));
        pair.codes = encoding(int8->codes);
    } else if (!pair.alone) {
        pair.point_weights = chain_weights(step, point.inputs[1], false);
        if (point.has_input(2))
            pair.point_bias = chain_weights(step, point.inputs[2], true);
        pair.point_relu = !point.post.empty();
    }
    if (nodes.depth_prelu)
        pair.depth_slopes = slopes_of(graph_.nodes[*nodes.depth_prelu]);
    pair.depth_weights = chain_weights(step, depth.inputs[1], false);
    if (depth.has_input(2))
        pair.depth_bias = chain_weights(step, depth.inputs[2], true);
    pair.depth_relu = !depth.post.empty();
    pair.stride = depth.list("strides", {1, 1})[0];
    pair.pooled = !nodes.depth_prelu && nodes.last != nodes.depth;
    pair.rows = in[2];
    pair.pixels = in[3];
    pair.inputs = in[1];
    pair.channels = dims(depth.output)[1];
    return pair;
}

// Of what a node makes: that of its codes, or of those that it would have.
std::optional<Encoding> PlanBuilder::encoding_of(std::size_t node) const {
    const int value = graph_.nodes[node].output;
    const Int8Node *const next = codes_wanted(value);
    if (next != nullptr)
        return encoding(next->codes);
    const auto &ranges = settings_.int8->ranges;
    const auto range = ranges.find(graph_.values[static_cast<std::size_t>(value)].name);
    if (range == ranges.end())
        return std::nullopt;
    return encoding(code_scale(range->second));
}

// In a network in int8 depthwise convolutions whose results have known ranges are computed in
// 16 bits.
void PlanBuilder::use_words(Plan::PairStep &step, const Chain &nodes) const {
    PairChain &chain = step.chain;
    chain.words = settings_.int8 ? best_words() : nullptr;
    for (std::size_t i = 0; i < chain.pairs.size() && chain.words != nullptr; ++i) {
        ConvPair &pair = chain.pairs[i];
        const auto encoding = encoding_of(nodes.pairs[i].last);
        auto words = encoding ? pack_depth_words(pair, *encoding) : std::nullopt;
        if (!words)
            continue;
        if (pair.dot) {
            auto dot = scaled_dot(*pair.dot, words->scales);
            if (!dot)
                continue;
            pair.dot = std::make_shared<const DotConv>(std::move(*dot));
        } else {
            step.scaled.push_back(pair.alone ? scaled_stem(chain.stem, words->scales)
                                             : scaled_point(pair, words->scales));
        }
        pair.words = std::make_shared<const DepthWords>(std::move(*words));
    }
}

void PlanBuilder::count_pair(const Plan::PairStep &step, const ConvPair &pair) {
    if (pair.alone)
        return plan_.count("depthwise", pair.words ? "int16" : "fp32", step.kernel->name);
    plan_.count(pair.pooled ? "1x1, depthwise, pool" : "1x1, depthwise",
                pair.dot ? "int8" : "fp32",
                pair.dot ? step.chain.dot->name : step.kernel->name);
}

void PlanBuilder::add_chain(const Chain &nodes) {
    const Node &first = graph_.nodes[nodes.first()];
    const int input = first.inputs[0], output = graph_.nodes[nodes.last()].output;
    const Dims &in = dims(input), &out = dims(output);
    auto step = std::make_unique<Plan::PairStep>();
    PairChain &chain = step->chain;
    step->kernel = best_pairs();
    chain.pictures = in[0];
    chain.pools_input = first.op == "MaxPool";
    const bool stem = nodes.entry && !chain.pools_input;
    if (stem)
        chain.stem = make_stem(*step, nodes);
    if (chain.pools_input)
        plan_.count("pool", "fp32", step->kernel->name);
    for (const Pair &pair : nodes.pairs)
        chain.pairs.push_back(make_pair(*step, pair));
    chain.dot = best_dot();
    const auto &first_int8 = int8_[nodes.pairs[0].point];
    if (!nodes.entry && first_int8 && codes_.contains({input, first_int8->border}))
        step->x_codes = memory(codes_of(input, *first_int8));
    else
        step->x = memory(stem ? plain(input) : as(slot(input), Md(in, Type::f32, Tag::nhwc)));
    const Int8Node *const next = codes_wanted(output);
    const bool codes = next != nullptr && next->border == Dims{0, 0, 0, 0};
    if (codes) {
        chain.encoding = encoding(next->codes);
        step->out_codes = memory(new_codes(output, *next));
    }
    if (!codes || floats_wanted(output, *next))
        step->out = memory(result(output, Md(out, Type::f32, Tag::nhwc)));
    use_words(*step, nodes);
    for (const ConvPair &pair : chain.pairs)
        count_pair(*step, pair);
    add_own(&Plan::Step::pairs, std::move(step));
}

} // namespace sphere::onednn
