// SPDX-License-Identifier: MIT
// The graph of neighbours, and the table of methods that group it.
#include "core/gallery/cluster.h"

#include <algorithm>
#include <unordered_map>

namespace sphere {
namespace {

constexpr std::size_t kMaxNeighbours = 512;

struct MethodRow {
    std::string_view name;
    ClusterMethod method;
};
constexpr MethodRow kMethods[] = {
    {"whispers", &cluster_by_whispers},
    {"density", &cluster_by_density},
};

Result<NeighbourGraph> make_graph(std::span<const std::vector<float>> rows,
                                  const ClusterOptions &options) {
    NeighbourGraph graph;
    graph.edges.resize(rows.size());
    if (rows.empty())
        return graph;
    auto index = make_index("exact", static_cast<int>(rows.front().size()), options.metric);
    if (!index)
        return std::move(index).error();
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto id = static_cast<std::int64_t>(i);
        SPHERE_TRY((*index)->add({&id, 1}, rows[i]));
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
        auto hits = (*index)->search(rows[i], kMaxNeighbours + 1);
        if (!hits)
            return std::move(hits).error();
        for (const Hit &hit : *hits) {
            const auto other = static_cast<std::size_t>(hit.id);
            if (other == i || hit.distance > options.threshold)
                continue;
            graph.edges[i].push_back({other, hit.distance});
            graph.edges[other].push_back({i, hit.distance});
        }
    }
    for (auto &edges : graph.edges) {
        std::sort(edges.begin(), edges.end(),
                  [](const auto &a, const auto &b) { return a.to < b.to; });
        edges.erase(std::unique(edges.begin(), edges.end(),
                                [](const auto &a, const auto &b) { return a.to == b.to; }),
                    edges.end());
    }
    return graph;
}

/// Numbers from 0 in order of first appearance.
void renumber(std::vector<int> &groups) {
    std::unordered_map<int, int> numbers;
    for (int &group : groups)
        group = numbers.emplace(group, static_cast<int>(numbers.size())).first->second;
}

} // namespace

const char *default_cluster_method() {
    return have_whispers() ? "whispers" : "density";
}

Result<std::vector<int>> cluster_faces(std::span<const std::vector<float>> rows,
                                       const ClusterOptions &options) {
    const std::string name =
        options.method == "auto" ? default_cluster_method() : options.method;
    const auto row = std::find_if(std::begin(kMethods), std::end(kMethods),
                                  [&](const MethodRow &method) { return method.name == name; });
    if (row == std::end(kMethods))
        return fail(Errc::InvalidArgument, "no way to group named \"", options.method,
                    "\": use auto, whispers or density");
    const auto graph = make_graph(rows, options);
    if (!graph)
        return graph.error();
    auto groups = row->method(*graph, options);
    if (groups)
        renumber(*groups);
    return groups;
}

} // namespace sphere
