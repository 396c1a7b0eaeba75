// SPDX-License-Identifier: MIT
// The rows of an exact index in the precision that they are scanned in, and as they are.
#pragma once

#include "core/base/bf16.h"
#include "core/gallery/index_stream.h"
#include "core/gallery/row_blocks.h"
#include "core/gallery/scan_kernels.h"

#include <cstdint>
#include <new>
#include <span>
#include <unordered_set>
#include <vector>

namespace sphere {

/// What a scan reads of a row. A row is kept whole in each: its embedding can be had back.
enum class RowFormat : std::uint8_t {
    Fp32, ///< 4 bytes a value
    Bf16, ///< 2 bytes a value; the lower halves lie apart: 4 bytes a value in all
    Int8, ///< 1 byte a value, scaled row by row; the floats lie apart: 5 bytes a value in all
};

/// Memory on a cache line's boundary, for whole-vector loads.
template <typename T> struct AlignedAllocator {
    using value_type = T;
    static constexpr std::align_val_t kAlignment{64};
    AlignedAllocator() = default;
    template <typename U> explicit AlignedAllocator(const AlignedAllocator<U> &) noexcept {}
    T *allocate(std::size_t n) {
        return static_cast<T *>(::operator new(n * sizeof(T), kAlignment));
    }
    void deallocate(T *p, std::size_t) noexcept { ::operator delete(p, kAlignment); }
    template <typename U> bool operator==(const AlignedAllocator<U> &) const { return true; }
};
template <typename T> using AlignedVector = std::vector<T, AlignedAllocator<T>>;

/// Up to kScanQueries queries in a scan's precision. |q . x - scan's value| is at most
/// error * |x| + scanned_norm * (row's error), beside the roundings of the sum.
struct ScanQueries {
    struct One {
        float norm = 0;         ///< |q|
        float scanned_norm = 0; ///< |q as it is scanned|
        float error = 0;        ///< |q - q as it is scanned|
        float scale = 1;
        std::int32_t offset = 0; ///< 128 * sum of its bytes
    };
    AlignedVector<float> values; ///< count x stride
    AlignedVector<std::int8_t> bytes;
    std::vector<One> each;
};

/// Copies share memory until they are changed. Functions that allocate throw std::bad_alloc.
class ExactRows {
  public:
    ExactRows(std::size_t dims, RowFormat format);

    std::size_t size() const { return norms_.size(); }
    std::size_t dims() const { return dims_; }
    std::size_t stride() const { return stride_; } ///< dims, padded to kScanLanes
    RowFormat format() const { return format_; }

    /// `values`: `dims` finite numbers.
    void append(std::span<const float> values);
    /// The last row takes the place of `row`.
    void remove(std::size_t row);

    /// The row as it was appended, padded by zeros; in `scratch` (stride values, aligned) where
    /// it must be put together.
    const float *exact(std::size_t row, float *scratch) const;

    /// Bf16 only: the upper halves of the row, stride of them, for as long as nothing changes.
    const std::uint16_t *scanned_halves(std::size_t row) const {
        return reinterpret_cast<const std::uint16_t *>(scanned_.row(row));
    }

    /// `values`: count x stride, padded by zeros.
    ScanQueries prepare(AlignedVector<float> values, std::size_t count) const;

    /// Products of rows first, first + 1, ... with all queries into products[q * kScanRows + r]
    /// for r < the number returned, at least 1 and at most `most` and kScanRows. `sums`: as
    /// many.
    std::size_t scan(std::size_t first, std::size_t most, const ScanQueries &queries,
                     float *products, std::int32_t *sums) const;

    /// All rows but those of `blank`, which are written as zeros: they keep their places.
    void save(IndexSink &sink, const std::unordered_set<std::uint32_t> &blank = {}) const;
    /// Into an empty object; false where `source` does not hold so many sound rows.
    bool restore(IndexSource &source, std::size_t count);

    /// Of every row: |x|, and |x - x as it is scanned|; infinite where no bound is known.
    const std::vector<float> &norms() const { return norms_; }
    const std::vector<float> &errors() const { return errors_; }

  private:
    void encode(std::size_t row, const float *values);
    bool all_finite() const;

    std::size_t dims_;
    std::size_t stride_;
    RowFormat format_;
    RowBlocks scanned_; ///< floats, their upper halves, or bytes + 128
    RowBlocks rest_;    ///< nothing, the lower halves, or floats
    std::vector<float> norms_;
    std::vector<float> errors_;
    std::vector<float> scales_; ///< not for Fp32
};

} // namespace sphere
