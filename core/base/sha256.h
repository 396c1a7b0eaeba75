// SPDX-License-Identifier: MIT
// SHA-256 (FIPS 180-4), to check model files against their descriptors.
#pragma once

#include "core/base/result.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sphere {

/// Incremental SHA-256. Not thread-safe.
class Sha256 {
  public:
    Sha256();
    void update(std::span<const std::uint8_t> bytes);
    /// 64 lower-case hex digits. The object must not be updated afterwards.
    std::string finish_hex();

  private:
    void block(const std::uint8_t *bytes);
    std::array<std::uint32_t, 8> state_;
    std::array<std::uint8_t, 64> buffer_{};
    std::uint64_t total_bytes_ = 0;
};

/// The hash of a whole file. Errors: NotFound, Permission, Io; each names the path.
Result<std::string> sha256_of_file(const std::string &path);

} // namespace sphere
