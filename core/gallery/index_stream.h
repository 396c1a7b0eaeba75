// SPDX-License-Identifier: MIT
// Bytes of an index file, summed as they pass.
#pragma once

#include "core/base/result.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace sphere {

/// Sixty-four bits over all bytes in their order; sees damage, not intent. The pieces in which
/// bytes come make no difference.
class StreamSum {
  public:
    void add(const void *data, std::size_t bytes);
    std::uint64_t value() const;

  private:
    void add_block(const unsigned char *block);
    std::uint64_t lanes_[4] = {0x9E3779B185EBCA87ULL, 0xC2B2AE3D27D4EB4FULL,
                               0x165667B19E3779F9ULL, 0x85EBCA77C2B2AE63ULL};
    unsigned char rest_[32] = {};
    std::size_t rest_bytes_ = 0;
    std::uint64_t total_ = 0;
};

/// Writes to a file of its owner's; the first failure stays and makes the rest do nothing.
class IndexSink {
  public:
    explicit IndexSink(std::FILE *file) : file_(file) {}
    void bytes(const void *data, std::size_t count);
    template <typename T> void number(T value) {
        static_assert(std::is_arithmetic_v<T>);
        bytes(&value, sizeof value);
    }
    template <typename T> void list(const std::vector<T> &values) {
        bytes(values.data(), values.size() * sizeof(T));
    }
    void text(const std::string &value);
    bool ok() const { return ok_; }
    std::uint64_t sum() const { return sum_.value(); }
    std::uint64_t count() const { return count_; }

  private:
    std::FILE *file_;
    StreamSum sum_;
    std::uint64_t count_ = 0;
    bool ok_ = true;
};

/// Reads at most `limit` bytes. What is missing reads as zeros and makes ok() false. Nothing is
/// allocated for more than what is left of the limit.
class IndexSource {
  public:
    IndexSource(std::FILE *file, std::uint64_t limit) : file_(file), left_(limit) {}
    void bytes(void *data, std::size_t count);
    template <typename T> T number() {
        static_assert(std::is_arithmetic_v<T>);
        T value = 0;
        bytes(&value, sizeof value);
        return value;
    }
    /// `count` values, or none (and not ok()) where so many are not left.
    template <typename T> std::vector<T> list(std::uint64_t count) {
        if (!holds(count, sizeof(T)))
            return {};
        std::vector<T> values(static_cast<std::size_t>(count));
        bytes(values.data(), values.size() * sizeof(T));
        return values;
    }
    std::string text(std::size_t most);
    /// Whether `count` things of so many bytes each may follow; if not, ok() is false from
    /// here.
    bool holds(std::uint64_t count, std::uint64_t bytes_each);
    void refuse() { ok_ = false; }
    bool ok() const { return ok_; }
    std::uint64_t left() const { return left_; }
    std::uint64_t sum() const { return sum_.value(); }

  private:
    std::FILE *file_;
    std::uint64_t left_;
    StreamSum sum_;
    bool ok_ = true;
};

class Index;

/// What an index that can be kept in a file does beside searching.
class SavedIndex {
  public:
    virtual ~SavedIndex() = default;
    /// Everything but what was removed.
    virtual void save(IndexSink &sink) const = 0;
    /// Into an index as make_index makes it, empty. False: what `source` holds is not such an
    /// index; this one is of no use then. Throws std::bad_alloc.
    virtual bool restore(IndexSource &source) = 0;
};

} // namespace sphere
