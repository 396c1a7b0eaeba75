// SPDX-License-Identifier: MIT
// What all index backends share.
#include "core/gallery/index_rows.h"

#include "core/gallery/distance.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sphere {

Result<void> check_index_vectors(const char *what, std::span<const float> values,
                                 std::size_t count, std::size_t dims) {
    if (count > values.size() || values.size() != count * dims)
        return fail(Errc::InvalidArgument, "index: ", values.size(), " values for ", count, " ",
                    what, " of ", dims, " dimensions");
    for (std::size_t i = 0; i < values.size(); ++i)
        if (!std::isfinite(values[i]))
            return fail(Errc::InvalidArgument, "index: value ", i % dims, " of ", what, " ",
                        i / dims, " is not finite");
    return {};
}

void make_index_row(Metric metric, std::span<const float> values, float *row) {
    double scale = 1;
    if (metric == Metric::Cosine) {
        double squares = 0;
        for (const float v : values)
            squares += static_cast<double>(v) * v;
        scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
    }
    for (std::size_t i = 0; i < values.size(); ++i)
        row[i] = static_cast<float>(values[i] * scale);
}

float index_row_distance(Metric metric, const float *a, const float *b, std::size_t padded) {
    if (metric == Metric::Cosine) {
        const double cosine = distance_kernels().dot(a, b, padded);
        return static_cast<float>(std::clamp(1 - cosine, 0.0, 2.0));
    }
    double squares = distance_kernels().squared_distance(a, b, padded);
    // Beyond what float can square: once more in double.
    if (!(squares > 1e-20 && squares < 1e30)) {
        squares = 0;
        for (std::size_t i = 0; i < padded; ++i) {
            const double difference = static_cast<double>(a[i]) - b[i];
            squares += difference * difference;
        }
    }
    return static_cast<float>(
        std::min(std::sqrt(squares), double{std::numeric_limits<float>::max()}));
}

} // namespace sphere
