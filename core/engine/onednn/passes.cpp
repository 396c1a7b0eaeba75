// SPDX-License-Identifier: MIT
// The rewrites. Each works on constants and on who uses what; shapes are not known yet.
#include "core/engine/onednn/passes.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace sphere::onednn {
namespace {

constexpr int kNone = -1;

// y = x * scale + shift, for each channel.
struct Affine {
    std::vector<float> scale, shift;
};

class Simplifier {
  public:
    explicit Simplifier(Graph &graph) : graph_(graph) {}

    Result<void> run() {
        drop_identities();
        index();
        for (std::size_t i = 0; i < graph_.nodes.size(); ++i)
            SPHERE_TRY(fold_affine(i));
        compact();
        SPHERE_TRY(split_batch_norms());
        index();
        for (std::size_t i = 0; i < graph_.nodes.size(); ++i)
            take_unflattened(i);
        compact();
        index();
        // In the order of the nodes, so that a chain (sum, then activation) fuses link by link.
        for (std::size_t i = 0; i < graph_.nodes.size(); ++i)
            fuse(i);
        compact();
        drop_dead_channels(graph_);
        return {};
    }

  private:
    Node &node(int i) { return graph_.nodes[static_cast<std::size_t>(i)]; }
    static std::size_t at(int value) { return static_cast<std::size_t>(value); }

    // Who makes a value (a node's index) and how many take it; an output counts as a taker.
    void index() {
        maker_.assign(graph_.values.size(), kNone);
        uses_ = count_uses(graph_);
        gone_.assign(graph_.nodes.size(), false);
        for (std::size_t i = 0; i < graph_.nodes.size(); ++i)
            maker_[at(graph_.nodes[i].output)] = static_cast<int>(i);
    }
    void compact() {
        std::vector<Node> kept;
        for (std::size_t i = 0; i < graph_.nodes.size(); ++i)
            if (!gone_[i])
                kept.push_back(std::move(graph_.nodes[i]));
        graph_.nodes = std::move(kept);
        gone_.assign(graph_.nodes.size(), false);
    }

    void drop_identities() {
        std::vector<int> stands_for(graph_.values.size());
        for (std::size_t i = 0; i < stands_for.size(); ++i)
            stands_for[i] = static_cast<int>(i);
        std::vector<Node> kept;
        for (Node &node : graph_.nodes) {
            for (int &input : node.inputs)
                if (input >= 0)
                    input = stands_for[at(input)];
            if (node.op == "Identity" || node.op == "Dropout")
                stands_for[at(node.output)] = node.inputs[0];
            else
                kept.push_back(std::move(node));
        }
        for (int &output : graph_.outputs)
            output = stands_for[at(output)];
        graph_.nodes = std::move(kept);
    }

    // The node that makes `value` if it is of that kind and nothing else takes the value.
    Node *sole_maker(int value, std::initializer_list<const char *> ops) {
        if (value < 0 || uses_[at(value)] != 1 || maker_[at(value)] == kNone)
            return nullptr;
        Node &found = node(maker_[at(value)]);
        for (const char *op : ops)
            if (found.op == op)
                return &found;
        return nullptr;
    }

    std::optional<Affine> batch_norm(const Node &norm) const {
        const Constant *parts[4];
        for (std::size_t i = 0; i < 4; ++i) {
            parts[i] = norm.has_input(i + 1) ? graph_.constant(norm.inputs[i + 1]) : nullptr;
            if (parts[i] == nullptr || parts[i]->is_int || parts[i]->floats.empty() ||
                parts[i]->floats.size() != parts[0]->floats.size())
                return std::nullopt;
        }
        Affine affine;
        const double epsilon = norm.number("epsilon", 1e-5F);
        for (std::size_t c = 0; c < parts[0]->floats.size(); ++c) {
            const double scale = parts[0]->floats[c] / std::sqrt(parts[3]->floats[c] + epsilon);
            affine.scale.push_back(static_cast<float>(scale));
            affine.shift.push_back(
                static_cast<float>(parts[1]->floats[c] - scale * parts[2]->floats[c]));
        }
        return affine;
    }

    // A constant that is one number, or one a channel of an NCHW tensor ([C,1,1], [1,C,1,1]).
    std::optional<std::vector<float>> per_channel(int value, std::size_t channels) const {
        const Constant *constant = graph_.constant(value);
        if (constant == nullptr || constant->is_int)
            return std::nullopt;
        if (constant->floats.size() == 1)
            return std::vector<float>(channels, constant->floats[0]);
        const std::size_t rank = constant->dims.size();
        if (rank < 3 || constant->floats.size() != channels ||
            constant->dims[rank - 3] != static_cast<std::int64_t>(channels))
            return std::nullopt;
        return constant->floats;
    }

