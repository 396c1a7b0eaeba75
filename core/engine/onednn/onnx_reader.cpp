// SPDX-License-Identifier: MIT
// ONNX files. Field numbers: onnx/onnx.proto (ModelProto.graph = 7, GraphProto.node = 1, …).
#include "core/engine/onednn/graph.h"
#include "core/engine/onednn/wire.h"

namespace sphere::onednn {
namespace {

enum DataType : std::int64_t { kFloat = 1, kInt32 = 6, kInt64 = 7 };

class OnnxReader {
  public:
    explicit OnnxReader(const std::string &path) { graph_.path = path; }

    Result<Graph> read(std::string_view bytes) {
        std::string_view body;
        bool found = false;
        WireReader model(bytes);
        while (model.next()) {
            if (model.field() == 7 && model.is_bytes()) {
                body = model.bytes();
                found = true;
            } else if (model.field() == 8 && model.is_bytes()) {
                SPHERE_TRY(read_opset(model.bytes()));
            }
        }
        if (!model.ok() || !found)
            return corrupt("this is not an ONNX model");
        if (graph_.opset < 7)
            return fail(Errc::Unsupported, graph_.path, ": opset ", graph_.opset,
                        " is older than this reader knows (7): use engine=opencv.");
        SPHERE_TRY(read_graph(body));
        return std::move(graph_);
    }

  private:
    Error corrupt(std::string_view what) const {
        return fail(Errc::Corrupt, graph_.path, ": ", std::string(what),
                    ": fetch the file again.");
    }
    Error unsupported(const std::string &what) const {
        return fail(Errc::Unsupported, graph_.path, ": ", what,
                    " is not known to engine onednn: use engine=opencv.");
    }

    Result<void> read_opset(std::string_view bytes) {
        std::string domain;
        std::int64_t version = 0;
        WireReader r(bytes);
        while (r.next()) {
            if (r.field() == 1 && r.is_bytes())
                domain = r.bytes();
            else if (r.field() == 2)
                version = r.integer();
        }
        if (!r.ok() || version < 0 || version > 1000)
            return corrupt("a bad opset");
        if (domain.empty() || domain == "ai.onnx")
            graph_.opset = static_cast<int>(version);
        return {};
    }

    // Initialisers and inputs first: nodes refer to them whatever their order in the file.
    Result<void> read_graph(std::string_view bytes) {
        std::vector<std::string> outputs;
        WireReader first(bytes);
        while (first.next())
            if (first.field() == 5 && first.is_bytes())
                SPHERE_TRY(read_initializer(first.bytes()));
        if (!first.ok())
            return corrupt("a damaged graph");
        for (WireReader r(bytes); r.next();) {
            if (!r.is_bytes())
                continue;
            if (r.field() == 11)
                SPHERE_TRY(read_input(r.bytes()));
            else if (r.field() == 12)
                outputs.push_back(value_name(r.bytes()));
            else if (r.field() == 15)
                return unsupported("a sparse initializer");
        }
        for (WireReader r(bytes); r.next();)
            if (r.field() == 1 && r.is_bytes())
                SPHERE_TRY(read_node(r.bytes()));
        if (graph_.input < 0)
            return corrupt("the network has no input");
        for (const std::string &name : outputs) {
            const auto found = graph_.names.find(name);
            if (found == graph_.names.end())
                return corrupt("an output that no node makes");
            graph_.outputs.push_back(found->second);
        }
        return {};
    }

    static std::string value_name(std::string_view bytes) {
        for (WireReader r(bytes); r.next();)
            if (r.field() == 1 && r.is_bytes())
                return std::string(r.bytes());
        return {};
    }

    Result<void> read_input(std::string_view bytes) {
        std::string name = value_name(bytes);
        if (graph_.names.contains(name)) // old files list initialisers as inputs too
            return {};
        if (graph_.input >= 0)
            return unsupported("a network with several inputs");
        graph_.input = define(std::move(name));
        return {};
    }

    int define(std::string name) {
        const int id = graph_.add_value(name);
        graph_.names.insert_or_assign(std::move(name), id);
        return id;
    }

    Result<void> read_initializer(std::string_view bytes) {
        Constant constant;
        std::string name;
        SPHERE_TRY(read_tensor(bytes, constant, name));
        if (graph_.values.size() >= kMaxNodes * 8)
            return corrupt("too many initialisers");
        const int id = graph_.add_constant(name, std::move(constant));
        graph_.names.insert_or_assign(std::move(name), id);
        return {};
    }

    struct TensorParts {
        std::int64_t type = 0;
        std::string_view raw;
        bool external = false;
    };

    Result<void> read_tensor(std::string_view bytes, Constant &out, std::string &name) {
        TensorParts parts;
        WireReader r(bytes);
        bool good = true;
        while (good && r.next()) {
            switch (r.field()) {
            case 1:
                good = r.integers(out.dims, kMaxRank);
                break;
            case 2:
                parts.type = r.integer();
                break;
            case 4: // float_data, packed or one by one
                good = (r.is_bytes() || r.type() == WireReader::kFixed32) &&
                       append_floats(r.bytes(), out.floats);
                break;
            case 5: // int32_data
            case 7: // int64_data
                good = r.integers(out.ints, 1U << 20);
                break;
            case 8:
                name = r.is_bytes() ? std::string(r.bytes()) : "";
                break;
            case 9:
                parts.raw = r.is_bytes() ? r.bytes() : std::string_view();
                break;
            case 14:
                parts.external = r.integer() == 1;
                break;
            default:
                break;
            }
        }
        if (!good || !r.ok())
            return corrupt("a damaged tensor '" + name + "'");
        if (parts.external)
            return unsupported("tensor '" + name + "' in a file of its own");
        return finish_tensor(parts, out, name);
    }

