// SPDX-License-Identifier: MIT
// Shape inference, and the folding of the integers that exporters compute shapes with.
#include "core/engine/onednn/inference.h"

#include <cmath>
#include <limits>

namespace sphere::onednn {

std::int64_t normal_axis(std::int64_t axis, std::size_t rank) {
    const auto n = static_cast<std::int64_t>(rank);
    if (axis < -n || axis >= n)
        return -1;
    return axis < 0 ? axis + n : axis;
}

namespace {

constexpr std::int64_t kMaxWindow = 1024; ///< kernel sides, strides, dilations and pads

} // namespace

Result<Shapes> Inference::run() {
    std::int64_t total = 0;
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
        const Node &node = graph_.nodes[i];
        SPHERE_TRY(infer(node, out_.pads[i]));
        const std::int64_t count = count_elements(dims(node.output));
        if (count <= 0 || dims(node.output).size() > kMaxRank)
            return bad(node, "gives a tensor of shape " + dims_text(dims(node.output)));
        total += count;
        if (total > 4 * kMaxElements)
            return bad(node, "takes more memory than this engine allows");
    }
    return std::move(out_);
}

void Inference::set_static(const Node &node, std::vector<std::int64_t> values) {
    out_.is_static[static_cast<std::size_t>(node.output)] = 1;
    dims(node.output) = {static_cast<std::int64_t>(values.size())};
    integers(node.output) = std::move(values);
}

Result<void> Inference::infer(const Node &node, Dims &pads) {
    if (!node.has_input(0))
        return bad(node, "takes nothing");
    const std::string &op = node.op;
    if (op == "Shape") {
        set_static(node, Dims(dims(node.inputs[0])));
        return {};
    }
    bool all_static = true, any_static = false;
    for (const int input : node.inputs)
        if (input >= 0) {
            all_static = all_static && is_static(input);
            any_static = any_static || is_static(input);
        }
    if (all_static)
        return fold(node);
    if (is_static(node.inputs[0]))
        return unsupported(node, "integers mixed with floats");
    if (op == "Conv")
        return infer_conv(node, pads);
    if (op == "MaxPool" || op == "AveragePool")
        return infer_pool(node, pads);
    if (op == "GlobalAveragePool")
        return infer_global_pool(node, pads);
    if (op == "Gemm")
        return infer_gemm(node);
    if (op == "Reshape" || op == "Flatten" || op == "Squeeze" || op == "Unsqueeze")
        return infer_view(node);
    if (op == "Transpose")
        return infer_transpose(node);
    if (op == "Concat")
        return infer_concat(node);
    if (op == "Slice")
        return infer_slice(node);
    if (op == "Resize" || op == "Upsample")
        return infer_resize(node);
    if (op == "Gather" || op == "Cast")
        return unsupported(node, "floats to work on");
    if (op == "Add" || op == "Sub" || op == "Mul" || op == "Div")
        return any_static ? Result<void>(unsupported(node, "integers mixed with floats"))
                          : infer_binary(node);
    return infer_same(node);
}

Result<void> Inference::infer_same(const Node &node) {
    dims(node.output) = dims(node.inputs[0]);
    if (node.op == "Softmax") {
        const std::size_t rank = dims(node.inputs[0]).size();
        const bool old = graph_.opset > 0 && graph_.opset < 13;
        const std::int64_t axis = normal_axis(node.integer("axis", old ? 1 : -1), rank);
        if (axis < 0)
            return bad(node, "has an axis out of range");
        if (old && axis + 1 != static_cast<std::int64_t>(rank))
            return unsupported(node, "an axis that is not the last");
    }
    if (node.op == "PRelu") {
        const Constant *slopes = node.has_input(1) ? graph_.constant(node.inputs[1]) : nullptr;
        const Dims &shape = dims(node.inputs[0]);
        if (slopes == nullptr || slopes->is_int)
            return unsupported(node, "slopes that are not constant");
        const std::int64_t count = count_elements(slopes->dims);
        if (shape.size() < 2 || (count != 1 && count != shape[1]))
            return bad(node, "has slopes that do not fit its channels");
        if (node.addend >= 0 && dims(node.addend) != shape)
            return bad(node, "is added to a tensor of " + dims_text(dims(node.addend)));
    }
    return {};
}

