// SPDX-License-Identifier: MIT
// Blocks of rows, copied on write.
#include "core/gallery/row_blocks.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <new>
#include <sys/mman.h>

namespace sphere {
namespace {

constexpr std::size_t kBlockBytes = std::size_t{4} << 20;
constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;
constexpr std::size_t kFirstRows = 16; ///< ten faces need no megabytes
constexpr std::size_t kAlignment = 64;

std::align_val_t alignment_of(std::size_t bytes) {
    return std::align_val_t{bytes >= kHugePageBytes ? kHugePageBytes : kAlignment};
}

} // namespace

RowBlocks::Block::Block(std::size_t rows, std::size_t row_bytes) {
    auto head = std::make_unique<Head>();
    const std::size_t bytes = rows * row_bytes;
    head->data = static_cast<std::byte *>(::operator new(bytes, alignment_of(bytes)));
    head->rows = rows;
    // A scan of 4 KB pages spends a good part of its time in address translation. Only advice.
    if (bytes >= kHugePageBytes)
        (void)madvise(head->data, bytes / kHugePageBytes * kHugePageBytes, MADV_HUGEPAGE);
    head_ = head.release();
    head_->bytes = bytes;
}

RowBlocks::Block::Block(const Block &other) noexcept : head_(other.head_) {
    head_->users.fetch_add(1, std::memory_order_relaxed);
}

RowBlocks::Block::~Block() {
    if (head_ == nullptr || head_->users.fetch_sub(1, std::memory_order_acq_rel) > 1)
        return;
    ::operator delete(head_->data, alignment_of(head_->bytes));
    delete head_;
}

RowBlocks::RowBlocks(std::size_t row_bytes)
    : row_bytes_(row_bytes),
      rows_a_block_(std::max(kFirstRows, std::bit_floor(kBlockBytes / row_bytes))) {}

/// Another block in the place of `block`, with its first `used` rows.
void RowBlocks::replace(Block &block, std::size_t rows, std::size_t used) {
    Block fresh(rows, row_bytes_);
    std::memcpy(fresh.data(), block.data(), used * row_bytes_);
    block = std::move(fresh);
}

std::byte *RowBlocks::writable_row(std::size_t i) {
    Block &block = blocks_[i / rows_a_block_];
    if (block.shared()) {
        const std::size_t first = i / rows_a_block_ * rows_a_block_;
        replace(block, block.rows(), std::min(size_ - first, block.rows()));
    }
    return block.data() + i % rows_a_block_ * row_bytes_;
}

std::byte *RowBlocks::append() {
    const std::size_t used = size_ % rows_a_block_;
    if (used == 0) {
        const std::size_t rows = size_ == 0 ? kFirstRows : rows_a_block_;
        Block fresh(rows, row_bytes_);
        blocks_.push_back(std::move(fresh));
    } else {
        Block &last = blocks_.back();
        if (used == last.rows())
            replace(last, std::min(2 * used, rows_a_block_), used);
        else if (last.shared())
            replace(last, last.rows(), used);
    }
    std::byte *row = blocks_.back().data() + used * row_bytes_;
    std::memset(row, 0, row_bytes_);
    ++size_;
    return row;
}

void RowBlocks::pop_back() {
    --size_;
    Block &last = blocks_.back();
    const std::size_t place = size_ % rows_a_block_;
    if (!last.shared())
        std::memset(last.data() + place * row_bytes_, 0, row_bytes_);
    if (place == 0)
        blocks_.pop_back();
}

} // namespace sphere
