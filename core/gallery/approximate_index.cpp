// SPDX-License-Identifier: MIT
// A fixed structure, what came since, and what went since.
#include "core/gallery/approximate_index.h"

#include "core/gallery/exact_index.h"
#include "core/gallery/index_rows.h"

#include <algorithm>
#include <unordered_set>

namespace sphere {
namespace {

/// Below this a scan is as fast as any structure.
constexpr std::size_t kFewRows = 1000;
/// Above so many hits a query, looking at every row is no slower.
constexpr std::size_t kManyHits = 1024;

/// What forks share and nobody changes.
struct Base {
    explicit Base(ExactIndex rows) : index(std::move(rows)) {}
    ExactIndex index;
    std::unique_ptr<CandidateFinder> finder;
};

class ApproximateIndex final : public Index, public SavedIndex {
  public:
    ApproximateIndex(int dims, Metric metric, const IndexOptions &options, std::string factory,
                     FinderKind kind)
        : dims_(static_cast<std::size_t>(dims)), metric_(metric), options_(options),
          factory_(std::move(factory)), kind_(kind),
          recent_(dims, metric, RowFormat::Bf16, options.threads) {}

    Result<void> add(std::span<const std::int64_t> ids,
                     std::span<const float> vectors) override;
    Result<std::size_t> remove(std::span<const std::int64_t> ids) override;
    Result<HitLists> search_many(std::span<const float> queries, std::size_t count,
                                 std::size_t k) const override;
    std::size_t size() const override { return base_rows() + recent_.size(); }
    Result<std::vector<float>> row(std::int64_t id) const override {
        return in_base(id) ? base_->index.row(id) : recent_.row(id);
    }
    Result<std::unique_ptr<Index>> fork() const override;
    void save(IndexSink &sink) const override;
    bool restore(IndexSource &source) override;

  private:
    std::size_t base_rows() const { return base_ ? base_->index.size() - removed_.size() : 0; }
    bool in_base(std::int64_t id) const;
    bool wants_finder() const;
    Result<void> refresh_finder();
    Result<void> make_base();
    Result<HitLists> search_base(std::span<const float> queries, std::size_t count,
                                 std::size_t k) const;
    std::vector<Hit> look_again(const float *query, const std::vector<std::uint32_t> &rows,
                                std::size_t k) const;

