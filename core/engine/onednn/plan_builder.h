// SPDX-License-Identifier: MIT
// Turns the nodes of a graph into the steps of a plan.
#pragma once

#include "core/engine/onednn/int8.h"
#include "core/engine/onednn/plan.h"

#include <map>
#include <optional>
#include <utility>

namespace sphere::onednn {

/// One use. A value lives in a slot: a block of the arena and the layout it has there. Layouts
/// are what the convolutions like best; `plain` ones (row-major fp32) are made where an
/// operator needs them.
class PlanBuilder {
  public:
    PlanBuilder(Plan &plan, const Graph &graph, const Shapes &shapes,
                const PlanSettings &settings, const dnnl::engine &engine, WeightStore &weights);

    /// Throws dnnl::error where no primitive can be had.
    Result<void> build();

  private:
    using Md = compat::Md;
    static constexpr int kInputBlock = -1; ///< the caller's memory
    struct Slot {
        int block = kInputBlock;
        Md md;
        bool set = false;
    };

    /// How a four-dimensional fp32 tensor lies in memory.
    enum class Layout : std::uint8_t {
        Any,     ///< whatever
        Rows,    ///< channels innermost (nhwc)
        Blocks8, ///< blocks of 8 channels (nChw8c), as AVX2's convolutions choose
        Blocked, ///< blocks of 16 channels (nChw16c)
    };
    using ConvPd = dnnl::convolution_forward::primitive_desc;
    struct ConvSpec {
        Dims in, out, weights; ///< `weights` with the group first where there are several
        compat::Window window;
        dnnl::post_ops post;
        bool biased = false;
    };

    using SoleTakers = std::vector<std::optional<std::size_t>>;
    struct Int8Node {     ///< a node that is computed in int8
        CodeScale codes;  ///< of its input
        Dims border;      ///< around its input: top, left, bottom, right
        Dims in, weights; ///< shapes as the primitive sees them, border included
        ConvPd conv;      ///< one of the three
        dnnl::inner_product_forward::primitive_desc gemm;
        std::shared_ptr<const DotWeights> dot;
    };

    void plan_int8();
    bool fits_dot(std::size_t conv) const;
    void describe_dot(const Node &node, const Dims &pads, Int8Node &made) const;
    bool fits_product(const Node &gemm) const;
    void describe_product(const Node &gemm, Int8Node &made) const;
    void plan_preluded(const SoleTakers &takers);
    std::vector<float> slopes_of(const Node &prelu) const; ///< one a channel
    DotConv make_dot(const Node &conv, const Node *prelu, const Int8Node &made) const;
    void add_dot(std::size_t conv, std::optional<std::size_t> prelu);
    void done_at(std::size_t node, std::size_t later);
    template <typename Own>
    void add_own(std::unique_ptr<Own> Plan::Step::*kind, std::unique_ptr<Own> own) {
        Plan::Step step;
        step.*kind = std::move(own);
        plan_.steps_.push_back(std::move(step));
    }
    void describe_conv(const Node &node, const Dims &pads, Int8Node &made) const;
    void describe_gemm(const Node &node, Int8Node &made) const;
    std::vector<float> channel_scales(const Node &node, const Int8Node &made) const;
    void add_int8(const Node &node, const Int8Node &made);
    void add_int8_arguments(const Node &node, const Int8Node &made, const Md &weights,
                            std::unordered_map<int, dnnl::memory> &args);
    Slot new_codes(int value, const Int8Node &made);
    Slot codes_of(int value, const Int8Node &made);
    Slot want_codes(RowPass &pass, int value, const Int8Node &made);
    const Int8Node *codes_wanted(int value) const;
    bool floats_wanted(int value, const Int8Node &made) const;
    static void shape_rows(RowPass &pass, const Dims &shape, Layout layout);