bool Inference::window(const Dims &d, std::size_t size, std::int64_t least) const {
    return d.size() == size && std::all_of(d.begin(), d.end(), [&](std::int64_t x) {
               return x >= least && x <= kMaxWindow;
           });
}

// Height and width after a window has gone over them; pads become what is really used.
Result<void> Inference::slide(const Node &node, const Dims &in, const Dims &kernel,
                              bool ceil_mode, Dims &pads, std::int64_t *out) {
    const Dims strides = node.list("strides", {1, 1});
    const Dims dilations = node.list("dilations", {1, 1});
    pads = node.list("pads", {0, 0, 0, 0});
    const std::string automatic = node.text("auto_pad", "NOTSET");
    if (automatic != "NOTSET" && automatic != "VALID")
        return unsupported(node, "auto_pad " + automatic.substr(0, 32));
    if (in.size() != 4 || !window(kernel, 2, 1) || !window(strides, 2, 1) ||
        !window(dilations, 2, 1) || !window(pads, 4, 0))
        return bad(node, "has a window that does not fit its input of " + dims_text(in));
    for (std::size_t i = 0; i < 2; ++i) {
        const std::int64_t reach = (kernel[i] - 1) * dilations[i] + 1;
        const std::int64_t room = in[2 + i] + pads[i] + pads[2 + i] - reach;
        if (room < 0)
            return bad(node, "has a window larger than its input of " + dims_text(in));
        out[i] = room / strides[i] + 1;
        if (ceil_mode && room % strides[i] != 0 && out[i] * strides[i] < in[2 + i] + pads[i]) {
            ++out[i];
            pads[2 + i] = (out[i] - 1) * strides[i] + reach - in[2 + i] - pads[i];
        }
    }
    return {};
}

Result<void> Inference::infer_conv(const Node &node, Dims &pads) {
    const Constant *weights = node.has_input(1) ? graph_.constant(node.inputs[1]) : nullptr;
    const Dims in = dims(node.inputs[0]);
    const std::int64_t group = node.integer("group", 1);
    if (weights == nullptr || weights->is_int)
        return unsupported(node, "weights that are not constant");
    const Dims &w = weights->dims;
    if (in.size() != 4 || w.size() != 4 || count_elements(w) <= 0 || group < 1 ||
        in[1] % group != 0 || w[0] % group != 0 || w[1] != in[1] / group ||
        (node.ints.contains("kernel_shape") &&
         node.list("kernel_shape", {}) != Dims{w[2], w[3]}))
        return bad(node,
                   "has weights of " + dims_text(w) + " for an input of " + dims_text(in));
    const Constant *bias = node.has_input(2) ? graph_.constant(node.inputs[2]) : nullptr;
    if (node.has_input(2) &&
        (bias == nullptr || bias->is_int || count_elements(bias->dims) != w[0]))
        return bad(node, "has a bias that does not fit");
    std::int64_t out[2];
    SPHERE_TRY(slide(node, in, {w[2], w[3]}, false, pads, out));
    dims(node.output) = {in[0], w[0], out[0], out[1]};
    if (node.addend >= 0 && dims(node.addend) != dims(node.output))
        return bad(node, "is added to a tensor of " + dims_text(dims(node.addend)));
    return {};
}

Result<void> Inference::infer_pool(const Node &node, Dims &pads) {
    const Dims in = dims(node.inputs[0]);
    std::int64_t out[2];
    const Dims declared = node.list("pads", {0, 0, 0, 0});
    if (node.list("dilations", {1, 1}) != Dims{1, 1})
        return unsupported(node, "dilations");
    SPHERE_TRY(slide(node, in, node.list("kernel_shape", {}), node.integer("ceil_mode", 0) != 0,
                     pads, out));
    if (node.op == "AveragePool" && pads != declared)
        return unsupported(node, "a window that hangs over the edge");
    dims(node.output) = {in[0], in[1], out[0], out[1]};
    return {};
}

Result<void> Inference::infer_global_pool(const Node &node, Dims &pads) {
    const Dims in = dims(node.inputs[0]);
    if (in.size() != 4)
        return bad(node, "takes a tensor of " + dims_text(in));
    pads = {0, 0, 0, 0};
    dims(node.output) = {in[0], in[1], 1, 1};
    return {};
}

