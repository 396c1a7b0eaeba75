// SPDX-License-Identifier: MIT
// DBSCAN: Ester, Kriegel, Sander, Xu, "A density-based algorithm for discovering clusters", KDD
// 1996.
#include "core/gallery/cluster.h"

namespace sphere {

Result<std::vector<int>> cluster_by_density(const NeighbourGraph &graph,
                                            const ClusterOptions &options) {
    constexpr int kNone = -1;
    const std::size_t count = graph.edges.size();
    const auto is_core = [&](std::size_t face) {
        return graph.edges[face].size() + 1 >=
               static_cast<std::size_t>(std::max(1, options.min_neighbours));
    };
    std::vector<int> groups(count, kNone);
    int next = 0;
    std::vector<std::size_t> reached;
    for (std::size_t start = 0; start < count; ++start) {
        if (groups[start] != kNone || !is_core(start))
            continue;
        groups[start] = next;
        reached.assign(1, start);
        while (!reached.empty()) {
            const std::size_t face = reached.back();
            reached.pop_back();
            if (!is_core(face))
                continue; // at the border: belongs, and leads no farther
            for (const NeighbourGraph::Edge &edge : graph.edges[face])
                if (groups[edge.to] == kNone) {
                    groups[edge.to] = next;
                    reached.push_back(edge.to);
                }
        }
        ++next;
    }
    for (int &group : groups) // noise: on their own
        if (group == kNone)
            group = next++;
    return groups;
}

} // namespace sphere
