// SPDX-License-Identifier: MIT
// GStreamer before 1.24 has no GstAnalytics: nothing to mirror into, and nothing to read.
#include "face_data.h"

namespace sphere_meta {

void write_analytics_mirror(GstSphereFaceMeta *, GstBuffer *) {}

void read_others_detections(const GstSphereFaceMeta *, GstBuffer *, const gchar *,
                            std::vector<GstSphereFace> &) {}

} // namespace sphere_meta
