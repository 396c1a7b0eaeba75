// SPDX-License-Identifier: MIT
// Exact search: one pass over all rows for up to kScanQueries queries, then the few that count
// again in full precision.
#include "core/gallery/exact_index.h"

#include "core/gallery/index_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <thread>
#include <unordered_set>

namespace sphere {
namespace {

constexpr std::size_t kMaxRows = std::numeric_limits<std::uint32_t>::max() - 1;
/// Below this many bytes to read, another thread costs more than it saves.
constexpr std::size_t kBytesAThread = std::size_t{4} << 20;
/// Twice the scan's own error, for the roundings around it.
constexpr float kSlack = 2 * kScanError;

} // namespace

ExactIndex::ExactIndex(int dims, Metric metric, RowFormat format, int threads)
    : dims_(static_cast<std::size_t>(dims)), metric_(metric),
      threads_(static_cast<std::size_t>(threads)), rows_(dims_, format) {}

void ExactIndex::append(std::int64_t id, std::span<const float> values,
                        AlignedVector<float> &row) {
    make_index_row(metric_, values, row.data());
    append_row(id, row.data());
}

void ExactIndex::append_row(std::int64_t id, const float *row) {
    ids_.push_back(id);
    try {
        rows_.append({row, dims_});
        places_.insert(ids_.size() - 1, ids_);
    } catch (...) {
        if (rows_.size() == ids_.size())
            rows_.remove(rows_.size() - 1);
        ids_.pop_back();
        throw;
    }
}

void ExactIndex::drop_last() {
    places_.erase(ids_.back(), ids_);
    rows_.remove(rows_.size() - 1);
    ids_.pop_back();
}

Result<void> ExactIndex::add(std::span<const std::int64_t> ids,
                             std::span<const float> vectors) {
    SPHERE_TRY(check_index_vectors("vectors", vectors, ids.size(), dims_));
    const std::size_t old_rows = ids_.size();
    if (ids.size() > kMaxRows - old_rows)
        return fail(Errc::InvalidArgument, "index: more than ", kMaxRows, " rows");
    try {
        std::unordered_set<std::int64_t> fresh;
        for (const std::int64_t id : ids)
            if (places_.find(id, ids_) || (ids.size() > 1 && !fresh.insert(id).second))
                return fail(Errc::InvalidArgument, "index: id ", id, " is there already");
        AlignedVector<float> row(dims_);
        for (std::size_t i = 0; i < ids.size(); ++i)
            append(ids[i], vectors.subspan(i * dims_, dims_), row);
    } catch (const std::bad_alloc &) {
        while (ids_.size() > old_rows)
            drop_last();
        return fail(Errc::Internal, "index: not enough memory for ", ids.size(),
                    " more vectors of ", dims_, " dimensions");
    }
    return {};
}

Result<std::size_t> ExactIndex::remove(std::span<const std::int64_t> ids) {
    std::size_t removed = 0;
    try {
        for (const std::int64_t id : ids) {
            const auto row = places_.find(id, ids_);
            if (!row)
                continue;
            rows_.remove(*row);
            places_.erase(id, ids_);
            if (*row + 1 != ids_.size())
                places_.move(ids_.back(), *row, ids_);
            ids_[*row] = ids_.back();
            ids_.pop_back();
            ++removed;
        }
    } catch (const std::bad_alloc &) { // a block to be copied first
        return fail(Errc::Internal, "index: not enough memory to remove rows");
    }
    return removed;
}

Result<std::vector<float>> ExactIndex::row(std::int64_t id) const {
    const auto place = places_.find(id, ids_);
    if (!place)
        return fail(Errc::NotFound, "index: there is no row ", id);
    try {
        AlignedVector<float> scratch(rows_.stride());
        const float *values = rows_.exact(*place, scratch.data());
        return std::vector<float>(values, values + dims_);
    } catch (const std::bad_alloc &) {
        return fail(Errc::Internal, "index: not enough memory for a row");
    }
}

Result<std::unique_ptr<Index>> ExactIndex::fork() const {
    try {
        return std::unique_ptr<Index>(new ExactIndex(*this));
    } catch (const std::bad_alloc &) {
        return fail(Errc::Internal, "index: not enough memory to copy the list of ",
                    ids_.size(), " rows");
    }
}

/// The key that rows are compared by: -q.x, or |x|^2 - 2 q.x, which is the square of the
/// distance less |q|^2; with the most that its value may be off.
void ExactIndex::collect(const ScanQueries::One &query, std::size_t first, std::size_t count,
                         const float *products, TopCandidates &collector) const {
    const bool euclidean = metric_ == Metric::Euclidean;
    const float weight = euclidean ? 2.0F : 1.0F;
    const float square_weight = euclidean ? 1.0F : 0.0F;
    const float a_norm = weight * (query.error + kSlack * query.scanned_norm);
    const float an_error = weight * query.scanned_norm;
    const float a_square = square_weight * kSlack;
    const float always = a_square * query.norm * query.norm;
    const float *norms = rows_.norms().data() + first;
    const float *errors = rows_.errors().data() + first;
    float lower[kScanRows];
    for (std::size_t r = 0; r < count; ++r) {
        const float square = norms[r] * norms[r];
        const float bound =
            a_norm * norms[r] + an_error * errors[r] + a_square * square + always;
        lower[r] = square_weight * square - weight * products[r] - bound;
    }
    for (std::size_t r = 0; r < count; ++r) {
        if (lower[r] > collector.limit())
            continue;
        const float square = norms[r] * norms[r];
        const float bound =
            a_norm * norms[r] + an_error * errors[r] + a_square * square + always;
        collector.add(static_cast<std::uint32_t>(first + r), lower[r], lower[r] + 2 * bound);
    }
}

void ExactIndex::scan_part(const ScanQueries &queries, std::size_t first, std::size_t end,
                           Collectors &collectors) const {
    const std::size_t count = queries.each.size();
    AlignedVector<float> products(kScanRows * count);
    AlignedVector<std::int32_t> sums(rows_.format() == RowFormat::Int8 ? products.size() : 0);
    while (first < end) {
        const std::size_t done =
            rows_.scan(first, end - first, queries, products.data(), sums.data());
        for (std::size_t q = 0; q < count; ++q)
            collect(queries.each[q], first, done, &products[q * kScanRows], collectors[q]);
        first += done;
    }
}

ExactIndex::Collectors ExactIndex::scan(const ScanQueries &queries, std::size_t k) const {
    const std::size_t count = queries.each.size();
    const std::size_t bytes = rows_.size() * rows_.stride(); // of the smallest format
    const std::size_t parts =
        std::max<std::size_t>(1, std::min(threads_, bytes / kBytesAThread));
    std::vector<Collectors> found(parts, Collectors(count, TopCandidates(k)));
    if (parts == 1) {
        scan_part(queries, 0, rows_.size(), found[0]);
        return std::move(found[0]);
    }
    std::vector<char> failed(parts, 0);
    std::vector<std::thread> threads;
    const auto run = [&](std::size_t part) {
        try {
            scan_part(queries, rows_.size() * part / parts, rows_.size() * (part + 1) / parts,
                      found[part]);
        } catch (const std::bad_alloc &) {
            failed[part] = 1;
        }
    };
    std::size_t started = 1;
    try {
        for (; started < parts; ++started)
            threads.emplace_back(run, started);
    } catch (const std::exception &) { // no thread to be had: this one does its part too
    }
    run(0);
    for (std::size_t part = started; part < parts; ++part)
        run(part);
    for (std::thread &thread : threads)
        thread.join();
    if (std::find(failed.begin(), failed.end(), 1) != failed.end())
        throw std::bad_alloc();
    for (std::size_t part = 1; part < parts; ++part)
        for (std::size_t q = 0; q < count; ++q)
            found[0][q].merge(found[part][q]);
    return std::move(found[0]);
}

std::vector<Hit> ExactIndex::look_again(const float *query, TopCandidates &collector,
                                        std::size_t k) const {
    AlignedVector<float> scratch(rows_.stride());
    std::vector<Hit> hits;
    for (const TopCandidates::Candidate &candidate : collector.finish()) {
        const float *row = rows_.exact(candidate.row, scratch.data());
        hits.push_back(
            {ids_[candidate.row], index_row_distance(metric_, query, row, rows_.stride())});
    }
    k = std::min(k, hits.size());
    std::partial_sort(hits.begin(), hits.begin() + static_cast<std::ptrdiff_t>(k), hits.end(),
                      nearer);
    hits.resize(k);
    return hits;
}

HitLists ExactIndex::search_group(std::span<const float> queries, std::size_t count,
                                  std::size_t k) const {
    AlignedVector<float> values(count * rows_.stride());
    for (std::size_t q = 0; q < count; ++q)
        make_index_row(metric_, queries.subspan(q * dims_, dims_), &values[q * rows_.stride()]);
    const ScanQueries prepared = rows_.prepare(std::move(values), count);
    Collectors collectors = scan(prepared, k);
    HitLists lists;
    for (std::size_t q = 0; q < count; ++q)
        lists.push_back(look_again(&prepared.values[q * rows_.stride()], collectors[q], k));
    return lists;
}

Result<HitLists> ExactIndex::search_many(std::span<const float> queries, std::size_t count,
                                         std::size_t k) const {
    SPHERE_TRY(check_index_vectors("queries", queries, count, dims_));
    k = std::min(k, size());
    try {
        HitLists lists;
        if (k == 0)
            lists.resize(count);
        for (std::size_t first = 0; first < count && k > 0; first += kScanQueries) {
            const std::size_t group = std::min(kScanQueries, count - first);
            for (auto &list :
                 search_group(queries.subspan(first * dims_, group * dims_), group, k))
                lists.push_back(std::move(list));
        }
        return lists;
    } catch (const std::bad_alloc &) {
        return fail(Errc::Internal, "index: not enough memory to search ", ids_.size(),
                    " rows");
    }
}

void ExactIndex::save_without(IndexSink &sink,
                              const std::unordered_set<std::uint32_t> &blank) const {
    sink.number(static_cast<std::uint64_t>(ids_.size()));
    sink.list(ids_);
    rows_.save(sink, blank);
}

bool ExactIndex::restore(IndexSource &source) {
    const auto count = source.number<std::uint64_t>();
    if (count > kMaxRows)
        return false;
    ids_ = source.list<std::int64_t>(count);
    if (!source.ok())
        return false;
    places_.reserve(ids_.size(), ids_);
    for (std::size_t row = 0; row < ids_.size(); ++row) {
        if (places_.find(ids_[row], ids_))
            return false;
        places_.insert(row, ids_);
    }
    return rows_.restore(source, ids_.size());
}

namespace {

Result<std::unique_ptr<Index>> make(int dims, Metric metric, RowFormat format,
                                    const IndexOptions &options) {
    return std::unique_ptr<Index>(new ExactIndex(dims, metric, format, options.threads));
}

} // namespace

Result<std::unique_ptr<Index>> make_exact_index(int dims, Metric metric,
                                                const IndexOptions &options) {
    return make(dims, metric, RowFormat::Fp32, options);
}
Result<std::unique_ptr<Index>> make_exact_bf16_index(int dims, Metric metric,
                                                     const IndexOptions &options) {
    return make(dims, metric, RowFormat::Bf16, options);
}
Result<std::unique_ptr<Index>> make_exact_int8_index(int dims, Metric metric,
                                                     const IndexOptions &options) {
    return make(dims, metric, RowFormat::Int8, options);
}

} // namespace sphere
