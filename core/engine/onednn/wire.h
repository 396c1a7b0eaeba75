// SPDX-License-Identifier: MIT
// Protobuf's wire format, read without copies and never past the end of its bytes.
// https://protobuf.dev/programming-guides/encoding/
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace sphere::onednn {

static_assert(std::endian::native == std::endian::little,
              "weights are read as they lie in the file");

/// Walks through the fields of one message:
///     for (WireReader r(bytes); r.next();) switch (r.field()) …
/// ok() is false afterwards if the bytes were not a message.
class WireReader {
  public:
    enum Type : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

    explicit WireReader(std::string_view bytes) : rest_(bytes) {}

    bool next() {
        if (rest_.empty() || !ok_)
            return false;
        std::uint64_t key = 0;
        if (!read_varint(key))
            return ok_ = false;
        field_ = static_cast<std::uint32_t>(key >> 3);
        type_ = static_cast<Type>(key & 7);
        switch (type_) {
        case kVarint:
            return ok_ = read_varint(number_);
        case kFixed64:
            return ok_ = take(8);
        case kFixed32:
            return ok_ = take(4);
        case kBytes:
            return ok_ = read_varint(number_) && take(number_);
        }
        return ok_ = false; // groups, and what does not exist
    }
    std::uint32_t field() const { return field_; }
    Type type() const { return type_; }
    bool is_bytes() const { return type_ == kBytes; }
    std::uint64_t number() const { return number_; } ///< of a varint
    std::int64_t integer() const { return static_cast<std::int64_t>(number_); }
    std::string_view bytes() const { return bytes_; } ///< of bytes or a fixed field
    float real() const {
        float value = 0;
        if (type_ == kFixed32)
            std::memcpy(&value, bytes_.data(), 4);
        return value;
    }
    bool ok() const { return ok_; }

    /// Appends a repeated integer field, packed or not. False if it is malformed or too long.
    bool integers(std::vector<std::int64_t> &out, std::size_t limit) {
        if (type_ == kVarint) {
            out.push_back(integer());
            return out.size() <= limit;
        }
        if (type_ != kBytes)
            return ok_ = false;
        WireReader packed(bytes_);
        while (!packed.rest_.empty()) {
            std::uint64_t value = 0;
            if (!packed.read_varint(value) || out.size() >= limit)
                return ok_ = false;
            out.push_back(static_cast<std::int64_t>(value));
        }
        return true;
    }

  private:
    bool read_varint(std::uint64_t &value) {
        value = 0;
        for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
            const auto byte = static_cast<unsigned char>(rest_.front());
            rest_.remove_prefix(1);
            value |= static_cast<std::uint64_t>(byte & 127) << shift;
            if (byte < 128)
                return true;
        }
        return false;
    }
    bool take(std::uint64_t length) {
        if (length > rest_.size())
            return false;
        bytes_ = rest_.substr(0, static_cast<std::size_t>(length));
        rest_.remove_prefix(static_cast<std::size_t>(length));
        return true;
    }

    std::string_view rest_, bytes_;
    std::uint64_t number_ = 0;
    std::uint32_t field_ = 0;
    Type type_ = kVarint;
    bool ok_ = true;
};

/// Appends the little-endian floats of `bytes`; false if a piece is left over.
inline bool append_floats(std::string_view bytes, std::vector<float> &out) {
    if (bytes.size() % 4 != 0)
        return false;
    const std::size_t before = out.size();
    out.resize(before + bytes.size() / 4);
    if (!bytes.empty())
        std::memcpy(out.data() + before, bytes.data(), bytes.size());
    return true;
}

/// The value of a number in half precision (IEEE 754 binary16); exact.
inline float half_to_float(std::uint16_t half) {
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
    const std::uint32_t exponent = (half >> 10) & 31U, fraction = half & 1023U;
    if (exponent == 0) { // zero and subnormal numbers: fraction * 2^-24
        const float value = static_cast<float>(fraction) * 0x1p-24F;
        return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(value));
    }
    const std::uint32_t bits = exponent == 31 ? 0x7f800000U : (exponent + 112) << 23;
    return std::bit_cast<float>(sign | bits | fraction << 13);
}

/// As append_floats(), of half-precision numbers.
inline bool append_halves(std::string_view bytes, std::vector<float> &out) {
    if (bytes.size() % 2 != 0)
        return false;
    out.reserve(out.size() + bytes.size() / 2);
    for (std::size_t i = 0; i < bytes.size(); i += 2) {
        std::uint16_t half = 0;
        std::memcpy(&half, bytes.data() + i, 2);
        out.push_back(half_to_float(half));
    }
    return true;
}

} // namespace sphere::onednn
