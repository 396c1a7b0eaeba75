// SPDX-License-Identifier: MIT
// libFuzzer: a line of a sidecar. It must end in a record within its limits, which is written
// and read again to the same text, or in an Error.
#include "core/publish/record_reader.h"

#include <cmath>
#include <cstdlib>

namespace {

void require(bool condition) {
    if (!condition)
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const auto record =
        sphere::parse_record(std::string_view(reinterpret_cast<const char *>(data), size));
    if (!record) {
        require(!record.error().message.empty());
        return 0;
    }
    require(record->faces.size() <= sphere::kMaxRecordFaces);
    for (const sphere::Face &face : record->faces)
        require(std::isfinite(face.box.x) && face.box.w >= 0 && face.box.h >= 0 &&
                (!face.embedding || face.embedding->stamp));
    const std::string text = sphere::to_json_line(*record, true);
    const auto again = sphere::parse_record(text);
    require(again.ok() && sphere::to_json_line(*again, true) == text);
    return 0;
}
