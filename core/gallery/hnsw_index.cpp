// SPDX-License-Identifier: MIT
// hnswlib builds the graph; it is walked here, a neighbourhood at a time.
#include "core/gallery/hnsw_index.h"

#include "core/gallery/approximate_index.h"
#include "core/gallery/entry_sketches.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <queue>
#include <thread>

// Its own kernels are not used, and its prefetches read past the end of a list.
#define NO_MANUAL_VECTORIZATION
#include <hnswlib/hnswlib.h>

namespace sphere {
namespace {

constexpr std::size_t kLinks = 16; ///< M: links a node, twice that in the lowest layer
constexpr std::size_t kBuildCandidates = 200;  ///< ef_construction
constexpr std::size_t kSearchCandidates = 128; ///< ef, at least
constexpr std::size_t kEntries = 8; ///< nodes that a walk starts at, beside the graph's own
/// A walk ends when so many neighbourhoods in a row held nobody nearer than what was found
/// (patience: Teofili and Lin, "Patience in Proximity", ECIR 2025): a person's faces are soon
/// together, and the rest are strangers, hardly one nearer than the other.
constexpr int kPatience = 24;
constexpr std::size_t kWatched = 15; ///< the nearest so many, where fewer are asked for
/// In a small graph a walk loses nobody.
constexpr std::size_t kFewNodes = 20'000;
/// A node stands for neighbours at this cosine or nearer: a walk from it comes to them.
constexpr float kSameGroup = 0.5F;
constexpr int kMaxLevel = 64;              ///< the highest layer that a file may have
constexpr std::size_t kRowsAThread = 5000; ///< fewer are not worth a thread to insert them

/// What a node of the graph holds: the rows themselves stay where they are.
struct Node {
    const std::uint16_t *row = nullptr; ///< bfloat16
    float half_square = 0;              ///< |row|^2 / 2 for euclidean, 0 for cosine
};

struct PairDistance {
    std::size_t n = 0;
    float (*dot)(const std::uint16_t *, const std::uint16_t *, std::size_t) = nullptr;
};

/// Half the square of the distance, or minus the cosine: all that the graph needs is order.
float node_distance(const Node &a, const Node &b, const PairDistance &pair) {
    return a.half_square + b.half_square - pair.dot(a.row, b.row, pair.n);
}

/// hnswlib does not align what it keeps of a node.
Node node_at(const void *place) {
    Node node;
    std::memcpy(&node, place, sizeof node);
    return node;
}

float distance_for_hnswlib(const void *a, const void *b, const void *pair) {
    return node_distance(node_at(a), node_at(b), *static_cast<const PairDistance *>(pair));
}

class NodeSpace final : public hnswlib::SpaceInterface<float> {
  public:
    explicit NodeSpace(const PairDistance &pair) : pair_(pair) {}
    size_t get_data_size() override { return sizeof(Node); }
    hnswlib::DISTFUNC<float> get_dist_func() override { return &distance_for_hnswlib; }
    void *get_dist_func_param() override { return &pair_; }

  private:
    PairDistance pair_;
};

/// As hnswlib up to 0.6 calls them, and later ones.
template <typename Graph> void drop_update_locks(Graph &graph) {
    if constexpr (requires { graph.link_list_update_locks_; })
        std::vector<std::mutex>().swap(graph.link_list_update_locks_);
    if constexpr (requires { graph.label_op_locks_; })
        std::vector<std::mutex>().swap(graph.label_op_locks_);
}

void prefetch_row(const Node &node, std::size_t n) {
    const auto *bytes = reinterpret_cast<const char *>(node.row);
    for (std::size_t i = 0; i < n * sizeof(std::uint16_t); i += 64)
        __builtin_prefetch(bytes + i);
}

class HnswFinder final : public CandidateFinder {
  public:
    HnswFinder(const ExactRows &rows, Metric metric)
        : rows_(rows), metric_(metric), pair_{rows.stride(), scan_kernels().bf16_pair},
          space_(pair_), graph_(&space_, rows.size(), kLinks, kBuildCandidates) {}

