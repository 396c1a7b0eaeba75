// SPDX-License-Identifier: MIT
// libFuzzer: any bytes as an int8 calibration. Parsing must end in a value within its bounds,
// or in an Error of one printable line.
#include "core/engine/calibration.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace {

void require(bool condition) {
    if (!condition)
        std::abort();
}

void require_share(double value) {
    require(value >= 0 && value <= 1);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char *>(data), size);
    const auto calibration = sphere::parse_calibration(text, "x.int8.json");
    if (!calibration) {
        const std::string &message = calibration.error().message;
        require(calibration.error().code == sphere::Errc::Corrupt && message.size() < 1024);
        for (const char c : message)
            require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
        return 0;
    }
    require(calibration->weight_bits == 7 || calibration->weight_bits == 8);
    for (const auto &[name, range] : calibration->ranges)
        require(std::isfinite(range.low) && std::isfinite(range.high) &&
                range.low <= range.high);
    if (const auto &faces = calibration->faces) {
        require(faces->agreed >= 0 && faces->agreed <= std::min(faces->fp32, faces->int8));
        require_share(faces->share());
        require_share(faces->iou);
        require_share(faces->score_mean);
        require(faces->landmarks_mean >= 0 && std::isfinite(faces->landmarks_mean));
        require(faces->landmarks_p95 >= 0 && std::isfinite(faces->landmarks_p95));
    }
    (void)sphere::int8_is_accurate(*calibration, sphere::ModelTask::Embed);
    (void)sphere::int8_is_accurate(*calibration, sphere::ModelTask::Detect);
    return 0;
}
