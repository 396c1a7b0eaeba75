// SPDX-License-Identifier: MIT
// Caffe networks: layers of the prototxt, weights of the caffemodel, turned into ONNX's
// operators. Field numbers: caffe.proto (NetParameter.layer = 100, LayerParameter.blobs = 7,
// …).
#include "core/engine/onednn/graph.h"
#include "core/engine/onednn/prototxt.h"
#include "core/engine/onednn/wire.h"

#include <cmath>

namespace sphere::onednn {
namespace {

using Blobs = std::vector<Constant>;

class CaffeReader {
  public:
    explicit CaffeReader(const std::string &path) { graph_.path = path; }

    Result<Graph> read(std::string_view prototxt, std::string_view weights) {
        SPHERE_TRY(read_weights(weights));
        auto net = parse_prototxt(prototxt, graph_.path);
        if (!net)
            return std::move(net).error();
        for (const std::string &name : net->texts("input"))
            SPHERE_TRY(add_input(name));
        for (const TextField &field : net->fields) {
            if (field.key == "layers")
                return unsupported("a prototxt of Caffe's old format (`layers`)");
            if (field.key == "layer" && !field.message.empty())
                SPHERE_TRY(read_layer(field.message[0]));
        }
        if (graph_.input < 0 || graph_.nodes.empty())
            return fail(Errc::Corrupt, graph_.path, ": the prototxt describes no network.");
        graph_.outputs.push_back(graph_.nodes.back().output);
        // A descriptor names layers; where no layer is so called, it names a blob.
        graph_.names.insert(tops_.begin(), tops_.end());
        return std::move(graph_);
    }

  private:
    Error corrupt(const std::string &what) const {
        return fail(Errc::Corrupt, graph_.path, ": ", what, ".");
    }
    Error unsupported(const std::string &what) const {
        return fail(Errc::Unsupported, graph_.path, ": ", what,
                    " is not known to engine onednn: use engine=opencv.");
    }

    Result<void> read_weights(std::string_view bytes) {
        WireReader net(bytes);
        while (net.next())
            if (net.field() == 100 && net.is_bytes())
                SPHERE_TRY(read_weight_layer(net.bytes()));
            else if (net.field() == 2 && net.is_bytes())
                return unsupported("a caffemodel of Caffe's old format");
        if (!net.ok())
            return corrupt("the caffemodel is damaged: fetch the file again");
        return {};
    }

    Result<void> read_weight_layer(std::string_view bytes) {
        std::string name;
        Blobs blobs;
        WireReader r(bytes);
        while (r.next()) {
            if (r.field() == 1 && r.is_bytes())
                name = r.bytes();
            if (r.field() != 7 || !r.is_bytes())
                continue;
            if (blobs.size() >= 8)
                return corrupt("a layer with more than eight blobs");
            blobs.emplace_back();
            SPHERE_TRY(read_blob(r.bytes(), blobs.back(), name));
        }
        if (!r.ok() || weights_.size() >= kMaxNodes || name.size() > 1024)
            return corrupt("a damaged layer in the caffemodel");
        weights_.insert_or_assign(std::move(name), std::move(blobs));
        return {};
    }

    Result<void> read_blob(std::string_view bytes, Constant &blob, const std::string &layer) {
        Dims old(4, 0); // num, channels, height, width of older writers
        bool is_old = false, good = true;
        std::uint64_t raw_type = 1; // DOUBLE 0, FLOAT 1, FLOAT16 2
        std::string_view raw;
        WireReader r(bytes);
        while (good && r.next()) {
            if (r.field() >= 1 && r.field() <= 4) {
                old[r.field() - 1] = r.integer();
                is_old = true;
            } else if (r.field() == 5) {
                good = (r.is_bytes() || r.type() == WireReader::kFixed32) &&
                       append_floats(r.bytes(), blob.floats);
            } else if (r.field() == 7 && r.is_bytes()) {
                WireReader shape(r.bytes());
                while (good && shape.next())
                    good = shape.field() != 1 || shape.integers(blob.dims, kMaxRank);
                good = good && shape.ok();
            } else if (r.field() == 8) {
                return unsupported("double precision in layer '" + layer + "'");
            } else if (r.field() == 10 && r.type() == WireReader::kVarint) {
                raw_type = r.number();
            } else if (r.field() == 12 && r.is_bytes()) {
                raw = r.bytes(); // NVIDIA's Caffe and OpenCV keep half precision so
            }
        }
        if (!raw.empty() && raw_type != 1 && raw_type != 2)
            return unsupported("numbers of type " + std::to_string(raw_type) + " in layer '" +
                               layer + "'");
        if (!raw.empty())
            good = good && blob.floats.empty() &&
                   (raw_type == 2 ? append_halves(raw, blob.floats)
                                  : append_floats(raw, blob.floats));
        if (blob.dims.empty() && is_old)
            blob.dims = old;
        const std::int64_t count = count_elements(blob.dims);
        if (!good || !r.ok() || count < 0 ||
            static_cast<std::int64_t>(blob.floats.size()) != count)
            return corrupt("layer '" + layer + "' has a damaged blob");
        return {};
    }

