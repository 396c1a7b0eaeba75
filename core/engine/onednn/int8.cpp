// SPDX-License-Identifier: MIT
// Scales of activations and weights.
#include "core/engine/onednn/int8.h"

#include "core/engine/onednn/compat.h"

#include <algorithm>
#include <cmath>

namespace sphere::onednn {
namespace {

// 2 * 255 * 64 is the last that 16 bits hold.
float largest_code(int bits) {
    return bits >= 8 ? 127.0F : 64.0F;
}

} // namespace

CodeScale code_scale(ValueRange range) {
    const float low = std::min(range.low, 0.0F), high = std::max(range.high, 0.0F);
    CodeScale result;
    result.scale = std::max((high - low) / 255.0F, 1e-20F);
    result.zero = static_cast<std::int32_t>(std::lround(-low / result.scale));
    return result;
}

Int8Weights quantise_weights(const Constant &weights, std::int64_t outputs, int bits) {
    Int8Weights result;
    const auto n = static_cast<std::size_t>(outputs);
    const std::size_t each = weights.floats.size() / n;
    result.codes.resize(weights.floats.size());
    result.scales.resize(n);
    result.sums.resize(n);
    for (std::size_t o = 0; o < n; ++o) {
        const float *from = weights.floats.data() + o * each;
        float largest = 0;
        for (std::size_t k = 0; k < each; ++k)
            largest = std::max(largest, std::abs(from[k]));
        const float scale = std::max(largest / largest_code(bits), 1e-20F);
        std::int64_t sum = 0;
        for (std::size_t k = 0; k < each; ++k) {
            const auto code = static_cast<std::int8_t>(std::lrint(from[k] / scale));
            result.codes[o * each + k] = code;
            sum += code;
        }
        result.scales[o] = scale;
        result.sums[o] = static_cast<float>(sum);
    }
    return result;
}

bool can_be_int8(const Graph &graph, const Node &node) {
    const bool conv = node.op == "Conv" && node.integer("group", 1) == 1;
    const bool gemm = node.op == "Gemm" && node.integer("transB", 0) == 1;
    if ((!conv && !gemm) || !node.has_input(1) || node.inputs[0] == graph.input)
        return false;
    const Constant *weights = graph.constant(node.inputs[1]);
    return weights != nullptr && !weights->is_int && !weights->dims.empty() &&
           weights->dims[0] > 0;
}

int int8_weight_bits() {
    return compat::uses(dnnl::cpu_isa::avx512_core_vnni) ? 8
           : compat::uses(dnnl::cpu_isa::avx2)           ? 7
                                                         : 0;
}

} // namespace sphere::onednn
