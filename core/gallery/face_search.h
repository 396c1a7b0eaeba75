// SPDX-License-Identifier: MIT
// Faces that are searched where they are kept, because they do not fit this machine's memory.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sphere {

struct FoundFace {
    std::int64_t face_id = 0;
    std::string person_id;
    std::string label;
    float distance = 0; ///< exact, of the embeddings as they are
    float norm = 0;     ///< the length of the enrolled embedding
};

/// A face with its embedding.
struct SampledFace {
    std::int64_t face_id = 0;
    std::string person_id;
    std::int64_t faces_of_person = 0; ///< that nearest() may find, this one too
    std::vector<float> embedding;
};
struct FaceSample {
    std::vector<SampledFace> faces;
    std::int64_t of_faces = 0; ///< about so many there are
};

/// Thread-safe.
class FaceSearch {
  public:
    virtual ~FaceSearch() = default;
    /// Probably the nearest faces of people (not strangers, not in quarantine), nearest first,
    /// equal distances by id; at most k, and fewer only where no more were found. Waits for a
    /// server: milliseconds, or seconds while it is away. Errors: InvalidArgument (not finite,
    /// another size), Io, Busy (took too long), NotFound (the index is gone).
    virtual Result<std::vector<FoundFace>> nearest(std::span<const float> query,
                                                   std::size_t k) const = 0;
    /// Up to `count` of the faces that nearest() may find, spread evenly over their ids, each
    /// once. Errors: as nearest().
    virtual Result<FaceSample> sample(std::size_t count) const = 0;
};

} // namespace sphere
