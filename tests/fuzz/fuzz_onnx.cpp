// SPDX-License-Identifier: MIT
// libFuzzer: any bytes as an ONNX file. Reading, simplifying and shaping must end in a network
// whose parts fit each other, or in an Error.
#include "core/engine/onednn/passes.h"
#include "core/engine/onednn/shapes.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    using namespace sphere::onednn;
    auto graph = read_onnx({reinterpret_cast<const char *>(data), size}, "x.onnx");
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
