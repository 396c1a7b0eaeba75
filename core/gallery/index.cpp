// SPDX-License-Identifier: MIT
// Metrics, and the table of index backends.
#include "core/gallery/index.h"

#include "core/gallery/exact_index.h"
#include "core/gallery/faiss_index.h"
#include "core/gallery/hnsw_index.h"
#include "core/gallery/limits.h"
#include "core/gallery/pgvector_index.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <string_view>

namespace sphere {

const char *metric_name(Metric metric) {
    return metric == Metric::Euclidean ? "euclidean" : "cosine";
}

Result<Metric> parse_metric(const std::string &name) {
    for (const Metric metric : {Metric::Cosine, Metric::Euclidean})
        if (name == metric_name(metric))
            return metric;
    return fail(Errc::InvalidArgument, "no metric named \"", name,
                "\": use cosine or euclidean");
}

float cosine_similarity(std::span<const float> a, std::span<const float> b) {
    assert(a.size() == b.size());
    double dot = 0;
    double squares_a = 0;
    double squares_b = 0;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        const double x = a[i];
        const double y = b[i];
        dot += x * y;
        squares_a += x * x;
        squares_b += y * y;
    }
    if (squares_a <= 0 || squares_b <= 0)
        return 0;
    // Two roots: the product of the squares may leave the range of double.
    return static_cast<float>(
        std::clamp(dot / (std::sqrt(squares_a) * std::sqrt(squares_b)), -1.0, 1.0));
}

float euclidean_distance(std::span<const float> a, std::span<const float> b) {
    assert(a.size() == b.size());
    double squares = 0;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        const double difference = static_cast<double>(a[i]) - b[i];
        squares += difference * difference;
    }
    return static_cast<float>(
        std::min(std::sqrt(squares), double{std::numeric_limits<float>::max()}));
}

float metric_distance(Metric metric, std::span<const float> a, std::span<const float> b) {
    return metric == Metric::Euclidean ? euclidean_distance(a, b) : 1 - cosine_similarity(a, b);
}

namespace {

using MakeIndex = Result<std::unique_ptr<Index>> (*)(int dims, Metric metric,
                                                     const IndexOptions &options);
struct IndexBackend {
    const char *name;
    MakeIndex make;
};
constexpr IndexBackend kIndexBackends[] = {
    {"auto", &make_exact_index},
    {"exact", &make_exact_index},
    {"exact-bf16", &make_exact_bf16_index},
    {"exact-int8", &make_exact_int8_index},
    {"hnsw", &make_hnsw_index},
};
constexpr std::size_t kFewRows = 20'000; ///< a scan of floats takes about 2 ms at 512 values
constexpr std::string_view kFaiss = "faiss"; ///< its kind goes on after a colon

} // namespace

Result<std::vector<Hit>> Index::search(std::span<const float> query, std::size_t k) const {
    auto lists = search_many(query, 1, k);
    if (!lists)
        return std::move(lists).error();
    return std::move(lists->front());
}

Result<std::vector<float>> Index::row(std::int64_t) const {
    return fail(Errc::Unsupported, "index: this kind does not keep its rows here");
}

std::string choose_index_kind(const std::string &kind, std::size_t rows) {
    if (kind != "auto")
        return kind;
    if (rows < kFewRows)
        return "exact";
    // Never an approximate kind: whoever is not found is a stranger (docs/search.md has the
    // recall that was measured).
    return "exact-int8";
}

Result<std::unique_ptr<Index>> make_index(const std::string &kind, int dims, Metric metric,
                                          const IndexOptions &options) {
    if (dims < 1 || dims > kMaxDims)
        return fail(Errc::InvalidArgument, "index: ", dims, " dimensions; 1 to ", kMaxDims,
                    " are possible");
    if (options.threads < 1 || options.threads > kMaxIndexThreads)
        return fail(Errc::InvalidArgument, "index: ", options.threads, " threads; 1 to ",
                    kMaxIndexThreads, " are possible");
    for (const IndexBackend &backend : kIndexBackends)
        if (kind == backend.name)
            return backend.make(dims, metric, options);
    if (kind == kFaiss)
        return make_faiss_index(dims, metric, options, {});
    if (kind.starts_with(std::string(kFaiss) + ":"))
        return make_faiss_index(dims, metric, options, kind.substr(kFaiss.size() + 1));
    const std::string store_kind = std::string(kStoreIndex) + ":";
    if (kind.starts_with(store_kind))
        return make_pgvector_index(kind.substr(store_kind.size()), dims, metric);
    if (kind == kStoreIndex)
        return fail(Errc::InvalidArgument,
                    "index pgvector searches the faces of a gallery on a PostgreSQL server "
                    "where they are: choose another for faces in memory");
    return fail(
        Errc::InvalidArgument, "no index named \"", kind,
        "\": use auto, exact, exact-bf16, exact-int8, hnsw, faiss, faiss:FACTORY or pgvector");
}

} // namespace sphere
