// SPDX-License-Identifier: MIT
// libFuzzer: any bytes as a Caffe network, the prototxt before the first NUL and the caffemodel
// after it.
#include "core/engine/onednn/passes.h"
#include "core/engine/onednn/shapes.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    using namespace sphere::onednn;
    const std::string_view all(reinterpret_cast<const char *>(data), size);
    const std::size_t cut = std::min(all.find('\0'), all.size());
    auto graph = read_caffe(all.substr(0, cut), all.substr(std::min(cut + 1, all.size())),
                            "x.caffemodel");
    if (!graph || !select_outputs(*graph, {}) || !simplify(*graph))
        return 0;
    const auto shapes = infer_shapes(*graph, {2, 3, 16, 16});
    if (!shapes)
        return 0;
    for (const Node &node : graph->nodes)
        if (count_elements(shapes->dims[static_cast<std::size_t>(node.output)]) <= 0)
            std::abort();
    return 0;
}
