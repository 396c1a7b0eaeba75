// SPDX-License-Identifier: MIT
// What a server was sent and has not confirmed. Internal to publish.
#pragma once

#include "core/publish/destination.h"

#include <map>

namespace sphere {

/// Records by their sequence. Those that a client library still holds are not handed to it a
/// second time when they are offered again.
class InFlight {
  public:
    bool holds(std::uint64_t sequence) const { return confirmed_.contains(sequence); }
    void begin(std::uint64_t sequence) { confirmed_[sequence] = false; }
    void confirm(std::uint64_t sequence) {
        if (const auto found = confirmed_.find(sequence); found != confirmed_.end())
            found->second = true;
    }
    void forget(std::uint64_t sequence) { confirmed_.erase(sequence); }
    void clear() { confirmed_.clear(); }

    /// How many of the first are confirmed.
    std::size_t confirmed(std::span<const Message> batch) const {
        std::size_t count = 0;
        while (count < batch.size()) {
            const auto found = confirmed_.find(batch[count].sequence);
            if (found == confirmed_.end() || !found->second)
                break;
            ++count;
        }
        return count;
    }
    /// The first `count` were reported as delivered. Those before them are nobody's any more.
    void settle(std::span<const Message> batch, std::size_t count) {
        if (count > 0)
            confirmed_.erase(confirmed_.begin(),
                             confirmed_.upper_bound(batch[count - 1].sequence));
    }

  private:
    std::map<std::uint64_t, bool> confirmed_;
};

} // namespace sphere