    Result<void> add_input(const std::string &name) {
        if (graph_.input >= 0)
            return unsupported("a network with several inputs");
        graph_.input = graph_.add_value(name);
        tops_[name] = graph_.input;
        return {};
    }

    // The blobs of a layer, with the dims they must have: the caffemodel is not trusted to
    // agree with the prototxt.
    Result<int> take(const std::string &layer, std::size_t index, const Dims &dims,
                     const char *what) {
        const auto found = weights_.find(layer);
        if (found == weights_.end() || found->second.size() <= index)
            return corrupt("the caffemodel has no " + std::string(what) + " for layer '" +
                           layer + "'");
        Constant blob = found->second[index];
        if (!dims.empty() && count_elements(dims) != count_elements(blob.dims))
            return corrupt("layer '" + layer + "': " + what + " of " + dims_text(blob.dims) +
                           " where the prototxt needs " + dims_text(dims));
        if (!dims.empty())
            blob.dims = dims;
        return graph_.add_constant(layer + "." + what, std::move(blob));
    }

    Result<void> read_layer(const TextMessage &layer) {
        const std::string type = layer.text("type"), name = layer.text("name");
        if (graph_.nodes.size() >= kMaxNodes)
            return corrupt("more layers than a network has");
        if (layer.child("include").text("phase") == "TRAIN")
            return {};
        const std::vector<std::string> tops = layer.texts("top"),
                                       bottoms = layer.texts("bottom");
        if (tops.size() != 1 || tops[0].empty())
            return unsupported("layer '" + name + "' with other than one top");
        if (type == "Input")
            return add_input(tops[0]);
        Node node;
        node.name = name;
        for (const std::string &bottom : bottoms) {
            const auto found = tops_.find(bottom);
            if (found == tops_.end())
                return fail(Errc::Corrupt, graph_.path, ": layer '", name, "' takes '", bottom,
                            "', which no layer before it makes.");
            node.inputs.push_back(found->second);
        }
        if (node.inputs.empty() ||
            (node.inputs.size() > 1 && type != "Eltwise" && type != "Concat"))
            return corrupt("layer '" + name + "' has a wrong number of bottoms");
        SPHERE_TRY(convert(type, layer, node));
        // Layers of one name would each get a copy of the same blobs.
        for (const int input : node.inputs)
            if (const Constant *constant = graph_.constant(input))
                floats_ += static_cast<std::int64_t>(constant->floats.size());
        if (floats_ > kMaxElements)
            return corrupt("more weights than a network has");
        node.output = graph_.add_value(name);
        tops_[tops[0]] = node.output;
        graph_.names.insert_or_assign(name, node.output);
        graph_.nodes.push_back(std::move(node));
        return {};
    }

