// SPDX-License-Identifier: MIT
// Linear probing with backward-shift deletion (no tombstones).
#include "core/gallery/id_map.h"

#include <algorithm>
#include <bit>
#include <chrono>

namespace sphere {
namespace {

std::uint64_t process_seed() {
    static const int anchor = 0; // its address differs from run to run
    const auto time = std::chrono::steady_clock::now().time_since_epoch().count();
    return static_cast<std::uint64_t>(time) ^ reinterpret_cast<std::uintptr_t>(&anchor);
}

/// The finaliser of MurmurHash3 (public domain, A. Appleby).
std::size_t hash(std::int64_t id) {
    static const std::uint64_t seed = process_seed();
    std::uint64_t h = static_cast<std::uint64_t>(id) ^ seed;
    h = (h ^ (h >> 33)) * 0xFF51AFD7ED558CCDULL;
    h = (h ^ (h >> 33)) * 0xC4CEB9FE1A85EC53ULL;
    return static_cast<std::size_t>(h ^ (h >> 33));
}

} // namespace

/// The slot of `id`, or the free one where it would go. There is always a free one.
std::size_t IdMap::slot_of(std::int64_t id, const std::vector<std::int64_t> &ids) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = hash(id) & mask;
    while (slots_[slot] != 0 && ids[slots_[slot] - 1] != id)
        slot = (slot + 1) & mask;
    return slot;
}

std::optional<std::size_t> IdMap::find(std::int64_t id,
                                       const std::vector<std::int64_t> &ids) const {
    if (slots_.empty())
        return std::nullopt;
    const std::uint32_t entry = slots_[slot_of(id, ids)];
    return entry == 0 ? std::nullopt : std::optional<std::size_t>(entry - 1);
}

void IdMap::reserve(std::size_t count, const std::vector<std::int64_t> &ids) {
    const std::size_t wanted = std::bit_ceil(std::max<std::size_t>(16, count + count / 2 + 1));
    if (wanted <= slots_.size())
        return;
    std::vector<std::uint32_t> old(wanted);
    old.swap(slots_);
    for (const std::uint32_t entry : old)
        if (entry != 0)
            slots_[slot_of(ids[entry - 1], ids)] = entry;
}

void IdMap::insert(std::size_t row, const std::vector<std::int64_t> &ids) {
    reserve(used_ + 1, ids);
    slots_[slot_of(ids[row], ids)] = static_cast<std::uint32_t>(row + 1);
    ++used_;
}

void IdMap::move(std::int64_t id, std::size_t row, const std::vector<std::int64_t> &ids) {
    slots_[slot_of(id, ids)] = static_cast<std::uint32_t>(row + 1);
}

void IdMap::erase(std::int64_t id, const std::vector<std::int64_t> &ids) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t hole = slot_of(id, ids);
    // What stands behind the hole and hashes to it or before moves up.
    for (std::size_t next = (hole + 1) & mask; slots_[next] != 0; next = (next + 1) & mask) {
        const std::size_t home = hash(ids[slots_[next] - 1]) & mask;
        if (((next - home) & mask) >= ((next - hole) & mask)) {
            slots_[hole] = slots_[next];
            hole = next;
        }
    }
    slots_[hole] = 0;
    --used_;
}

} // namespace sphere
