// SPDX-License-Identifier: MIT
// Faces without names into groups of one person each.
#pragma once

#include "core/base/result.h"
#include "core/gallery/index.h"

#include <span>
#include <string>
#include <vector>

namespace sphere {

struct ClusterOptions {
    /// "whispers": Chinese whispers (Biemann 2006), dlib's: each face takes the group that most
    /// of its neighbours have. "density": DBSCAN (Ester et al. 1996). "auto": the first of
    /// these that this build has.
    std::string method = "auto";
    Metric metric = Metric::Cosine;
    float threshold = 0;    ///< faces up to this distance are neighbours
    int min_neighbours = 2; ///< density: of a face in the middle of a group, itself included
};

/// A group's number for each row, from 0 in order of first appearance; a face on its own is a
/// group of one. Of each face the 512 nearest others at most count. Errors: InvalidArgument
/// (unknown method, rows of different sizes or not finite), Unsupported (not in this build).
Result<std::vector<int>> cluster_faces(std::span<const std::vector<float>> rows,
                                       const ClusterOptions &options);

/// The method that "auto" stands for.
const char *default_cluster_method();

/// Neighbours of each row, by number; both ways. For the methods.
struct NeighbourGraph {
    struct Edge {
        std::size_t to = 0;
        float distance = 0;
    };
    std::vector<std::vector<Edge>> edges; ///< by row
};
using ClusterMethod = Result<std::vector<int>> (*)(const NeighbourGraph &graph,
                                                   const ClusterOptions &options);
Result<std::vector<int>> cluster_by_whispers(const NeighbourGraph &graph,
                                             const ClusterOptions &options);
Result<std::vector<int>> cluster_by_density(const NeighbourGraph &graph,
                                            const ClusterOptions &options);
/// Whether dlib is in this build.
bool have_whispers();

} // namespace sphere