    Result<void> convert(const std::string &type, const TextMessage &layer, Node &node) {
        if (type == "Convolution" || type == "ConvolutionDepthwise" ||
            type == "DepthwiseConvolution")
            return convert_convolution(layer.child("convolution_param"), node);
        if (type == "InnerProduct")
            return convert_inner_product(layer.child("inner_product_param"), node);
        if (type == "Pooling")
            return convert_pooling(layer.child("pooling_param"), node);
        if (type == "BatchNorm")
            return convert_batch_norm(layer.child("batch_norm_param"), node);
        if (type == "Scale")
            return convert_scale(layer.child("scale_param"), node);
        if (type == "Eltwise")
            return convert_eltwise(layer.child("eltwise_param"), node);
        if (type == "PReLU") {
            node.op = "PRelu";
            return append(node, 0, {}, "slopes");
        }
        if (type == "ReLU") {
            const double slope = layer.child("relu_param").number("negative_slope", 0);
            node.op = slope == 0 ? "Relu" : "LeakyRelu";
            node.floats["alpha"] = static_cast<float>(slope);
            return {};
        }
        if (type == "Softmax" || type == "Concat" || type == "Flatten") {
            node.op = type;
            const char *key = type == "Softmax"  ? "softmax_param"
                              : type == "Concat" ? "concat_param"
                                                 : "flatten_param";
            node.ints["axis"] = {layer.child(key).integer("axis", 1)};
            return {};
        }
        if (type == "Dropout" || type == "Sigmoid") {
            node.op = type;
            return {};
        }
        return unsupported("layer type " + type.substr(0, 64));
    }

    Result<void> append(Node &node, std::size_t blob, const Dims &dims, const char *what) {
        auto id = take(node.name, blob, dims, what);
        if (!id)
            return std::move(id).error();
        node.inputs.push_back(*id);
        return {};
    }

    static std::int64_t side(const TextMessage &p, const std::string &base, const char *axis,
                             std::int64_t fallback) {
        const std::string own = (base == "kernel_size" ? "kernel" : base) + axis;
        return p.has(own) ? p.integer(own, fallback) : p.integer(base, fallback);
    }

    static void set_window(const TextMessage &p, Node &node) {
        node.ints["kernel_shape"] = {side(p, "kernel_size", "_h", 0),
                                     side(p, "kernel_size", "_w", 0)};
        node.ints["strides"] = {side(p, "stride", "_h", 1), side(p, "stride", "_w", 1)};
        const std::int64_t h = side(p, "pad", "_h", 0), w = side(p, "pad", "_w", 0);
        node.ints["pads"] = {h, w, h, w};
    }

    Result<void> convert_convolution(const TextMessage &p, Node &node) {
        node.op = "Conv";
        set_window(p, node);
        const std::int64_t dilation = p.integer("dilation", 1);
        const std::int64_t outputs = p.integer("num_output", 0), group = p.integer("group", 1);
        node.ints["dilations"] = {dilation, dilation};
        node.ints["group"] = {group};
        const Dims &kernel = node.ints["kernel_shape"];
        const auto found = weights_.find(node.name);
        const std::int64_t count = found == weights_.end() || found->second.empty()
                                       ? 0
                                       : count_elements(found->second[0].dims);
        const std::int64_t each = count_elements({outputs, kernel[0], kernel[1]});
        if (each <= 0 || group <= 0 || count <= 0 || count % each != 0)
            return corrupt("layer '" + node.name +
                           "' has no weights that fit its convolution_param");
        SPHERE_TRY(append(node, 0, {outputs, count / each, kernel[0], kernel[1]}, "weights"));
        if (p.flag("bias_term", true))
            SPHERE_TRY(append(node, 1, {outputs}, "bias"));
        return {};
    }

    Result<void> convert_inner_product(const TextMessage &p, Node &node) {
        node.op = "Gemm";
        if (p.integer("axis", 1) != 1 || p.flag("transpose", false))
            return unsupported("layer '" + node.name + "' with axis or transpose");
        node.ints["transB"] = {1};
        const std::int64_t outputs = p.integer("num_output", 0);
        const auto found = weights_.find(node.name);
        const std::int64_t count = found == weights_.end() || found->second.empty()
                                       ? 0
                                       : count_elements(found->second[0].dims);
        if (outputs <= 0 || count <= 0 || count % outputs != 0)
            return corrupt("layer '" + node.name +
                           "' has no weights that fit its inner_product_param");
        SPHERE_TRY(append(node, 0, {outputs, count / outputs}, "weights"));
        if (p.flag("bias_term", true))
            SPHERE_TRY(append(node, 1, {outputs}, "bias"));
        return {};
    }

