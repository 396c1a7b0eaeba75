// SPDX-License-Identifier: MIT
// What a scan by approximate distances must look at again, so that nothing is missed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace sphere {

/// Collects, of rows whose key (smaller is nearer) is known to within a bound, all that may be
/// among the k smallest. Rows come in any order; a NaN counts as "may be anything".
class TopCandidates {
  public:
    struct Candidate {
        float lower = 0; ///< its key is not below this
        std::uint32_t row = 0;
    };

    explicit TopCandidates(std::size_t k) : k_(k) {}

    /// No row whose lower bound is above this is among the k smallest.
    float limit() const { return limit_; }

    /// Only for rows with !(lower > limit()).
    void add(std::uint32_t row, float lower, float upper) {
        candidates_.push_back({lower, row});
        add_upper(upper);
        if (candidates_.size() >= next_prune_)
            prune();
    }

    void merge(const TopCandidates &other) {
        for (const float upper : other.uppers_)
            add_upper(upper);
        candidates_.insert(candidates_.end(), other.candidates_.begin(),
                           other.candidates_.end());
    }

    /// In ascending order of rows.
    const std::vector<Candidate> &finish() {
        prune();
        std::sort(candidates_.begin(), candidates_.end(),
                  [](const Candidate &a, const Candidate &b) { return a.row < b.row; });
        return candidates_;
    }

  private:
    void add_upper(float upper) {
        if (!(upper < limit_))
            return;
        if (uppers_.size() == k_) {
            std::pop_heap(uppers_.begin(), uppers_.end());
            uppers_.pop_back();
        }
        uppers_.push_back(upper);
        std::push_heap(uppers_.begin(), uppers_.end());
        if (uppers_.size() == k_)
            limit_ = uppers_.front();
    }
    void prune() {
        std::erase_if(candidates_, [this](const Candidate &c) { return c.lower > limit_; });
        next_prune_ = 2 * candidates_.size() + 1024;
    }

    std::size_t k_;
    float limit_ = std::numeric_limits<float>::infinity();
    std::vector<float> uppers_; ///< a heap of the k smallest upper bounds, the largest in front
    std::vector<Candidate> candidates_;
    std::size_t next_prune_ = 1024;
};

} // namespace sphere