    Result<void> finish_tensor(const TensorParts &parts, Constant &out,
                               const std::string &name) {
        const std::int64_t count = count_elements(out.dims);
        if (count < 0)
            return corrupt("a tensor '" + name + "' of a bad shape");
        if (parts.type == kFloat) {
            if (!parts.raw.empty() && !append_floats(parts.raw, out.floats))
                return corrupt("a tensor '" + name + "' of broken floats");
            if (static_cast<std::int64_t>(out.floats.size()) != count)
                return corrupt("a tensor '" + name + "' whose data do not fit its shape");
            return {};
        }
        if (parts.type != kInt64 && parts.type != kInt32)
            return unsupported("tensor '" + name + "' of data type " +
                               std::to_string(parts.type));
        out.is_int = true;
        const std::size_t width = parts.type == kInt64 ? 8 : 4;
        if (parts.raw.size() % width != 0 || parts.raw.size() / width > (1U << 20))
            return corrupt("a tensor '" + name + "' of broken integers");
        for (std::size_t at = 0; at < parts.raw.size(); at += width) {
            std::int64_t wide = 0;
            std::int32_t narrow = 0;
            if (width == 8)
                std::memcpy(&wide, parts.raw.data() + at, 8);
            else
                std::memcpy(&narrow, parts.raw.data() + at, 4);
            out.ints.push_back(width == 8 ? wide : narrow);
        }
        if (static_cast<std::int64_t>(out.ints.size()) != count)
            return corrupt("a tensor '" + name + "' whose data do not fit its shape");
        return {};
    }

    Result<void> read_node(std::string_view bytes) {
        Node node;
        std::vector<std::string> inputs, outputs;
        Constant value;
        bool has_value = false;
        WireReader r(bytes);
        while (r.next()) {
            if (!r.is_bytes())
                continue;
            switch (r.field()) {
            case 1:
                inputs.emplace_back(r.bytes());
                break;
            case 2:
                outputs.emplace_back(r.bytes());
                break;
            case 3:
                node.name = r.bytes();
                break;
            case 4:
                node.op = r.bytes();
                break;
            case 5:
                SPHERE_TRY(read_attribute(r.bytes(), node, value, has_value));
                break;
            default:
                break;
            }
        }
        if (!r.ok() || inputs.size() > 64 || outputs.empty())
            return corrupt("a damaged node");
        if (node.op.size() > 64 || !is_supported_op(node.op))
            return unsupported("operator " + node.op.substr(0, 64));
        for (std::size_t i = 1; i < outputs.size(); ++i)
            if (!outputs[i].empty() && node.op != "Dropout" && node.op != "BatchNormalization")
                return unsupported("operator " + node.op + " with several results");
        if (graph_.nodes.size() >= kMaxNodes)
            return corrupt("more nodes than a network has");
        if (node.op == "Constant") {
            if (!has_value)
                return unsupported("operator Constant without a tensor");
            graph_.names.insert_or_assign(outputs[0],
                                          graph_.add_constant(outputs[0], std::move(value)));
            return {};
        }
        return connect(std::move(node), inputs, outputs[0]);
    }

    Result<void> connect(Node node, const std::vector<std::string> &inputs,
                         const std::string &output) {
        if (node.name.empty())
            node.name = output;
        for (const std::string &input : inputs) {
            const auto found = graph_.names.find(input);
            if (!input.empty() && found == graph_.names.end())
                return corrupt("node '" + node.name + "' takes '" + input +
                               "', which no node before it makes");
            node.inputs.push_back(input.empty() ? -1 : found->second);
        }
        node.output = define(output);
        graph_.nodes.push_back(std::move(node));
        return {};
    }

    Result<void> read_attribute(std::string_view bytes, Node &node, Constant &value,
                                bool &has_value) {
        std::string key, text, ignored;
        Dims integers;
        float real = 0;
        bool has_real = false, has_text = false;
        WireReader r(bytes);
        bool good = true;
        while (good && r.next()) {
            switch (r.field()) {
            case 1:
                key = r.is_bytes() ? std::string(r.bytes()) : "";
                break;
            case 2:
                real = r.real();
                has_real = true;
                break;
            case 3:
                integers.assign(1, r.integer());
                break;
            case 4:
                good = r.is_bytes() && r.bytes().size() < 4096;
                text = good ? std::string(r.bytes()) : "";
                has_text = true;
                break;
            case 5:
                good = r.is_bytes();
                if (good)
                    SPHERE_TRY(read_tensor(r.bytes(), value, ignored));
                has_value = true;
                break;
            case 6:
                return unsupported("operator " + node.op + " with a graph inside");
            case 8:
                good = r.integers(integers, 64);
                break;
            default:
                break;
            }
        }
        if (!good || !r.ok() || key.size() > 256)
            return corrupt("a damaged attribute");
        if (has_real)
            node.floats[key] = real;
        if (has_text)
            node.texts[key] = text;
        if (!integers.empty())
            node.ints[key] = std::move(integers);
        return {};
    }

    Graph graph_;
};

} // namespace

Result<Graph> read_onnx(std::string_view bytes, const std::string &path) {
    return OnnxReader(path).read(bytes);
}

} // namespace sphere::onednn
