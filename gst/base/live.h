// SPDX-License-Identifier: MIT
// How an element's stream stands to the pipeline's clock.
#pragma once

#include <gst/base/gstbasetransform.h>

#include <cstdint>
#include <optional>

namespace sphere::gst {

/// Whether the source is live, by a latency query upstream. Not for every frame.
bool source_is_live(GstBaseTransform *element);

/// How many ns after its time by the pipeline's clock the buffer is here, negative = before;
/// empty without a clock or timestamps. Streaming thread.
std::optional<std::int64_t> lateness_of(GstBaseTransform *element, GstBuffer *buffer);

} // namespace sphere::gst
