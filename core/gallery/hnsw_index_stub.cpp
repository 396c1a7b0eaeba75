// SPDX-License-Identifier: MIT
// Stands in for hnsw_index.cpp in builds without hnswlib.
#include "core/gallery/hnsw_index.h"

namespace sphere {

Result<std::unique_ptr<Index>> make_hnsw_index(int, Metric, const IndexOptions &) {
    return fail(Errc::Unsupported, "index hnsw: built without hnswlib (enable with "
                                   "-Dhnsw=enabled; Debian: libhnswlib-dev); index=exact and "
                                   "index=exact-int8 are always there");
}

} // namespace sphere
