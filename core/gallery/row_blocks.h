// SPDX-License-Identifier: MIT
// Rows of bytes in large aligned blocks that copies share until one of them changes a block.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>
#include <vector>

namespace sphere {

/// A sequence of rows of `row_bytes` each (a multiple of 64), starting on 64-byte boundaries
/// and contiguous within a block of about 4 MB. It grows without moving what is there, and a
/// copy costs a pointer a block: who writes to a shared block copies that block first.
/// Different copies may be used by different threads at once. Functions that allocate throw
/// std::bad_alloc and leave the rows as they were.
class RowBlocks {
  public:
    explicit RowBlocks(std::size_t row_bytes);

    std::size_t size() const { return size_; }
    std::size_t row_bytes() const { return row_bytes_; }
    const std::byte *row(std::size_t i) const {
        return blocks_[i / rows_a_block_].data() + i % rows_a_block_ * row_bytes_;
    }
    /// How many rows follow row `first` without a gap, that one included.
    std::size_t run_length(std::size_t first) const {
        const std::size_t end = (first / rows_a_block_ + 1) * rows_a_block_;
        return (end < size_ ? end : size_) - first;
    }
    std::byte *writable_row(std::size_t i);
    /// A row more, its bytes zero.
    std::byte *append();
    /// Overwrites the last row by zeros where nobody else has the block, and drops it.
    void pop_back();

  private:
    /// Memory with a count of its users.
    class Block {
      public:
        Block() = default;
        Block(std::size_t rows, std::size_t row_bytes);
        Block(const Block &other) noexcept;
        Block(Block &&other) noexcept : head_(std::exchange(other.head_, nullptr)) {}
        Block &operator=(Block other) noexcept {
            std::swap(head_, other.head_);
            return *this;
        }
        ~Block();
        std::byte *data() const { return head_->data; }
        std::size_t rows() const { return head_->rows; }
        bool shared() const { return head_->users.load(std::memory_order_acquire) > 1; }

      private:
        struct Head {
            std::atomic<int> users{1};
            std::byte *data = nullptr;
            std::size_t rows = 0;
            std::size_t bytes = 0;
        };
        Head *head_ = nullptr;
    };
    void replace(Block &block, std::size_t rows, std::size_t used);

    std::size_t row_bytes_;
    std::size_t rows_a_block_;
    std::size_t size_ = 0;
    std::vector<Block> blocks_;
};

} // namespace sphere
