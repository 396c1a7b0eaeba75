// SPDX-License-Identifier: MIT
// Whatever structure Faiss can make, by its factory string.
#pragma once

#include "core/gallery/index.h"

namespace sphere {

/// `factory`: as faiss::index_factory takes it ("IVF1024,Flat", "IVF4096,PQ64", …); empty:
/// "Flat". Structures that must be trained are made when there are rows enough to train them.
/// Errors: InvalidArgument (Faiss does not know the string), Unsupported (built without Faiss).
Result<std::unique_ptr<Index>> make_faiss_index(int dims, Metric metric,
                                                const IndexOptions &options,
                                                const std::string &factory);

} // namespace sphere
