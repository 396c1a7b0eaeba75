// SPDX-License-Identifier: MIT
// Headers of picture files.
#include "core/image/probe.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdlib>
#include <string_view>

namespace sphere {
namespace {

/// Bytes with numbers in them; what lies outside reads as 0.
class Bytes {
  public:
    explicit Bytes(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
    std::size_t size() const { return bytes_.size(); }
    std::uint32_t at(std::size_t i) const { return i < bytes_.size() ? bytes_[i] : 0; }
    std::uint32_t be16(std::size_t i) const { return at(i) << 8 | at(i + 1); }
    std::uint32_t be32(std::size_t i) const { return be16(i) << 16 | be16(i + 2); }
    std::uint32_t le16(std::size_t i) const { return at(i) | at(i + 1) << 8; }
    std::uint32_t le24(std::size_t i) const { return le16(i) | at(i + 2) << 16; }
    std::uint32_t le32(std::size_t i) const { return le16(i) | le16(i + 2) << 16; }
    bool has(std::size_t i, std::string_view text) const {
        return i <= bytes_.size() && text.size() <= bytes_.size() - i &&
               std::equal(
                   text.begin(), text.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(i),
                   [](char c, std::uint8_t b) { return static_cast<std::uint8_t>(c) == b; });
    }

  private:
    std::span<const std::uint8_t> bytes_;
};

using Header = std::optional<PictureHeader>;

constexpr bool is_start_of_frame(std::uint32_t marker) {
    // T.81 table B.1: C0 to CF but for DHT (C4), JPG (C8) and DAC (CC).
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 &&
           marker != 0xCC;
}

/// Entropy-coded data holds no FF D9 (T.81 B.1.1.5: a zero is stuffed after each FF).
bool has_end_of_image(const Bytes &b, std::size_t from) {
    for (std::size_t i = from; i + 1 < b.size(); ++i)
        if (b.at(i) == 0xFF && b.at(i + 1) == 0xD9)
            return true;
    return false;
}

/// T.81 annex B: a chain of segments; those before the scan carry their length.
Header probe_jpeg(const Bytes &b) {
    PictureHeader header{.format = "JPEG"};
    std::size_t i = 2;
    while (i + 4 <= b.size()) {
        if (b.at(i) != 0xFF) { // libjpeg skips stray bytes between segments too
            ++i;
            continue;
        }
        const std::uint32_t marker = b.at(i + 1);
        if (marker == 0xFF) { // fill byte
            ++i;
            continue;
        }
        if (marker == 0 || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {
            i += 2; // stands alone
            continue;
        }
        if (marker == 0xD9)
            break;
        if (is_start_of_frame(marker)) {
            header.height = b.be16(i + 5);
            header.width = b.be16(i + 7);
        }
        if (marker == 0xDA) {
            header.ends_early = !has_end_of_image(b, i);
            break;
        }
        i += 2 + std::max<std::size_t>(b.be16(i + 2), 2);
    }
    return header;
}

/// WebP container specification: VP8, VP8L and VP8X chunks.
Header probe_webp(const Bytes &b) {
    PictureHeader header{.format = "WebP"};
    if (b.has(12, "VP8 ")) {
        header.width = b.le16(26) & 0x3FFF;
        header.height = b.le16(28) & 0x3FFF;
    } else if (b.has(12, "VP8L")) {
        const std::uint32_t bits = b.le32(21);
        header.width = (bits & 0x3FFF) + 1;
        header.height = (bits >> 14 & 0x3FFF) + 1;
    } else if (b.has(12, "VP8X")) {
        header.width = b.le24(24) + 1;
        header.height = b.le24(27) + 1;
    }
    return header;
}

Header probe_bmp(const Bytes &b) {
    PictureHeader header{.format = "BMP"};
    if (b.le32(14) == 12) { // BITMAPCOREHEADER
        header.width = b.le16(18);
        header.height = b.le16(20);
    } else {
        header.width = static_cast<std::int32_t>(b.le32(18));
        header.height = std::llabs(static_cast<std::int32_t>(b.le32(22))); // < 0: top-down
    }
    return header;
}

/// TIFF 6.0 section 2: the first image file directory, tags 256 and 257.
Header probe_tiff(const Bytes &b, bool little) {
    PictureHeader header{.format = "TIFF"};
    const auto read16 = [&](std::size_t i) { return little ? b.le16(i) : b.be16(i); };
    const auto read32 = [&](std::size_t i) { return little ? b.le32(i) : b.be32(i); };
    const std::size_t directory = read32(4);
    const std::size_t entries = read16(directory);
    for (std::size_t e = 0; e < entries; ++e) {
        const std::size_t at = directory + 2 + 12 * e;
        const long long value = read16(at + 2) == 3 ? read16(at + 8) : read32(at + 8);
        if (read16(at) == 256)
            header.width = value;
        else if (read16(at) == 257)
            header.height = value;
    }
    return header;
}

/// P1 to P6: numbers in text, '#' starts a comment to the end of its line.
Header probe_pnm(const Bytes &b) {
    PictureHeader header{.format = "PNM"};
    std::size_t i = 2;
    for (long long *side : {&header.width, &header.height}) {
        while (i < b.size() && (std::isspace(static_cast<int>(b.at(i))) || b.at(i) == '#')) {
            if (b.at(i) == '#')
                while (i < b.size() && b.at(i) != '\n')
                    ++i;
            else
                ++i;
        }
        for (; i < b.size() && b.at(i) >= '0' && b.at(i) <= '9' && *side < 1'000'000'000; ++i)
            *side = *side * 10 + static_cast<long long>(b.at(i) - '0');
    }
    return header;
}

Header probe_by_signature(const Bytes &b) {
    if (b.has(0, "\xFF\xD8\xFF"))
        return probe_jpeg(b);
    if (b.has(0, "\x89PNG\r\n\x1A\n") && b.has(12, "IHDR"))
        return PictureHeader{"PNG", b.be32(16), b.be32(20), false};
    if (b.has(0, "RIFF") && b.has(8, "WEBP"))
        return probe_webp(b);
    if (b.has(0, "BM"))
        return probe_bmp(b);
    if (b.has(0, std::string_view("II*\0", 4)))
        return probe_tiff(b, true);
    if (b.has(0, std::string_view("MM\0*", 4)))
        return probe_tiff(b, false);
    if (b.at(0) == 'P' && b.at(1) >= '1' && b.at(1) <= '6' &&
        std::isspace(static_cast<int>(b.at(2))))
        return probe_pnm(b);
    return std::nullopt;
}

} // namespace

std::optional<PictureHeader> probe_picture(std::span<const std::uint8_t> bytes) {
    const Header header = probe_by_signature(Bytes(bytes));
    if (!header || header->width < 1 || header->height < 1)
        return std::nullopt;
    return header;
}

} // namespace sphere