    std::size_t dims_;
    Metric metric_;
    IndexOptions options_;
    std::string factory_;
    FinderKind kind_;
    std::shared_ptr<const Base> base_;
    std::unordered_set<std::uint32_t> removed_; ///< places in the base
    ExactIndex recent_;
    std::size_t too_few_ = 0; ///< with so many rows there was no finder to be made
};

bool ApproximateIndex::in_base(std::int64_t id) const {
    const auto place = base_ ? base_->index.place(id) : std::nullopt;
    return place && !removed_.contains(static_cast<std::uint32_t>(*place));
}

Result<void> ApproximateIndex::add(std::span<const std::int64_t> ids,
                                   std::span<const float> vectors) {
    for (const std::int64_t id : ids)
        if (in_base(id))
            return fail(Errc::InvalidArgument, "index: id ", id, " is there already");
    SPHERE_TRY(recent_.add(ids, vectors));
    return refresh_finder();
}

Result<std::size_t> ApproximateIndex::remove(std::span<const std::int64_t> ids) {
    try {
        std::vector<std::int64_t> others;
        std::size_t removed = 0;
        for (const std::int64_t id : ids) {
            if (!in_base(id)) {
                others.push_back(id);
                continue;
            }
            removed_.insert(static_cast<std::uint32_t>(*base_->index.place(id)));
            ++removed;
        }
        const auto from_recent = recent_.remove(others);
        if (!from_recent)
            return from_recent.error();
        SPHERE_TRY(refresh_finder());
        return removed + *from_recent;
    } catch (const std::bad_alloc &) {
        return fail(Errc::Internal, "index: not enough memory to remove rows");
    }
}

Result<std::unique_ptr<Index>> ApproximateIndex::fork() const {
    try {
        return std::unique_ptr<Index>(new ApproximateIndex(*this));
    } catch (const std::bad_alloc &) {
        return fail(Errc::Internal, "index: not enough memory to copy ", size(), " rows");
    }
}

bool ApproximateIndex::wants_finder() const {
    if (base_ && base_.use_count() > 1)
        return false;
    const std::size_t base = base_ ? base_->index.size() : 0;
    if (!base_ && size() < std::max({kFewRows, options_.expected_rows, 2 * too_few_}))
        return false;
    return removed_.size() * 10 > base || recent_.size() > std::max(kFewRows, base / 4) ||
           (!base_ && size() >= kFewRows);
}

Result<void> ApproximateIndex::refresh_finder() {
    if (!wants_finder())
        return {};
    try {
        return make_base();
    } catch (const std::bad_alloc &) { // what there is goes on serving
        return fail(Errc::Internal, "index: not enough memory to build one of ", size(),
                    " rows");
    }
}

Result<void> ApproximateIndex::make_base() {
    auto next = std::make_shared<Base>(base_ ? base_->index : recent_);
    if (base_) {
        std::vector<std::int64_t> gone;
        for (const std::uint32_t place : removed_)
            gone.push_back(base_->index.ids()[place]);
        if (const auto removed = next->index.remove(gone); !removed)
            return removed.error();
        AlignedVector<float> scratch(recent_.rows().stride());
        for (std::size_t i = 0; i < recent_.size(); ++i)
            next->index.append_row(recent_.ids()[i], recent_.rows().exact(i, scratch.data()));
    }
    auto finder = kind_.make(next->index.rows(), {factory_, metric_, options_.threads});
    if (!finder)
        return std::move(finder).error();
    removed_.clear();
    if (*finder == nullptr) {
        too_few_ = next->index.size();
        recent_ = std::move(next->index);
        base_.reset();
        return {};
    }
    next->finder = std::move(*finder);
    base_ = std::move(next);
    recent_ = ExactIndex(static_cast<int>(dims_), metric_, RowFormat::Bf16, options_.threads);
    return {};
}

/// The nearest of the base's rows `rows` that are still there.
std::vector<Hit> ApproximateIndex::look_again(const float *query,
                                              const std::vector<std::uint32_t> &rows,
                                              std::size_t k) const {
    const ExactRows &all = base_->index.rows();
    AlignedVector<float> scratch(all.stride());
    std::vector<Hit> hits;
    for (const std::uint32_t row : rows)
        if (!removed_.contains(row))
            hits.push_back({base_->index.ids()[row],
                            index_row_distance(metric_, query, all.exact(row, scratch.data()),
                                               all.stride())});
    std::sort(hits.begin(), hits.end(), nearer);
    hits.resize(std::min(k, hits.size()));
    return hits;
}

Result<HitLists> ApproximateIndex::search_base(std::span<const float> queries,
                                               std::size_t count, std::size_t k) const {
    const std::size_t all = base_->index.size();
    const std::size_t stride = base_->index.rows().stride();
    AlignedVector<float> rows(count * stride);
    for (std::size_t q = 0; q < count; ++q)
        make_index_row(metric_, queries.subspan(q * dims_, dims_), &rows[q * stride]);
    HitLists lists(count);
    // Some of those that are found may have been removed: then more are asked for.
    std::size_t wanted = k + std::min<std::size_t>(removed_.size(), k);
    for (; wanted <= kManyHits && wanted < all / 2; wanted *= 4) {
        auto found = base_->finder->find(rows.data(), count, wanted);
        if (!found)
            return std::move(found).error();
        bool enough = true;
        for (std::size_t q = 0; q < count; ++q) {
            lists[q] = look_again(&rows[q * stride], (*found)[q], k);
            enough = enough && lists[q].size() == std::min(k, base_rows());
        }
        if (enough)
            return lists;
    }
    auto every = base_->index.search_many(queries, count, k + removed_.size());
    if (!every)
        return std::move(every).error();
    for (std::vector<Hit> &list : *every) {
        std::erase_if(list, [this](const Hit &hit) { return !in_base(hit.id); });
        list.resize(std::min(k, list.size()));
    }
    return every;
}

Result<HitLists> ApproximateIndex::search_many(std::span<const float> queries,
                                               std::size_t count, std::size_t k) const {
    auto lists = recent_.search_many(queries, count, k);
    k = std::min(k, size());
    if (!lists || base_rows() == 0 || k == 0)
        return lists;
    try {
        auto others = search_base(queries, count, k);
        if (!others)
            return others;
        for (std::size_t q = 0; q < count; ++q) {
            std::vector<Hit> &list = (*lists)[q];
            list.insert(list.end(), (*others)[q].begin(), (*others)[q].end());
            std::sort(list.begin(), list.end(), nearer);
            list.resize(std::min(k, list.size()));
        }
        return lists;
    } catch (const std::bad_alloc &) {
        return fail(Errc::Internal, "index: not enough memory to search ", size(), " rows");
    }
}

void ApproximateIndex::save(IndexSink &sink) const {
    sink.number(std::uint8_t{base_ != nullptr});
    if (base_) {
        // A row that was removed stays as a place in the structure, without its values.
        base_->index.save_without(sink, removed_);
        const std::vector<std::uint32_t> removed(removed_.begin(), removed_.end());
        sink.number(static_cast<std::uint64_t>(removed.size()));
        sink.list(removed);
        sink.number(std::uint8_t{kind_.restore != nullptr});
        if (kind_.restore != nullptr)
            (void)base_->finder->save(sink);
    }
    recent_.save(sink);
}

bool ApproximateIndex::restore(IndexSource &source) {
    if (source.number<std::uint8_t>() == 1) {
        auto base = std::make_shared<Base>(recent_);
        if (!base->index.restore(source))
            return false;
        const auto count = source.number<std::uint64_t>();
        const auto removed = source.list<std::uint32_t>(count);
        for (const std::uint32_t place : removed)
            if (place >= base->index.size())
                return false;
        removed_.insert(removed.begin(), removed.end());
        const FinderOptions options{factory_, metric_, options_.threads};
        if (source.number<std::uint8_t>() == 1) {
            if (kind_.restore != nullptr)
                base->finder = kind_.restore(source, base->index.rows(), options);
        } else if (source.ok()) {
            if (auto made = kind_.make(base->index.rows(), options); made.ok())
                base->finder = std::move(*made);
        }
        if (!source.ok() || !base->finder)
            return false;
        base_ = std::move(base);
    }
    if (!recent_.restore(source))
        return false;
    return std::none_of(recent_.ids().begin(), recent_.ids().end(),
                        [this](std::int64_t id) { return in_base(id); });
}

} // namespace

Result<std::unique_ptr<Index>> make_approximate_index(int dims, Metric metric,
                                                      const IndexOptions &options,
                                                      std::string factory, FinderKind kind) {
    return std::unique_ptr<Index>(
        new ApproximateIndex(dims, metric, options, std::move(factory), kind));
}

} // namespace sphere
