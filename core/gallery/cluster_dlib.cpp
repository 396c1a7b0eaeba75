// SPDX-License-Identifier: MIT
// Chinese whispers by dlib.
#include "core/gallery/cluster.h"

#include <dlib/clustering/chinese_whispers.h>

#include <exception>

namespace sphere {

bool have_whispers() {
    return true;
}

Result<std::vector<int>> cluster_by_whispers(const NeighbourGraph &graph,
                                             const ClusterOptions &) try {
    std::vector<dlib::ordered_sample_pair> edges;
    for (std::size_t face = 0; face < graph.edges.size(); ++face) {
        // An edge to itself: a face without neighbours has a group too.
        edges.emplace_back(face, face, 1.0);
        for (const NeighbourGraph::Edge &edge : graph.edges[face])
            edges.emplace_back(face, edge.to, 1.0);
    }
    std::vector<unsigned long> labels;
    dlib::chinese_whispers(edges, labels);
    std::vector<int> groups;
    groups.reserve(labels.size());
    for (const unsigned long label : labels)
        groups.push_back(static_cast<int>(label));
    return groups;
} catch (const std::exception &e) {
    return fail(Errc::Internal, "grouping faces failed: ", e.what());
}

} // namespace sphere
