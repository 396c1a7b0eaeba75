// SPDX-License-Identifier: MIT
// SHA-256 as FIPS 180-4 sections 4.1.2, 4.2.2, 5.1.1, 5.3.3 and 6.2 define it.
#include "core/base/sha256.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

namespace sphere {
namespace {

constexpr std::size_t kBlockBytes = 64;
constexpr std::size_t kReadBytes = std::size_t{1} << 20;

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
constexpr std::array<std::uint32_t, 64> kRound = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
    0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
    0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
    0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
    0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
    0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
    0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2};

std::uint32_t read_be32(const std::uint8_t *p) {
    return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 |
           p[3];
}

} // namespace

// The first 32 bits of the fractional parts of the square roots of the first eight primes.
Sha256::Sha256()
    : state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
             0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19} {}

void Sha256::block(const std::uint8_t *bytes) {
    std::array<std::uint32_t, 64> w;
    for (std::size_t t = 0; t < 16; ++t)
        w[t] = read_be32(bytes + 4 * t);
    for (std::size_t t = 16; t < 64; ++t) {
        const std::uint32_t s0 =
            std::rotr(w[t - 15], 7) ^ std::rotr(w[t - 15], 18) ^ (w[t - 15] >> 3);
        const std::uint32_t s1 =
            std::rotr(w[t - 2], 17) ^ std::rotr(w[t - 2], 19) ^ (w[t - 2] >> 10);
        w[t] = s1 + w[t - 7] + s0 + w[t - 16];
    }
    auto [a, b, c, d, e, f, g, h] = state_;
    for (std::size_t t = 0; t < 64; ++t) {
        const std::uint32_t sum1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
        const std::uint32_t choose = (e & f) ^ (~e & g);
        const std::uint32_t t1 = h + sum1 + choose + kRound[t] + w[t];
        const std::uint32_t sum0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
        const std::uint32_t majority = (a & b) ^ (a & c) ^ (b & c);
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + sum0 + majority;
    }
    const std::array<std::uint32_t, 8> add = {a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < state_.size(); ++i)
        state_[i] += add[i];
}

void Sha256::update(std::span<const std::uint8_t> bytes) {
    const std::size_t held = total_bytes_ % kBlockBytes;
    total_bytes_ += bytes.size();
    if (held > 0) {
        const std::size_t take = std::min(bytes.size(), kBlockBytes - held);
        std::copy_n(bytes.begin(), take, buffer_.begin() + static_cast<std::ptrdiff_t>(held));
        bytes = bytes.subspan(take);
        if (held + take < kBlockBytes)
            return;
        block(buffer_.data());
    }
    for (; bytes.size() >= kBlockBytes; bytes = bytes.subspan(kBlockBytes))
        block(bytes.data());
    std::ranges::copy(bytes, buffer_.begin());
}

std::string Sha256::finish_hex() {
    const std::uint64_t total_bits = total_bytes_ * 8;
    // 0x80, zeros to 56 modulo 64, then the length in bits, big-endian.
    std::array<std::uint8_t, kBlockBytes + 8> tail{0x80};
    const std::size_t held = total_bytes_ % kBlockBytes;
    const std::size_t zeros_end = held < 56 ? 56 - held : 120 - held;
    for (std::size_t i = 0; i < 8; ++i)
        tail[zeros_end + i] = static_cast<std::uint8_t>(total_bits >> (56 - 8 * i));
    update(std::span(tail).first(zeros_end + 8));

    constexpr char kDigits[] = "0123456789abcdef";
    std::string hex;
    hex.reserve(64);
    for (const std::uint32_t word : state_)
        for (int shift = 28; shift >= 0; shift -= 4)
            hex += kDigits[word >> shift & 15];
    return hex;
}

Result<std::string> sha256_of_file(const std::string &path) {
    const auto io_error = [&](int error) {
        const Errc code = error == ENOENT || error == ENOTDIR ? Errc::NotFound
                          : error == EACCES || error == EPERM ? Errc::Permission
                                                              : Errc::Io;
        return fail(code, "cannot read ", path, ": ", std::strerror(error));
    };
    const std::unique_ptr<std::FILE, int (*)(std::FILE *)> file(std::fopen(path.c_str(), "rbe"),
                                                                std::fclose);
    if (!file)
        return io_error(errno);
    std::setvbuf(file.get(), nullptr, _IONBF, 0); // we read large pieces ourselves
    std::vector<std::uint8_t> buffer(kReadBytes);
    Sha256 sha;
    for (;;) {
        errno = 0;
        const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), file.get());
        sha.update(std::span(buffer).first(got));
        if (got < buffer.size()) {
            if (std::ferror(file.get()))
                return io_error(errno);
            return sha.finish_hex();
        }
    }
}

} // namespace sphere
