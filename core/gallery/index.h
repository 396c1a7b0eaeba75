// SPDX-License-Identifier: MIT
// Nearest rows to a probe.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sphere {

enum class Metric : std::uint8_t {
    Cosine,    ///< 1 - cos, in [0, 2]; smaller is nearer
    Euclidean, ///< L2 of the raw vectors (not squared)
};
const char *metric_name(Metric metric); ///< "cosine", "euclidean"
Result<Metric> parse_metric(const std::string &name);

/// The two numbers of a pair of raw embeddings of equal size. Cosine of a zero vector is 0.
float cosine_similarity(std::span<const float> a, std::span<const float> b);
float euclidean_distance(std::span<const float> a, std::span<const float> b);
float metric_distance(Metric metric, std::span<const float> a, std::span<const float> b);

struct Hit {
    std::int64_t id = 0;
    float distance = 0;
    bool operator==(const Hit &) const = default;
};

/// Rows by caller-owned 64-bit ids. Not thread-safe for writing; search() is const and may run
/// from several threads at once.
class Index {
  public:
    virtual ~Index() = default;
    /// `vectors` is ids.size() x dims, row-major, raw. Errors: InvalidArgument (sizes, not
    /// finite, an id that is there already; nothing is added).
    virtual Result<void> add(std::span<const std::int64_t> ids,
                             std::span<const float> vectors) = 0;
    /// Removes the ids that are there; returns how many were.
    virtual Result<std::size_t> remove(std::span<const std::int64_t> ids) = 0;
    /// Nearest first, at most k; equal distances by id. Errors: InvalidArgument (query size).
    virtual Result<std::vector<Hit>> search(std::span<const float> query,
                                            std::size_t k) const = 0;
    virtual std::size_t size() const = 0;
};

/// `kind`: "auto" or "exact" in this build; others are Unsupported and say so.
Result<std::unique_ptr<Index>> make_index(const std::string &kind, int dims, Metric metric);

} // namespace sphere