Result<void> Inference::infer_gemm(const Node &node) {
    const Constant *weights = node.has_input(1) ? graph_.constant(node.inputs[1]) : nullptr;
    const Dims in = dims(node.inputs[0]);
    if (weights == nullptr || weights->is_int || weights->dims.size() != 2)
        return unsupported(node, "weights that are not a constant matrix");
    if (node.integer("transA", 0) != 0 || node.number("alpha", 1) != 1 ||
        node.number("beta", 1) != 1 || node.integer("transB", 0) != 1)
        return unsupported(node, "factors or transposed operands");
    const Dims &w = weights->dims;
    const Dims flat(in.begin() + (in.empty() ? 0 : 1), in.end());
    if (in.size() < 2 || count_elements(w) <= 0 || count_elements(flat) != w[1])
        return bad(node,
                   "has weights of " + dims_text(w) + " for an input of " + dims_text(in));
    const Constant *bias = node.has_input(2) ? graph_.constant(node.inputs[2]) : nullptr;
    if (node.has_input(2) &&
        (bias == nullptr || bias->is_int || count_elements(bias->dims) != w[0]))
        return bad(node, "has a bias that does not fit");
    dims(node.output) = {in[0], w[0]};
    return {};
}

// Nearest by whole factors, linear by half-pixel centres: what the library's resampling
// does.
Result<void> Inference::infer_resize(const Node &node) {
    const Dims in = dims(node.inputs[0]);
    const std::size_t scales_at = node.op == "Upsample" ? 1 : 2;
    const Constant *scales =
        node.has_input(scales_at) ? graph_.constant(node.inputs[scales_at]) : nullptr;
    Dims out = in;
    if (in.size() != 4)
        return unsupported(node, "other than four dimensions");
    if (node.has_input(3) && is_static(node.inputs[3]) &&
        integers(node.inputs[3]).size() == 4) {
        out = integers(node.inputs[3]);
    } else if (scales != nullptr && scales->floats.size() == 4) {
        for (std::size_t i = 0; i < 4; ++i) {
            const double size = static_cast<double>(in[i]) * scales->floats[i];
            if (!(size >= 1 && size < 65536))
                return bad(node, "has a factor out of range");
            out[i] = static_cast<std::int64_t>(std::floor(size));
        }
    } else {
        return unsupported(node, "sizes that are not constant");
    }
    if (out[0] != in[0] || out[1] != in[1] || count_elements(out) <= 0)
        return bad(node, "changes batch or channels");
    const std::string mode = node.text("mode", "nearest");
    const std::string centre = node.text("coordinate_transformation_mode", "half_pixel");
    const bool whole = out[2] % in[2] == 0 && out[3] % in[3] == 0;
    const bool floors = node.op == "Upsample" || centre != "asymmetric" ||
                        node.text("nearest_mode", "") == "floor" ||
                        (out[2] <= 2 * in[2] && out[3] <= 2 * in[3]);
    if (mode == "nearest"
            ? !whole || !floors || centre == "align_corners"
            : mode != "linear" || (centre != "half_pixel" && centre != "pytorch_half_pixel"))
        return unsupported(node, "a way of interpolating");
    dims(node.output) = std::move(out);
    return {};
}

Result<void> Inference::infer_binary(const Node &node) {
    if (node.inputs.size() != 2 || !node.has_input(1))
        return bad(node, "takes other than two operands");
    Dims a = dims(node.inputs[0]), b = dims(node.inputs[1]);
    if (node.integer("per_channel", 0) == 1) {
        if (a.size() < 2 || b.size() != 1 || (b[0] != a[1] && b[0] != 1))
            return bad(node, "has numbers that do not fit its channels");
        dims(node.output) = std::move(a);
        return {};
    }
    const std::size_t rank = std::max(a.size(), b.size());
    a.insert(a.begin(), rank - a.size(), 1);
    b.insert(b.begin(), rank - b.size(), 1);
    for (std::size_t i = 0; i < rank; ++i) {
        if (a[i] != b[i] && a[i] != 1 && b[i] != 1)
            return bad(node, "has operands of " + dims_text(a) + " and " + dims_text(b));
        a[i] = std::max(a[i], b[i]);
    }
    dims(node.output) = std::move(a);
    return {};
}

Result<Shapes> infer_shapes(const Graph &graph, const Dims &input) {
    if (input.size() != 4 || count_elements(input) <= 0)
        return fail(Errc::InvalidArgument, graph.path, ": an input of shape ", dims_text(input),
                    " is not a non-empty NCHW tensor.");
    return Inference(graph, input).run();
}

} // namespace sphere::onednn