    // BatchNormalization, or Mul / Add with constants, after a convolution or inner product.
    Result<void> fold_affine(std::size_t i) {
        const Node &tail = graph_.nodes[i];
        if (tail.op == "BatchNormalization" && !batch_norm(tail))
            return fail(Errc::Corrupt, graph_.path, ": node '", tail.name,
                        "' has no constants that fit a batch norm.");
        if ((tail.op != "BatchNormalization" && tail.op != "Mul" && tail.op != "Add") ||
            tail.inputs.size() < 2)
            return {};
        const bool swapped = graph_.constant(tail.inputs[0]) != nullptr;
        Node *head = sole_maker(tail.inputs[swapped ? 1 : 0], {"Conv", "Gemm"});
        if (head == nullptr || head->inputs.size() < 2)
            return {};
        const Constant *weights = graph_.constant(head->inputs[1]);
        const bool plain_gemm = head->integer("transB", 0) == 1 &&
                                head->number("alpha", 1) == 1 && head->number("beta", 1) == 1;
        if (weights == nullptr || weights->dims.empty() || weights->is_int ||
            (head->op == "Gemm" && !plain_gemm))
            return {};
        const auto channels = static_cast<std::size_t>(weights->dims[0]);
        std::optional<Affine> affine;
        if (tail.op == "BatchNormalization") {
            affine = batch_norm(tail);
        } else if (head->op == "Conv") {
            if (auto numbers = per_channel(tail.inputs[swapped ? 0 : 1], channels))
                affine = tail.op == "Mul"
                             ? Affine{*numbers, std::vector<float>(channels, 0.0F)}
                             : Affine{std::vector<float>(channels, 1.0F), *numbers};
        }
        if (!affine || affine->scale.size() != channels || channels == 0)
            return {};
        if (apply(*head, *affine)) {
            head->output = tail.output;
            maker_[at(tail.output)] = static_cast<int>(head - graph_.nodes.data());
            gone_[i] = true;
        }
        return {};
    }

    bool apply(Node &head, const Affine &affine) {
        Constant weights = *graph_.constant(head.inputs[1]);
        const std::size_t channels = affine.scale.size(),
                          each = weights.floats.size() / channels;
        Constant bias;
        if (head.has_input(2)) {
            const Constant *old = graph_.constant(head.inputs[2]);
            if (old == nullptr || old->floats.size() != channels)
                return false;
            bias = *old;
        } else {
            bias.floats.assign(channels, 0.0F);
        }
        bias.dims = {static_cast<std::int64_t>(channels)};
        for (std::size_t c = 0; c < channels; ++c) {
            for (std::size_t k = 0; k < each; ++k)
                weights.floats[c * each + k] *= affine.scale[c];
            bias.floats[c] = bias.floats[c] * affine.scale[c] + affine.shift[c];
        }
        replace_constant(head.inputs[1], std::move(weights));
        head.inputs.resize(3, kNone);
        replace_constant(head.inputs[2], std::move(bias));
        return true;
    }

    void replace_constant(int &input, Constant constant) {
        onednn::replace_constant(graph_, uses_, input, std::move(constant));
        maker_.resize(graph_.values.size(), kNone);
    }

    // What could not be folded: two element-wise operators with one number a channel.
    Result<void> split_batch_norms() {
        std::vector<Node> nodes;
        for (Node &norm : graph_.nodes) {
            if (norm.op != "BatchNormalization") {
                nodes.push_back(std::move(norm));
                continue;
            }
            const auto affine = batch_norm(norm);
            if (!affine)
                return fail(Errc::Corrupt, graph_.path, ": node '", norm.name,
                            "' has no constants that fit a batch norm.");
            const auto channels = static_cast<std::int64_t>(affine->scale.size());
            const int middle = graph_.add_value(norm.name);
            Node mul, add;
            mul.op = "Mul";
            add.op = "Add";
            mul.name = add.name = norm.name;
            mul.ints["per_channel"] = add.ints["per_channel"] = {1};
            mul.inputs = {
                norm.inputs[0],
                graph_.add_constant(norm.name, {{channels}, affine->scale, {}, false})};
            mul.output = middle;
            add.inputs = {
                middle, graph_.add_constant(norm.name, {{channels}, affine->shift, {}, false})};
            add.output = norm.output;
            nodes.push_back(std::move(mul));
            nodes.push_back(std::move(add));
        }
        graph_.nodes = std::move(nodes);
        return {};
    }

