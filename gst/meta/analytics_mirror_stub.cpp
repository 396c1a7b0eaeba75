// SPDX-License-Identifier: MIT
// GStreamer before 1.24 has no GstAnalytics: nothing to mirror into.
#include "face_data.h"

namespace sphere_meta {

void write_analytics_mirror(GstSphereFaceMeta *, GstBuffer *) {}

} // namespace sphere_meta