    struct Pair { ///< nodes; `last` is a pooling, a PReLU or `depth` itself
        std::size_t point, depth, last;
        std::optional<std::size_t> point_prelu = std::nullopt, depth_prelu = std::nullopt;
        bool alone() const { return point == depth; } ///< without a 1x1 convolution
    };
    struct Chain {                        ///< nodes that are one step, made when the last comes
        std::optional<std::size_t> entry; ///< a stem or a pooling before them
        std::optional<std::size_t> entry_prelu;
        std::vector<Pair> pairs;
        std::size_t first() const { return entry.value_or(pairs[0].point); }
        std::size_t last() const { return pairs.back().last; }
    };
    bool fits_depth(std::size_t depth) const;                   ///< with any channels
    bool fits_pair(std::size_t point, std::size_t depth) const; ///< likewise
    std::optional<std::size_t> simple_prelu(const SoleTakers &takers, std::size_t conv) const;
    void find_end(const SoleTakers &takers, Pair &pair) const;
    bool can_chain() const;
    bool halves(std::size_t pool) const;
    bool is_stem(std::size_t node) const;
    SoleTakers sole_takers() const;
    std::optional<std::size_t> prelu_behind(const SoleTakers &takers, std::size_t conv) const;
    std::optional<Pair> pair_from(const SoleTakers &takers, std::size_t point) const;
    Chain chain_from(const SoleTakers &takers, std::size_t node) const;
    double products(std::size_t node) const; ///< of a convolution; of others 0
    void plan_chains(const SoleTakers &takers);
    void plan_siblings(const SoleTakers &takers);
    void add_siblings(const std::vector<Pair> &pairs);
    void add_chain(const Chain &nodes);
    const float *chain_weights(Plan::PairStep &step, int value, bool bias);
    ConvPair make_pair(Plan::PairStep &step, const Pair &nodes);
    std::optional<Encoding> encoding_of(std::size_t node) const;
    void use_words(Plan::PairStep &step, const Chain &nodes) const;
    void count_pair(const Plan::PairStep &step, const ConvPair &pair);
    ConvStem make_stem(Plan::PairStep &step, const Chain &nodes);
    struct WinogradNode { ///< a convolution by kernels of our own, and the PReLU behind it
        std::size_t conv;
        std::optional<std::size_t> prelu;
        std::int64_t tile;
        std::size_t last() const { return prelu.value_or(conv); }
    };
    std::int64_t winograd_tile(std::size_t conv) const; ///< 0 = does not fit
    void plan_winograd(const SoleTakers &takers);
    void add_winograd(const WinogradNode &nodes);
    void plan_upsampled(const SoleTakers &takers);
    void add_upsampled(const Node &resize, const Node &sum);
    void choose_layout();
    bool suits_winograd(const Node &node, const Dims &pads) const;
    ConvSpec conv_spec(const Node &node, const Dims &pads) const;
    ConvPd direct_convolution(const ConvSpec &spec, Layout layout) const;
    std::optional<ConvPd> winograd_convolution(const ConvSpec &spec) const;
    std::optional<ConvPd> laid_out_convolution(const ConvSpec &spec) const;
    Md weights_md(const ConvSpec &spec) const;
    static Md bias_md(const ConvSpec &spec);
    static dnnl::primitive_attr conv_attr(const ConvSpec &spec);
    ConvPd pick_convolution(const Node &node, const ConvSpec &spec, const Dims &pads) const;
    static Md wanted_md(const Dims &dims, dnnl::memory::data_type type, Layout layout);
    static Layout layout_of(const Md &md); ///< Any for everything but the three
    bool add_prelu_rows(const Node &node, const Slot &src);
    void add_node(const Node &node, std::size_t index);
    Slot conv_result(const Node &node, const Md &md);
    void add_conv(const Node &node, const Dims &pads);
    void add_gemm(const Node &node);
    void add_pool(const Node &node, const Dims &pads);
    void add_prelu(const Node &node);
    void add_eltwise(const Node &node);
    void add_binary(const Node &node);
    void add_softmax(const Node &node);
    void add_resize(const Node &node);
    void add_concat(const Node &node);
    void add_view(const Node &node);
    void add_transpose(const Node &node);
    void add_slice(const Node &node);
    void eltwise(const Node &node, dnnl::algorithm kind, float a, float b);

    const Dims &dims(int value) const;
    int last_use(int value) const { return last_use_[static_cast<std::size_t>(value)]; }
    int new_block(const Md &md);
    /// Makes `slot` the place of `value` and keeps its block for as long as the value is
    /// wanted.
    void place(int value, Slot slot);
    Slot &slot(int value) { return slots_[static_cast<std::size_t>(value)]; }
    Slot plain(int value);                   ///< row-major fp32
    Slot as(const Slot &slot, const Md &md); ///< in another layout, for this node only
    Slot result(int value, const Md &md);    ///< a new place for what the node makes
    /// The input's own place if nobody wants it after this node, else a new one.
    Slot in_place(const Node &node);
    bool is_dead_after_this(const Slot &slot) const;
    dnnl::memory memory(const Slot &slot);
    dnnl::memory memory(int block, const Md &md);
    void reorder(const dnnl::memory &from, const dnnl::memory &to);
    template <typename Primitive, typename Pd>
    void add(const Pd &pd, std::unordered_map<int, dnnl::memory> args);
    dnnl::memory weight(int value, const Dims &seen_as, const Md &md);
    static Md plain_md(const Dims &dims);

    Plan &plan_;
    const Graph &graph_;
    const Shapes &shapes_;
    const PlanSettings &settings_;
    const dnnl::engine &engine_;
    WeightStore &weights_;
    dnnl::memory::data_type conv_type_, gemm_type_;
    dnnl::memory::data_type made_type_; ///< of what convolutions make
    Layout layout_ = Layout::Any;       ///< that convolutions are asked for
    dnnl::primitive_attr attr_;
    std::vector<Slot> slots_, plain_;
    std::vector<int> last_use_;
    std::vector<std::vector<int>> takers_;             ///< by value: nodes that take it
    std::vector<std::optional<Int8Node>> int8_;        ///< by node
    std::vector<std::optional<std::size_t>> preluded_; ///< by PReLU: the convolution before it
    std::vector<int> done_; ///< by node: at which the step comes that does its work
    std::map<std::pair<int, Dims>, Slot> codes_;                     ///< by value and border
    std::vector<std::shared_ptr<const Chain>> chains_;               ///< by node
    std::vector<std::shared_ptr<const std::vector<Pair>>> siblings_; ///< by node
    std::vector<std::shared_ptr<const WinogradNode>> winograd_;      ///< by node
    std::vector<std::optional<std::size_t>> upsampled_; ///< by Add: the Resize before it
    int now_ = 0;
};

} // namespace sphere::onednn