    void build(int threads);
    Result<std::vector<std::vector<std::uint32_t>>>
    find(const float *queries, std::size_t count, std::size_t k) const override;

    bool save(IndexSink &sink) const override;
    /// Into one that was just made. False where what comes is not a graph of these rows.
    bool restore(IndexSource &source);

  private:
    void drop_build_data();
    void choose_entries();
    void sketch_entries();
    bool restore_node(IndexSource &source, std::uint32_t id, std::uint32_t count, int top,
                      std::vector<char> &inside);
    bool restore_layers(IndexSource &source, std::uint32_t id, std::uint32_t count);
    struct Step {
        float distance = 0;
        std::uint32_t node = 0;
        bool operator<(const Step &other) const { return distance < other.distance; }
        bool operator>(const Step &other) const { return distance > other.distance; }
    };
    Node node_of_row(std::size_t row) const;
    Node node(std::uint32_t id) const { return node_at(graph_.getDataByInternalId(id)); }
    Step descend(const Node &query) const;
    std::vector<std::uint32_t> walk(const Node &query, std::span<const std::uint32_t> entries,
                                    std::size_t k) const;

    const ExactRows &rows_;
    Metric metric_;
    PairDistance pair_;
    NodeSpace space_;
    hnswlib::HierarchicalNSW<float> graph_;
    EntrySketches sketches_;             ///< of the rows of entries_
    std::vector<std::uint32_t> entries_; ///< nodes
    std::vector<std::uint32_t> outside_; ///< rows whose products may leave the range of float
};

Node HnswFinder::node_of_row(std::size_t row) const {
    Node node{rows_.scanned_halves(row), 0};
    if (metric_ == Metric::Euclidean)
        node.half_square = pair_.dot(node.row, node.row, pair_.n) / 2;
    return node;
}

void HnswFinder::build(int threads) {
    std::vector<std::uint32_t> inside;
    for (std::uint32_t row = 0; row < rows_.size(); ++row)
        (std::isfinite(rows_.errors()[row]) ? inside : outside_).push_back(row);
    const std::size_t parts =
        std::clamp<std::size_t>(inside.size() / kRowsAThread, 1, std::size_t(threads));
    std::atomic<std::size_t> next{0};
    std::exception_ptr failure;
    std::mutex failure_mutex;
    const auto insert = [&] {
        try {
            for (std::size_t i = next++; i < inside.size(); i = next++) {
                const Node node = node_of_row(inside[i]);
                graph_.addPoint(&node, inside[i]);
            }
        } catch (...) {
            const std::lock_guard lock(failure_mutex);
            failure = std::current_exception();
            next = inside.size();
        }
    };
    std::vector<std::thread> others;
    try {
        for (std::size_t part = 1; part < parts; ++part)
            others.emplace_back(insert);
    } catch (const std::system_error &) { // fewer threads then
    }
    insert();
    for (std::thread &other : others)
        other.join();
    if (failure)
        std::rethrow_exception(failure);
    drop_build_data();
    choose_entries();
}

/// Nodes so that nearly each other one is a near neighbour of one of them, as far as rows come
/// in groups: pictures of a person do, and people hardly differ in how far they are from each
/// other, which is what a walk alone gets lost in. Of rows without groups some are as good as
/// others.
void HnswFinder::choose_entries() {
    const std::size_t count = graph_.cur_element_count;
    if (count < kFewNodes)
        return;
    const auto cosine = [this](const Node &a, const Node &b) {
        const float dot = pair_.dot(a.row, b.row, pair_.n);
        return metric_ == Metric::Cosine
                   ? dot
                   : dot / (2 * std::sqrt(std::max(a.half_square * b.half_square, 1e-30F)));
    };
    std::vector<char> covered(count, 0);
    std::vector<std::uint32_t> nodes;
    std::vector<std::uint32_t> group; // whose neighbours are still to be looked at
    for (std::uint32_t id = 0; id < count; ++id) {
        if (covered[id] != 0)
            continue;
        nodes.push_back(id);
        // A graph links few of a group to each other: the rest are come to by those.
        group.assign(1, id);
        while (!group.empty()) {
            auto *list = graph_.get_linklist0(group.back());
            group.pop_back();
            const std::size_t links = graph_.getListCount(list);
            for (std::size_t i = 1; i <= links; ++i)
                if (covered[list[i]] == 0 && cosine(node(id), node(list[i])) >= kSameGroup) {
                    covered[list[i]] = 1;
                    group.push_back(list[i]);
                }
        }
    }
    const std::size_t kept = std::min(nodes.size(), EntrySketches::kMostEntries);
    for (std::size_t i = 0; i < kept; ++i)
        entries_.push_back(nodes[i * nodes.size() / kept]);
    sketch_entries();
}

void HnswFinder::sketch_entries() {
    std::vector<std::uint32_t> rows;
    rows.reserve(entries_.size());
    for (const std::uint32_t id : entries_)
        rows.push_back(static_cast<std::uint32_t>(graph_.getExternalLabel(id)));
    sketches_.make(rows_, std::move(rows));
}

/// 40 bytes a row and more.
void HnswFinder::drop_build_data() {
    std::vector<std::mutex>().swap(graph_.link_list_locks_);
    drop_update_locks(graph_);
    decltype(graph_.label_lookup_)().swap(graph_.label_lookup_);
}

/// From the top layer down to the second lowest, always to the nearest neighbour.
HnswFinder::Step HnswFinder::descend(const Node &query) const {
    Step best{0, graph_.enterpoint_node_};
    best.distance = node_distance(query, node(best.node), pair_);
    for (int layer = graph_.maxlevel_; layer > 0; --layer)
        for (bool moved = true; moved;) {
            moved = false;
            auto *list = graph_.get_linklist(best.node, layer);
            const std::size_t count = graph_.getListCount(list);
            for (std::size_t i = 1; i <= count; ++i) {
                const float distance = node_distance(query, node(list[i]), pair_);
                if (distance < best.distance) {
                    best = {distance, list[i]};
                    moved = true;
                }
            }
        }
    return best;
}

/// Best-first search of the lowest layer (the paper's algorithm 2), all new neighbours of a
/// node at once, so that their rows are on their way from memory while others are compared.
std::vector<std::uint32_t> HnswFinder::walk(const Node &query,
                                            std::span<const std::uint32_t> entries,
                                            std::size_t k) const {
    const std::size_t wanted = k + k / 2; // the graph's order is that of bfloat16
    const std::size_t ef = std::max(kSearchCandidates, wanted);
    hnswlib::VisitedList *visited = graph_.visited_list_pool_->getFreeVisitedList();
    const auto seen = [visited](std::uint32_t id) {
        return std::exchange(visited->mass[id], visited->curV) == visited->curV;
    };
    std::vector<Step> best;     // a heap, the farthest in front
    std::vector<Step> open;     // a heap, the nearest in front
    std::vector<float> nearest; // a heap of what is asked for, the farthest in front
    int in_vain = 0;            // neighbourhoods
    const auto take = [&](const Step &step) {
        best.push_back(step);
        std::push_heap(best.begin(), best.end());
        open.push_back(step);
        std::push_heap(open.begin(), open.end(), std::greater<>());
        if (nearest.size() >= std::max(wanted, kWatched)) {
            if (step.distance >= nearest.front())
                return;
            std::pop_heap(nearest.begin(), nearest.end());
            nearest.pop_back();
        }
        nearest.push_back(step.distance);
        std::push_heap(nearest.begin(), nearest.end());
        in_vain = 0;
    };
    const Step start = descend(query);
    take(start);
    (void)seen(start.node);
    for (const std::uint32_t place : entries)
        prefetch_row(node(entries_[place]), pair_.n);
    for (const std::uint32_t place : entries)
        if (const std::uint32_t id = entries_[place]; !seen(id))
            take({node_distance(query, node(id), pair_), id});
    std::uint32_t fresh[2 * kLinks];
    while (!open.empty() && in_vain++ < kPatience &&
           (best.size() < ef || open.front().distance <= best.front().distance)) {
        auto *list = graph_.get_linklist0(open.front().node);
        std::pop_heap(open.begin(), open.end(), std::greater<>());
        open.pop_back();
        std::size_t count = 0;
        const std::size_t links = std::min<std::size_t>(graph_.getListCount(list), 2 * kLinks);
        for (std::size_t i = 1; i <= links; ++i)
            __builtin_prefetch(graph_.getDataByInternalId(list[i]));
        for (std::size_t i = 1; i <= links; ++i)
            if (!seen(list[i])) {
                fresh[count++] = list[i];
                prefetch_row(node(list[i]), pair_.n);
            }
        for (std::size_t i = 0; i < count; ++i) {
            const Step step{node_distance(query, node(fresh[i]), pair_), fresh[i]};
            if (best.size() >= ef && step.distance >= best.front().distance)
                continue;
            take(step);
            if (best.size() > ef) {
                std::pop_heap(best.begin(), best.end());
                best.pop_back();
            }
        }
    }
    graph_.visited_list_pool_->releaseVisitedList(visited);
    std::sort(best.begin(), best.end());
    best.resize(std::min(best.size(), wanted));
    std::vector<std::uint32_t> found;
    found.reserve(best.size());
    for (const Step &step : best)
        found.push_back(static_cast<std::uint32_t>(graph_.getExternalLabel(step.node)));
    return found;
}

Result<std::vector<std::vector<std::uint32_t>>>
HnswFinder::find(const float *queries, std::size_t count, std::size_t k) const {
    try {
        std::vector<std::vector<std::uint32_t>> lists(count);
        AlignedVector<std::uint16_t> halves(pair_.n);
        for (std::size_t q = 0; q < count; ++q) {
            for (std::size_t i = 0; i < pair_.n; ++i)
                halves[i] = nearest_bf16(queries[q * pair_.n + i]);
            Node query{halves.data(), 0};
            if (metric_ == Metric::Euclidean)
                query.half_square = pair_.dot(query.row, query.row, pair_.n) / 2;
            if (graph_.cur_element_count > 0)
                lists[q] = walk(
                    query,
                    sketches_.nearest(queries + q * pair_.n, entries_.empty() ? 0 : kEntries),
                    k);
            lists[q].insert(lists[q].end(), outside_.begin(), outside_.end());
        }
        return lists;
    } catch (const std::exception &error) {
        return fail(Errc::Internal, "index hnsw: ", error.what());
    }
}

bool HnswFinder::save(IndexSink &sink) const {
    sink.number(static_cast<std::uint32_t>(graph_.cur_element_count));
    sink.number(static_cast<std::int32_t>(graph_.maxlevel_));
    sink.number(static_cast<std::uint32_t>(graph_.enterpoint_node_));
    for (std::uint32_t id = 0; id < graph_.cur_element_count; ++id) {
        sink.number(static_cast<std::uint32_t>(graph_.getExternalLabel(id)));
        sink.number(static_cast<std::int32_t>(graph_.element_levels_[id]));
        for (int layer = 0; layer <= graph_.element_levels_[id]; ++layer) {
            auto *list = layer == 0 ? graph_.get_linklist0(id) : graph_.get_linklist(id, layer);
            const std::uint32_t links = graph_.getListCount(list);
            sink.number(links);
            sink.bytes(list + 1, links * sizeof *list);
        }
    }
    sink.number(static_cast<std::uint32_t>(entries_.size()));
    sink.list(entries_);
    return true;
}

/// The links of node `id`, whose level is known. Each must lead to a node: the walk does not
/// look.
bool HnswFinder::restore_layers(IndexSource &source, std::uint32_t id, std::uint32_t count) {
    for (int layer = 0; layer <= graph_.element_levels_[id]; ++layer) {
        auto *list = layer == 0 ? graph_.get_linklist0(id) : graph_.get_linklist(id, layer);
        const auto links = source.number<std::uint32_t>();
        if (links > (layer == 0 ? graph_.maxM0_ : graph_.maxM_))
            return false;
        graph_.setListCount(list, static_cast<unsigned short>(links));
        source.bytes(list + 1, links * sizeof *list);
        for (std::uint32_t i = 1; i <= links; ++i)
            if (list[i] >= count)
                return false;
    }
    return source.ok();
}

/// Node `id` with its place and links; false where they are not possible.
bool HnswFinder::restore_node(IndexSource &source, std::uint32_t id, std::uint32_t count,
                              int top, std::vector<char> &inside) {
    const auto row = source.number<std::uint32_t>();
    const auto level = source.number<std::int32_t>();
    if (!source.ok() || row >= rows_.size() || inside[row]++ != 0 || level < 0 || level > top ||
        !std::isfinite(rows_.errors()[row]))
        return false;
    std::memset(graph_.data_level0_memory_ + id * graph_.size_data_per_element_, 0,
                graph_.size_data_per_element_);
    graph_.setExternalLabel(id, row);
    const Node node = node_of_row(row);
    std::memcpy(graph_.getDataByInternalId(id), &node, sizeof node);
    // The graph frees these by free().
    const std::size_t bytes = graph_.size_links_per_element_ * std::size_t(level) + 1;
    graph_.linkLists_[id] = level > 0 ? static_cast<char *>(std::calloc(bytes, 1)) : nullptr;
    if (level > 0 && graph_.linkLists_[id] == nullptr)
        throw std::bad_alloc();
    graph_.element_levels_[id] = level;
    graph_.cur_element_count = id + 1;
    return restore_layers(source, id, count);
}

bool HnswFinder::restore(IndexSource &source) {
    const auto count = source.number<std::uint32_t>();
    const auto top = source.number<std::int32_t>();
    const auto entry = source.number<std::uint32_t>();
    if (!source.holds(count, 12) || count > rows_.size() || (count > 0 && entry >= count) ||
        top < (count > 0 ? 0 : -1) || top > kMaxLevel)
        return false;
    std::vector<char> inside(rows_.size(), 0);
    for (std::uint32_t id = 0; id < count; ++id)
        if (!restore_node(source, id, count, top, inside))
            return false;
    // In the upper layers each must lead to a node that is in that layer.
    for (std::uint32_t id = 0; id < count; ++id)
        for (int layer = 1; layer <= graph_.element_levels_[id]; ++layer) {
            auto *list = graph_.get_linklist(id, layer);
            for (std::uint32_t i = 1; i <= graph_.getListCount(list); ++i)
                if (graph_.element_levels_[list[i]] < layer)
                    return false;
        }
    if (count > 0 && graph_.element_levels_[entry] != top)
        return false;
    graph_.maxlevel_ = top;
    graph_.enterpoint_node_ = entry;
    for (std::uint32_t row = 0; row < rows_.size(); ++row)
        if (inside[row] == 0)
            outside_.push_back(row);
    drop_build_data();
    const auto entries = source.number<std::uint32_t>();
    if (entries > EntrySketches::kMostEntries)
        return false;
    entries_ = source.list<std::uint32_t>(entries);
    if (!source.ok() || std::any_of(entries_.begin(), entries_.end(),
                                    [count](std::uint32_t id) { return id >= count; }))
        return false;
    sketch_entries();
    return true;
}

std::unique_ptr<CandidateFinder> restore_finder(IndexSource &source, const ExactRows &rows,
                                                const FinderOptions &options) {
    auto finder = std::make_unique<HnswFinder>(rows, options.metric);
    return finder->restore(source) ? std::move(finder) : nullptr;
}

Result<std::unique_ptr<CandidateFinder>> make_finder(const ExactRows &rows,
                                                     const FinderOptions &options) {
    try {
        auto finder = std::make_unique<HnswFinder>(rows, options.metric);
        finder->build(options.threads);
        return std::unique_ptr<CandidateFinder>(std::move(finder));
    } catch (const std::exception &error) {
        return fail(Errc::Internal, "index hnsw: cannot build a graph of ", rows.size(),
                    " rows: ", error.what());
    }
}

} // namespace

Result<std::unique_ptr<Index>> make_hnsw_index(int dims, Metric metric,
                                               const IndexOptions &options) {
    return make_approximate_index(dims, metric, options, {}, {&make_finder, &restore_finder});
}

} // namespace sphere
