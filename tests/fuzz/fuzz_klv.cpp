// SPDX-License-Identifier: MIT
// libFuzzer: a buffer of KLV as a recording holds it. It must end in records and Errors, no
// more of both than packets fit in, and what was read is written and read again to the same
// text.
#include "core/publish/klv.h"

#include <cstdlib>

namespace {

void require(bool condition) {
    if (!condition)
        std::abort();
}

void require_the_way_back(const sphere::FrameRecord &record) {
    const sphere::KlvPackets klv = sphere::to_klv(record, true, std::size_t{64} << 20);
    require(klv.packets.size() == 1 && klv.reduced + klv.dropped == 0);
    sphere::KlvReader reader(klv.packets[0]);
    const auto again = reader.next();
    require(again.ok() && again->has_value() &&
            sphere::to_json_line(**again, true) == sphere::to_json_line(record, true));
    const auto end = reader.next();
    require(end.ok() && !end->has_value());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    sphere::KlvReader reader({reinterpret_cast<const char *>(data), size});
    for (std::size_t n = 0;; ++n) {
        require(n <= size / sphere::kKlvKey.size() + 1);
        const auto record = reader.next();
        if (!record)
            require(!record.error().message.empty());
        else if (*record)
            require_the_way_back(**record);
        else
            return 0;
    }
}
