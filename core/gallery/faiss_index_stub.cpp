// SPDX-License-Identifier: MIT
// Stands in for faiss_index.cpp in builds without Faiss.
#include "core/gallery/faiss_index.h"

namespace sphere {

Result<std::unique_ptr<Index>> make_faiss_index(int, Metric, const IndexOptions &,
                                                const std::string &) {
    return fail(Errc::Unsupported, "index faiss: built without Faiss (enable with "
                                   "-Dfaiss=enabled; Debian: libfaiss-dev); index=exact and "
                                   "index=exact-int8 are always there");
}

} // namespace sphere
