// SPDX-License-Identifier: MIT
// Frame records as KLV (SMPTE ST 336), for timed metadata beside a video in MPEG-TS or RTP: a
// key of 16 bytes, the length of what follows (BER), and the record as record.h writes it.
#pragma once

#include "core/base/result.h"
#include "core/publish/record.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sphere {

/// A universal label of ST 336, class 15 (experimental) of the metadata dictionary: "sphere"
/// and the version of what the value holds, 1: UTF-8 JSON, schema sphere.frame/1.
inline constexpr std::array<std::uint8_t, 16> kKlvKey = {
    0x06, 0x0E, 0x2B, 0x34, 0x01, 0x01, 0x01, 0x01, 0x0F, 's', 'p', 'h', 'e', 'r', 'e', 0x01};

/// Longest packet written: a PES packet of MPEG-TS holds 65535 bytes, headers included.
inline constexpr std::size_t kMaxKlvBytes = 65'000;

struct KlvPackets {
    std::vector<std::string> packets; ///< at least one; all are of the same frame
    std::size_t reduced = 0;          ///< faces whose embedding was left out: too long
    std::size_t dropped = 0;          ///< faces that were left out: too long without it, too
};

/// The record as packets of at most `max_bytes` each (at least 1000). A record that is too long
/// is written as several, with a part of the faces each.
KlvPackets to_klv(const FrameRecord &record, bool embeddings,
                  std::size_t max_bytes = kMaxKlvBytes);

/// Walks through packets that stand one behind the other.
class KlvReader {
  public:
    /// `bytes` must outlive the reader.
    explicit KlvReader(std::string_view bytes) : rest_(bytes) {}

    /// The next record; empty at the end. Packets of others' keys are passed over. Untrusted,
    /// as parse_record(). Errors: Corrupt; a record that is none costs itself alone, after a
    /// broken packet nothing more can be told apart and the end comes next.
    Result<std::optional<FrameRecord>> next();

  private:
    Error broken(const char *what);
    Result<std::size_t> length();
    std::string_view rest_;
};

} // namespace sphere
