// SPDX-License-Identifier: MIT
// Shapes of what moves numbers without computing, and the integers that exporters compute with.
#include "core/engine/onednn/inference.h"

#include <cmath>
#include <limits>

namespace sphere::onednn {

// Integers of shapes: few, and computed here once and for all.
Result<void> Inference::fold(const Node &node) {
    const std::string &op = node.op;
    std::vector<std::int64_t> first = integers(node.inputs[0]);
    if (op == "Cast" || op == "Unsqueeze" || op == "Squeeze" || op == "Reshape") {
        set_static(node, std::move(first));
        return {};
    }
    if (op == "Concat") {
        first.clear();
        for (const int input : node.inputs)
            if (input >= 0)
                first.insert(first.end(), integers(input).begin(), integers(input).end());
        if (first.size() > 64)
            return bad(node, "joins more integers than a shape has");
        set_static(node, std::move(first));
        return {};
    }
    if (op == "Slice")
        return fold_slice(node, first);
    if (node.inputs.size() != 2 || !node.has_input(1))
        return unsupported(node, "integers to work on");
    const std::vector<std::int64_t> &second = integers(node.inputs[1]);
    if (op == "Gather") {
        std::vector<std::int64_t> picked;
        for (const std::int64_t at : second) {
            const std::int64_t i = normal_axis(at, first.size());
            if (i < 0)
                return bad(node, "takes an element that is not there");
            picked.push_back(first[static_cast<std::size_t>(i)]);
        }
        set_static(node, std::move(picked));
        return {};
    }
    return fold_arithmetic(node, std::move(first), second);
}

Result<void> Inference::fold_arithmetic(const Node &node, std::vector<std::int64_t> first,
                                        const std::vector<std::int64_t> &second) {
    if (first.empty() || (second.size() != 1 && second.size() != first.size()))
        return bad(node, "has integers that do not fit each other");
    for (std::size_t i = 0; i < first.size(); ++i) {
        const std::int64_t b = second[second.size() == 1 ? 0 : i];
        if (std::abs(first[i]) > kMaxElements || std::abs(b) > kMaxElements ||
            (node.op == "Div" && b == 0))
            return bad(node, "has integers out of range");
        if (node.op == "Add")
            first[i] += b;
        else if (node.op == "Sub")
            first[i] -= b;
        else if (node.op == "Mul")
            first[i] *= b;
        else if (node.op == "Div")
            first[i] /= b;
        else
            return unsupported(node, "integers to work on");
    }
    set_static(node, std::move(first));
    return {};
}

Result<void> Inference::fold_slice(const Node &node, const std::vector<std::int64_t> &from) {
    SliceRange range;
    SPHERE_TRY(slice_range(node, {static_cast<std::int64_t>(from.size())}, range));
    set_static(node, {from.begin() + range.starts[0],
                      from.begin() + range.starts[0] + range.lengths[0]});
    return {};
}

// The integers that opsets give as attributes first and as inputs later.
Result<Dims> Inference::list_of(const Node &node, const char *key, std::size_t input,
                                Dims fallback) {
    if (node.ints.contains(key))
        return node.list(key, {});
    if (!node.has_input(input))
        return fallback;
    if (!is_static(node.inputs[input]))
        return unsupported(node, std::string(key) + " that are not constant");
    return integers(node.inputs[input]);
}

Result<void> Inference::infer_view(const Node &node) {
    const Dims in = dims(node.inputs[0]);
    Dims &out = dims(node.output);
    if (node.op == "Flatten") {
        const std::int64_t axis = node.integer("axis", 1);
        if (axis < 0 || axis > static_cast<std::int64_t>(in.size()))
            return bad(node, "has an axis out of range");
        out = {count_elements({in.begin(), in.begin() + axis}),
               count_elements({in.begin() + axis, in.end()})};
        return {};
    }
    const char *key = node.op == "Reshape" ? "shape" : "axes";
    auto wanted = list_of(node, key, 1, {});
    if (!wanted)
        return std::move(wanted).error();
    if (wanted->size() > kMaxRank)
        return bad(node, "has too many dimensions");
    if (wanted->empty() && node.op == "Squeeze")
        return unsupported(node, "no axes");
    if (node.op == "Reshape")
        return infer_reshape(node, in, std::move(*wanted));
    out = in;
    std::sort(wanted->begin(), wanted->end());
    if (node.op == "Unsqueeze") {
        for (const std::int64_t axis : *wanted) {
            if (axis < 0 || axis > static_cast<std::int64_t>(out.size()))
                return unsupported(node, "axes from the end");
            out.insert(out.begin() + axis, 1);
        }
        return {};
    }
    for (auto axis = wanted->rbegin(); axis != wanted->rend(); ++axis) {
        if (*axis < 0 || *axis >= static_cast<std::int64_t>(out.size()) ||
            out[static_cast<std::size_t>(*axis)] != 1)
            return unsupported(node, "axes from the end or longer than 1");
        out.erase(out.begin() + *axis);
    }
    return {};
}

Result<void> Inference::infer_reshape(const Node &node, const Dims &in, Dims target) {
    const std::int64_t count = count_elements(in);
    // Files for batch 1 say 1 here; the other dimensions are a picture's in any case.
    if (!target.empty() && target[0] == 1 && batch_ > 1 && !in.empty() && in[0] == batch_)
        target[0] = batch_;
    std::int64_t known = 1;
    int open = -1;
    for (std::size_t i = 0; i < target.size(); ++i) {
        if (target[i] == 0 && i < in.size())
            target[i] = in[i];
        if (target[i] == -1 && open < 0) {
            open = static_cast<int>(i);
            continue;
        }
        if (target[i] <= 0 || target[i] > kMaxElements / known)
            return bad(node, "has a bad target " + dims_text(target));
        known *= target[i];
    }
    if (open >= 0 && count % known == 0)
        target[static_cast<std::size_t>(open)] = count / known;
    if (count_elements(target) != count)
        return bad(node, "cannot make " + dims_text(target) + " of " + dims_text(in));
    dims(node.output) = std::move(target);
    return {};
}

Result<void> Inference::infer_transpose(const Node &node) {
    const Dims in = dims(node.inputs[0]);
    const Dims perm = node.list("perm", {});
    Dims sorted = perm;
    std::sort(sorted.begin(), sorted.end());
    bool good = perm.size() == in.size();
    for (std::size_t i = 0; good && i < sorted.size(); ++i)
        good = sorted[i] == static_cast<std::int64_t>(i);
    if (!good)
        return bad(node, "has a perm that does not fit");
    Dims out;
    for (const std::int64_t p : perm)
        out.push_back(in[static_cast<std::size_t>(p)]);
    dims(node.output) = std::move(out);
    return {};
}

Result<void> Inference::infer_concat(const Node &node) {
    Dims out = dims(node.inputs[0]);
    const std::int64_t axis = normal_axis(node.integer("axis", 1), out.size());
    if (axis < 0)
        return bad(node, "has an axis out of range");
    out[static_cast<std::size_t>(axis)] = 0;
    for (const int input : node.inputs) {
        if (input < 0 || graph_.constant(input) != nullptr || is_static(input))
            return unsupported(node, "constants among its inputs");
        Dims one = dims(input);
        if (one.size() != out.size())
            return bad(node, "joins tensors of different ranks");
        out[static_cast<std::size_t>(axis)] += one[static_cast<std::size_t>(axis)];
        one[static_cast<std::size_t>(axis)] = out[static_cast<std::size_t>(axis)];
        if (one != out)
            return bad(node, "joins tensors that do not fit");
    }
    dims(node.output) = std::move(out);
    return {};
}

Result<void> Inference::slice_range(const Node &node, const Dims &in, SliceRange &range) {
    auto starts = list_of(node, "starts", 1, {});
    auto ends = list_of(node, "ends", 2, {});
    if (!starts || !ends)
        return starts ? std::move(ends).error() : std::move(starts).error();
    Dims all;
    for (std::size_t i = 0; i < starts->size(); ++i)
        all.push_back(static_cast<std::int64_t>(i));
    auto axes = list_of(node, "axes", 3, all);
    auto steps = list_of(node, "steps", 4, Dims(starts->size(), 1));
    if (!axes || !steps)
        return axes ? std::move(steps).error() : std::move(axes).error();
    if (ends->size() != starts->size() || axes->size() != starts->size() ||
        std::any_of(steps->begin(), steps->end(), [](std::int64_t s) { return s != 1; }))
        return unsupported(node, "steps, or lists of different lengths");
    range.starts.assign(in.size(), 0);
    range.lengths = in;
    for (std::size_t i = 0; i < starts->size(); ++i) {
        const std::int64_t axis = normal_axis((*axes)[i], in.size());
        if (axis < 0)
            return bad(node, "has an axis out of range");
        const std::int64_t n = in[static_cast<std::size_t>(axis)];
        const auto clamp = [n](std::int64_t x) {
            return x < 0 ? std::max<std::int64_t>(x + n, 0) : std::min(x, n);
        };
        if ((*starts)[i] < -kMaxElements || (*ends)[i] < -kMaxElements)
            return bad(node, "has a range that is out of bounds");
        const std::int64_t from = clamp((*starts)[i]), to = clamp((*ends)[i]);
        if (to <= from)
            return bad(node, "has an empty range");
        range.starts[static_cast<std::size_t>(axis)] = from;
        range.lengths[static_cast<std::size_t>(axis)] = to - from;
    }
    return {};
}

Result<void> Inference::infer_slice(const Node &node) {
    SliceRange range;
    SPHERE_TRY(slice_range(node, dims(node.inputs[0]), range));
    dims(node.output) = range.lengths;
    // A value computed at run time has no integers of its own: see Shapes.
    integers(node.output) = range.starts;
    return {};
}

} // namespace sphere::onednn
