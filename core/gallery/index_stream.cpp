// SPDX-License-Identifier: MIT
// Bytes of an index file.
#include "core/gallery/index_stream.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace sphere {

void StreamSum::add_block(const unsigned char *block) {
    for (int lane = 0; lane < 4; ++lane) {
        std::uint64_t word = 0;
        std::memcpy(&word, block + 8 * lane, sizeof word);
        lanes_[lane] = std::rotl(lanes_[lane] + word * 0xC2B2AE3D27D4EB4FULL, 31) *
                       0x9E3779B185EBCA87ULL; // the round of xxHash64 (BSD-2-Clause, Y. Collet)
    }
}

void StreamSum::add(const void *data, std::size_t bytes) {
    const auto *next = static_cast<const unsigned char *>(data);
    total_ += bytes;
    if (rest_bytes_ > 0) {
        const std::size_t taken = std::min(bytes, sizeof rest_ - rest_bytes_);
        std::memcpy(rest_ + rest_bytes_, next, taken);
        rest_bytes_ += taken;
        next += taken;
        bytes -= taken;
        if (rest_bytes_ < sizeof rest_)
            return;
        add_block(rest_);
        rest_bytes_ = 0;
    }
    for (; bytes >= sizeof rest_; bytes -= sizeof rest_, next += sizeof rest_)
        add_block(next);
    if (bytes > 0)
        std::memcpy(rest_, next, bytes);
    rest_bytes_ = bytes;
}

std::uint64_t StreamSum::value() const {
    StreamSum copy = *this;
    std::memset(copy.rest_ + copy.rest_bytes_, 0, sizeof rest_ - copy.rest_bytes_);
    copy.add_block(copy.rest_);
    std::uint64_t sum = total_ * 0x9E3779B185EBCA87ULL;
    for (const std::uint64_t lane : copy.lanes_) {
        sum = (sum ^ lane) * 0xFF51AFD7ED558CCDULL;
        sum ^= sum >> 32;
    }
    return sum;
}

void IndexSink::bytes(const void *data, std::size_t count) {
    if (!ok_ || count == 0)
        return;
    sum_.add(data, count);
    count_ += count;
    ok_ = std::fwrite(data, 1, count, file_) == count;
}

void IndexSink::text(const std::string &value) {
    number(static_cast<std::uint32_t>(value.size()));
    bytes(value.data(), value.size());
}

void IndexSource::bytes(void *data, std::size_t count) {
    if (count == 0)
        return;
    if (!ok_ || count > left_ || std::fread(data, 1, count, file_) != count) {
        ok_ = false;
        std::memset(data, 0, count);
        return;
    }
    left_ -= count;
    sum_.add(data, count);
}

std::string IndexSource::text(std::size_t most) {
    const auto size = number<std::uint32_t>();
    if (size > most || !holds(size, 1)) {
        ok_ = false;
        return {};
    }
    std::string value(size, '\0');
    bytes(value.data(), size);
    return value;
}

bool IndexSource::holds(std::uint64_t count, std::uint64_t bytes_each) {
    ok_ = ok_ && (bytes_each == 0 || count <= left_ / bytes_each);
    return ok_;
}

} // namespace sphere
