// SPDX-License-Identifier: MIT
// Exact search: one pass over all rows.
#include "core/gallery/exact_index.h"

#include "core/gallery/distance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <unordered_map>
#include <unordered_set>

namespace sphere {
namespace {

/// Memory on a cache line's boundary, for whole-vector loads.
template <typename T> struct AlignedAllocator {
    using value_type = T;
    static constexpr std::align_val_t kAlignment{64};
    AlignedAllocator() = default;
    template <typename U> explicit AlignedAllocator(const AlignedAllocator<U> &) noexcept {}
    T *allocate(std::size_t n) {
        return static_cast<T *>(::operator new(n * sizeof(T), kAlignment));
    }
    void deallocate(T *p, std::size_t) noexcept { ::operator delete(p, kAlignment); }
    template <typename U> bool operator==(const AlignedAllocator<U> &) const { return true; }
};
using AlignedFloats = std::vector<float, AlignedAllocator<float>>;

bool all_finite(std::span<const float> values) {
    return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

class ExactIndex final : public Index {
  public:
    ExactIndex(int dims, Metric metric)
        : dims_(static_cast<std::size_t>(dims)),
          stride_((dims_ + kDistanceLanes - 1) / kDistanceLanes * kDistanceLanes),
          metric_(metric) {}

    Result<void> add(std::span<const std::int64_t> ids,
                     std::span<const float> vectors) override;
    Result<std::size_t> remove(std::span<const std::int64_t> ids) override;
    Result<std::vector<Hit>> search(std::span<const float> query, std::size_t k) const override;
    std::size_t size() const override { return ids_.size(); }

  private:
    Result<void> check_new(std::span<const std::int64_t> ids,
                           std::span<const float> vectors) const;
    void store_row(float *row, std::span<const float> values) const;
    float distance(const float *query, const float *row) const;

    std::size_t dims_;
    std::size_t stride_; ///< floats from row to row
    Metric metric_;
    std::vector<std::int64_t> ids_;
    std::unordered_map<std::int64_t, std::size_t> rows_; ///< id to row
    AlignedFloats data_; ///< ids_.size() rows; unit length for cosine, raw for euclidean
};

Result<void> ExactIndex::check_new(std::span<const std::int64_t> ids,
                                   std::span<const float> vectors) const {
    if (ids.size() > std::numeric_limits<std::size_t>::max() / (stride_ * sizeof(float)) / 2 ||
        vectors.size() != ids.size() * dims_)
        return fail(Errc::InvalidArgument, "index: ", vectors.size(), " values for ",
                    ids.size(), " vectors of ", dims_, " dimensions");
    std::unordered_set<std::int64_t> fresh;
    fresh.reserve(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (rows_.contains(ids[i]) || !fresh.insert(ids[i]).second)
            return fail(Errc::InvalidArgument, "index: id ", ids[i], " is there already");
        if (!all_finite(vectors.subspan(i * dims_, dims_)))
            return fail(Errc::InvalidArgument, "index: the vector of id ", ids[i],
                        " holds a value that is not finite");
    }
    return {};
}

void ExactIndex::store_row(float *row, std::span<const float> values) const {
    double scale = 1;
    if (metric_ == Metric::Cosine) {
        double squares = 0;
        for (const float v : values)
            squares += static_cast<double>(v) * v;
        scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
    }
    for (std::size_t i = 0; i < values.size(); ++i)
        row[i] = static_cast<float>(values[i] * scale);
    std::fill(row + dims_, row + stride_, 0.0F);
}

Result<void> ExactIndex::add(std::span<const std::int64_t> ids,
                             std::span<const float> vectors) {
    SPHERE_TRY(check_new(ids, vectors));
    const std::size_t old_rows = ids_.size();
    try {
        data_.resize((old_rows + ids.size()) * stride_);
        for (std::size_t i = 0; i < ids.size(); ++i) {
            store_row(&data_[(old_rows + i) * stride_], vectors.subspan(i * dims_, dims_));
            ids_.push_back(ids[i]);
            rows_.emplace(ids[i], old_rows + i);
        }
    } catch (const std::bad_alloc &) {
        for (const std::int64_t id : ids)
            rows_.erase(id);
        ids_.resize(old_rows);
        data_.resize(old_rows * stride_);
        return fail(Errc::Internal, "index: not enough memory for ", ids.size(),
                    " more vectors of ", dims_, " dimensions");
    }
    return {};
}

Result<std::size_t> ExactIndex::remove(std::span<const std::int64_t> ids) {
    std::size_t removed = 0;
    for (const std::int64_t id : ids) {
        const auto found = rows_.find(id);
        if (found == rows_.end())
            continue;
        const std::size_t row = found->second;
        const std::size_t last = ids_.size() - 1;
        rows_.erase(found);
        if (row != last) {
            std::copy_n(&data_[last * stride_], stride_, &data_[row * stride_]);
            ids_[row] = ids_[last];
            rows_[ids_[row]] = row;
        }
        // A vector that was removed is not to be found in memory either.
        std::fill_n(&data_[last * stride_], stride_, 0.0F);
        ids_.pop_back();
        data_.resize(last * stride_);
        ++removed;
    }
    return removed;
}

float ExactIndex::distance(const float *query, const float *row) const {
    if (metric_ == Metric::Cosine) {
        const double cosine = distance_kernels().dot(query, row, stride_);
        return static_cast<float>(std::clamp(1 - cosine, 0.0, 2.0));
    }
    double squares = distance_kernels().squared_distance(query, row, stride_);
    // Beyond what float can square: once more in double.
    if (!(squares > 1e-20 && squares < 1e30)) {
        squares = 0;
        for (std::size_t i = 0; i < dims_; ++i) {
            const double difference = static_cast<double>(query[i]) - row[i];
            squares += difference * difference;
        }
    }
    return static_cast<float>(
        std::min(std::sqrt(squares), double{std::numeric_limits<float>::max()}));
}

Result<std::vector<Hit>> ExactIndex::search(std::span<const float> query, std::size_t k) const {
    if (query.size() != dims_)
        return fail(Errc::InvalidArgument, "index: a query of ", query.size(),
                    " values in an index of ", dims_, " dimensions");
    if (!all_finite(query))
        return fail(Errc::InvalidArgument, "index: the query holds a value that is not finite");
    try {
        AlignedFloats probe(stride_);
        store_row(probe.data(), query);
        std::vector<Hit> hits(ids_.size());
        for (std::size_t row = 0; row < ids_.size(); ++row)
            hits[row] = {ids_[row], distance(probe.data(), &data_[row * stride_])};
        const auto nearer = [](const Hit &a, const Hit &b) {
            return a.distance != b.distance ? a.distance < b.distance : a.id < b.id;
        };
        k = std::min(k, hits.size());
        std::partial_sort(hits.begin(), hits.begin() + static_cast<std::ptrdiff_t>(k),
                          hits.end(), nearer);
        hits.resize(k);
        return hits;
    } catch (const std::bad_alloc &) {
        return fail(Errc::Internal, "index: not enough memory to search ", ids_.size(),
                    " rows");
    }
}

} // namespace

std::unique_ptr<Index> make_exact_index(int dims, Metric metric) {
    return std::make_unique<ExactIndex>(dims, metric);
}

} // namespace sphere
