// SPDX-License-Identifier: MIT
// Index kind "pgvector:LOCATION".
#pragma once

#include "core/gallery/index.h"

namespace sphere {

/// `location` as open_postgres_store() has it. From some thousand rows on they have an HNSW
/// index, below that they are compared one by one; what is found carries the exact distance.
/// Errors: Unsupported (no pgvector; says what to do), those of a connection.
Result<std::unique_ptr<Index>> make_pgvector_index(const std::string &location, int dims,
                                                   Metric metric);

} // namespace sphere
