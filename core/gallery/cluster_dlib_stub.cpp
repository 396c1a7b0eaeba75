// SPDX-License-Identifier: MIT
// Chinese whispers in a build without dlib.
#include "core/gallery/cluster.h"

namespace sphere {

bool have_whispers() {
    return false;
}

Result<std::vector<int>> cluster_by_whispers(const NeighbourGraph &, const ClusterOptions &) {
    return fail(Errc::Unsupported,
                "grouping by whispers: built without dlib (enable with -Ddlib=enabled); use "
                "density");
}

} // namespace sphere
