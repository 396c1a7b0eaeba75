// SPDX-License-Identifier: MIT
// Files into memory, and through the readers and the passes.
#include "core/engine/onednn/network.h"

#include "core/engine/onednn/passes.h"

#include <fstream>

namespace sphere::onednn {
namespace {

Result<std::string> read_file(const std::string &path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file)
        return fail(Errc::NotFound, path, ": the file cannot be opened.");
    const std::streamoff size = file.tellg();
    if (size < 0 || static_cast<std::uint64_t>(size) > kMaxFileBytes)
        return fail(Errc::Unsupported, path, ": the file is larger than engine onednn reads.");
    std::string bytes(static_cast<std::size_t>(size), '\0');
    file.seekg(0);
    if (!file.read(bytes.data(), size))
        return fail(Errc::Io, path, ": the file cannot be read.");
    return bytes;
}

Result<Graph> read_graph(const ResolvedModel &model) {
    const std::string path = model.path_of("weights");
    auto weights = read_file(path);
    if (!weights)
        return std::move(weights).error();
    if (model.descriptor.framework == "onnx")
        return read_onnx(*weights, path);
    auto prototxt = read_file(model.path_of("graph"));
    if (!prototxt)
        return std::move(prototxt).error();
    return read_caffe(*prototxt, *weights, path);
}

} // namespace

Result<Graph> load_graph(const ResolvedModel &model) {
    auto graph = read_graph(model);
    if (!graph)
        return std::move(graph).error();
    SPHERE_TRY(select_outputs(*graph, model.descriptor.outputs));
    SPHERE_TRY(simplify(*graph));
    return graph;
}

Dims one_picture(const ModelInput &input) {
    return {1, input.norm.order == ChannelOrder::Gray ? 1 : 3, input.height, input.width};
}

} // namespace sphere::onednn