    // An inner product takes pictures as they are: the Flatten before it would cost a reorder.
    void take_unflattened(std::size_t i) {
        Node &gemm = graph_.nodes[i];
        if (gemm.op != "Gemm")
            return;
        Node *flatten = sole_maker(gemm.inputs[0], {"Flatten"});
        if (flatten == nullptr || flatten->integer("axis", 1) != 1)
            return;
        gemm.inputs[0] = flatten->inputs[0];
        gone_[static_cast<std::size_t>(flatten - graph_.nodes.data())] = true;
    }

    std::optional<PostOp> activation(const Node &node) const {
        if (node.op == "Relu")
            return PostOp{PostOp::Kind::Relu, 0, 0};
        if (node.op == "LeakyRelu")
            return PostOp{PostOp::Kind::Relu, node.number("alpha", 0.01F), 0};
        if (node.op == "Clip" && !node.has_input(1) && !node.has_input(2) &&
            node.floats.contains("min") && node.floats.contains("max"))
            return PostOp{PostOp::Kind::Clip, node.number("min", 0), node.number("max", 0)};
        if (node.op != "PRelu" || node.inputs.size() != 2)
            return std::nullopt;
        const Constant *slopes = graph_.constant(node.inputs[1]);
        if (slopes == nullptr || slopes->is_int || slopes->floats.empty() ||
            std::any_of(slopes->floats.begin(), slopes->floats.end(),
                        [&](float s) { return s != slopes->floats[0]; }))
            return std::nullopt;
        return PostOp{PostOp::Kind::Relu, slopes->floats[0], 0};
    }

    void fuse(std::size_t i) {
        Node &tail = graph_.nodes[i];
        if (tail.inputs.empty())
            return;
        if (const auto post = activation(tail)) {
            if (Node *conv = sole_maker(tail.inputs[0], {"Conv"})) {
                conv->post.push_back(*post);
                absorb(*conv, i);
            }
            return;
        }
        if (tail.op != "Add" || tail.inputs.size() != 2 || tail.inputs[0] == tail.inputs[1] ||
            graph_.constant(tail.inputs[0]) != nullptr ||
            graph_.constant(tail.inputs[1]) != nullptr)
            return;
        // Into the later of the two: the other operand is there when it runs.
        const int makers[2] = {maker_[at(tail.inputs[0])], maker_[at(tail.inputs[1])]};
        const int late = makers[1] > makers[0] ? 1 : 0;
        const int other = tail.inputs[at(1 - late)];
        if (Node *prelu = sole_maker(tail.inputs[at(late)], {"PRelu"})) {
            if (prelu->addend < 0 && prelu->inputs.size() == 2 && prelu->inputs[0] != other) {
                prelu->addend = other;
                prelu->inputs.push_back(other);
                absorb(*prelu, i);
            }
            return;
        }
        Node *conv = sole_maker(tail.inputs[at(late)], {"Conv"});
        if (conv == nullptr || conv->addend >= 0 || conv->inputs[0] == other ||
            !last_use_is(other, static_cast<std::size_t>(makers[late]), i))
            return;
        conv->addend = other;
        conv->inputs.resize(3, kNone);
        conv->inputs.push_back(conv->addend); // so that it counts as taken
        conv->post.push_back({PostOp::Kind::Sum, 0, 0});
        absorb(*conv, i);
    }

    // The sum is written over the other operand, so nobody may want it afterwards.
    bool last_use_is(int value, std::size_t conv, std::size_t sum) const {
        if (value == graph_.input || std::find(graph_.outputs.begin(), graph_.outputs.end(),
                                               value) != graph_.outputs.end())
            return false;
        for (std::size_t later = conv; later < graph_.nodes.size(); ++later)
            for (const int input : graph_.nodes[later].inputs)
                if (input == value && later != sum)
                    return false;
        return true;
    }

    void absorb(Node &head, std::size_t tail) {
        head.output = graph_.nodes[tail].output;
        maker_[at(head.output)] = static_cast<int>(&head - graph_.nodes.data());
        gone_[tail] = true;
    }

    Graph &graph_;
    std::vector<int> maker_, uses_;
    std::vector<char> gone_;
};

} // namespace

Result<void> simplify(Graph &graph) {
    return Simplifier(graph).run();
}

} // namespace sphere::onednn
