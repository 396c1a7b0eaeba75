// SPDX-License-Identifier: MIT
// From an id to its row: a hash table of four bytes a slot over the list of ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace sphere {

/// The ids themselves stay in the caller's list, `ids[row]`, which every call is given. Copies
/// are cheap. Hashes are seeded a process, so that ids from a file cannot be chosen to collide.
class IdMap {
  public:
    std::optional<std::size_t> find(std::int64_t id,
                                    const std::vector<std::int64_t> &ids) const;
    /// Enters ids[row], which is not there yet. Throws std::bad_alloc.
    void insert(std::size_t row, const std::vector<std::int64_t> &ids);
    /// Forgets `id`, which is there; ids still holds it.
    void erase(std::int64_t id, const std::vector<std::int64_t> &ids);
    /// `id`, which is there, stands at `row` from now on; ids still shows it at its old row.
    void move(std::int64_t id, std::size_t row, const std::vector<std::int64_t> &ids);
    /// Room for so many ids in all. Throws std::bad_alloc.
    void reserve(std::size_t count, const std::vector<std::int64_t> &ids);

  private:
    std::size_t slot_of(std::int64_t id, const std::vector<std::int64_t> &ids) const;

    std::vector<std::uint32_t> slots_; ///< row + 1; 0: free
    std::size_t used_ = 0;
};

} // namespace sphere