    Result<void> convert_pooling(const TextMessage &p, Node &node) {
        const std::string pool = p.text("pool", "MAX");
        if (pool != "MAX" && pool != "0" && pool != "AVE" && pool != "1")
            return unsupported("pooling '" + pool.substr(0, 64) + "'");
        const bool max = pool == "MAX" || pool == "0";
        if (p.flag("global_pooling", false)) {
            if (max)
                return unsupported("global maximum pooling");
            node.op = "GlobalAveragePool";
            return {};
        }
        node.op = max ? "MaxPool" : "AveragePool";
        set_window(p, node);
        node.ints["ceil_mode"] = {p.text("round_mode", "CEIL") == "FLOOR" ? 0 : 1};
        node.ints["count_include_pad"] = {1};
        return {};
    }

    // Caffe keeps sums of means and variances, and the factor to divide them by.
    Result<void> convert_batch_norm(const TextMessage &p, Node &node) {
        const auto found = weights_.find(node.name);
        if (found == weights_.end() || found->second.size() < 3 ||
            found->second[2].floats.size() != 1 ||
            found->second[0].floats.size() != found->second[1].floats.size())
            return corrupt("the caffemodel has no means and variances for layer '" + node.name +
                           "'");
        const float factor = found->second[2].floats[0];
        const float by = factor == 0 ? 0 : 1 / factor;
        Constant mean = found->second[0], variance = found->second[1];
        for (float &x : mean.floats)
            x *= by;
        for (float &x : variance.floats)
            x *= by;
        Constant ones = mean, zeros = mean;
        std::fill(ones.floats.begin(), ones.floats.end(), 1.0F);
        std::fill(zeros.floats.begin(), zeros.floats.end(), 0.0F);
        node.op = "BatchNormalization";
        node.floats["epsilon"] = static_cast<float>(p.number("eps", 1e-5));
        for (Constant *constant : {&ones, &zeros, &mean, &variance})
            node.inputs.push_back(graph_.add_constant(node.name, std::move(*constant)));
        return {};
    }

    Result<void> convert_scale(const TextMessage &p, Node &node) {
        const auto found = weights_.find(node.name);
        if (p.integer("axis", 1) != 1)
            return unsupported("layer '" + node.name + "' with an axis");
        if (found == weights_.end() || found->second.empty())
            return corrupt("the caffemodel has no factors for layer '" + node.name + "'");
        Constant ones = found->second[0], zeros = ones, bias = ones;
        std::fill(ones.floats.begin(), ones.floats.end(), 1.0F);
        std::fill(zeros.floats.begin(), zeros.floats.end(), 0.0F);
        bias = zeros;
        if (p.flag("bias_term", false)) {
            if (found->second.size() < 2 ||
                found->second[1].floats.size() != ones.floats.size())
                return corrupt("the caffemodel has no bias for layer '" + node.name + "'");
            bias = found->second[1];
        }
        node.op = "BatchNormalization"; // of mean 0 and variance 1
        node.floats["epsilon"] = 0;
        Constant factors = found->second[0];
        for (Constant *constant : {&factors, &bias, &zeros, &ones})
            node.inputs.push_back(graph_.add_constant(node.name, std::move(*constant)));
        return {};
    }

    Result<void> convert_eltwise(const TextMessage &p, Node &node) {
        const std::string operation = p.text("operation", "SUM");
        if (node.inputs.size() != 2 || p.has("coeff"))
            return unsupported("layer '" + node.name +
                               "' (Eltwise with other than two bottoms, "
                               "or coefficients)");
        if (operation == "SUM" || operation == "1")
            node.op = "Add";
        else if (operation == "PROD" || operation == "0")
            node.op = "Mul";
        else
            return unsupported("Eltwise " + operation.substr(0, 64));
        return {};
    }

    Graph graph_;
    std::int64_t floats_ = 0; ///< of all weights so far
    std::map<std::string, Blobs, std::less<>> weights_;
    std::map<std::string, int, std::less<>>
        tops_; ///< a blob's latest value: layers work in place
};

} // namespace

Result<Graph> read_caffe(std::string_view prototxt, std::string_view weights,
                         const std::string &path) {
    return CaffeReader(path).read(prototxt, weights);
}

} // namespace sphere::onednn
