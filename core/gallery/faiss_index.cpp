// SPDX-License-Identifier: MIT
// Faiss as a finder of candidates. Faiss throws, and takes its number of threads from OpenMP.
#include "core/gallery/faiss_index.h"

#include "core/gallery/approximate_index.h"

#include <algorithm>
#include <cmath>
#include <exception>

#include <faiss/IndexFlat.h>
#include <faiss/IndexIVF.h>
#include <faiss/index_factory.h>
#include <omp.h>

namespace sphere {
namespace {

constexpr std::size_t kMaxFactoryBytes = 200; ///< of a factory string
/// Faiss warns below so many rows a centroid (ClusteringParameters::min_points_per_centroid),
/// and looks at no more than 256 a centroid.
constexpr std::size_t kRowsACentroid = 39;
constexpr std::size_t kMostRowsACentroid = 256;
constexpr std::size_t kCodeCentroids = 256; ///< of an 8-bit product quantiser
constexpr std::size_t kRowsAtOnce = 16384;
/// A search looks at one of so many of an inverted file's lists.
constexpr std::size_t kListsProbed = 8;

std::unique_ptr<faiss::Index> make_structure(int dims, Metric metric,
                                             const std::string &factory) {
    const faiss::MetricType type =
        metric == Metric::Euclidean ? faiss::METRIC_L2 : faiss::METRIC_INNER_PRODUCT;
    return std::unique_ptr<faiss::Index>(
        faiss::index_factory(dims, factory.empty() ? "Flat" : factory.c_str(), type));
}

std::size_t lists_of(const faiss::Index &index) {
    const auto *inverted = dynamic_cast<const faiss::IndexIVF *>(&index);
    return inverted != nullptr ? inverted->nlist : 0;
}

class FaissFinder final : public CandidateFinder {
  public:
    FaissFinder(const ExactRows &rows, std::unique_ptr<faiss::Index> structure, int threads)
        : threads_(threads), dims_(static_cast<std::size_t>(structure->d)),
          stride_(rows.stride()), structure_(std::move(structure)) {}

    /// Trains and fills. False: too few rows to train.
    bool build(const ExactRows &rows);
    Result<std::vector<std::vector<std::uint32_t>>>
    find(const float *queries, std::size_t count, std::size_t k) const override;

  private:
    int threads_;
    std::size_t dims_;
    std::size_t stride_;
    std::unique_ptr<faiss::Index> structure_;
    std::vector<std::uint32_t> inside_;  ///< Faiss's number to row
    std::vector<std::uint32_t> outside_; ///< rows whose squares may leave the range of float
};

/// Rows inside[first], inside[first + step], ... as Faiss takes them.
std::vector<float> gather(const ExactRows &rows, std::size_t dims,
                          const std::vector<std::uint32_t> &inside, std::size_t first,
                          std::size_t count, std::size_t step) {
    std::vector<float> values(count * dims);
    AlignedVector<float> scratch(rows.stride());
    for (std::size_t i = 0; i < count; ++i)
        std::copy_n(rows.exact(inside[first + i * step], scratch.data()), dims,
                    &values[i * dims]);
    return values;
}

bool FaissFinder::build(const ExactRows &rows) {
    omp_set_num_threads(threads_); // of this thread's calls; OpenMP's teams spin as they wait
    for (std::uint32_t row = 0; row < rows.size(); ++row)
        (std::isfinite(rows.errors()[row]) ? inside_ : outside_).push_back(row);
    if (!structure_->is_trained) {
        const std::size_t centroids = std::max(lists_of(*structure_), kCodeCentroids);
        if (inside_.size() < kRowsACentroid * centroids)
            return false;
        const std::size_t count = std::min(inside_.size(), kMostRowsACentroid * centroids);
        const auto sample = gather(rows, dims_, inside_, 0, count,
                                   std::max<std::size_t>(1, inside_.size() / count));
        structure_->train(static_cast<std::int64_t>(count), sample.data());
    }
    for (std::size_t first = 0; first < inside_.size(); first += kRowsAtOnce) {
        const std::size_t count = std::min(kRowsAtOnce, inside_.size() - first);
        const auto values = gather(rows, dims_, inside_, first, count, 1);
        structure_->add(static_cast<std::int64_t>(count), values.data());
    }
    if (auto *inverted = dynamic_cast<faiss::IndexIVF *>(structure_.get()))
        inverted->nprobe = std::clamp<std::size_t>(inverted->nlist / kListsProbed, 1, 64);
    return true;
}

Result<std::vector<std::vector<std::uint32_t>>>
FaissFinder::find(const float *queries, std::size_t count, std::size_t k) const {
    try {
        omp_set_num_threads(threads_);
        std::vector<float> values(count * dims_);
        for (std::size_t q = 0; q < count; ++q)
            std::copy_n(queries + q * stride_, dims_, &values[q * dims_]);
        // Structures that compress see distances through a haze: more are looked at again.
        const std::size_t wanted = std::min(2 * k + 10, inside_.size());
        std::vector<float> distances(count * wanted);
        std::vector<std::int64_t> labels(count * wanted);
        if (wanted > 0)
            structure_->search(static_cast<std::int64_t>(count), values.data(),
                               static_cast<std::int64_t>(wanted), distances.data(),
                               labels.data());
        std::vector<std::vector<std::uint32_t>> lists(count, outside_);
        for (std::size_t i = 0; i < labels.size(); ++i)
            if (labels[i] >= 0) // -1: fewer were found
                lists[i / wanted].push_back(inside_[static_cast<std::size_t>(labels[i])]);
        return lists;
    } catch (const std::exception &error) {
        return fail(Errc::Internal, "index faiss: ", error.what());
    }
}

Result<std::unique_ptr<CandidateFinder>> make_finder(const ExactRows &rows,
                                                     const FinderOptions &options) {
    try {
        auto structure =
            make_structure(static_cast<int>(rows.dims()), options.metric, options.factory);
        auto finder =
            std::make_unique<FaissFinder>(rows, std::move(structure), options.threads);
        if (!finder->build(rows))
            return std::unique_ptr<CandidateFinder>();
        return std::unique_ptr<CandidateFinder>(std::move(finder));
    } catch (const std::exception &error) {
        return fail(Errc::Internal, "index faiss:", options.factory, ": cannot take ",
                    rows.size(), " rows: ", error.what());
    }
}

} // namespace

Result<std::unique_ptr<Index>> make_faiss_index(int dims, Metric metric,
                                                const IndexOptions &options,
                                                const std::string &factory) {
    if (factory.size() > kMaxFactoryBytes)
        return fail(Errc::InvalidArgument, "index faiss: a factory string of ", factory.size(),
                    " bytes");
    try {
        (void)make_structure(dims, metric, factory);
    } catch (const std::exception &) {
        return fail(Errc::InvalidArgument, "index faiss:", factory,
                    ": Faiss cannot make this for ", dims,
                    " dimensions; use for example faiss:IVF1024,Flat");
    }
    return make_approximate_index(dims, metric, options, factory, {&make_finder, nullptr});
}

} // namespace sphere
