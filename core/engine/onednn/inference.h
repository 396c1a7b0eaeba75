// SPDX-License-Identifier: MIT
// Shape inference, node by node. Private to shapes*.cpp.
#pragma once

#include "core/engine/onednn/shapes.h"

#include <algorithm>

namespace sphere::onednn {

class Inference {
  public:
    Inference(const Graph &graph, const Dims &input) : graph_(graph), batch_(input[0]) {
        const std::size_t n = graph.values.size();
        out_.dims.resize(n);
        out_.is_static.assign(n, 0);
        out_.integers.resize(n);
        out_.pads.resize(graph.nodes.size());
        for (std::size_t i = 0; i < n; ++i)
            if (graph.values[i].is_constant) {
                out_.dims[i] = graph.values[i].constant.dims;
                out_.is_static[i] = graph.values[i].constant.is_int;
                out_.integers[i] = graph.values[i].constant.ints;
            }
        dims(graph.input) = input;
    }
    Result<Shapes> run();

  private:
    Dims &dims(int value) { return out_.dims[static_cast<std::size_t>(value)]; }
    bool is_static(int value) const { return out_.is_static[static_cast<std::size_t>(value)]; }
    std::vector<std::int64_t> &integers(int value) {
        return out_.integers[static_cast<std::size_t>(value)];
    }
    Error bad(const Node &node, const std::string &what) const {
        return fail(Errc::Mismatch, graph_.path, ": node '", node.name, "' (", node.op, ") ",
                    what, ".");
    }
    Error unsupported(const Node &node, const std::string &what) const {
        return fail(Errc::Unsupported, graph_.path, ": node '", node.name, "' (", node.op,
                    ") has ", what, ", which engine onednn does not know: use engine=opencv.");
    }
    void set_static(const Node &node, std::vector<std::int64_t> values);
    Result<void> infer(const Node &node, Dims &pads);
    Result<void> infer_same(const Node &node);
    Result<void> fold(const Node &node);
    Result<void> fold_arithmetic(const Node &node, std::vector<std::int64_t> first,
                                 const std::vector<std::int64_t> &second);
    Result<void> fold_slice(const Node &node, const std::vector<std::int64_t> &from);
    bool window(const Dims &d, std::size_t size, std::int64_t least) const;
    Result<void> slide(const Node &node, const Dims &in, const Dims &kernel, bool ceil_mode,
                       Dims &pads, std::int64_t *out);
    Result<void> infer_conv(const Node &node, Dims &pads);
    Result<void> infer_pool(const Node &node, Dims &pads);
    Result<void> infer_global_pool(const Node &node, Dims &pads);
    Result<void> infer_gemm(const Node &node);
    Result<Dims> list_of(const Node &node, const char *key, std::size_t input, Dims fallback);
    Result<void> infer_view(const Node &node);
    Result<void> infer_reshape(const Node &node, const Dims &in, Dims target);
    Result<void> infer_transpose(const Node &node);
    Result<void> infer_concat(const Node &node);
    struct SliceRange {
        Dims starts, lengths;
    };
    Result<void> slice_range(const Node &node, const Dims &in, SliceRange &range);
    Result<void> infer_slice(const Node &node);
    Result<void> infer_resize(const Node &node);
    Result<void> infer_binary(const Node &node);
    const Graph &graph_;
    std::int64_t batch_;
    Shapes out_;
};

} // namespace sphere::onednn
