// SPDX-License-Identifier: MIT
#include "core/publish/klv.h"

#include "core/publish/record_reader.h"

#include <span>

namespace sphere {
namespace {

constexpr std::size_t kLabelBytes = 4;  ///< with which every universal label begins
constexpr unsigned kLongForm = 0x80;    ///< BER: the low bits count the bytes of the length
constexpr std::size_t kLengthBytes = 4; ///< most that are read; the first byte not counted

std::string_view key_text() {
    return {reinterpret_cast<const char *>(kKlvKey.data()), kKlvKey.size()};
}

/// Of the long form always: one place for the length, whatever the value's size.
std::string packet_of(std::string_view value) {
    std::string packet(key_text());
    packet += static_cast<char>(kLongForm | kLengthBytes);
    for (std::size_t i = kLengthBytes; i-- > 0;)
        packet += static_cast<char>((value.size() >> (8 * i)) & 0xFF);
    packet += value;
    return packet;
}

class Splitter {
  public:
    Splitter(const FrameRecord &record, std::size_t max_bytes, KlvPackets &out)
        : part_(record), max_bytes_(max_bytes), out_(out) {}

    void write(std::span<const Face> faces, bool embeddings) {
        part_.faces.assign(faces.begin(), faces.end());
        std::string packet = packet_of(to_json_line(part_, embeddings));
        if (packet.size() <= max_bytes_) {
            out_.packets.push_back(std::move(packet));
        } else if (faces.size() > 1) {
            write(faces.first(faces.size() / 2), embeddings);
            write(faces.subspan(faces.size() / 2), embeddings);
        } else if (faces.size() == 1 && embeddings && faces[0].embedding) {
            ++out_.reduced;
            write(faces, false);
        } else if (faces.size() == 1) {
            ++out_.dropped;
        }
    }

  private:
    FrameRecord part_;
    std::size_t max_bytes_;
    KlvPackets &out_;
};

} // namespace

KlvPackets to_klv(const FrameRecord &record, bool embeddings, std::size_t max_bytes) {
    KlvPackets out;
    FrameRecord head = record; // without faces
    head.faces.clear();
    Splitter(head, max_bytes, out).write(record.faces, embeddings);
    if (out.packets.empty()) // a frame that was looked at is told of
        out.packets.push_back(packet_of(to_json_line(head, false)));
    return out;
}

Error KlvReader::broken(const char *what) {
    rest_ = {};
    return fail(Errc::Corrupt, "no KLV packet: ", what);
}

Result<std::size_t> KlvReader::length() {
    std::size_t length = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    if (length >= kLongForm) {
        const std::size_t n = length - kLongForm;
        if (n < 1 || n > kLengthBytes || n > rest_.size())
            return broken("its length is none");
        length = 0;
        for (std::size_t i = 0; i < n; ++i)
            length = length << 8 | static_cast<std::uint8_t>(rest_[i]);
        rest_.remove_prefix(n);
    }
    if (length > rest_.size())
        return broken("it ends before its value does");
    return length;
}

Result<std::optional<FrameRecord>> KlvReader::next() {
    while (!rest_.empty()) {
        if (rest_.size() <= kKlvKey.size())
            return broken("it ends within its key or length");
        if (!rest_.starts_with(key_text().substr(0, kLabelBytes)))
            return broken("it does not begin as a universal label does");
        const bool ours = rest_.starts_with(key_text());
        rest_.remove_prefix(kKlvKey.size());
        const Result<std::size_t> bytes = length();
        if (!bytes)
            return bytes.error();
        const std::string_view value = rest_.substr(0, *bytes);
        rest_.remove_prefix(*bytes);
        if (!ours)
            continue;
        auto record = parse_record(value);
        if (!record)
            return std::move(record).error();
        return std::optional<FrameRecord>(std::move(*record));
    }
    return std::optional<FrameRecord>();
}

} // namespace sphere
