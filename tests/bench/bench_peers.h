// SPDX-License-Identifier: MIT
// What users would pick instead, called directly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sphere::bench {

class Peer {
  public:
    virtual ~Peer() = default;
    virtual std::string name() const = 0; ///< with version and threads
    /// `queries`: count x dims; ids: count x k.
    virtual void search(const float *queries, std::size_t count, std::size_t k,
                        std::vector<std::int64_t> &ids) = 0;
};

/// Those that this build has, filled with `rows`.
std::vector<std::unique_ptr<Peer>> make_peers(const std::vector<float> &rows, std::size_t dims,
                                              int threads, bool with_hnsw);

} // namespace sphere::bench
